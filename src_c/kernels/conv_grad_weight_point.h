/* Gradient to the weight of 1x1 convolutions whose planes are short: dw[k][c] = sum over pixels of dy[k][pixel] * x[c][pixel]. The
   micro-kernel broadcasts dy, which it reads where it lies; only x is transposed, by each task for a few vectors of channels, and their
   sums are added where they belong. A task is a set of channels with a range of filters. */

typedef struct {
    const window *w;
    const T *x, *dy;
    T *dw;
    ptrdiff_t blocks, sets, tiles,
        ranges; /* vectors of channels, sets of up to TILE_V; tiles of filters and ranges of them */
    ptrdiff_t run, runs, room; /* pixels summed in registers, how often an image, and in whole vectors */
} NAME(point_job);

/* Where long planes would be read in place on both sides there is conv_grad_weight_rows.h. */
static int NAME(choose_point)(const window *w) {
    return NAME(reads_whole_planes)(w) && NAME(contiguous)(w->x_s, w->in) && NAME(contiguous)(w->y_s, w->out) &&
           w->k >= TILE_M && window_pixels(w) > 0;
}

/* What a thread needs: offsets of a run's pixels, transposed channels [vector][pixel][VL], and the sums of the tiles that have no whole
   place of their own. */
static size_t NAME(point_scratch)(const NAME(point_job) *job) {
    const ptrdiff_t tiles = divide_up(job->tiles, job->ranges);
    return (size_t)job->room * sizeof(ptrdiff_t) + (size_t)((job->room + tiles * TILE_M) * TILE_LANES) * sizeof(T);
}

static void NAME(point_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(point_job) *job = context;
    const window *w = job->w;
    const ptrdiff_t range = task % job->ranges, set = task / job->ranges % job->sets,
                    g = task / job->ranges / job->sets;
    const ptrdiff_t tile0 = range * job->tiles / job->ranges, tile1 = (range + 1) * job->tiles / job->ranges;
    const ptrdiff_t v0 = set * job->blocks / job->sets, vectors = (set + 1) * job->blocks / job->sets - v0;
    const ptrdiff_t c0 = v0 * VL, channels = smaller(vectors * VL, w->c - c0);
    const T *x = job->x + (g * w->c + c0) * w->x_c, *dy = job->dy + g * w->k * w->y_c;
    const ptrdiff_t room = job->room;
    ptrdiff_t *off = scratch;
    T *rows = (T *)(void *)(off + room), *sums = rows + room * TILE_LANES, *dw = job->dw + g * w->w_g + c0;
    for (ptrdiff_t j = 0; j < room; j++) off[j] = j * VL;
    for (ptrdiff_t i = 0; i < w->n * job->runs; i++) {
        const ptrdiff_t n = i / job->runs, p0 = i % job->runs * job->run, count = smaller(job->run, w->out[2] - p0);
        const T *b[3];
        for (ptrdiff_t v = 0; v < 3; v++) b[v] = rows + v * room * VL;
        for (ptrdiff_t v = 0; v < vectors; v++)
            NAME(transpose_rows)(x + n * w->x_n + v * VL * w->x_c, w->x_c, w->x_s, w->in,
                                 smaller(VL, channels - v * VL), 0, 1, p0, count, rows + v * room * VL);
        for (ptrdiff_t tile = tile0; tile < tile1; tile++) {
            /* the last tile begins earlier where filters do not fill it, and is copied in part */
            const ptrdiff_t k0 = smaller(tile * TILE_M, w->k - TILE_M);
            const int whole = k0 == tile * TILE_M && channels == vectors * VL;
            const T *a = dy + n * w->y_n + k0 * w->y_c + p0;
            NAME(tile_end) end = {.c = whole ? dw + k0 * w->w_k : sums + (tile - tile0) * TILE_M * TILE_LANES,
                                  .row = whole ? w->w_k : TILE_LANES,
                                  .next_a = a + TILE_M * w->y_c,
                                  .next_b = a};
            end.partial = i ? end.c : NULL;
            end.partial_row = end.row;
            NAME(tile)[vectors](count, a, w->y_c, 1, b, off, &end);
        }
    }
    for (ptrdiff_t tile = tile0; tile < tile1; tile++) {
        const ptrdiff_t k0 = smaller(tile * TILE_M, w->k - TILE_M), done = tile * TILE_M - k0;
        if (done == 0 && channels == vectors * VL) continue;
        for (ptrdiff_t m = done; m < TILE_M; m++)
            memcpy(dw + (k0 + m) * w->w_k, sums + ((tile - tile0) * TILE_M + m) * TILE_LANES,
                   (size_t)channels * sizeof(T));
    }
}

static int NAME(point_grad_weight)(const window *w, const T *dy, const T *x, T *dw) {
    enum { TASKS = 16, LEAST_TILES = 4 };
    window row = *w;
    NAME(flatten)(&row);
    NAME(point_job) job = {.w = &row, .x = x, .dy = dy, .dw = dw};
    job.blocks = divide_up(w->c, VL);
    job.sets = divide_up(job.blocks, TILE_V);
    job.tiles = divide_up(w->k, TILE_M);
    const double work = (double)(w->n * window_pixels(w)) * (double)(w->groups * w->k) * (double)w->c;
    const ptrdiff_t tasks = TASKS + (ptrdiff_t)(work / LONGEST_TASK);
    job.ranges = larger(1, smaller(divide_up(tasks, w->groups * job.sets), job.tiles / LEAST_TILES));
    job.runs = divide_up(row.out[2], NAME(RUN));
    job.run = divide_up(row.out[2], job.runs);
    job.room = divide_up(job.run, 16) * 16;
    return fc_parallel(w->groups * job.sets * job.ranges, work, NAME(point_scratch)(&job), NAME(point_task), &job);
}
