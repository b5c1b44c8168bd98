/* Max pooling: channels last, and the choice of a loop for all windows. */

/* Channels last: one vector of channels of one window, whose taps inside the input are t, r, s. */
INLINE void NAME(max_channels)(const fc_pool *g, const T *corner, SPAN t, SPAN r, SPAN s, ptrdiff_t lanes,
                               NAME(running) *m, const int with_taps, const int exact) {
    const ptrdiff_t row = g->in[2] * g->c, plane = g->in[1] * row, step = g->dilation[2] * g->c;
    const MASK some = NAME(mask_range)(0, lanes);
    for (ptrdiff_t i = t.first; i < t.last; i++)
        for (ptrdiff_t j = r.first; j < r.last; j++) {
            const T *p = corner + i * g->dilation[0] * plane + j * g->dilation[1] * row + s.first * step;
            TI number = (TI)((i * g->kernel[1] + j) * g->kernel[2] + s.first);
            for (ptrdiff_t k = s.first; k < s.last; k++, p += step, number++) {
                const V v = lanes >= VL ? NAME(vload)(p) : NAME(vload_masked)(p, some);
                NAME(keep_max)(v, NAME(vset_int)(number), NAME(vset_int)(0), m, with_taps, exact);
            }
        }
}

static __attribute__((noinline)) void NAME(max_channels_exact)(const fc_pool *g, const T *corner, const SPAN tap[3],
                                                               ptrdiff_t lanes, NAME(running) *m) {
    NAME(max_channels)(g, corner, tap[0], tap[1], tap[2], lanes, m, 1, 1);
}

/* Output pixels of channels-last volumes, a vector of channels at a time. `taps` holds the channels in whole vectors. */
INLINE void NAME(max_pool_pixels)(const NAME(pool_call) *m, ptrdiff_t task, TI *taps, const int with_taps) {
    const fc_pool *g = m->g;
    const ptrdiff_t C = g->c, H = g->in[1], W = g->in[2], Q = g->out[2];
    const ptrdiff_t last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    for (ptrdiff_t pixel = task * m->a_task; pixel < last; pixel++) {
        const PLACE at = NAME(place_of)(pixel / Q, g->out);
        const ptrdiff_t d = NAME(window_start)(g, 0, at.depth), h = NAME(window_start)(g, 1, at.height),
                        w = NAME(window_start)(g, 2, pixel % Q);
        const SPAN tap[3] = {NAME(taps_inside)(g, 0, at.depth), NAME(taps_inside)(g, 1, at.height),
                             NAME(taps_inside)(g, 2, pixel % Q)};
        const T *corner = m->x + (at.plane * NAME(volume)(g->in) + (d * H + h) * W + w) * C;
        const VI first =
            NAME(vset_int)((TI)((tap[0].first * g->kernel[1] + tap[1].first) * g->kernel[2] + tap[2].first));
        for (ptrdiff_t c = 0; c < C; c += VL) {
            if (C - c < VL && C >= VL) c = C - VL;
            const ptrdiff_t lanes = C - c;
            NAME(running) max = {NAME(vset)((T)-INFINITY), first, NAME(vgreater)(NAME(vzero)(), NAME(vzero)())};
            NAME(max_channels)(g, corner + c, tap[0], tap[1], tap[2], lanes, &max, with_taps, 0);
            if (NAME(vany)(max.nan)) {
                NAME(running) exact = {NAME(vset)((T)-INFINITY), first, max.nan};
                NAME(max_channels_exact)(g, corner + c, tap, lanes, &exact);
                max = exact;
            }
            NAME(vstore_masked)(m->y + pixel * C + c, NAME(mask_range)(0, lanes), max.best);
            if (with_taps && m->taps8) NAME(store_bytes)(m->taps8 + pixel * C + c, max.tap, lanes);
            if (with_taps && !m->taps8) NAME(vstore_int)(taps + c, max.tap);
        }
        if (with_taps && !m->taps8) NAME(store_taps)(m, C, (d * H + h) * W + w, 0, taps, pixel * C);
    }
}

#define MAX_POOL_TASK(name, columns)                                                 \
    static void NAME(max_##name)(void *call, ptrdiff_t task, void *scratch) {        \
        NAME(max_pool_rows)(call, task, scratch, columns, 0);                        \
    }                                                                                \
    static void NAME(max_##name##_taps)(void *call, ptrdiff_t task, void *scratch) { \
        NAME(max_pool_rows)(call, task, scratch, columns, 1);                        \
    }
MAX_POOL_TASK(second, NAME(ALTERNATE))
MAX_POOL_TASK(next, NAME(ADJACENT))
MAX_POOL_TASK(any, NAME(SINGLE))
#undef MAX_POOL_TASK
static void NAME(max_pixels)(void *call, ptrdiff_t task, void *scratch) {
    NAME(max_pool_pixels)(call, task, scratch, 0);
}
static void NAME(max_pixels_taps)(void *call, ptrdiff_t task, void *scratch) {
    NAME(max_pool_pixels)(call, task, scratch, 1);
}

INLINE fc_task *NAME(max_pool_task)(const fc_pool *g, int with_taps) {
#define CHOOSE(name) return with_taps ? NAME(max_##name##_taps) : NAME(max_##name)
    if (g->channels_last) CHOOSE(pixels);
    if (NAME(fixed_windows)(g)) return NAME(fixed_task)(g, with_taps ? NAME(TAP) : NAME(LARGEST));
    if (g->stride[2] == 1) CHOOSE(next);
    if (g->stride[2] > 2 || g->dilation[2] > 1 || g->kernel[2] == 1) CHOOSE(any);
    CHOOSE(second);
#undef CHOOSE
}

/* The offset in a plane of each tap from the first tap of its window. */
INLINE void NAME(fill_offsets)(const fc_pool *g, ptrdiff_t offset[256]) {
    ptrdiff_t i = 0;
    if (NAME(volume)(g->kernel) > 256) return;
    for (ptrdiff_t t = 0; t < g->kernel[0]; t++)
        for (ptrdiff_t r = 0; r < g->kernel[1]; r++)
            for (ptrdiff_t s = 0; s < g->kernel[2]; s++)
                offset[i++] = (t * g->dilation[0] * g->in[1] + r * g->dilation[1]) * g->in[2] + s * g->dilation[2];
    while (i < 256) offset[i++] = PTRDIFF_MIN / 4; /* no tap: falls outside every plane */
}

static int NAME(max_pool_forward)(const fc_pool *g, const void *x, void *y, void *taps, int64_t *indices) {
    const int with_taps = taps || indices, small = NAME(volume)(g->kernel) <= 256;
    const ptrdiff_t Q = NAME(whole_vectors)(g->out[2]), C = NAME(whole_vectors)(g->c);
    const ptrdiff_t tap_count = NAME(volume)(g->kernel);
    NAME(pool_call) m = {.g = g, .x = x, .y = y, .indices = indices};
    if (taps && small) m.taps8 = taps;
    if (taps && !small) m.taps32 = taps;
    if (NAME(whole_plane)(g)) return NAME(run_whole)(&m, NAME(max_whole));
    NAME(fill_offsets)(g, m.offset);
    m.rows = g->n * (g->channels_last ? NAME(volume)(g->out) : g->c * g->out[0] * g->out[1]);
    const ptrdiff_t elements = (g->channels_last ? g->c : g->out[2]) * tap_count;
    m.a_task = NAME(rows_a_task)(elements);
    TI *first_s = NULL;
    if (!g->channels_last && with_taps) {
        first_s = fc_alloc(sizeof(TI), (size_t)Q);
        if (!first_s) return FC_NO_MEMORY;
        for (ptrdiff_t q = 0; q < Q; q++) first_s[q] = q < g->out[2] ? (TI)NAME(taps_inside)(g, 2, q).first : 0;
    }
    m.first_s = first_s;
    fc_task *const loop = NAME(max_pool_task)(g, with_taps);
    const size_t scratch = g->channels_last         ? (size_t)C * sizeof(TI)
                           : NAME(fixed_windows)(g) ? NAME(fixed_lay_out)(g, NULL, NULL)
                                                    : NAME(max_lay_out)(g, NAME(SINGLE), NULL, NULL);
    const int status =
        fc_parallel((m.rows + m.a_task - 1) / m.a_task, (double)m.rows * (double)elements, scratch, loop, &m);
    fc_free(first_s);
    return status;
}
