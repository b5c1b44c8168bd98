/* Winograd convolution over a window of 3 x 3 or 5 x 5 neighbouring taps: forward at step 1 and 2, and the gradient to the input of
   either. Written once, included for each WINO_KIND. Point by point the transformed input and weight are multiplied on the
   micro-kernel; of the two, the larger passes once and the smaller again and again:

     many tiles (tiles stay):    the weight is transformed whole; a task transforms the input of a block of tiles, multiplies all
                                 filters with it and transforms back.
     few tiles (filters stay):   the input is transformed whole; a task transforms the weight of a few filters, in the second-level
                                 cache, multiplies all tiles with it and transforms back. No transformed weight is ever in memory.

   Results of images in which anything is not finite are computed again directly: a transform would spread a NaN over its tile. */

typedef struct {
    const window *w;
    window grid; /* the same with tiles for pixels: out = 1 x tile rows x tile columns */
    const NAME(taps_grid) *taps;
    const T *x, *weight, *rows, *packed; /* of the weight at least one: rows by dense_pack, packed by WINO(pack) */
    T *y;
    const fc_epilogue *end;
    ptrdiff_t vectors, few, blocks; /* whole vectors of tiles, and tiles left over; blocks of up to TILE_V vectors */
    ptrdiff_t lanes; /* elements of a row of products: a block's vectors, and one for what is left over */
    ptrdiff_t tiles; /* register tiles of filters of a convolution group */
    ptrdiff_t group, groups; /* how many of them stay together; such groups */
    ptrdiff_t depth; /* channels a pass over the input */
    ptrdiff_t splits; /* tiles stay: tasks a block; filters stay: pieces of channels a block */
    T *input; /* filters stay: [group][block - first_block][point][channel][lane] */
    T *u; /* tiles stay: the transformed weight, [group][register tile] of what filters() writes */
    int turned; /* a few tiles: room for the products turned */
    ptrdiff_t wave; /* filters stay: blocks whose input is transformed at a time */
    ptrdiff_t first_block, last_block; /* of this wave: the blocks whose input is there */
    /* Elements between points: no multiples of 4096 bytes, which would share a set of the cache. */
    ptrdiff_t input_pitch, u_pitch, product_pitch;
    ptrdiff_t tile_pitch; /* elements of u a register tile of filters */
    ptrdiff_t u_room; /* filters stay: elements of a task's own u */
    unsigned char *not_finite; /* an image, set where a result is not finite */
} WINO(job);

typedef struct {
    WINO(tile_run) *runs; /* TILE_PITCH, each up to VL tiles long */
    ptrdiff_t *off; /* KC */
    T *patch; /* WINO_POINTS x WINO_PATCH: the inputs of one channel, lanes are tiles */
    T *rows; /* WINO_ROWS x WINO_TAPS of a vector or a register tile of filters, whichever is longer: their weight */
    T *input; /* tiles stay: the block's, as job->input */
    T *u; /* filters stay: the group's, channels of a pass, as job->u */
    T *product; /* [block if there are several passes][point][tile][TILE_M][lane] */
} WINO(desk);

static size_t WINO(lay_out)(const WINO(job) *job, void *scratch, WINO(desk) *desk) {
    const ptrdiff_t passes = divide_up(job->w->c, job->depth);
    char *at = scratch;
#define ROOM(member, count)                                            \
    do {                                                               \
        if (desk) desk->member = (void *)at;                           \
        at += ((size_t)(count) * sizeof *desk->member + 63) / 64 * 64; \
    } while (0)
    ROOM(runs, TILE_PITCH);
    ROOM(off, KC);
    ROOM(patch, WINO_POINTS * WINO_PATCH);
    ROOM(rows, WINO_ROWS * WINO_TAPS * larger(VL, TILE_M));
    ROOM(input, job->input ? 0 : WINO_POINTS * job->input_pitch);
    ROOM(u, job->u_room);
    ROOM(product, (passes > 1 || job->turned ? job->last_block - job->first_block + job->turned : 1) * WINO_POINTS *
                      job->product_pitch);
#undef ROOM
    return (size_t)(at - (char *)scratch);
}

/* ---- pieces of both schedules */

/* A block of tiles: whole vectors, then the few tiles the last of all vectors would hardly fill. */
typedef struct {
    ptrdiff_t first, vectors, few, rows; /* rows: vectors in all, from one channel to the next */
} WINO(block);

static WINO(block) WINO(block_at)(const WINO(job) *job, ptrdiff_t index) {
    const ptrdiff_t v0 = index * job->vectors / job->blocks, v1 = (index + 1) * job->vectors / job->blocks;
    const ptrdiff_t few = v1 == job->vectors ? job->few : 0;
    return (WINO(block)){.first = v0 * VL, .vectors = v1 - v0, .few = few, .rows = v1 - v0 + (few > 0)};
}

static ptrdiff_t WINO(plan_block)(const WINO(job) *job, const WINO(block) *block, WINO(tile_run) *runs) {
    const ptrdiff_t count = smaller(block->rows * VL, job->w->n * window_pixels(&job->grid) - block->first);
    return WINO(plan_tiles)(job->w, &job->grid, job->taps, block->first, count, runs);
}

/* The weight of a register tile of filters from channel c on, [channel][tap][TILE_M]: where dense_pack left it, or `count` channels
   of it in `rows`. */
static const T *WINO(filter_rows)(const WINO(job) *job, ptrdiff_t g, ptrdiff_t tile, ptrdiff_t c, ptrdiff_t count,
                                  T *rows) {
    const window *w = job->w;
    if (job->rows) return job->rows + ((g * job->tiles + tile) * w->c + c) * WINO_TAPS * TILE_M;
    /* What comes next of those rows: too short a stretch of each for a hardware prefetcher. */
    const T *next = job->weight + g * w->w_g + tile * TILE_M * w->w_k + (c + count) * w->w_c;
    for (ptrdiff_t m = 0; m < TILE_M && w->w_c == WINO_TAPS; m++)
        for (ptrdiff_t j = 0; j < count * WINO_TAPS; j += 64 / (ptrdiff_t)sizeof(T))
            __builtin_prefetch(next + m * w->w_k + j);
    NAME(pack_rows)(w, job->weight + g * w->w_g, tile * TILE_M, c, count, rows);
    return rows;
}

/* Elements from one point to the next of so many: a cache line more, where they would fill whole pages. */
static inline ptrdiff_t WINO(pitch)(ptrdiff_t elements) { return elements + 64 / (ptrdiff_t)sizeof(T); }

/* How the transformed weight of `channels` channels of a register tile of filters lies: [KC channels][point][channel][TILE_M]. */
static void WINO(lay_weight)(WINO(job) *job, ptrdiff_t channels) {
    job->u_pitch = WINO(pitch)(smaller(KC, channels) * TILE_M);
    job->tile_pitch = divide_up(channels, KC) * WINO_POINTS * job->u_pitch;
}

/* Transforms the weight of a register tile of filters, channels c0 .. c1-1. */
static void WINO(filters)(const WINO(job) *job, ptrdiff_t g, ptrdiff_t tile, ptrdiff_t c0, ptrdiff_t c1, T *rows,
                          T *u) {
    for (ptrdiff_t block = c0; block < c1; block += KC, u += WINO_POINTS * job->u_pitch) {
        const ptrdiff_t stop = smaller(c1, block + KC);
        for (ptrdiff_t c = block; c < stop; c += WINO_ROWS) { /* a vector holds the filters of so many channels: */
            const ptrdiff_t count = smaller(WINO_ROWS, stop - c), together = larger(1, VL / TILE_M);
            const ptrdiff_t whole = count / together, row = WINO_TAPS * TILE_M, rest = whole * together;
            const T *from = WINO(filter_rows)(job, g, tile, c, count, rows);
            T *to = u + (c - block) * TILE_M;
            for (ptrdiff_t m = 0; m < TILE_M; m += VL)
                WINO(transform_weight)(job->taps, from + m, row, together * row, whole, to + m, job->u_pitch,
                                       together * TILE_M);
            if (rest < count) /* the last channel, twice: a pitch has room for it */
                WINO(transform_weight)(job->taps, from + rest * row, 0, 0, 1, to + rest * TILE_M, job->u_pitch, 0);
        }
    }
}

/* product += transformed weight of `tiles` register tiles times transformed input, channels c0 .. c1-1; u: from channel c0 on. */
static void WINO(multiply)(const WINO(job) *job, const WINO(desk) *desk, const T *u, ptrdiff_t tiles, const T *input,
                           const WINO(block) *block, ptrdiff_t c0, ptrdiff_t c1, T *product) {
    const ptrdiff_t line = 64 / (ptrdiff_t)sizeof(T), width = block->rows * VL;
    for (ptrdiff_t j = 0; j < KC; j++) desk->off[j] = j * width;
    for (ptrdiff_t p = 0; p < WINO_POINTS; p++)
        for (ptrdiff_t c = c0; c < c1; c += KC) {
            const T *b[TILE_V], *row = input + p * job->input_pitch + c * width;
            const T *filters = u + ((c - c0) / KC * WINO_POINTS + p) * job->u_pitch;
            const ptrdiff_t count = smaller(KC, c1 - c);
            /* What is multiplied next: the next channels, else the next point. */
            const int ends = c + KC >= c1;
            const T *next = ends ? input + (p + 1) * job->input_pitch + c0 * width : row + KC * width;
            const T *next_filters = ends ? u + (p + 1) * job->u_pitch : filters + WINO_POINTS * job->u_pitch;
            for (ptrdiff_t v = 0; v < TILE_V; v++) b[v] = row + v * VL;
            for (ptrdiff_t i = 0; i < tiles; i++) {
                const T *a = filters + i * job->tile_pitch;
                T *to = product + p * job->product_pitch + i * TILE_M * job->lanes;
                const NAME(tile_end) end = {.c = to,
                                            .row = job->lanes,
                                            .partial = c ? to : NULL,
                                            .partial_row = job->lanes,
                                            .next_a = i + 1 < tiles ? a + job->tile_pitch : next_filters,
                                            .next_b = next + i * KC * line};
                if (block->vectors) NAME(tile)[block->vectors](count, a, 1, TILE_M, b, desk->off, &end);
                if (block->few &&
                    c == 0) /* the lanes that tile_few leaves alone take part in the check for finite results */
                    for (ptrdiff_t m = 0; m < TILE_M; m++)
                        NAME(vstore)(to + m * job->lanes + block->vectors * VL, NAME(vzero)());
                if (block->few) NAME(tile_few)(count, a, row, desk->off, &end, block->vectors * VL, block->few);
            }
        }
}

static void WINO(finish)(const WINO(job) *job, const WINO(desk) *desk, ptrdiff_t run_count, const WINO(block) *block,
                         ptrdiff_t g, ptrdiff_t tile, ptrdiff_t tiles, const T *product) {
    const window *w = job->w;
    const ptrdiff_t k = tile * TILE_M, count = smaller(tiles * TILE_M, w->k - k);
    if (WINO(transform_output)(w, job->end, desk->runs, run_count, block->rows, product, job->product_pitch, job->lanes,
                               g * w->k + k, count, job->y))
        return;
    for (ptrdiff_t n = desk->runs[0].r.at[0]; n <= desk->runs[run_count - 1].r.at[0]; n++)
        __atomic_store_n(&job->not_finite[n], 1, __ATOMIC_RELAXED);
}

/* ---- tiles stay */

static void WINO(weight_task)(void *context, ptrdiff_t task, void *scratch) {
    const WINO(job) *job = context;
    WINO(filters)(job, task / job->tiles, task % job->tiles, 0, job->w->c, scratch, job->u + task * job->tile_pitch);
}

/* The weight transformed whole, into job->u. */
static int WINO(weights)(WINO(job) *job) {
    const window *w = job->w;
    const double work = (double)(w->groups * w->k) * (double)w->c * WINO_POINTS;
    return fc_parallel(w->groups * job->tiles, work, (size_t)(WINO_ROWS * WINO_TAPS * TILE_M) * sizeof(T),
                       WINO(weight_task), job);
}

static void WINO(block_task)(void *context, ptrdiff_t task, void *scratch) {
    const WINO(job) *job = context;
    const window *w = job->w;
    WINO(desk) desk;
    (void)WINO(lay_out)(job, scratch, &desk);
    const ptrdiff_t split = task % job->splits, g = task / job->splits / job->blocks;
    const WINO(block) block = WINO(block_at)(job, task / job->splits % job->blocks);
    const ptrdiff_t run_count = WINO(plan_block)(job, &block, desk.runs);
    memset(desk.patch, 0, WINO_POINTS * (size_t)WINO_PATCH * sizeof(T)); /* lanes past the last tile */
    WINO(transform_input)(w, job->taps, desk.runs, run_count, block.rows, job->x + g * w->c * w->x_c, 0, w->c,
                          desk.patch, desk.input, job->input_pitch);
    for (ptrdiff_t i = split * job->groups / job->splits; i < (split + 1) * job->groups / job->splits; i++) {
        const ptrdiff_t first = i * job->group, together = smaller(job->group, job->tiles - first);
        const T *u = (job->packed ? job->packed : job->u) + (g * job->tiles + first) * job->tile_pitch;
        WINO(multiply)(job, &desk, u, together, desk.input, &block, 0, w->c, desk.product);
        WINO(finish)(job, &desk, run_count, &block, g, first, together, desk.product);
    }
}

static int WINO(tiles_stay)(WINO(job) *job, double work) {
    const window *w = job->w;
    int status = FC_OK;
    if (!job->packed) {
        job->u = fc_alloc((size_t)(w->groups * job->tiles), (size_t)job->tile_pitch * sizeof(T));
        status = job->u ? WINO(weights)(job) : FC_NO_MEMORY;
    }
    if (status == FC_OK)
        status = fc_parallel(w->groups * job->blocks * job->splits, work, WINO(lay_out)(job, NULL, NULL),
                             WINO(block_task), job);
    fc_free(job->u);
    return status;
}

/* ---- filters stay */

static void WINO(input_task)(void *context, ptrdiff_t task, void *scratch) {
    const WINO(job) *job = context;
    const window *w = job->w;
    WINO(desk) desk;
    (void)WINO(lay_out)(job, scratch, &desk);
    const ptrdiff_t wave = job->last_block - job->first_block, piece = task % job->splits;
    const ptrdiff_t b = task / job->splits % wave, g = task / job->splits / wave;
    const WINO(block) block = WINO(block_at)(job, job->first_block + b);
    const ptrdiff_t run_count = WINO(plan_block)(job, &block, desk.runs);
    memset(desk.patch, 0, WINO_POINTS * (size_t)WINO_PATCH * sizeof(T));
    WINO(transform_input)(w, job->taps, desk.runs, run_count, block.rows, job->x + g * w->c * w->x_c,
                          piece * w->c / job->splits, (piece + 1) * w->c / job->splits, desk.patch,
                          job->input + (g * wave + b) * WINO_POINTS * job->input_pitch, job->input_pitch);
}

static void WINO(filter_task)(void *context, ptrdiff_t task, void *scratch) {
    const WINO(job) *job = context;
    const window *w = job->w;
    WINO(desk) desk;
    (void)WINO(lay_out)(job, scratch, &desk);
    const ptrdiff_t wave = job->last_block - job->first_block, g = task / job->groups;
    const ptrdiff_t first = task % job->groups * job->tiles / job->groups,
                    together = (task % job->groups + 1) * job->tiles / job->groups - first;
    for (ptrdiff_t c0 = 0; c0 < w->c; c0 += job->depth) {
        const ptrdiff_t c1 = smaller(w->c, c0 + job->depth);
        const T *u = desk.u;
        if (job->packed)
            u = job->packed + (g * job->tiles + first) * job->tile_pitch + c0 / KC * WINO_POINTS * job->u_pitch;
        else
            for (ptrdiff_t i = 0; i < together; i++)
                WINO(filters)(job, g, first + i, c0, c1, desk.rows, desk.u + i * job->tile_pitch);
        for (ptrdiff_t b = 0; b < wave; b++) {
            const WINO(block) block = WINO(block_at)(job, job->first_block + b);
            const T *input = job->input + (g * wave + b) * WINO_POINTS * job->input_pitch;
            T *product = desk.product + (job->depth < w->c ? b : 0) * WINO_POINTS * job->product_pitch;
            WINO(multiply)(job, &desk, u, together, input, &block, c0, c1, product);
            if (c1 < w->c) continue;
            const ptrdiff_t run_count = WINO(plan_block)(job, &block, desk.runs);
            WINO(finish)(job, &desk, run_count, &block, g, first, together, product);
        }
    }
}

/* In waves of blocks whose transformed input fits into WINO_INPUT_BYTES. */
static int WINO(filters_stay)(WINO(job) *job, double work) {
    const window *w = job->w;
    const ptrdiff_t waves = divide_up(job->blocks, job->wave);
    job->input = fc_alloc((size_t)(divide_up(job->blocks, waves) * w->groups * WINO_POINTS),
                          (size_t)job->input_pitch * sizeof(T));
    int status = job->input ? FC_OK : FC_NO_MEMORY;
    for (ptrdiff_t i = 0; i < waves && status == FC_OK; i++) {
        job->first_block = i * job->blocks / waves;
        job->last_block = (i + 1) * job->blocks / waves;
        const double part = (double)(job->last_block - job->first_block) / (double)job->blocks;
        const double input = part * (double)(job->blocks * job->lanes) * (double)(w->groups * w->c) * WINO_INPUT_COST;
        const size_t scratch = WINO(lay_out)(job, NULL, NULL);
        status = fc_parallel(w->groups * (job->last_block - job->first_block) * job->splits, input, scratch,
                             WINO(input_task), job);
        if (status == FC_OK)
            status = fc_parallel(w->groups * job->groups, part * work, scratch, WINO(filter_task), job);
    }
    fc_free(job->input);
    return status;
}
