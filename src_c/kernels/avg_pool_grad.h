/* Gradient of average pooling: every element of dx sums the dy, each divided as its window was, of the windows over it: down the
   rows of windows, then across. */

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
INLINE void NAME(spread_down)(const NAME(pool_grad) *m, ptrdiff_t plane, SPAN o, SPAN p, T *down) {
    const fc_pool *g = m->g;
    const ptrdiff_t P = g->out[1], Q = g->out[2];
    const T shared = o.first < o.last && p.first < p.last ? NAME(shared_divisor)(g, o, p) : 1;
    for (ptrdiff_t q = 0; q < Q; q += VL) {
        const V columns = NAME(vload)(m->columns + q);
        const MASK some = NAME(mask_range)(0, Q - q);
        V sum = NAME(vzero)();
        for (ptrdiff_t i = o.first; i < o.last; i++) {
            const T *dy = m->dy + ((plane * g->out[0] + i) * P + p.first) * Q + q;
            for (ptrdiff_t j = p.first; j < p.last; j++, dy += Q) {
                const V v = q + VL <= Q ? NAME(vload)(dy) : NAME(vload_masked)(dy, some);
                sum += shared != 0 ? v : v / (NAME(vset)(NAME(row_divisor)(g, i, j)) * columns);
            }
        }
        NAME(vstore)(down + q, shared != 0 ? sum / (NAME(vset)(shared) * columns) : sum);
    }
}

/* dx[w] = the sum of down[q] over the windows that hold column w: those w = stride * q - pad + s, or over[w]. */
INLINE void NAME(spread_across)(const fc_pool *g, const T *down, const SPAN *over, T *dx) {
    const ptrdiff_t W = g->in[2], S = g->kernel[2], stride = g->stride[2], pad = g->pad[2];
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
    } else {
        for (ptrdiff_t w = 0; w < W; w++) {
            T sum = 0;
            for (ptrdiff_t q = over[w].first; q < over[w].last; q++) sum += down[q];
            dx[w] = sum;
        }
    }
}

/* NCHW gradient: input rows. */
static void NAME(avg_grad_rows)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(pool_grad) *m = call;
    const fc_pool *g = m->g;
    const ptrdiff_t last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    const ptrdiff_t W = g->in[2];
    SPAN *over = scratch;
    T *row_sums = (T *)(void *)(over + (g->stride[2] > 2 ? W : 0)), *down = row_sums + m->margin;
    memset(row_sums, 0, (size_t)m->length * sizeof(T));
    for (ptrdiff_t w = 0; g->stride[2] > 2 && w < W; w++) over[w] = NAME(windows_over)(g, 2, w);
    PLACE at = NAME(place_of)(task * m->a_task, g->in);
    SPAN o_before = {-1, -1}, p_before = o_before;
    ptrdiff_t plane_before = -1;
    for (ptrdiff_t row = task * m->a_task; row < last; row++, NAME(next_place)(&at, g->in)) {
        const SPAN o = NAME(windows_over)(g, 0, at.depth), p = NAME(windows_over)(g, 1, at.height);
        T *dx = m->dx + row * W;
        /* Neighbouring rows often lie under the same windows. */
        if (at.plane == plane_before && o.first == o_before.first && o.last == o_before.last &&
            p.first == p_before.first && p.last == p_before.last) {
            memcpy(dx, dx - W, (size_t)W * sizeof(T));
            continue;
        }
        plane_before = at.plane;
        o_before = o;
        p_before = p;
        NAME(spread_down)(m, at.plane, o, p, down);
        NAME(spread_across)(g, down, over, dx);
    }
}

/* Channels last, gradient: input pixels. */
static void NAME(avg_grad_pixels)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(pool_grad) *m = call;
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
                    const T *dy = m->dy + (((at.plane * g->out[0] + i) * g->out[1] + j) * g->out[2] + q.first) * C + c;
                    for (ptrdiff_t k = q.first; k < q.last; k++, dy += C) {
                        const V v = lanes >= VL ? NAME(vload)(dy) : NAME(vload_masked)(dy, some);
                        sum += shared != 0 ? v : v / NAME(vset)(NAME(row_divisor)(g, i, j) * m->columns[k]);
                    }
                }
            NAME(store_some)(m->dx + pixel * C + c, lanes, shared != 0 ? sum / divisor : sum);
        }
    }
}

/* 2 x 2 windows that tile NCHW planes, gradient: each row of dy, every element twice, becomes two rows of dx. */
static void NAME(avg_grad_tiles)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(pool_grad) *m = call;
    const ptrdiff_t Q = m->g->out[2], last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    const V divisor = NAME(vset)(m->g->divisor ? (T)m->g->divisor : (T)4);
    (void)scratch;
    for (ptrdiff_t row = task * m->a_task; row < last; row++) {
        const T *dy = m->dy + row * Q;
        T *above = m->dx + row * 4 * Q, *below = above + 2 * Q;
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

static int NAME(avg_pool_backward)(const fc_pool *g, const void *dy, void *dx) {
    NAME(pool_grad) m = {.g = g, .dy = dy, .dx = dx, .margin = g->kernel[2]};
    if (NAME(whole_plane)(g)) return NAME(run_whole_grad)(&m, NAME(avg_whole_grad));
    T *columns = NAME(counted_columns)(g);
    if (!columns) return FC_NO_MEMORY;
    m.columns = columns;
    int status;
    if (NAME(fixed_windows)(g) && !NAME(tiles)(g)) {
        status = NAME(run_gather)(&m, NAME(MEAN));
    } else {
        const int tiled = NAME(tiles)(g);
        fc_task *const loop = g->channels_last ? NAME(avg_grad_pixels)
                              : tiled          ? NAME(avg_grad_tiles)
                                               : NAME(avg_grad_rows);
        m.rows = g->channels_last ? g->n * NAME(volume)(g->in)
                                  : g->n * g->c * (tiled ? g->out[0] * g->out[1] : g->in[0] * g->in[1]);
        const ptrdiff_t elements = g->channels_last ? g->c * 4 : tiled ? 4 * g->out[2] : g->in[2] * 2;
        if (!g->channels_last && !tiled)
            m.length = m.margin + NAME(whole_vectors)(NAME(larger)(g->in[2], g->out[2])) + g->pad[2] + 3 * VL;
        const size_t spans = m.length && g->stride[2] > 2 ? (size_t)g->in[2] * sizeof(SPAN) : 0;
        m.a_task = NAME(rows_a_task)(elements);
        status = fc_parallel((m.rows + m.a_task - 1) / m.a_task, (double)m.rows * (double)elements,
                             (size_t)m.length * sizeof(T) + spans, loop, &m);
    }
    fc_free(columns);
    return status;
}
