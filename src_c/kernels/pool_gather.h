/* Gradients of max and average pooling as a gather, for windows of 2 x 2 and 3 x 3 at stride 1 or 2 on NCHW planes: from the row of windows p
   each element of the rows under it takes those dy whose tap number is the one that lies here (the mean: all); rows that windows p+1 reach too wait
   in scratch. dx is written once, windows are added in row-major order, as the scatter does. Rows of dy and taps are first staged in
   scratch between margins of no window, so that no load has a case for the edges. */

/* Staged rows of windows: `pitch` apart, VL of margin before the first window. dy of the mean is divided already. */
typedef struct NAME(stage) {
    T *dy;
    uint8_t *taps;
    ptrdiff_t pitch, rows;
    T *waiting; /* sums of rows of dx that are not finished */
} NAME(stage);

INLINE size_t NAME(lay_out_stage)(const fc_pool *g, void *scratch, NAME(stage) *to) {
    enum { STAGED = 1024 }; /* elements, about: they are to stay in the first-level cache */
    const ptrdiff_t reach = NAME(larger)(g->out[2], g->in[2] / g->stride[2] + g->pad[2] + 2);
    const ptrdiff_t pitch = NAME(whole_vectors)(reach) + 2 * VL;
    const ptrdiff_t rows = NAME(larger)(1, STAGED / pitch), waiting = 2 * (g->in[2] + 2 * VL);
    if (to) *to = (NAME(stage)){scratch, NULL, pitch, rows, (T *)scratch + rows * pitch};
    if (to) to->taps = (uint8_t *)(to->waiting + waiting);
    return (size_t)(rows * pitch + waiting) * sizeof(T) + (size_t)(rows * pitch);
}

/* Rows p of a plane, from here to the end of what is staged. */
INLINE void NAME(fill_stage)(const NAME(stage) *s, const NAME(pool_grad) *m, ptrdiff_t plane, ptrdiff_t p,
                             ptrdiff_t rows, const int kind) {
    const fc_pool *g = m->g;
    const ptrdiff_t Q = g->out[2], from = (plane * g->out[1] + p) * Q;
    const T *dy = m->dy + from;
    const uint8_t *taps = m->taps8 + (kind == NAME(MEAN) ? 0 : from);
    for (ptrdiff_t r = 0; r < rows; r++, dy += Q, taps += kind == NAME(MEAN) ? 0 : Q) {
        T *d = s->dy + r * s->pitch + VL;
        uint8_t *t = s->taps + r * s->pitch + VL;
        const V divisor = NAME(vset)(kind == NAME(MEAN) ? NAME(row_divisor)(g, plane % g->in[0], p + r) : 1);
        for (ptrdiff_t q = 0; q < Q; q += VL) {
            const V v = NAME(vload_masked)(dy + q, NAME(mask_range)(0, Q - q));
            NAME(vstore)(d + q, kind == NAME(MEAN) ? v / (divisor * NAME(vload)(m->columns + q)) : v);
            if (kind == NAME(TAP)) NAME(store_taps_whole)(t + q, NAME(load_taps_masked)(taps + q, 0, Q - q));
        }
    }
}

/* Adds to sum[r][e], elements of row r under the windows at columns stride * u + e (u: lanes), what one row of windows sends them.
   With v = u + pad / stride and odd = pad % stride that is tap (r, s = e + odd - stride * k) of window v + k; dy and taps: at v. */
INLINE void NAME(gather_row)(const T *dy, const uint8_t *taps, V (*sum)[2], const TAPS *number, const int apart,
                             const int wide, const int odd, const int kind) {
    V spread[2] = {NAME(vzero)(), NAME(vzero)()};
    UNROLL(3)
    for (int k = -((wide - 1 - odd) / apart); k * apart < apart + odd; k++) {
        TAPS t;
        if (kind == NAME(TAP)) t = NAME(load_taps)(taps + k);
        V d = NAME(vload)(dy + k);
        __asm__("" : "+" VREG(d)); /* loaded once, not again by every addition */
        UNROLL(2)
        for (int e = 0; e < apart; e++) {
            const int s = e + odd - apart * k;
            if (s < 0 || s >= wide) continue;
            if (kind == NAME(MEAN)) {
                spread[e] += d;
                continue;
            }
            UNROLL(3)
            for (int r = 0; r < wide; r++)
                sum[r][e] = NAME(vadd_where)(NAME(taps_are)(t, number[r * wide + s]), sum[r][e], d);
        }
    }
    if (kind != NAME(MEAN)) return;
    UNROLL(3)
    for (int r = 0; r < wide; r++) {
        UNROLL(2)
        for (int e = 0; e < apart; e++) sum[r][e] += spread[e];
    }
}

/* Stores the finished columns of one row, of which `width` exist. */
INLINE void NAME(gather_store)(T *dx, ptrdiff_t width, const V sum[2], const int apart, const int edge) {
    const V low = apart == 1 ? sum[0] : NAME(vinterleave_low)(sum[0], sum[1]);
    const V high = NAME(vinterleave_high)(sum[0], sum[1]);
    if (edge) {
        NAME(store_some)(dx, width, low);
        if (apart > 1) NAME(store_some)(dx + VL, width - VL, high);
    } else {
        NAME(vstore)(dx, low);
        if (apart > 1) NAME(vstore)(dx + VL, high);
    }
}

/* Rows h0 <= h < h1 of a plane of dx. What is unfinished waits in scratch, or, where one block is the whole row (`alone`), stays in
   registers. */
INLINE void NAME(gather_plane)(const NAME(pool_grad) *m, ptrdiff_t plane, ptrdiff_t h0, ptrdiff_t h1,
                               const NAME(stage) *stage, const int apart, const int wide, const int odd, const int kind,
                               const int alone) {
    const fc_pool *g = m->g;
    const ptrdiff_t W = g->in[2], P = g->out[1], first = NAME(windows_over)(g, 1, h0).first;
    T *dx = m->dx + plane * g->in[1] * W;
    const int unfinished = wide - apart;
    V sum[3][2];
    TAPS number[9];
    UNROLL(9)
    for (int i = 0; i < wide * wide; i++) {
        number[i] = NAME(taps_number)(i);
        __asm__("" : "+" VREG(number[i])); /* else they are made again for every comparison */
    }
    UNROLL(3)
    for (int r = 0; r < 3; r++) sum[r][0] = sum[r][1] = NAME(vzero)();
    if (!alone) memset(stage->waiting, 0, (size_t)(unfinished * (W + 2 * VL)) * sizeof(T));
    ptrdiff_t staged = first, at = 0;
    for (ptrdiff_t p = first, h; h = NAME(window_start)(g, 1, p), h < h1; p++, at += stage->pitch) {
        if (p == staged && p < P) {
            staged = NAME(smaller)(staged + stage->rows, P);
            NAME(fill_stage)(stage, m, plane, p, staged - p, kind);
            at = VL + g->pad[2] / apart;
        }
        T *to = dx + h * W, *between = stage->waiting;
        for (ptrdiff_t u = 0; alone ? u == 0 : u * apart < W; u += VL, to += apart * VL) {
            if (!alone) {
                UNROLL(2)
                for (int r = 0; r < unfinished; r++) {
                    UNROLL(2)
                    for (int e = 0; e < apart; e++) sum[r][e] = NAME(vload)(between + (r * apart + e) * VL);
                }
            }
            if (p < P) NAME(gather_row)(stage->dy + at + u, stage->taps + at + u, sum, number, apart, wide, odd, kind);
            UNROLL(2)
            for (int r = 0; r < apart; r++) {
                if (h + r < h0 || h + r >= h1) continue;
                if (u * apart + apart * VL > W)
                    NAME(gather_store)(to + r * W, W - u * apart, sum[r], apart, 1);
                else
                    NAME(gather_store)(to + r * W, 0, sum[r], apart, 0);
            }
            UNROLL(3)
            for (int r = 0; r < wide; r++) {
                UNROLL(2)
                for (int e = 0; e < apart; e++) {
                    sum[r][e] = r < unfinished ? sum[r + apart][e] : NAME(vzero)();
                    if (!alone && r < unfinished) NAME(vstore)(between + (r * apart + e) * VL, sum[r][e]);
                }
            }
            between += unfinished * apart * VL;
        }
    }
}

/* Rows of dx, plane by plane. */
INLINE void NAME(gather_rows)(const NAME(pool_grad) *m, ptrdiff_t task, void *scratch, const int apart, const int wide,
                              const int odd, const int kind) {
    const fc_pool *g = m->g;
    const ptrdiff_t H = g->in[1], W = g->in[2], last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    NAME(stage) stage;
    (void)NAME(lay_out_stage)(g, scratch, &stage);
    memset(stage.taps, 255, (size_t)(stage.rows * stage.pitch));
    memset(stage.dy, 0, (size_t)(stage.rows * stage.pitch) * sizeof(T));
    for (ptrdiff_t row = task * m->a_task, rows; row < last; row += rows) {
        const ptrdiff_t plane = row / H, h = row % H;
        rows = NAME(smaller)(H - h, last - row);
        if (W <= apart * VL)
            NAME(gather_plane)(m, plane, h, h + rows, &stage, apart, wide, odd, kind, 1);
        else
            NAME(gather_plane)(m, plane, h, h + rows, &stage, apart, wide, odd, kind, 0);
    }
}

#define GATHER_TASK(apart, wide, odd, kind)                                                                 \
    static void NAME(gather_##apart##_##wide##_##odd##_##kind)(void *call, ptrdiff_t task, void *scratch) { \
        NAME(gather_rows)(call, task, scratch, apart, wide, odd, NAME(kind));                               \
    }
#define GATHER_TASKS(kind)     \
    GATHER_TASK(1, 2, 0, kind) \
    GATHER_TASK(1, 3, 0, kind) \
    GATHER_TASK(2, 2, 0, kind) \
    GATHER_TASK(2, 2, 1, kind) \
    GATHER_TASK(2, 3, 0, kind) \
    GATHER_TASK(2, 3, 1, kind)
GATHER_TASKS(TAP)
GATHER_TASKS(MEAN)
#undef GATHER_TASKS
#undef GATHER_TASK

static int NAME(run_gather)(NAME(pool_grad) *m, enum NAME(pool_kind) kind) {
#define GATHER_KIND(kind)                                             \
    {                                                                 \
        {{NAME(gather_1_2_0_##kind), NAME(gather_1_2_0_##kind)},      \
         {NAME(gather_1_3_0_##kind), NAME(gather_1_3_0_##kind)}},     \
        {                                                             \
            {NAME(gather_2_2_0_##kind), NAME(gather_2_2_1_##kind)}, { \
                NAME(gather_2_3_0_##kind), NAME(gather_2_3_1_##kind)  \
            }                                                         \
        }                                                             \
    }
    static fc_task *const loops[2][2][2][2] = {GATHER_KIND(TAP), GATHER_KIND(MEAN)};
#undef GATHER_KIND
    const fc_pool *g = m->g;
    m->rows = g->n * g->c * g->in[0] * g->in[1];
    m->a_task = NAME(rows_a_task)(g->in[2]);
    return fc_parallel((m->rows + m->a_task - 1) / m->a_task, (double)m->rows * (double)g->in[2],
                       NAME(lay_out_stage)(g, NULL, NULL),
                       loops[kind == NAME(MEAN)][g->stride[2] - 1][g->kernel[2] - 2][g->pad[2] & 1], m);
}
