/* Winograd convolution of so few tiles that they would not fill the lanes of the micro-kernel: there the filters are the lanes and the
   tiles are broadcast. The products are turned before they are transformed back. Written once, included for each WINO_KIND. */

#define FEW_FILTERS TILE_LANES /* filters a task, at the most */

/* Rows of the micro-kernel: whole tiles of TILE_M, and half a one at the end if that is enough. */
static inline ptrdiff_t WINO(few_rows)(ptrdiff_t tiles) { return divide_up(tiles, TILE_M / 2) * (TILE_M / 2); }

/* Whether tiles are so few, and filters enough to be lanes. */
static int WINO(few_tiles)(const window *w) {
    const ptrdiff_t all = w->n * divide_up(w->out[1], WINO_OUT) * divide_up(w->out[2], WINO_OUT), rest = all % VL;
    return VL >= TILE_M && all / VL + (rest > 0) < TILE_V && divide_up(w->k, TILE_M) >= FEW_FILTERS / TILE_M;
}

/* Transforms the weight of filters k0 .. k0+filters-1, channels c0 .. c1-1: desk->u[point][channel][filter]. */
static void WINO(few_weight)(const WINO(job) *job, const WINO(desk) *desk, ptrdiff_t g, ptrdiff_t k0, ptrdiff_t filters,
                             ptrdiff_t c0, ptrdiff_t c1) {
    const ptrdiff_t last = job->tiles - 1, room = WINO_ROWS * WINO_TAPS * TILE_M;
    for (ptrdiff_t f = 0; f < filters; f += VL)
        for (ptrdiff_t c = c0; c < c1; c += WINO_ROWS) {
            const ptrdiff_t count = smaller(WINO_ROWS, c1 - c), tile = (k0 + f) / TILE_M;
            const T *low = WINO(filter_rows)(job, g, smaller(tile, last), c, count, desk->rows), *high = low;
            if (VL > TILE_M) high = WINO(filter_rows)(job, g, smaller(tile + 1, last), c, count, desk->rows + room);
            WINO(transform_weight)(job->taps, low, high - low, WINO_TAPS * TILE_M, count,
                                   desk->u + (c - c0) * filters + f, job->u_pitch, filters);
        }
}

/* Line i of the weight of the channels that follow c1, as many as up to there, to be fetched ahead; some address where there is none. */
static const T *WINO(few_ahead)(const WINO(job) *job, const T *other, ptrdiff_t g, ptrdiff_t k0, ptrdiff_t filters,
                                ptrdiff_t c0, ptrdiff_t c1, ptrdiff_t i) {
    const ptrdiff_t room = (c1 - c0) * WINO_TAPS * TILE_M, at = i * 64 / (ptrdiff_t)sizeof(T),
                    tile = k0 / TILE_M + at / room;
    if (!job->rows || c1 == job->w->c || tile >= smaller(job->tiles, (k0 + filters) / TILE_M)) return other;
    return WINO(filter_rows)(job, g, tile, c1, 0, NULL) + at % room;
}

/* The product of channels c0 .. c1-1, added to what it was: product[point][tile][filter]; the weight at desk->u. */
static void WINO(multiply_few)(const WINO(job) *job, const WINO(desk) *desk, ptrdiff_t g, ptrdiff_t tiles, ptrdiff_t k0,
                               ptrdiff_t filters, ptrdiff_t c0, ptrdiff_t c1) {
    const ptrdiff_t vectors = filters / VL, count = c1 - c0, calls = divide_up(tiles, TILE_M);
    const T *input = job->input + g * WINO_POINTS * job->input_pitch + c0 * job->lanes;
    for (ptrdiff_t j = 0; j < count; j++) desk->off[j] = j * filters;
    for (ptrdiff_t p = 0; p < WINO_POINTS; p++, input += job->input_pitch) {
        const T *u = desk->u + p * job->u_pitch, *b[TILE_V];
        for (ptrdiff_t v = 0; v < TILE_V; v++) b[v] = u + v * VL;
        for (ptrdiff_t t = 0; t < tiles; t += TILE_M) {
            T *to = desk->product + p * job->product_pitch + t * filters;
            const ptrdiff_t line = (p * calls + t / TILE_M) * count;
            const NAME(tile_end) end = {.c = to,
                                        .row = filters,
                                        .partial = c0 ? to : NULL,
                                        .partial_row = filters,
                                        .next_a = u + job->u_pitch,
                                        .next_b = WINO(few_ahead)(job, input, g, k0, filters, c0, c1, line)};
            NAME(tile_kernel) *const kernel = (tiles - t < TILE_M ? NAME(half_tile) : NAME(tile))[vectors];
            kernel(count, input + t, 1, job->lanes, b, desk->off, &end);
        }
    }
}

/* product[point][tile][filter] to turned[point][filter][lane], zeros past the last tile. */
static void WINO(turn)(const WINO(job) *job, const T *product, ptrdiff_t tiles, ptrdiff_t filters, T *turned) {
    for (ptrdiff_t p = 0; p < WINO_POINTS; p++, product += job->product_pitch, turned += job->product_pitch)
        for (ptrdiff_t f = 0; f < filters; f += VL)
            for (ptrdiff_t lane = 0; lane < job->lanes; lane += VL) {
                V r[64 / T_BYTES];
                UNROLL(16)
                for (ptrdiff_t i = 0; i < VL; i++)
                    r[i] = lane + i < tiles ? NAME(vload)(product + (lane + i) * filters + f) : NAME(vzero)();
                NAME(vtranspose)(VBYTES / T_BYTES, r);
                UNROLL(16)
                for (ptrdiff_t i = 0; i < VL; i++) NAME(vstore)(turned + (f + i) * job->lanes + lane, r[i]);
            }
}

static void WINO(few_task)(void *context, ptrdiff_t task, void *scratch) {
    const WINO(job) *job = context;
    const window *w = job->w;
    WINO(desk) desk;
    (void)WINO(lay_out)(job, scratch, &desk);
    const ptrdiff_t g = task / job->groups, vectors = divide_up(w->k, VL),
                    tiles = WINO(few_rows)(w->n * window_pixels(&job->grid));
    const ptrdiff_t k0 = task % job->groups * vectors / job->groups * VL,
                    filters = (task % job->groups + 1) * vectors / job->groups * VL - k0;
    for (ptrdiff_t c0 = 0; c0 < w->c; c0 += job->depth) {
        const ptrdiff_t c1 = smaller(w->c, c0 + job->depth);
        WINO(few_weight)(job, &desk, g, k0, filters, c0, c1);
        WINO(multiply_few)(job, &desk, g, tiles, k0, filters, c0, c1);
    }
    const WINO(block) block = WINO(block_at)(job, 0);
    const ptrdiff_t run_count = WINO(plan_block)(job, &block, desk.runs);
    T *turned = desk.product + WINO_POINTS * job->product_pitch;
    WINO(turn)(job, desk.product, tiles, filters, turned);
    WINO(finish)(job, &desk, run_count, &block, g, k0 / TILE_M, filters / TILE_M, turned);
}

/* Two vectors of filters a task while that makes no more than TASKS of them; passes of as many channels as leave the weight in half the
   second-level cache. */
static void WINO(cut_few)(WINO(job) *job) {
    enum { TASKS = 16 };
    const window *w = job->w;
    const ptrdiff_t vectors = divide_up(w->k, VL);
    const ptrdiff_t room = L2_BYTES / 2 / (WINO_POINTS * FEW_FILTERS * (ptrdiff_t)sizeof(T));
    job->groups = larger(divide_up(vectors, TILE_V), smaller(divide_up(vectors, 2), TASKS));
    job->group = FEW_FILTERS / TILE_M;
    job->depth = smaller(w->c, smaller(KC, larger(1, room / WINO_ROWS) * WINO_ROWS));
    job->wave = job->turned = 1;
    job->splits = smaller(divide_up(w->c, 8), divide_up(TASKS, w->groups));
    job->u_pitch = WINO(pitch)(job->depth * FEW_FILTERS);
    job->u_room = WINO_POINTS * job->u_pitch;
}

static int WINO(run_few)(WINO(job) *job, double work) {
    const window *w = job->w;
    const double input = (double)job->lanes * (double)(w->groups * w->c) * WINO_INPUT_COST;
    job->last_block = 1;
    job->input = fc_alloc((size_t)(w->groups * WINO_POINTS), (size_t)job->input_pitch * sizeof(T));
    if (!job->input) return FC_NO_MEMORY;
    const size_t scratch = WINO(lay_out)(job, NULL, NULL);
    int status = fc_parallel(w->groups * job->splits, input, scratch, WINO(input_task), job);
    if (status == FC_OK) status = fc_parallel(w->groups * job->groups, work, scratch, WINO(few_task), job);
    fc_free(job->input);
    return status;
}
#undef FEW_FILTERS
