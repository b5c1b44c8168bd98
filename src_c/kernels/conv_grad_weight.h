/* Gradient to the weight of dense convolutions: dw[k][column] = sum over pixels of dy[k][pixel] * x[column][pixel], a column being
   one (channel, tap) pair. The micro-kernel keeps filters x columns in registers over hundreds of pixels. Work goes chunk by chunk
   (rows of output, a few hundred kilobytes): dy is packed [tile][pixel][TILE_M]; the input is laid out so that VL columns are one
   vector, in one of two ways:

     blocked   [channels / VL][band][depth][height][width][VL], transposed once and shared by all taps (many channels)
     patches   [pixel][columns], gathered (few channels, where a vector of channels would be mostly empty)

   Sums are taken over runs of RUN pixels and added in memory, in the same order whatever the number of threads. */

enum { NAME(RUN) = 256 };

typedef struct {
    const window *w;
    const T *x, *dy;
    extent e;
    int patches;
    /* the grid of sums */
    ptrdiff_t columns;   /* vectors of columns a group: blocks * taps, or divide_up(c * taps, VL) */
    ptrdiff_t blocks;    /* blocks of VL channels a group */
    ptrdiff_t sets;      /* of TILE_V vectors a group */
    ptrdiff_t tiles;     /* of TILE_M filters a group */
    ptrdiff_t splits;    /* private copies of the sums, by parts of the chunk */
    T *sums;             /* [split][group][tile][set][TILE_M][TILE_LANES] */
    /* the chunk */
    ptrdiff_t band_rows, bands_a_plane, bands, bands_a_chunk; /* output rows a band, bands a depth slice, in all, a chunk */
    ptrdiff_t width, plane, volume;                           /* of a band in the blocked layout, in vectors */
    ptrdiff_t room;                                           /* pixels a chunk has room for */
    ptrdiff_t first_band, chunk_bands, pixels;                /* now */
    T *packed;                                                /* dy: [group][tile][room][TILE_M] */
    T *input;                                                 /* blocked: [group][block][bands_a_chunk * volume][VL]; patches: [group][room][columns * VL] */
    ptrdiff_t *off;                                           /* room: where a pixel reads */
    ptrdiff_t *pixel_of_band;                                 /* bands_a_chunk + 1: first pixel of each band of the chunk */
    int first_chunk;
} NAME(grad_weight_job);

/* A band's place: image, depth, first output row, and how many rows it has. */
static ptrdiff_t NAME(band_at)(const NAME(grad_weight_job) *job, ptrdiff_t band, ptrdiff_t *n, ptrdiff_t *depth, ptrdiff_t *row) {
    const window *w = job->w;
    *row = band % job->bands_a_plane * job->band_rows;
    *depth = band / job->bands_a_plane % w->out[0];
    *n = band / job->bands_a_plane / w->out[0];
    return smaller(job->band_rows, w->out[1] - *row);
}

/* ---- step 1: packing, tasks over (group, tile) for dy and (group, block) or (group, band) for the input */

static void NAME(pack_dy)(const NAME(grad_weight_job) *job, ptrdiff_t g, ptrdiff_t tile) {
    const window *w = job->w;
    const ptrdiff_t k0 = tile * TILE_M, rows = smaller(TILE_M, w->k - k0);
    T *to = job->packed + (g * job->tiles + tile) * job->room * TILE_M;
    for (ptrdiff_t i = 0; i < job->chunk_bands; i++) {
        ptrdiff_t n, depth, row;
        const ptrdiff_t height = NAME(band_at)(job, job->first_band + i, &n, &depth, &row);
        for (ptrdiff_t h = 0; h < height; h++) {
            const T *from = job->dy + n * w->y_n + (g * w->k + k0) * w->y_c + depth * w->y_s[0] + (row + h) * w->y_s[1];
            ptrdiff_t q = 0;
            if (w->y_s[2] == 1 && rows == TILE_M)
                for (; q + VL <= w->out[2]; q += VL, to += VL * TILE_M) {
                    V r[TILE_M];
                    UNROLL(8)
                    for (int m = 0; m < TILE_M; m++) r[m] = NAME(vload)(from + m * w->y_c + q);
                    NAME(vtranspose)(TILE_M, r);
                    UNROLL(8)
                    for (int m = 0; m < TILE_M; m++) NAME(vstore)(to + m * VL, r[m]);
                }
            for (; q < w->out[2]; q++, to += TILE_M) {
                for (ptrdiff_t m = 0; m < rows; m++) to[m] = from[m * w->y_c + q * w->y_s[2]];
                for (ptrdiff_t m = rows; m < TILE_M; m++) to[m] = 0;
            }
        }
    }
}

/* One padded input row of VL channels, transposed to [column][VL]. */
static void NAME(transpose_row)(const window *w, const T *x, ptrdiff_t channels, ptrdiff_t first, ptrdiff_t width, T *to) {
    ptrdiff_t lo, hi;
    inside(first, 1, w->in[2], width, &lo, &hi);
    memset(to, 0, (size_t)(lo * VL) * sizeof(T));
    memset(to + hi * VL, 0, (size_t)((width - hi) * VL) * sizeof(T));
    x += first * w->x_s[2];
    if (w->x_c == 1) {
        for (ptrdiff_t i = lo; i < hi; i++) NAME(vstore)(to + i * VL, NAME(vload_first)(x + i * w->x_s[2], channels));
    } else if (w->x_s[2] == 1) {
        for (ptrdiff_t i = lo; i < hi; i += VL) {
            const ptrdiff_t count = smaller(VL, hi - i);
            V r[VBYTES / sizeof(T)];
            for (ptrdiff_t c = 0; c < VL; c++) r[c] = c < channels ? NAME(vload_first)(x + c * w->x_c + i, count) : NAME(vzero)();
            NAME(vtranspose)(VBYTES / sizeof(T), r);
            for (ptrdiff_t j = 0; j < count; j++) NAME(vstore)(to + (i + j) * VL, r[j]);
        }
    } else {
        for (ptrdiff_t i = lo; i < hi; i++)
            for (ptrdiff_t c = 0; c < VL; c++) to[i * VL + c] = c < channels ? x[c * w->x_c + i * w->x_s[2]] : 0;
    }
}

static void NAME(pack_block)(const NAME(grad_weight_job) *job, ptrdiff_t g, ptrdiff_t block) {
    const window *w = job->w;
    const ptrdiff_t c0 = block * VL, channels = smaller(VL, w->c - c0);
    T *to = job->input + (g * job->blocks + block) * job->bands_a_chunk * job->volume * VL;
    for (ptrdiff_t i = 0; i < job->chunk_bands; i++, to += job->volume * VL) {
        ptrdiff_t n, depth, row;
        const ptrdiff_t rows = NAME(band_at)(job, job->first_band + i, &n, &depth, &row);
        const T *x = job->x + n * w->x_n + (g * w->c + c0) * w->x_c;
        for (ptrdiff_t d = 0; d < job->e.span[0]; d++)
            for (ptrdiff_t h = 0; h < (rows - 1) * w->step[1] + job->e.span[1]; h++) {
                const ptrdiff_t at_d = depth * w->step[0] + job->e.lo[0] + d, at_h = row * w->step[1] + job->e.lo[1] + h;
                T *line = to + (d * job->plane + h * job->width) * VL;
                if (at_d < 0 || at_d >= w->in[0] || at_h < 0 || at_h >= w->in[1])
                    memset(line, 0, (size_t)(job->width * VL) * sizeof(T));
                else
                    NAME(transpose_row)(w, x + at_d * w->x_s[0] + at_h * w->x_s[1], channels, job->e.lo[2], job->width, line);
            }
    }
}

/* Patches of one band, gathered VL pixels and at most KC taps at a time, then transposed to [pixel][column]. */
static void NAME(pack_patches)(const NAME(grad_weight_job) *job, ptrdiff_t g, ptrdiff_t band, void *scratch) {
    const window *w = job->w;
    ptrdiff_t n, depth, row;
    const ptrdiff_t rows = NAME(band_at)(job, job->first_band + band, &n, &depth, &row), depth_columns = w->c * w->taps;
    const ptrdiff_t first = ((n * w->out[0] + depth) * w->out[1] + row) * w->out[2], pixels = rows * w->out[2];
    T *panel = scratch;
    NAME(load) *loads = (void *)(panel + (KC + VL) * VL + VL);
    T *to = job->input + (g * job->room + job->pixel_of_band[band]) * job->columns * VL;
    const T *x = job->x + g * w->c * w->x_c;
    for (ptrdiff_t p = 0; p < pixels; p += VL, to += VL * job->columns * VL) {
        run runs[VBYTES / sizeof(T)];
        const ptrdiff_t count = smaller(VL, pixels - p), run_count = window_runs(w, first + p, count, runs);
        for (ptrdiff_t t0 = 0; t0 < w->taps; t0 += KC) {
            const ptrdiff_t taps = smaller(KC, w->taps - t0), a_tap = NAME(plan_gather)(w, runs, run_count, 1, t0, t0 + taps, loads);
            for (ptrdiff_t c = 0; c < w->c; c++) {
                NAME(gather)(w, x, c, c + 1, taps, loads, a_tap, VL, panel);
                for (ptrdiff_t i = 0; i < count; i++)
                    for (ptrdiff_t t = 0; t < taps; t++) to[i * job->columns * VL + c * w->taps + t0 + t] = panel[t * VL + i];
            }
        }
        for (ptrdiff_t i = 0; i < count; i++)
            for (ptrdiff_t j = depth_columns; j < job->columns * VL; j++) to[i * job->columns * VL + j] = 0;
    }
}

static void NAME(grad_weight_pack_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(grad_weight_job) *job = context;
    const ptrdiff_t groups = job->w->groups, dy_tasks = groups * job->tiles;
    if (task < dy_tasks)
        NAME(pack_dy)(job, task / job->tiles, task % job->tiles);
    else if (job->patches)
        NAME(pack_patches)(job, (task - dy_tasks) % groups, (task - dy_tasks) / groups, scratch);
    else
        NAME(pack_block)(job, (task - dy_tasks) / job->blocks, (task - dy_tasks) % job->blocks);
}

/* ---- step 2: sums, tasks over (split, group, set) */

static void NAME(grad_weight_sum_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(grad_weight_job) *job = context;
    const window *w = job->w;
    const ptrdiff_t set = task % job->sets, g = task / job->sets % w->groups, split = task / job->sets / w->groups;
    const ptrdiff_t v0 = set * TILE_V, vectors = smaller(TILE_V, job->columns - v0);
    const ptrdiff_t p0 = split * job->pixels / job->splits, p1 = (split + 1) * job->pixels / job->splits;
    const T *b[TILE_V];
    (void)scratch;
    for (ptrdiff_t v = 0; v < TILE_V; v++) {
        const ptrdiff_t column = smaller(v0 + v, job->columns - 1);
        if (job->patches) {
            b[v] = job->input + g * job->room * job->columns * VL + column * VL;
        } else {
            const ptrdiff_t *tap = w->tap + 3 * (column % w->taps);
            const ptrdiff_t place = (tap[0] - job->e.lo[0]) * job->plane + (tap[1] - job->e.lo[1]) * job->width + tap[2] - job->e.lo[2];
            b[v] = job->input + ((g * job->blocks + column / w->taps) * job->bands_a_chunk * job->volume + place) * VL;
        }
    }
    for (ptrdiff_t p = p0; p < p1; p += NAME(RUN))
        for (ptrdiff_t tile = 0; tile < job->tiles; tile++) {
            T *sums = job->sums + (((split * w->groups + g) * job->tiles + tile) * job->sets + set) * TILE_M * TILE_LANES;
            const NAME(tile_end) end = {.c = sums, .row = TILE_LANES, .partial = job->first_chunk && p == p0 ? NULL : sums};
            const T *a = job->packed + ((g * job->tiles + tile) * job->room + p) * TILE_M;
            NAME(tile)[vectors](smaller(NAME(RUN), p1 - p), a, b, job->off + p, &end);
        }
}

/* ---- step 3: the sums of the splits, put in the weight's own order */

static void NAME(grad_weight_store)(const NAME(grad_weight_job) *job, T *dw) {
    const window *w = job->w;
    const ptrdiff_t sums = job->tiles * job->sets * TILE_M * TILE_LANES;
    for (ptrdiff_t g = 0; g < w->groups; g++)
        for (ptrdiff_t k = 0; k < w->k; k++)
            for (ptrdiff_t c = 0; c < w->c; c++)
                for (ptrdiff_t t = 0; t < w->taps; t++) {
                    const ptrdiff_t column = job->patches ? c * w->taps + t : (c / VL * w->taps + t) * VL + c % VL;
                    const T *s = job->sums + g * sums +
                                 ((k / TILE_M * job->sets + column / TILE_LANES) * TILE_M + k % TILE_M) * TILE_LANES + column % TILE_LANES;
                    T sum = *s;
                    for (ptrdiff_t split = 1; split < job->splits; split++) sum += s[split * w->groups * sums];
                    dw[((g * w->k + k) * w->c + c) * w->taps + t] = sum;
                }
}

/* ---- the plan: layout, bands and chunks, by shape alone */

static void NAME(plan_grad_weight)(NAME(grad_weight_job) *job) {
    enum { CHUNK_BYTES = 1 << 20, LIMIT_BYTES = 16 << 20, TASKS = 16 };
    const window *w = job->w;
    job->e = window_extent(w);
    job->tiles = divide_up(w->k, TILE_M);
    job->blocks = divide_up(w->c, VL);
    job->width = capped_product(w->out[2] - 1, w->step[2]) + job->e.span[2];
    /* Vectors of input that a single output row needs, all channels: too many where a dilation is huge. */
    const ptrdiff_t row_input = capped_product(capped_product(job->width, job->e.span[1]), capped_product(job->e.span[0], job->blocks * w->groups));
    job->patches = 2 * w->c < VL || capped_product(row_input, VBYTES) > LIMIT_BYTES;
    job->columns = job->patches ? divide_up(w->c * w->taps, VL) : job->blocks * w->taps;
    job->sets = divide_up(job->columns, TILE_V);

    const ptrdiff_t dy_row = w->groups * job->tiles * TILE_M * w->out[2] * (ptrdiff_t)sizeof(T);
    ptrdiff_t rows;
    if (job->patches)
        rows = CHUNK_BYTES / (dy_row + w->groups * job->columns * VBYTES * w->out[2]);
    else
        rows = CHUNK_BYTES / (dy_row + w->groups * job->blocks * VBYTES * job->width * w->step[1]);
    rows = larger(rows, divide_up(NAME(RUN), w->out[2]));
    job->band_rows = smaller(w->out[1], rows);
    job->bands_a_plane = divide_up(w->out[1], job->band_rows);
    job->bands = w->n * w->out[0] * job->bands_a_plane;
    job->bands_a_chunk = smaller(job->bands, larger(1, rows / job->band_rows));
    job->room = job->bands_a_chunk * job->band_rows * w->out[2];
    job->plane = ((job->band_rows - 1) * w->step[1] + job->e.span[1]) * job->width;
    job->volume = job->plane * job->e.span[0];
    job->splits = larger(1, smaller(TASKS / (w->groups * job->sets), job->room / NAME(RUN)));
}

static int NAME(allocate_grad_weight)(NAME(grad_weight_job) *job) {
    const window *w = job->w;
    const size_t input = job->patches ? (size_t)(job->room * job->columns) : (size_t)(job->blocks * job->bands_a_chunk * job->volume);
    job->sums = fc_alloc((size_t)(job->splits * w->groups * job->tiles), (size_t)(job->sets * TILE_M * TILE_LANES) * sizeof(T));
    job->packed = fc_alloc((size_t)(w->groups * job->tiles * TILE_M) * sizeof(T), (size_t)job->room);
    job->input = fc_alloc((size_t)w->groups * VBYTES, input);
    job->off = fc_alloc(sizeof(ptrdiff_t), (size_t)job->room);
    job->pixel_of_band = fc_alloc(sizeof(ptrdiff_t), (size_t)(job->bands_a_chunk + 1));
    return job->sums && job->packed && job->input && job->off && job->pixel_of_band ? FC_OK : FC_NO_MEMORY;
}

/* Where each pixel of the chunk reads, in elements of the input layout. */
static void NAME(place_chunk)(NAME(grad_weight_job) *job, ptrdiff_t first_band) {
    const window *w = job->w;
    ptrdiff_t p = 0;
    job->first_chunk = first_band == 0;
    job->first_band = first_band;
    job->chunk_bands = smaller(job->bands_a_chunk, job->bands - first_band);
    for (ptrdiff_t i = 0; i < job->chunk_bands; i++) {
        ptrdiff_t n, depth, row;
        const ptrdiff_t rows = NAME(band_at)(job, first_band + i, &n, &depth, &row);
        job->pixel_of_band[i] = p;
        for (ptrdiff_t h = 0; h < rows; h++)
            for (ptrdiff_t q = 0; q < w->out[2]; q++, p++)
                job->off[p] = job->patches ? p * job->columns * VL
                                           : (i * job->volume + h * w->step[1] * job->width + q * w->step[2]) * VL;
    }
    job->pixels = p;
}

static int NAME(dense_grad_weight)(const window *w, const T *dy, const T *x, T *dw) {
    NAME(grad_weight_job) job = {.w = w, .x = x, .dy = dy};
    NAME(plan_grad_weight)(&job);
    int status = NAME(allocate_grad_weight)(&job);
    const size_t scratch = job.patches ? (size_t)((KC + VL) * VL + VL) * sizeof(T) + (size_t)smaller(KC, w->taps) * (size_t)(VL + 3) * sizeof(NAME(load)) : 0;
    for (ptrdiff_t band = 0; band < job.bands && status == FC_OK; band += job.bands_a_chunk) {
        NAME(place_chunk)(&job, band);
        const double moved = (double)job.pixels * (double)(w->groups * (w->k + w->c));
        status = fc_parallel(w->groups * (job.tiles + (job.patches ? job.chunk_bands : job.blocks)), moved, scratch,
                             NAME(grad_weight_pack_task), &job);
        if (status != FC_OK) break;
        const double work = (double)job.pixels * (double)(w->groups * w->k) * (double)(w->c * w->taps);
        status = fc_parallel(job.splits * w->groups * job.sets, work, 0, NAME(grad_weight_sum_task), &job);
    }
    if (status == FC_OK) NAME(grad_weight_store)(&job, dw);
    fc_free(job.sums);
    fc_free(job.packed);
    fc_free(job.input);
    fc_free(job.off);
    fc_free(job.pixel_of_band);
    return status;
}
