/* Average pooling and its gradient. A window is summed down its columns, then across (NCHW), or row by row (channels last), and
   divided once. Rows pass through scratch with zero margins, so that the padding needs no case of its own. */

typedef struct NAME(avg_pool_call) {
    const fc_pool *g;
    const T *x; /* of the gradient: dy */
    T *y; /* of the gradient: dx */
    /* Elements of a window along the columns, per output column (whole vectors, 1 behind); 1 under divisor_override. */
    const T *columns;
    ptrdiff_t rows, a_task;
    ptrdiff_t margin, length; /* of the scratch row: zeros before, elements in all */
} NAME(avg_pool_call);

/* How many elements the window of output o counts along an axis: those inside, or also those in the explicit padding. */
INLINE ptrdiff_t NAME(counted)(const fc_pool *g, int axis, ptrdiff_t o) {
    if (!g->count_include_pad) {
        const SPAN s = NAME(taps_inside)(g, axis, o);
        return s.last - s.first;
    }
    return NAME(smaller)(g->kernel[axis], g->in[axis] + g->pad_after[axis] - NAME(window_start)(g, axis, o));
}

INLINE T NAME(row_divisor)(const fc_pool *g, ptrdiff_t depth, ptrdiff_t height) {
    return g->divisor ? (T)g->divisor : (T)(NAME(counted)(g, 0, depth) * NAME(counted)(g, 1, height));
}

/* Adds up elements s = 0 .. S-1 of the windows at row[at], row[at + stride], ...: one vector of windows. */
INLINE V NAME(sum_across)(const T *row, ptrdiff_t at, ptrdiff_t S, ptrdiff_t lanes, ptrdiff_t stride) {
    V sum = NAME(vzero)();
    if (stride == 1) {
        for (ptrdiff_t s = 0; s < S; s++) sum += NAME(vload)(row + at + s);
    } else if (stride == 2) {
        for (ptrdiff_t s = 0; s < S; s += 2) {
            const V a = NAME(vload)(row + at + s), b = NAME(vload)(row + at + s + VL);
            sum += NAME(veven)(a, b);
            if (s + 1 < S) sum += NAME(vodd)(a, b);
        }
    } else {
        T lane[VBYTES / T_BYTES] = {0};
        for (ptrdiff_t i = 0; i < VL && i < lanes; i++)
            for (ptrdiff_t s = 0; s < S; s++) lane[i] += row[at + i * stride + s];
        sum = NAME(vload)(lane);
    }
    return sum;
}

/* NCHW forward: output rows. */
static void NAME(avg_rows)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(avg_pool_call) *m = call;
    const fc_pool *g = m->g;
    const ptrdiff_t W = g->in[2], H = g->in[1], Q = g->out[2], S = g->kernel[2], stride = g->stride[2];
    const ptrdiff_t last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    T *down = scratch;
    memset(down, 0, (size_t)m->length * sizeof(T));
    PLACE at = NAME(place_of)(task * m->a_task, g->out);
    for (ptrdiff_t row = task * m->a_task; row < last; row++, NAME(next_place)(&at, g->out)) {
        const SPAN t = NAME(taps_inside)(g, 0, at.depth), r = NAME(taps_inside)(g, 1, at.height);
        const ptrdiff_t d0 = NAME(window_start)(g, 0, at.depth) + t.first,
                        h0 = NAME(window_start)(g, 1, at.height) + r.first;
        const T *x = m->x + (at.plane * g->in[0] * H + d0 * H + h0) * W;
        for (ptrdiff_t w = 0; w < W; w += VL) {
            V sum = NAME(vzero)();
            const MASK some = NAME(mask_range)(0, W - w);
            for (ptrdiff_t i = 0; i < t.last - t.first; i++) {
                const T *p = x + i * H * W + w;
                if (w + VL <= W)
                    for (ptrdiff_t j = r.first; j < r.last; j++, p += W) sum += NAME(vload)(p);
                else
                    for (ptrdiff_t j = r.first; j < r.last; j++, p += W) sum += NAME(vload_masked)(p, some);
            }
            NAME(vstore)(down + m->margin + w, sum);
        }
        const V divisor = NAME(vset)(NAME(row_divisor)(g, at.depth, at.height));
        T *y = m->y + row * Q;
        for (ptrdiff_t q = 0; q < Q; q += VL) {
            const V sum = NAME(sum_across)(down, q * stride, S, Q - q, stride);
            const V mean = sum / (divisor * NAME(vload)(m->columns + q));
            if (q + VL <= Q)
                NAME(vstore)(y + q, mean);
            else
                NAME(vstore_first)(y + q, Q - q, mean);
        }
    }
}

/* Sum of n neighbours: four running vectors, folded every 64 rounds so that no sum grows long. */
INLINE T NAME(sum_run)(const T *p, ptrdiff_t n) {
    T total = 0;
    while (n > 0) {
        const ptrdiff_t part = NAME(smaller)(n, 64 * 4 * VL), whole = part / (4 * VL) * (4 * VL);
        V a = NAME(vzero)(), b = a, c = a, d = a;
        ptrdiff_t i = 0;
        for (; i < whole; i += 4 * VL) {
            a += NAME(vload)(p + i);
            b += NAME(vload)(p + i + VL);
            c += NAME(vload)(p + i + 2 * VL);
            d += NAME(vload)(p + i + 3 * VL);
        }
        for (; i + VL <= part; i += VL) a += NAME(vload)(p + i);
        if (i < part) b += NAME(vload_first)(p + i, part - i);
        total += NAME(vsum)((a + b) + (c + d));
        p += part;
        n -= part;
    }
    return total;
}

/* NCHW forward with one window that is the whole plane. */
static void NAME(avg_whole)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(avg_pool_call) *m = call;
    const ptrdiff_t size = NAME(volume)(m->g->in), last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    const T divisor = m->g->divisor ? (T)m->g->divisor : (T)size;
    (void)scratch;
    for (ptrdiff_t plane = task * m->a_task; plane < last; plane++)
        m->y[plane] = NAME(sum_run)(m->x + plane * size, size) / divisor;
}

static void NAME(avg_whole_grad)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(avg_pool_call) *m = call;
    const ptrdiff_t size = NAME(volume)(m->g->in), last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    const T divisor = m->g->divisor ? (T)m->g->divisor : (T)size;
    (void)scratch;
    for (ptrdiff_t plane = task * m->a_task; plane < last; plane++) {
        const V share = NAME(vset)(m->x[plane] / divisor);
        T *dx = m->y + plane * size;
        ptrdiff_t i = 0;
        for (; i + VL <= size; i += VL) NAME(vstore)(dx + i, share);
        if (i < size) NAME(vstore_first)(dx + i, size - i, share);
    }
}

/* Channels last, forward: output pixels, a vector of channels at a time. */
static void NAME(avg_pixels)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(avg_pool_call) *m = call;
    const fc_pool *g = m->g;
    const ptrdiff_t C = g->c, H = g->in[1], W = g->in[2], Q = g->out[2];
    const ptrdiff_t last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    (void)scratch;
    for (ptrdiff_t pixel = task * m->a_task; pixel < last; pixel++) {
        const ptrdiff_t q = pixel % Q;
        const PLACE at = NAME(place_of)(pixel / Q, g->out);
        const SPAN t = NAME(taps_inside)(g, 0, at.depth), r = NAME(taps_inside)(g, 1, at.height),
                   s = NAME(taps_inside)(g, 2, q);
        const ptrdiff_t d0 = NAME(window_start)(g, 0, at.depth), h0 = NAME(window_start)(g, 1, at.height),
                        w0 = NAME(window_start)(g, 2, q);
        const V divisor = NAME(vset)(NAME(row_divisor)(g, at.depth, at.height) * m->columns[q]);
        const T *corner = m->x + (at.plane * NAME(volume)(g->in) + (d0 * H + h0) * W + w0) * C;
        for (ptrdiff_t c = 0; c < C; c += VL) {
            const MASK some = NAME(mask_range)(0, C - c);
            V total = NAME(vzero)();
            for (ptrdiff_t i = t.first; i < t.last; i++)
                for (ptrdiff_t j = r.first; j < r.last; j++) {
                    const T *p = corner + ((i * H + j) * W + s.first) * C + c;
                    V sum = NAME(vzero)();
                    if (c + VL <= C)
                        for (ptrdiff_t k = s.first; k < s.last; k++, p += C) sum += NAME(vload)(p);
                    else
                        for (ptrdiff_t k = s.first; k < s.last; k++, p += C) sum += NAME(vload_masked)(p, some);
                    total += sum;
                }
            NAME(vstore_masked)(m->y + pixel * C + c, some, total / divisor);
        }
    }
}

/* The windows o x p that reach an input row have one divisor, or 0 if they differ: then each is divided before it is added. */
INLINE T NAME(shared_divisor)(const fc_pool *g, SPAN o, SPAN p) {
    const T divisor = NAME(row_divisor)(g, o.first, p.first);
    if (g->divisor) return divisor;
    for (ptrdiff_t i = o.first; i < o.last; i++)
        for (ptrdiff_t j = p.first; j < p.last; j++)
            if (NAME(row_divisor)(g, i, j) != divisor) return 0;
    return divisor;
}

/* down[q] = what each element of an input row under window column q receives from the window rows o x p of a plane. */
INLINE void NAME(spread_down)(const NAME(avg_pool_call) *m, ptrdiff_t plane, SPAN o, SPAN p, T *down) {
    const fc_pool *g = m->g;
    const ptrdiff_t P = g->out[1], Q = g->out[2];
    const T shared = o.first < o.last && p.first < p.last ? NAME(shared_divisor)(g, o, p) : 1;
    for (ptrdiff_t q = 0; q < Q; q += VL) {
        const V columns = NAME(vload)(m->columns + q);
        const MASK some = NAME(mask_range)(0, Q - q);
        V sum = NAME(vzero)();
        for (ptrdiff_t i = o.first; i < o.last; i++) {
            const T *dy = m->x + ((plane * g->out[0] + i) * P + p.first) * Q + q;
            for (ptrdiff_t j = p.first; j < p.last; j++, dy += Q) {
                const V v = q + VL <= Q ? NAME(vload)(dy) : NAME(vload_masked)(dy, some);
                sum += shared != 0 ? v : v / (NAME(vset)(NAME(row_divisor)(g, i, j)) * columns);
            }
        }
        NAME(vstore)(down + q, shared != 0 ? sum / (NAME(vset)(shared) * columns) : sum);
    }
}

/* dx[w] = the sum of down[q] over the windows that hold column w: those w = stride * q - pad + s. */
INLINE void NAME(spread_across)(const fc_pool *g, const T *down, T *dx) {
    const ptrdiff_t W = g->in[2], Q = g->out[2], S = g->kernel[2], stride = g->stride[2], pad = g->pad[2];
    if (stride == 1) {
        for (ptrdiff_t w = 0; w < W; w += VL) {
            V sum = NAME(vzero)();
            for (ptrdiff_t s = S - 1; s >= 0; s--) sum += NAME(vload)(down + w + pad - s);
            NAME(store_some)(dx + w, W - w, sum);
        }
    } else if (stride ==
               2) { /* columns 2 u and 2 u + 1 lie under windows u + (j + pad - s) / 2, s of the parity of j + pad */
        const ptrdiff_t last0 = S - 1 - ((S - 1 - pad) & 1), last1 = S - 1 - ((S - 2 - pad) & 1);
        for (ptrdiff_t w = 0; w < W; w += 2 * VL) {
            const T *at = down + w / 2;
            V even = NAME(vzero)(), odd = even;
            for (ptrdiff_t s = last0; s >= 0; s -= 2) even += NAME(vload)(at + ((pad - s) >> 1));
            for (ptrdiff_t s = last1; s >= 0; s -= 2) odd += NAME(vload)(at + ((1 + pad - s) >> 1));
            NAME(store_some)(dx + w, W - w, NAME(vinterleave_low)(even, odd));
            NAME(store_some)(dx + w + VL, W - w - VL, NAME(vinterleave_high)(even, odd));
        }
    } else { /* windows one by one */
        memset(dx, 0, (size_t)W * sizeof(T));
        for (ptrdiff_t q = 0; q < Q; q++) {
            const ptrdiff_t w = q * stride - pad, end = NAME(smaller)(w + S, W);
            for (ptrdiff_t i = w < 0 ? 0 : w; i < end; i++) dx[i] += down[q];
        }
    }
}

/* NCHW gradient: input rows. */
static void NAME(avg_grad_rows)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(avg_pool_call) *m = call;
    const fc_pool *g = m->g;
    const ptrdiff_t last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    T *down = (T *)scratch + m->margin;
    memset(scratch, 0, (size_t)m->length * sizeof(T));
    PLACE at = NAME(place_of)(task * m->a_task, g->in);
    SPAN o_before = {-1, -1}, p_before = o_before;
    ptrdiff_t plane_before = -1;
    for (ptrdiff_t row = task * m->a_task; row < last; row++, NAME(next_place)(&at, g->in)) {
        const SPAN o = NAME(windows_over)(g, 0, at.depth), p = NAME(windows_over)(g, 1, at.height);
        /* Neighbouring rows often lie under the same windows. */
        if (at.plane != plane_before || o.first != o_before.first || o.last != o_before.last ||
            p.first != p_before.first || p.last != p_before.last)
            NAME(spread_down)(m, at.plane, o, p, down);
        plane_before = at.plane;
        o_before = o;
        p_before = p;
        NAME(spread_across)(g, down, m->y + row * g->in[2]);
    }
}

/* Channels last, gradient: input pixels. */
static void NAME(avg_grad_pixels)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(avg_pool_call) *m = call;
    const fc_pool *g = m->g;
    const ptrdiff_t C = g->c, W = g->in[2], last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    (void)scratch;
    for (ptrdiff_t pixel = task * m->a_task; pixel < last; pixel++) {
        const PLACE at = NAME(place_of)(pixel / W, g->in);
        const SPAN o = NAME(windows_over)(g, 0, at.depth), p = NAME(windows_over)(g, 1, at.height),
                   q = NAME(windows_over)(g, 2, pixel % W);
        const int none = o.first >= o.last || p.first >= p.last || q.first >= q.last;
        T shared = none ? 1 : NAME(shared_divisor)(g, o, p);
        for (ptrdiff_t k = q.first + 1; k < q.last; k++)
            if (m->columns[k] != m->columns[q.first]) shared = 0;
        const V divisor = NAME(vset)(none ? 1 : shared * m->columns[q.first]);
        for (ptrdiff_t c = 0; c < C; c += VL) {
            if (C - c < VL && C >= VL) c = C - VL;
            const ptrdiff_t lanes = C - c;
            const MASK some = NAME(mask_range)(0, lanes);
            V sum = NAME(vzero)();
            for (ptrdiff_t i = o.first; i < o.last; i++)
                for (ptrdiff_t j = p.first; j < p.last; j++) {
                    const T *dy = m->x + (((at.plane * g->out[0] + i) * g->out[1] + j) * g->out[2] + q.first) * C + c;
                    for (ptrdiff_t k = q.first; k < q.last; k++, dy += C) {
                        const V v = lanes >= VL ? NAME(vload)(dy) : NAME(vload_masked)(dy, some);
                        sum += shared != 0 ? v : v / NAME(vset)(NAME(row_divisor)(g, i, j) * m->columns[k]);
                    }
                }
            NAME(store_some)(m->y + pixel * C + c, lanes, shared != 0 ? sum / divisor : sum);
        }
    }
}

/* 2 x 2 windows that tile NCHW planes, gradient: each row of dy, every element twice, becomes two rows of dx. */
static void NAME(avg_grad_tiles)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(avg_pool_call) *m = call;
    const ptrdiff_t Q = m->g->out[2], last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    const V divisor = NAME(vset)(m->g->divisor ? (T)m->g->divisor : (T)4);
    (void)scratch;
    for (ptrdiff_t row = task * m->a_task; row < last; row++) {
        const T *dy = m->x + row * Q;
        T *above = m->y + row * 4 * Q, *below = above + 2 * Q;
        for (ptrdiff_t q = 0; q < Q; q += VL) {
            const ptrdiff_t lanes = Q - q;
            const V v = (lanes >= VL ? NAME(vload)(dy + q) : NAME(vload_first)(dy + q, lanes)) / divisor;
            const V low = NAME(vinterleave_low)(v, v), high = NAME(vinterleave_high)(v, v);
            for (int twice = 0; twice < 2; twice++) {
                T *to = (twice ? below : above) + 2 * q;
                if (lanes >= VL) {
                    NAME(vstore)(to, low);
                    NAME(vstore)(to + VL, high);
                } else {
                    NAME(vstore_first)(to, NAME(smaller)(VL, 2 * lanes), low);
                    if (2 * lanes > VL) NAME(vstore_first)(to + VL, 2 * lanes - VL, high);
                }
            }
        }
    }
}

/* Runs one of the loops above over `rows` rows of `elements` each. */
INLINE int NAME(run_avg)(NAME(avg_pool_call) *m, ptrdiff_t rows, ptrdiff_t elements, fc_task *loop) {
    const fc_pool *g = m->g;
    const ptrdiff_t columns = NAME(whole_vectors)(g->out[2]);
    T *count = fc_alloc(sizeof(T), (size_t)columns);
    if (!count) return FC_NO_MEMORY;
    for (ptrdiff_t q = 0; q < columns; q++) count[q] = q < g->out[2] && !g->divisor ? (T)NAME(counted)(g, 2, q) : 1;
    m->columns = count;
    m->rows = rows;
    m->a_task = NAME(rows_a_task)(elements);
    const int status = fc_parallel((rows + m->a_task - 1) / m->a_task, (double)rows * (double)elements,
                                   (size_t)m->length * sizeof(T), loop, m);
    fc_free(count);
    return status;
}

static int NAME(avg_pool_forward)(const fc_pool *g, const void *x, void *y) {
    NAME(avg_pool_call) m = {.g = g, .x = x, .y = y, .margin = g->pad[2]};
    if (NAME(whole_plane)(g)) return NAME(run_avg)(&m, g->n * g->c, NAME(volume)(g->in), NAME(avg_whole));
    if (g->channels_last)
        return NAME(run_avg)(&m, g->n * NAME(volume)(g->out), g->c * NAME(volume)(g->kernel), NAME(avg_pixels));
    /* The furthest vector read of the last windows, and the row itself in whole vectors. */
    m.length = NAME(larger)(NAME(whole_vectors)(g->out[2]) * NAME(smaller)(g->stride[2], 2) + g->kernel[2],
                            (g->out[2] - 1) * g->stride[2] + g->kernel[2]);
    m.length = NAME(larger)(m.length, g->pad[2] + NAME(whole_vectors)(g->in[2])) + 2 * VL;
    return NAME(run_avg)(&m, g->n * g->c * g->out[0] * g->out[1], g->in[2] * (1 + g->kernel[0] * g->kernel[1]),
                         NAME(avg_rows));
}

static int NAME(avg_pool_backward)(const fc_pool *g, const void *dy, void *dx) {
    NAME(avg_pool_call) m = {.g = g, .x = dy, .y = dx};
    if (NAME(whole_plane)(g)) return NAME(run_avg)(&m, g->n * g->c, NAME(volume)(g->in), NAME(avg_whole_grad));
    if (g->channels_last) return NAME(run_avg)(&m, g->n * NAME(volume)(g->in), g->c * 4, NAME(avg_grad_pixels));
    if (NAME(tiles)(g))
        return NAME(run_avg)(&m, g->n * g->c * g->out[0] * g->out[1], 4 * g->out[2], NAME(avg_grad_tiles));
    m.margin = g->kernel[2];
    m.length = m.margin + NAME(whole_vectors)(NAME(larger)(g->in[2], g->out[2])) + g->pad[2] + 3 * VL;
    return NAME(run_avg)(&m, g->n * g->c * g->in[0] * g->in[1], g->in[2] * 2, NAME(avg_grad_rows));
}
