/* A 1x1 convolution and the depthwise one that alone reads what it gives, as inverted residuals begin with: a task makes TILE_M
   channels of a band of rows and passes them on while they are in the cache. What lies between the two is never in memory. */

typedef struct {
    window first; /* the 1x1, in one row */
    const T *x, *packed;
    T *bias; /* padded to whole tiles, or NULL */
    ptrdiff_t activation;
    T slope;
    NAME(plane_job) second;
    ptrdiff_t tiles, bands, room; /* room: elements of a band of one plane */
} NAME(expand_job);

/* Output rows of a band, and the rows of the planes between that they read. */
typedef struct {
    ptrdiff_t p0, p1, h0, h1;
} NAME(expand_band);

static NAME(expand_band) NAME(expand_band_at)(const NAME(square) *square, ptrdiff_t band, ptrdiff_t bands) {
    const window *w = square->w;
    NAME(expand_band) b = {.p0 = band * w->out[1] / bands, .p1 = (band + 1) * w->out[1] / bands};
    b.h0 = larger(0, b.p0 * square->step + square->lo[0]);
    b.h1 = smaller(w->in[1], (b.p1 - 1) * square->step + square->lo[0] + square->size);
    return b;
}

/* Bands so low that what a task passes on stays in the second-level cache; 0 where they would be flat. */
static ptrdiff_t NAME(expand_bands)(const NAME(square) *square) {
    enum { BAND_BYTES = 192 << 10, LEAST_ROWS = 8 };
    const window *w = square->w;
    const ptrdiff_t rows = BAND_BYTES / (TILE_M * (ptrdiff_t)sizeof(T)) / w->in[2], out = w->out[1];
    if (w->in[1] <= rows) return 1;
    const ptrdiff_t of_output = (rows - square->size) / square->step;
    return of_output < LEAST_ROWS ? 0 : divide_up(out, of_output);
}

/* Whether the second can take over from the first, and that pays: planes of one depth in rows, of which it reads every one, so large
   that images gain nothing by sharing vectors, with an input that the second-level cache holds while one tile of filters after
   another passes over it. */
static int NAME(expand_plan)(const window *first, const window *second, NAME(square) *square, ptrdiff_t *bands) {
    enum { LEAST_PIXELS = 512 };
    if (first->taps != 1 || first->groups != 1 || second->groups != first->k || second->c != 1 || second->k != 1)
        return 0;
    for (int a = 0; a < 3; a++)
        if (first->step[a] != 1 || first->tap[a] != 0 || first->in[a] != first->out[a] ||
            second->in[a] != first->out[a])
            return 0;
    if (first->x_s[2] != 1 || first->n != second->n || first->c == 0 || window_pixels(second) == 0) return 0;
    if (!NAME(square_window)(second, square) || window_pixels(first) < LEAST_PIXELS) return 0;
    *bands = NAME(expand_bands)(square);
    return *bands > 0 && first->c * window_pixels(first) / *bands * (ptrdiff_t)sizeof(T) <= L2_BYTES / 2;
}

/* `pixels` neighbours, from x on, of the planes of one tile of filters: whole vectors, then the rest, which is a few lanes or a vector
   that ends with it and makes some pixels a second time. */
static void NAME(expand_pixels)(const NAME(expand_job) *job, const T *x, ptrdiff_t pixels, ptrdiff_t tile,
                                const ptrdiff_t *off, T *planes) {
    const window *w = &job->first;
    const ptrdiff_t step = channels_a_block(w), rest = pixels % VL;
    const T *weight = job->packed + tile * TILE_M * w->c;
    NAME(tile_end) end = {.row = job->room, .partial_row = job->room, .next_a = weight, .next_b = weight};
    ptrdiff_t vectors;
    for (ptrdiff_t at = 0, left = pixels / VL; left > 0 || at < pixels; at += vectors * VL, left -= vectors) {
        const int few = left == 0 && rest <= TILE_FEW;
        vectors = left == TILE_V + 1 ? TILE_V - 1 : larger(1, smaller(left, TILE_V));
        const ptrdiff_t from = left > 0 || few ? at : pixels - VL;
        end.c = planes + from;
        end.partial = end.bias = NULL;
        end.activation = FC_IDENTITY;
        for (ptrdiff_t c = 0; c < w->c; c += step) {
            const ptrdiff_t count = smaller(step, w->c - c);
            const T *b[3] = {x + c * w->x_c + from, x + c * w->x_c + from + VL, x + c * w->x_c + from + 2 * VL};
            if (c + count == w->c) {
                end.bias = job->bias ? job->bias + tile * TILE_M : NULL;
                end.activation = job->activation;
                end.slope = job->slope;
            }
            if (few)
                NAME(tile_few)(count, weight + c * TILE_M, b[0], off, &end, 0, rest);
            else
                NAME(tile)[vectors](count, weight + c * TILE_M, 1, TILE_M, b, off, &end);
            end.partial = end.c;
        }
    }
}

static size_t NAME(expand_scratch)(const NAME(expand_job) *job) {
    const size_t sweep = (NAME(sweep_scratch)(job->second.square.w) + 63) / 64 * 64;
    return BLOCK_ROOM * sizeof(ptrdiff_t) + (size_t)(TILE_M * job->room) * sizeof(T) + sweep;
}

static void NAME(expand_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(expand_job) *job = context;
    const window *w = &job->first, *to = job->second.square.w;
    const ptrdiff_t tile = task % job->tiles, n = task / job->tiles / job->bands, width = to->in[2];
    const NAME(expand_band) band =
        NAME(expand_band_at)(&job->second.square, task / job->tiles % job->bands, job->bands);
    ptrdiff_t *off = scratch;
    T *planes = (T *)(void *)(off + BLOCK_ROOM);
    for (ptrdiff_t j = 0; j < BLOCK_ROOM; j++) off[j] = j * w->x_c;
    NAME(expand_pixels)(job, job->x + n * w->x_n + band.h0 * width, (band.h1 - band.h0) * width, tile, off, planes);
    NAME(sweep_desk) desk = NAME(sweep_rows_of)(&job->second, band.p0, band.p1, planes + TILE_M * job->room);
    desk.sweep.above = band.h0;
    for (ptrdiff_t m = 0; m < smaller(TILE_M, w->k - tile * TILE_M); m++)
        NAME(sweep_plane)(&job->second, &desk, planes + m * job->room, n, tile * TILE_M + m);
}

/* ---- the table's entries */

static int NAME(expand_windows)(const fc_conv *first, const fc_conv *second, ptrdiff_t *taps, window *a, window *b) {
    if (first->channels_last || second->channels_last || first->kernel[0] * first->kernel[1] * first->kernel[2] != 1)
        return 0;
    for (int i = 0; i < 3; i++)
        if (second->kernel[i] > 7) return 0;
    NAME(forward_window)(first, taps, a);
    NAME(forward_window)(second, taps + 4, b);
    return 1;
}

enum { NAME(EXPAND_TAPS) = 4 + 4 * 7 * 7 * 7 };

static int NAME(conv_expands)(const fc_conv *first, const fc_conv *second) {
    window a, b;
    NAME(square) square;
    ptrdiff_t taps[NAME(EXPAND_TAPS)], bands;
    return NAME(expand_windows)(first, second, taps, &a, &b) && NAME(expand_plan)(&a, &b, &square, &bands);
}

static int NAME(conv_expand)(const fc_conv *first, const void *x, const void *packed, const fc_epilogue *between,
                             const fc_conv *second, const void *weight, const fc_epilogue *end, void *y) {
    window a, b;
    ptrdiff_t taps[NAME(EXPAND_TAPS)];
    NAME(expand_job) job = {.x = x, .packed = packed, .activation = between->activation, .slope = (T)between->slope};
    (void)NAME(expand_windows)(first, second, taps, &a, &b);
    if (b.n == 0) return FC_OK;
    (void)NAME(expand_plan)(&a, &b, &job.second.square, &job.bands);
    if (between->x_image) a.x_n = between->x_image;
    if (end->y_image) b.y_n = end->y_image;
    job.first = window_in_one_row(&a);
    job.tiles = divide_up(a.k, TILE_M);
    job.second.weight = weight;
    job.second.y = y;
    job.second.end = end;
    for (ptrdiff_t i = 0; i < job.bands; i++) {
        const NAME(expand_band) band = NAME(expand_band_at)(&job.second.square, i, job.bands);
        /* at step 2 a row more is read, for an output that is not made */
        job.room = larger(job.room, divide_up((band.h1 - band.h0 + 1) * b.in[2] + VL, VL) * VL);
    }
    if (between->bias) {
        job.bias = NAME(padded_bias)(&a, between->bias);
        if (!job.bias) return FC_NO_MEMORY;
    }
    const double work = (double)a.n * (double)(a.k * window_pixels(&a)) * (double)(a.c + b.taps);
    const int status =
        fc_parallel(a.n * job.bands * job.tiles, work, NAME(expand_scratch)(&job), NAME(expand_task), &job);
    fc_free(job.bias);
    return status;
}
