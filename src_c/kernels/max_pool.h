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
    for (ptrdiff_t s = 0; s < g->kernel[2]; s++, picked += VL) {
        ptrdiff_t w = at + s * g->dilation[2];
        for (ptrdiff_t i = 0; i < VL; i++, w += g->stride[2]) picked[i] = w >= 0 && w < g->in[2] ? p[w] : (T)-INFINITY;
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
    NAME(max_exact)(const NAME(max_pool_call) *c, PLACE at, ptrdiff_t q, VI first, T *picked, int columns) {
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
INLINE void NAME(max_pool_rows)(const NAME(max_pool_call) *m, ptrdiff_t task, void *scratch, const int columns,
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

#include "max_pool_fixed.h"

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
                NAME(keep_max)(v, NAME(vset_int)(number), NAME(vset_int)(0), m, with_taps, exact);
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
    if (NAME(whole_plane)(g)) return NAME(max_whole);
    if (g->channels_last) CHOOSE(pixels);
    if (NAME(fixed_windows)(g)) return NAME(max_fixed)(g, with_taps);
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
    const size_t scratch = g->channels_last         ? (size_t)C * sizeof(TI)
                           : NAME(fixed_windows)(g) ? NAME(fixed_lay_out)(g, NULL, NULL)
                                                    : NAME(max_lay_out)(g, NAME(SINGLE), NULL, NULL);
    const int status =
        fc_parallel((m.rows + m.a_task - 1) / m.a_task, (double)m.rows * (double)elements, scratch, loop, &m);
    fc_free(first_s);
    return status;
}
