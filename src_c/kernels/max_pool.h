/* Max pooling. The taps of a window are visited in row-major order, a larger value or the first NaN replaces the best so far,
   and the first tap inside the input is the starting point: the tap found is always one inside the input. */

/* What every task of a call reads. One of taps8, taps32 and indices is set, or none. */
typedef struct NAME(max_pool_call) {
    const fc_pool *g;
    const T *x;
    T *y;
    uint8_t *taps8;
    int32_t *taps32;
    int64_t *indices;
    const TI *first_s; /* NCHW, per output column: its first tap inside the input; whole vectors, zeros behind */
    ptrdiff_t rows, a_task; /* NCHW: output rows; channels last: output pixels */
    ptrdiff_t offset[256]; /* of tap number i from the window's first tap in a plane, if the window has <= 256 taps */
} NAME(max_pool_call);

/* The best of a vector of windows. Without a NaN a maximum and a comparison a tap do; if one was seen (in a lane of any window, or
   beside one) the block is done again with `exact`, where the first NaN of a window stays for good. */
typedef struct NAME(running) {
    V best;
    VI tap;
    CHOICE nan;
} NAME(running);

INLINE void NAME(keep_max)(V x, TI number, NAME(running) *m, const int with_taps, const int exact) {
    if (exact) {
        const CHOICE better = NAME(vbeats)(x, m->best);
        m->best = NAME(vpick)(better, x, m->best);
        m->tap = NAME(vpick_int)(better, NAME(vset_int)(number), m->tap);
        return;
    }
    if (with_taps) m->tap = NAME(vpick_int)(NAME(vgreater)(x, m->best), NAME(vset_int)(number), m->tap);
    m->best = NAME(vlarger)(x, m->best);
}

/* How columns q, q+1, ... of a row of windows find their elements: neighbours (stride 1), every second element (stride 2,
   dilation 1: even and odd lanes serve two taps), or, first all columns of the input down the windows, then one by one. */
enum NAME(columns) { NAME(ADJACENT) = 1, NAME(ALTERNATE) = 2, NAME(SINGLE) = 0 };

/* Elements at, at + 1, ... of a row; at an edge -infinity, which replaces nothing, outside 0 <= element < w. */
INLINE V NAME(load_row)(const T *p, ptrdiff_t at, ptrdiff_t w, const int edge) {
    if (!edge) return NAME(vload)(p + at);
    return NAME(vload_or)(p + at, NAME(mask_range)(-at, w - at), NAME(vset)((T)-INFINITY));
}

/* Tap s (and, of ALTERNATE columns, tap s + 1 if it exists) of one row p of the windows whose first column is at element `at`. */
INLINE void NAME(max_taps)(const fc_pool *g, const T *p, ptrdiff_t at, ptrdiff_t s, ptrdiff_t S, TI number,
                           NAME(running) *m, const int columns, const int edge, const int with_taps, const int exact) {
    const ptrdiff_t w = g->in[2];
    const TI ns = number + (TI)s;
    if (columns == NAME(ALTERNATE)) {
        /* A last tap without a partner lies in the odd lanes from one element before: nothing behind the row is read. */
        const ptrdiff_t e = s + 1 < S ? at + s : at + s - 1;
        const V a = NAME(load_row)(p, e, w, edge), b = NAME(load_row)(p, e + VL, w, edge);
        if (!exact) m->nan |= NAME(vunordered)(a, b);
        if (s + 1 < S) NAME(keep_max)(NAME(veven)(a, b), ns, m, with_taps, exact);
        NAME(keep_max)(NAME(vodd)(a, b), s + 1 < S ? ns + 1 : ns, m, with_taps, exact);
        return;
    }
    const V v = NAME(load_row)(p, at + s * g->dilation[2], w, edge);
    if (!exact) m->nan |= NAME(vunordered)(v, v);
    NAME(keep_max)(v, ns, m, with_taps, exact);
}

/* One vector of windows: rows t, r of the window are depth_step and row_step apart from p; `number` is the first row's tap. */
INLINE void NAME(max_block)(const fc_pool *g, const T *p, ptrdiff_t nt, ptrdiff_t nr, ptrdiff_t at, TI number,
                            NAME(running) *m, const int columns, const ptrdiff_t fixed_s, const int edge,
                            const int with_taps, const int exact) {
    const ptrdiff_t S = fixed_s ? fixed_s : g->kernel[2], step = columns == NAME(ALTERNATE) ? 2 : 1;
    const ptrdiff_t row_step = g->dilation[1] * g->in[2], depth_step = g->dilation[0] * g->in[1] * g->in[2];
    const TI row_taps = (TI)(fixed_s > 1 ? fixed_s : g->kernel[2]); /* fixed_s 1: the first tap of each row alone */
    for (ptrdiff_t t = 0; t < nt; t++, p += depth_step, number += (TI)g->kernel[1] * row_taps) {
        const T *row = p;
        TI n = number;
        for (ptrdiff_t r = 0; r < nr; r++, row += row_step, n += row_taps) {
            if (fixed_s) {
                UNROLL(3)
                for (ptrdiff_t s = 0; s < fixed_s; s += step)
                    NAME(max_taps)(g, row, at, s, S, n, m, columns, edge, with_taps, exact);
            } else {
                for (ptrdiff_t s = 0; s < S; s += step)
                    NAME(max_taps)(g, row, at, s, S, n, m, columns, edge, with_taps, exact);
            }
        }
    }
}

/* The same with NaNs about: rare, so out of line, and one form for all windows. */
static __attribute__((noinline)) void NAME(max_block_exact)(const fc_pool *g, const T *p, ptrdiff_t nt, ptrdiff_t nr,
                                                            ptrdiff_t at, ptrdiff_t number, NAME(running) *m,
                                                            int columns) {
    if (columns == NAME(ALTERNATE))
        NAME(max_block)(g, p, nt, nr, at, (TI)number, m, NAME(ALTERNATE), 0, 1, 1, 1);
    else if (columns == NAME(ADJACENT))
        NAME(max_block)(g, p, nt, nr, at, (TI)number, m, NAME(ADJACENT), 0, 1, 1, 1);
    else
        NAME(max_block)(g, p, nt, nr, at, (TI)number, m, NAME(ADJACENT), 1, 1, 1, 1);
}

/* Tap numbers to flat plane indices: taps[i] belongs to the window whose first tap lies at base + i * step. */
INLINE void NAME(store_indices)(const NAME(max_pool_call) *m, ptrdiff_t n, ptrdiff_t base, ptrdiff_t step,
                                const TI *taps, int64_t *to) {
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

INLINE void NAME(store_taps)(const NAME(max_pool_call) *m, ptrdiff_t n, ptrdiff_t base, ptrdiff_t step, const TI *taps,
                             ptrdiff_t to) {
    if (m->indices)
        NAME(store_indices)(m, n, base, step, taps, m->indices + to);
    else if (m->taps32)
        for (ptrdiff_t i = 0; i < n; i++) m->taps32[to + i] = (int32_t)taps[i];
}

/* Output rows of NCHW planes, a vector of columns at a time. `taps` holds a row of whole vectors. */
INLINE void NAME(max_pool_rows)(const NAME(max_pool_call) *m, ptrdiff_t task, TI *taps, const int columns,
                                const ptrdiff_t fixed_s, const int with_taps) {
    const fc_pool *g = m->g;
    const ptrdiff_t S = fixed_s ? fixed_s : g->kernel[2], Q = g->out[2], W = g->in[2];
    const ptrdiff_t last_row = NAME(smaller)((task + 1) * m->a_task, m->rows);
    /* Elements from `start` on that an unmasked block reads. */
    const ptrdiff_t reads = columns == NAME(ALTERNATE) ? S - 2 + 2 * VL : (S - 1) * g->dilation[2] + VL;
    const int bytes = m->taps8 != NULL;
    PLACE at = NAME(place_of)(task * m->a_task, g->out);
    for (ptrdiff_t row = task * m->a_task; row < last_row; row++, NAME(next_place)(&at, g->out)) {
        const SPAN t = NAME(taps_inside)(g, 0, at.depth), r = NAME(taps_inside)(g, 1, at.height);
        const ptrdiff_t depth = NAME(window_start)(g, 0, at.depth), height = NAME(window_start)(g, 1, at.height);
        const T *plane = m->x + at.plane * NAME(volume)(g->in);
        const T *p = plane + ((depth + t.first * g->dilation[0]) * g->in[1] + height + r.first * g->dilation[1]) * W;
        const TI number = (TI)((t.first * g->kernel[1] + r.first) * S);
        for (ptrdiff_t q = 0; q < Q; q += VL) {
            if (Q - q < VL && Q >= VL)
                q = Q - VL; /* the last block overlaps the one before rather than being partial */
            const ptrdiff_t start = NAME(window_start)(g, 2, q), lanes = Q - q, nt = t.last - t.first,
                            nr = r.last - r.first;
            NAME(running) max = {NAME(vset)((T)-INFINITY), NAME(vset_int)(number),
                                 NAME(vgreater)(NAME(vzero)(), NAME(vzero)())};
            if (with_taps) max.tap += *(const NAME(loose_vector_int) *)(m->first_s + q);
            const VI first = max.tap;
            if (start >= 0 && start + reads <= W)
                NAME(max_block)(g, p, nt, nr, start, number, &max, columns, fixed_s, 0, with_taps, 0);
            else
                NAME(max_block)(g, p, nt, nr, start, number, &max, columns, fixed_s, 1, with_taps, 0);
            if (NAME(vany)(max.nan)) {
                NAME(running) exact = {NAME(vset)((T)-INFINITY), first, max.nan};
                NAME(max_block_exact)(g, p, nt, nr, start, (ptrdiff_t)number, &exact, columns);
                max = exact;
            }
            if (lanes >= VL)
                NAME(vstore)(m->y + row * Q + q, max.best);
            else
                NAME(vstore_first)(m->y + row * Q + q, lanes, max.best);
            if (with_taps && bytes) NAME(store_bytes)(m->taps8 + row * Q + q, max.tap, lanes);
            if (with_taps && !bytes) *(NAME(loose_vector_int) *)(taps + q) = max.tap;
        }
        if (with_taps && !bytes)
            NAME(store_taps)(m, Q, (depth * g->in[1] + height) * W - g->pad[2], g->stride[2], taps, row * Q);
    }
}

/* Output rows of NCHW planes of any stride: the best of each input column down the windows by vectors, then across them one by
   one. Of equals, and of NaNs, the one with the smaller tap number is the first in row-major order. */
INLINE void NAME(max_pool_across)(const NAME(max_pool_call) *m, const T *value, const TI *number, T *y, TI *taps) {
    const fc_pool *g = m->g;
    for (ptrdiff_t q = 0; q < g->out[2]; q++) {
        const SPAN s = NAME(taps_inside)(g, 2, q);
        const ptrdiff_t start = NAME(window_start)(g, 2, q), step = g->dilation[2];
        T best = value[start + s.first * step];
        TI tap = number[start + s.first * step] + (TI)s.first;
        for (ptrdiff_t k = s.first + 1; k < s.last; k++) {
            const T v = value[start + k * step];
            const TI n = number[start + k * step] + (TI)k;
            const int nan = v != v, kept = best != best, equal = (v == best) | (nan & kept);
            const int better =
                (v > best) | (nan & !kept) | (equal & (n < tap)); /* no branch: which tap wins is anyone's guess */
            best = better ? v : best;
            tap = better ? n : tap;
        }
        y[q] = best;
        taps[q] = tap;
    }
}

static void NAME(max_any)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(max_pool_call) *m = call;
    const fc_pool *g = m->g;
    const ptrdiff_t Q = g->out[2], W = g->in[2], last_row = NAME(smaller)((task + 1) * m->a_task, m->rows);
    T *value = scratch;
    TI *taps = (TI *)(void *)(value + NAME(whole_vectors)(W)), *numbers = taps + NAME(whole_vectors)(Q);
    PLACE at = NAME(place_of)(task * m->a_task, g->out);
    for (ptrdiff_t row = task * m->a_task; row < last_row; row++, NAME(next_place)(&at, g->out)) {
        const SPAN t = NAME(taps_inside)(g, 0, at.depth), r = NAME(taps_inside)(g, 1, at.height);
        const ptrdiff_t depth = NAME(window_start)(g, 0, at.depth), height = NAME(window_start)(g, 1, at.height);
        const ptrdiff_t nt = t.last - t.first, nr = r.last - r.first;
        const T *p = m->x + at.plane * NAME(volume)(g->in) +
                     ((depth + t.first * g->dilation[0]) * g->in[1] + height + r.first * g->dilation[1]) * W;
        const TI number = (TI)((t.first * g->kernel[1] + r.first) * g->kernel[2]);
        for (ptrdiff_t w = 0; w < W; w += VL) {
            const NAME(running) none = {NAME(vset)((T)-INFINITY), NAME(vset_int)(number),
                                        NAME(vgreater)(NAME(vzero)(), NAME(vzero)())};
            NAME(running) max = none;
            if (w + VL <= W)
                NAME(max_block)(g, p, nt, nr, w, number, &max, NAME(ADJACENT), 1, 0, 1, 0);
            else
                NAME(max_block)(g, p, nt, nr, w, number, &max, NAME(ADJACENT), 1, 1, 1, 0);
            if (NAME(vany)(max.nan)) {
                max = none;
                NAME(max_block_exact)(g, p, nt, nr, w, (ptrdiff_t)number, &max, NAME(SINGLE));
            }
            NAME(vstore)(value + w, max.best);
            *(NAME(loose_vector_int) *)(numbers + w) = max.tap;
        }
        NAME(max_pool_across)(m, value, numbers, m->y + row * Q, taps);
        if (m->taps8)
            for (ptrdiff_t q = 0; q < Q; q++) m->taps8[row * Q + q] = (uint8_t)taps[q];
        else
            NAME(store_taps)(m, Q, (depth * g->in[1] + height) * W - g->pad[2], g->stride[2], taps, row * Q);
    }
}

/* One window that is the whole NCHW volume: its largest value, then the first element that equals it (or is NaN). */
static void NAME(max_whole)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(max_pool_call) *m = call;
    const ptrdiff_t size = NAME(volume)(m->g->in), last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    (void)scratch;
    for (ptrdiff_t plane = task * m->a_task; plane < last; plane++) {
        const T *x = m->x + plane * size;
        V best = NAME(vset)((T)-INFINITY), other = best;
        CHOICE nan = NAME(vgreater)(best, best), here = nan;
        ptrdiff_t i = 0;
        for (; i + 2 * VL <= size; i += 2 * VL) {
            const V a = NAME(vload)(x + i), b = NAME(vload)(x + i + VL);
            nan |= NAME(vunordered)(a, b);
            best = NAME(vlarger)(a, best);
            other = NAME(vlarger)(b, other);
        }
        best = NAME(vlarger)(other, best);
        T lane[VBYTES / T_BYTES], largest = (T)-INFINITY;
        NAME(vstore)(lane, best);
        int with_nan = NAME(vany)(nan);
        for (ptrdiff_t j = 0; j < VL; j++) largest = lane[j] > largest ? lane[j] : largest;
        for (; i < size; i++) {
            with_nan |= x[i] != x[i];
            largest = x[i] > largest ? x[i] : largest;
        }
        const V wanted = NAME(vset)(largest);
        for (i = 0; i + VL <= size; i += VL) {
            const V v = NAME(vload)(x + i);
            here = with_nan ? NAME(vunordered)(v, v) : NAME(vsame)(v, wanted);
            if (NAME(vany)(here)) break;
        }
        while (i < size - 1 && (with_nan ? x[i] == x[i] : x[i] != largest)) i++;
        m->y[plane] = x[i];
        if (m->taps8) m->taps8[plane] = (uint8_t)i;
        if (m->taps32) m->taps32[plane] = (int32_t)i;
        if (m->indices) m->indices[plane] = (int64_t)i;
    }
}

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
                if (!exact) m->nan |= NAME(vunordered)(v, v);
                NAME(keep_max)(v, number, m, with_taps, exact);
            }
        }
}

static __attribute__((noinline)) void NAME(max_channels_exact)(const fc_pool *g, const T *corner, const SPAN tap[3],
                                                               ptrdiff_t lanes, NAME(running) *m) {
    NAME(max_channels)(g, corner, tap[0], tap[1], tap[2], lanes, m, 1, 1);
}

/* Output pixels of channels-last volumes, a vector of channels at a time. `taps` holds the channels in whole vectors. */
INLINE void NAME(max_pool_pixels)(const NAME(max_pool_call) *m, ptrdiff_t task, TI *taps, const int with_taps) {
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
            if (with_taps && !m->taps8) *(NAME(loose_vector_int) *)(taps + c) = max.tap;
        }
        if (with_taps && !m->taps8) NAME(store_taps)(m, C, (d * H + h) * W + w, 0, taps, pixel * C);
    }
}

#define MAX_POOL_TASK(name, ...)                                                     \
    static void NAME(max_##name)(void *call, ptrdiff_t task, void *scratch) {        \
        NAME(max_pool_rows)(call, task, scratch, __VA_ARGS__, 0);                    \
    }                                                                                \
    static void NAME(max_##name##_taps)(void *call, ptrdiff_t task, void *scratch) { \
        NAME(max_pool_rows)(call, task, scratch, __VA_ARGS__, 1);                    \
    }
MAX_POOL_TASK(second_2, NAME(ALTERNATE), 2)
MAX_POOL_TASK(second_3, NAME(ALTERNATE), 3)
MAX_POOL_TASK(second, NAME(ALTERNATE), 0)
MAX_POOL_TASK(next_3, NAME(ADJACENT), 3)
MAX_POOL_TASK(next, NAME(ADJACENT), 0)
#undef MAX_POOL_TASK
static void NAME(max_pixels)(void *call, ptrdiff_t task, void *scratch) {
    NAME(max_pool_pixels)(call, task, scratch, 0);
}
static void NAME(max_pixels_taps)(void *call, ptrdiff_t task, void *scratch) {
    NAME(max_pool_pixels)(call, task, scratch, 1);
}

INLINE fc_task *NAME(max_pool_task)(const fc_pool *g, int with_taps) {
#define CHOOSE(name) return with_taps ? NAME(max_##name##_taps) : NAME(max_##name)
    if (NAME(whole_plane)(g)) return NAME(max_whole);
    if (g->channels_last) CHOOSE(pixels);
    if (g->stride[2] == 1 && g->kernel[2] == 3) CHOOSE(next_3);
    if (g->stride[2] == 1) CHOOSE(next);
    if (g->stride[2] > 2 || g->dilation[2] > 1 || g->kernel[2] == 1) return NAME(max_any);
    if (g->kernel[2] == 2) CHOOSE(second_2);
    if (g->kernel[2] == 3) CHOOSE(second_3);
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
    NAME(max_pool_call) m = {.g = g, .x = x, .y = y, .indices = indices};
    if (taps && small) m.taps8 = taps;
    if (taps && !small) m.taps32 = taps;
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
    size_t scratch = with_taps && !m.taps8 ? (size_t)(g->channels_last ? C : Q) : 0;
    if (loop == NAME(max_any)) scratch = (size_t)(2 * NAME(whole_vectors)(g->in[2]) + Q);
    const int status = fc_parallel((m.rows + m.a_task - 1) / m.a_task, (double)m.rows * (double)elements,
                                   scratch * sizeof(T), loop, &m);
    fc_free(first_s);
    return status;
}
