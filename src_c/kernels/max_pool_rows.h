/* Max pooling of NCHW planes, any window. The taps of a window are visited in row-major order, a larger value or the first NaN
   replaces the best so far, and the first tap inside the input is the starting point: the tap found is always one inside the
   input. Rows of the input are searched across, then windows down what was found. */

/* The best of a vector of windows. Without a NaN a maximum and a comparison a tap do; if one was seen (in a lane of any window, or
   beside one) the block is done again with `exact`, where the first NaN of a window stays for good. */
typedef struct NAME(running) {
    V best;
    VI tap;
    CHOICE nan;
} NAME(running);

/* Another value of every window, whose tap is tap + number. */
INLINE void NAME(keep_max)(V x, VI tap, VI number, NAME(running) *m, const int with_taps, const int exact) {
    if (!exact) m->nan |= NAME(vunordered)(x, m->best);
    if (exact) {
        const CHOICE better = NAME(vbeats)(x, m->best);
        m->best = NAME(vpick)(better, x, m->best);
        m->tap = NAME(vpick_sum)(better, tap, number, m->tap);
        return;
    }
    if (with_taps) m->tap = NAME(vpick_sum)(NAME(vgreater)(x, m->best), tap, number, m->tap);
    m->best = NAME(vlarger)(x, m->best);
}

/* How columns q, q+1, ... of a row of windows find their elements: neighbours (stride 1), every second element (stride 2,
   dilation 1: even and odd lanes serve two taps), or one by one. */
enum NAME(columns) { NAME(ADJACENT) = 1, NAME(ALTERNATE) = 2, NAME(SINGLE) = 0 };

/* Elements at, at + 1, ... of a row; at an edge -infinity, which replaces nothing, outside 0 <= element < w. */
INLINE V NAME(load_row)(const T *p, ptrdiff_t at, ptrdiff_t w, const int edge) {
    if (!edge) return NAME(vload)(p + at);
    return NAME(vload_or)(p + at, NAME(mask_range)(-at, w - at), NAME(vset)((T)-INFINITY));
}

/* The elements of the windows at element `at` and every stride from there, tap by tap a vector. */
INLINE void NAME(pick_row)(const fc_pool *g, const T *p, ptrdiff_t at, T *picked) {
    const ptrdiff_t stride = g->stride[2];
    for (ptrdiff_t s = 0; s < g->kernel[2]; s++, at += g->dilation[2], picked += VL) {
        const ptrdiff_t lo = at < 0 ? NAME(smaller)(NAME(ceil_div)(-at, stride), VL) : 0;
        const ptrdiff_t hi = at < g->in[2] ? NAME(smaller)(NAME(ceil_div)(g->in[2] - at, stride), VL) : 0;
        for (ptrdiff_t i = 0; i < lo; i++) picked[i] = (T)-INFINITY;
        for (ptrdiff_t i = lo; i < hi; i++) picked[i] = p[at + i * stride];
        for (ptrdiff_t i = NAME(larger)(lo, hi); i < VL; i++) picked[i] = (T)-INFINITY;
    }
}

/* The best in one row p of the input of the windows whose first column is at element `at`; taps are those of the row, `first` the
   first inside. `picked`: S vectors of scratch for SINGLE columns. */
INLINE NAME(running) NAME(max_across)(const fc_pool *g, const T *p, ptrdiff_t at, VI first, T *picked,
                                      const int columns, const int edge, const int with_taps, const int exact) {
    const ptrdiff_t S = g->kernel[2], w = g->in[2];
    const VI none = NAME(vset_int)(0);
    NAME(running) m = {.tap = first, .nan = NAME(vgreater)(NAME(vzero)(), NAME(vzero)())};
#define KEEP(x, s) NAME(keep_max)(x, NAME(vset_int)((TI)(s)), none, &m, with_taps, exact)
    if (columns == NAME(SINGLE)) {
        NAME(pick_row)(g, p, at, picked);
        m.best = NAME(vload)(picked);
        for (ptrdiff_t s = 1; s < S; s++) KEEP(NAME(vload)(picked + s * VL), s);
    } else if (columns == NAME(ADJACENT)) {
        m.best = NAME(load_row)(p, at, w, edge);
        for (ptrdiff_t s = 1; s < S; s++) KEEP(NAME(load_row)(p, at + s * g->dilation[2], w, edge), s);
    } else {
        V a = NAME(load_row)(p, at, w, edge), b = NAME(load_row)(p, at + VL, w, edge);
        m.best = NAME(veven)(a, b);
        KEEP(NAME(vodd)(a, b), 1);
        for (ptrdiff_t s = 2; s < S; s += 2) {
            /* A last tap without a partner lies in the odd lanes from one element before: nothing behind the row is read. */
            const ptrdiff_t e = s + 1 < S ? at + s : at + s - 1;
            a = NAME(load_row)(p, e, w, edge);
            b = NAME(load_row)(p, e + VL, w, edge);
            if (s + 1 < S) KEEP(NAME(veven)(a, b), s);
            KEEP(NAME(vodd)(a, b), s + 1 < S ? s + 1 : s);
        }
    }
#undef KEEP
    if (!exact && S == 1) m.nan |= NAME(vunordered)(m.best, m.best);
    return m;
}

/* The whole windows at row `at` and columns q, q+1, ... with NaNs about: rare, so out of line and from the input alone. */
static __attribute__((noinline)) NAME(running)
    NAME(max_exact)(const NAME(pool_call) *c, PLACE at, ptrdiff_t q, VI first, T *picked, int columns) {
    const fc_pool *g = c->g;
    const SPAN t = NAME(taps_inside)(g, 0, at.depth), r = NAME(taps_inside)(g, 1, at.height);
    const ptrdiff_t depth = NAME(window_start)(g, 0, at.depth), height = NAME(window_start)(g, 1, at.height);
    const ptrdiff_t start = NAME(window_start)(g, 2, q);
    NAME(running) m = {NAME(vzero)(), first, NAME(vgreater)(NAME(vzero)(), NAME(vzero)())};
    for (ptrdiff_t i = t.first; i < t.last; i++)
        for (ptrdiff_t j = r.first; j < r.last; j++) {
            const ptrdiff_t d = depth + i * g->dilation[0], h = height + j * g->dilation[1];
            const T *row = c->x + ((at.plane * g->in[0] + d) * g->in[1] + h) * g->in[2];
            const NAME(running) one =
                columns == NAME(ALTERNATE)  ? NAME(max_across)(g, row, start, first, picked, NAME(ALTERNATE), 1, 1, 1)
                : columns == NAME(ADJACENT) ? NAME(max_across)(g, row, start, first, picked, NAME(ADJACENT), 1, 1, 1)
                                            : NAME(max_across)(g, row, start, first, picked, NAME(SINGLE), 1, 1, 1);
            const VI taps = NAME(vset_int)((TI)((i * g->kernel[1] + j) * g->kernel[2]));
            if (i == t.first && j == r.first) {
                m.best = one.best;
                m.tap = one.tap + taps;
            } else {
                NAME(keep_max)(one.best, one.tap, taps, &m, 1, 1);
            }
        }
    return m;
}

/* Tap numbers to flat plane indices: taps[i] belongs to the window whose first tap lies at base + i * step. */
INLINE void NAME(store_indices)(const NAME(pool_call) *m, ptrdiff_t n, ptrdiff_t base, ptrdiff_t step, const TI *taps,
                                int64_t *to) {
    const fc_pool *g = m->g;
    const ptrdiff_t S = g->kernel[2], R = g->kernel[1];
    if (NAME(volume)(g->kernel) <= 256) {
        for (ptrdiff_t i = 0; i < n; i++) to[i] = (int64_t)(base + i * step + m->offset[taps[i]]);
        return;
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        const ptrdiff_t tap = (ptrdiff_t)taps[i], r = tap / S % R, t = tap / S / R;
        to[i] = (int64_t)(base + i * step + tap % S * g->dilation[2] +
                          (t * g->dilation[0] * g->in[1] + r * g->dilation[1]) * g->in[2]);
    }
}

INLINE void NAME(store_taps)(const NAME(pool_call) *m, ptrdiff_t n, ptrdiff_t base, ptrdiff_t step, const TI *taps,
                             ptrdiff_t to) {
    if (m->indices)
        NAME(store_indices)(m, n, base, step, taps, m->indices + to);
    else if (m->taps32)
        for (ptrdiff_t i = 0; i < n; i++) m->taps32[to + i] = (int32_t)taps[i];
}

/* Rows of the input that windows share are searched once: what was found stays in a ring of `slots` rows (a power of two, for
   each depth of a window), input row h in slot h % slots. */
typedef struct NAME(ring) {
    T *best;
    TI *tap;
    ptrdiff_t slots, pitch;
} NAME(ring);

/* What a thread needs: the ring, one row of tap numbers before they become indices, and the elements of pick_row. */
typedef struct NAME(max_desk) {
    NAME(ring) ring;
    TI *taps;
    T *picked;
} NAME(max_desk);

INLINE size_t NAME(max_lay_out)(const fc_pool *g, int columns, void *scratch, NAME(max_desk) *desk) {
    enum { RING_BYTES = 1 << 18 };
    const ptrdiff_t pitch = NAME(whole_vectors)(g->out[2]);
    ptrdiff_t slots = 1;
    while (slots < g->kernel[1]) slots *= 2;
    const int shared = g->kernel[1] > g->stride[1] && g->dilation[1] == 1 && g->out[1] > 1;
    if (!shared || slots * g->kernel[0] > RING_BYTES / (2 * pitch * (ptrdiff_t)sizeof(T))) slots = 0;
    const ptrdiff_t size = slots * g->kernel[0] * pitch, picked = columns == NAME(SINGLE) ? g->kernel[2] * VL : 0;
    if (desk) {
        T *at = scratch;
        desk->ring = (NAME(ring)){at, (TI *)(void *)(at + size), slots, pitch};
        desk->taps = desk->ring.tap + size;
        desk->picked = (T *)(void *)(desk->taps + pitch);
    }
    return (size_t)(2 * size + pitch + picked) * sizeof(T);
}

/* Output rows of NCHW planes, a vector of columns at a time. */
INLINE void NAME(max_pool_rows)(const NAME(pool_call) *m, ptrdiff_t task, void *scratch, const int columns,
                                const int with_taps) {
    const fc_pool *g = m->g;
    const ptrdiff_t S = g->kernel[2], Q = g->out[2], W = g->in[2];
    const ptrdiff_t last_row = NAME(smaller)((task + 1) * m->a_task, m->rows);
    /* Elements from `start` on that an unmasked block reads. */
    const ptrdiff_t reads = columns == NAME(ALTERNATE) ? S - 2 + 2 * VL : (S - 1) * g->dilation[2] + VL;
    const int bytes = m->taps8 != NULL;
    const VI row_taps = NAME(vset_int)((TI)S), no_taps = NAME(vset_int)(0);
    NAME(max_desk) desk;
    (void)NAME(max_lay_out)(g, columns, scratch, &desk);
    const NAME(ring) ring = desk.ring;
    ptrdiff_t found = 0; /* rows of the input below this are in the ring */
    int nan = 0; /* one was seen in this plane, and may lie in the ring */
    PLACE at = NAME(place_of)(task * m->a_task, g->out);
    for (ptrdiff_t row = task * m->a_task; row < last_row; row++, NAME(next_place)(&at, g->out)) {
        const SPAN t = NAME(taps_inside)(g, 0, at.depth), r = NAME(taps_inside)(g, 1, at.height);
        const ptrdiff_t depth = NAME(window_start)(g, 0, at.depth), height = NAME(window_start)(g, 1, at.height);
        const ptrdiff_t h0 = height + r.first * g->dilation[1], h1 = height + r.last * g->dilation[1];
        const T *plane = m->x + at.plane * NAME(volume)(g->in);
        const T *p = plane + ((depth + t.first * g->dilation[0]) * g->in[1] + h0) * W;
        const ptrdiff_t number = (t.first * g->kernel[1] + r.first) * S;
        if (at.height == 0) found = nan = 0;
        for (ptrdiff_t q = 0; q < Q; q += VL) {
            if (Q - q < VL && Q >= VL)
                q = Q - VL; /* the last block overlaps the one before rather than being partial */
            const ptrdiff_t start = NAME(window_start)(g, 2, q), lanes = Q - q;
            const int edge = start < 0 || start + reads > W;
            const VI first = with_taps ? NAME(vload_int)(m->first_s + q) : no_taps;
            NAME(running) max = {.nan = NAME(vgreater)(NAME(vzero)(), NAME(vzero)())};
            VI taps = NAME(vset_int)((TI)number);
            for (ptrdiff_t i = 0; i < t.last - t.first; i++) {
                const T *x = p + i * g->dilation[0] * g->in[1] * W;
                for (ptrdiff_t h = h0; h < h1; h += g->dilation[1], x += g->dilation[1] * W, taps += row_taps) {
                    const ptrdiff_t place = (i * ring.slots + (h & (ring.slots - 1))) * ring.pitch + q;
                    NAME(running) one;
                    if (h < found) {
                        one.best = NAME(vload)(ring.best + place);
                        if (with_taps) one.tap = NAME(vload_int)(ring.tap + place);
                    } else {
                        if (edge)
                            one = NAME(max_across)(g, x, start, first, desk.picked, columns, 1, with_taps, 0);
                        else
                            one = NAME(max_across)(g, x, start, first, desk.picked, columns, 0, with_taps, 0);
                        max.nan |= one.nan;
                        if (ring.slots) NAME(vstore)(ring.best + place, one.best);
                        if (ring.slots && with_taps) NAME(vstore_int)(ring.tap + place, one.tap);
                    }
                    if (i == 0 && h == h0) {
                        max.best = one.best;
                        max.tap = one.tap + taps;
                    } else {
                        const CHOICE greater = NAME(vgreater)(one.best, max.best);
                        if (with_taps) max.tap = NAME(vpick_sum)(greater, one.tap, taps, max.tap);
                        max.best = NAME(vlarger)(one.best, max.best);
                    }
                }
                taps += NAME(vset_int)((TI)((g->kernel[1] - (r.last - r.first)) * S));
            }
            if (nan || NAME(vany)(max.nan)) {
                nan = 1;
                max = NAME(max_exact)(m, at, q, first, desk.picked, columns);
            }
            NAME(store_some)(m->y + row * Q + q, lanes, max.best);
            if (with_taps && bytes) NAME(store_bytes)(m->taps8 + row * Q + q, max.tap, lanes);
            if (with_taps && !bytes) NAME(vstore_int)(desk.taps + q, max.tap);
        }
        if (ring.slots) found = h1;
        if (with_taps && !bytes)
            NAME(store_taps)(m, Q, (depth * g->in[1] + height) * W - g->pad[2], g->stride[2], desk.taps, row * Q);
    }
}
