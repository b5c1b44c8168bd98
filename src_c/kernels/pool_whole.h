/* Pooling whose one window is the whole of each NCHW volume, and its gradient. The last steps, within a vector, are done for as many
   volumes as there are lanes at once. */

/* From one vector a lane: lane i of the result is the sum (the largest) of the lanes of s[i], halves first. */
#define FOLD_LANES(name, combine)                                                                              \
    INLINE V NAME(name)(V * s) {                                                                               \
        UNROLL(4)                                                                                              \
        for (int n = (int)VL / 2; n > 0; n /= 2) {                                                             \
            UNROLL(8)                                                                                          \
            for (int i = 0; i < n; i++) {                                                                      \
                const V a = NAME(vinterleave_low)(s[i], s[i + n]), b = NAME(vinterleave_high)(s[i], s[i + n]); \
                s[i] = combine;                                                                                \
            }                                                                                                  \
        }                                                                                                      \
        return s[0];                                                                                           \
    }
FOLD_LANES(sum_lanes, a + b)
FOLD_LANES(largest_lanes, NAME(vlarger)(a, b))
#undef FOLD_LANES

/* Sum of n neighbours, still in lanes: four running vectors, folded every 64 rounds so that no sum grows long. `rest`: the lanes
   of what is left of n behind whole vectors. */
INLINE V NAME(sum_run)(const T *p, ptrdiff_t n, MASK rest) {
    V total = NAME(vzero)();
    for (ptrdiff_t whole = n / VL; whole >= 0; whole -= 256) {
        const ptrdiff_t part = NAME(smaller)(whole, 256);
        V a = NAME(vzero)(), b = a, c = a, d = a;
        ptrdiff_t i = 0;
        for (; i + 4 <= part; i += 4, p += 4 * VL) {
            a += NAME(vload)(p);
            b += NAME(vload)(p + VL);
            c += NAME(vload)(p + 2 * VL);
            d += NAME(vload)(p + 3 * VL);
        }
        for (; i < part; i++, p += VL) a += NAME(vload)(p);
        if (whole < 256) b += NAME(vload_masked)(p, rest);
        total += (a + b) + (c + d);
    }
    return total;
}

static void NAME(avg_whole)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(pool_call) *m = call;
    const ptrdiff_t size = NAME(volume)(m->g->in), last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    const V divisor = NAME(vset)(m->g->divisor ? (T)m->g->divisor : (T)size);
    const MASK rest = NAME(mask_range)(0, size % VL);
    (void)scratch;
    for (ptrdiff_t plane = task * m->a_task; plane < last; plane += VL) {
        V s[VBYTES / T_BYTES];
        for (ptrdiff_t i = 0; i < VL; i++)
            s[i] = plane + i < last ? NAME(sum_run)(m->x + (plane + i) * size, size, rest) : NAME(vzero)();
        NAME(store_some)(m->y + plane, last - plane, NAME(sum_lanes)(s) / divisor);
    }
}

/* The largest value of each volume, then the first element that equals it (or is NaN). */
static void NAME(max_whole)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(pool_call) *m = call;
    const ptrdiff_t size = NAME(volume)(m->g->in), last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    const ptrdiff_t whole = size / VL * VL;
    const MASK rest = NAME(mask_range)(0, size - whole);
    const V none = NAME(vset)((T)-INFINITY);
    (void)scratch;
    for (ptrdiff_t plane = task * m->a_task; plane < last; plane += VL) {
        const ptrdiff_t count = NAME(smaller)(VL, last - plane);
        V s[VBYTES / T_BYTES];
        T largest[VBYTES / T_BYTES];
        int with_nan[VBYTES / T_BYTES];
        for (ptrdiff_t i = 0; i < VL; i++) {
            const T *x = m->x + (plane + NAME(smaller)(i, count - 1)) * size;
            V best = none, other = NAME(vload_or)(x + whole, rest, none);
            CHOICE nan = NAME(vunordered)(other, other);
            ptrdiff_t j = 0;
            for (; j + 2 * VL <= whole; j += 2 * VL) {
                const V a = NAME(vload)(x + j), b = NAME(vload)(x + j + VL);
                nan |= NAME(vunordered)(a, b);
                best = NAME(vlarger)(a, best);
                other = NAME(vlarger)(b, other);
            }
            if (j < whole) {
                const V a = NAME(vload)(x + j);
                nan |= NAME(vunordered)(a, a);
                best = NAME(vlarger)(a, best);
            }
            s[i] = NAME(vlarger)(other, best);
            with_nan[i] = NAME(vany)(nan);
        }
        NAME(vstore)(largest, NAME(largest_lanes)(s));
        for (ptrdiff_t i = 0; i < count; i++) {
            const T *x = m->x + (plane + i) * size;
            const V wanted = NAME(vset)(largest[i]);
            ptrdiff_t j = 0;
            CHOICE here;
            for (;; j += VL) {
                const V v = j < whole ? NAME(vload)(x + j) : NAME(vload_or)(x + j, rest, none);
                here = with_nan[i] ? NAME(vunordered)(v, v) : NAME(vsame)(v, wanted);
                if (NAME(vany)(here)) break;
            }
            j += NAME(vfirst)(here);
            m->y[plane + i] = x[j];
            if (m->taps8) m->taps8[plane + i] = (uint8_t)j;
            if (m->taps32) m->taps32[plane + i] = (int32_t)j;
            if (m->indices) m->indices[plane + i] = (int64_t)j;
        }
    }
}

INLINE void NAME(fill_run)(T *p, ptrdiff_t n, V v) {
    ptrdiff_t i = 0;
    for (; i + VL <= n; i += VL) NAME(vstore)(p + i, v);
    if (i < n) NAME(vstore_first)(p + i, n - i, v);
}

static void NAME(avg_whole_grad)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(pool_grad) *m = call;
    const ptrdiff_t size = NAME(volume)(m->g->in), last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    const T divisor = m->g->divisor ? (T)m->g->divisor : (T)size;
    (void)scratch;
    for (ptrdiff_t plane = task * m->a_task; plane < last; plane++)
        NAME(fill_run)(m->dx + plane * size, size, NAME(vset)(m->dy[plane] / divisor));
}

/* A tap from the caller's memory that lies outside is left out. */
static void NAME(max_whole_grad)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(pool_grad) *m = call;
    const ptrdiff_t size = NAME(volume)(m->g->in), last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    (void)scratch;
    for (ptrdiff_t plane = task * m->a_task; plane < last; plane++) {
        const ptrdiff_t tap = m->taps8 ? m->taps8[plane] : m->taps32[plane];
        T *dx = m->dx + plane * size;
        NAME(fill_run)(dx, size, NAME(vzero)());
        if (tap >= 0 && tap < size) dx[tap] += m->dy[plane];
    }
}

INLINE int NAME(run_whole)(NAME(pool_call) *m, fc_task *loop) {
    const ptrdiff_t size = NAME(volume)(m->g->in);
    m->rows = m->g->n * m->g->c;
    m->a_task = NAME(whole_vectors)(NAME(rows_a_task)(size));
    return fc_parallel((m->rows + m->a_task - 1) / m->a_task, (double)m->rows * (double)size, 0, loop, m);
}

INLINE int NAME(run_whole_grad)(NAME(pool_grad) *m, fc_task *loop) {
    const ptrdiff_t size = NAME(volume)(m->g->in);
    m->rows = m->g->n * m->g->c;
    m->a_task = NAME(rows_a_task)(size);
    return fc_parallel((m->rows + m->a_task - 1) / m->a_task, (double)m->rows * (double)size, 0, loop, m);
}
