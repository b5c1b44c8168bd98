/* Average pooling. A window is summed down its columns, then across (NCHW), or row by row (channels last), and divided once. Rows
   pass through scratch with zero margins, so that the padding needs no case of its own. */

/* The elements that windows count along the columns, as pool_call has them; NULL: no memory. */
INLINE T *NAME(counted_columns)(const fc_pool *g) {
    const ptrdiff_t columns = NAME(whole_vectors)(g->out[2]);
    T *count = fc_alloc(sizeof(T), (size_t)columns);
    for (ptrdiff_t q = 0; count && q < columns; q++)
        count[q] = q < g->out[2] && !g->divisor ? (T)NAME(counted)(g, 2, q) : 1;
    return count;
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
    const NAME(pool_call) *m = call;
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

/* Channels last, forward: output pixels, a vector of channels at a time. */
static void NAME(avg_pixels)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(pool_call) *m = call;
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

static int NAME(avg_pool_forward)(const fc_pool *g, const void *x, void *y) {
    NAME(pool_call) m = {.g = g, .x = x, .y = y, .margin = g->pad[2]};
    if (NAME(whole_plane)(g)) return NAME(run_whole)(&m, NAME(avg_whole));
    T *columns = NAME(counted_columns)(g);
    if (!columns) return FC_NO_MEMORY;
    m.columns = columns;
    m.rows = g->n * (g->channels_last ? NAME(volume)(g->out) : g->c * g->out[0] * g->out[1]);
    ptrdiff_t elements =
        g->channels_last ? g->c * NAME(volume)(g->kernel) : g->in[2] * (1 + g->kernel[0] * g->kernel[1]);
    fc_task *loop = g->channels_last ? NAME(avg_pixels) : NAME(avg_rows);
    size_t scratch = 0;
    if (NAME(fixed_windows)(g)) {
        elements = g->in[2] * g->stride[1] + g->out[2];
        loop = NAME(fixed_task)(g, NAME(MEAN));
        scratch = NAME(fixed_lay_out)(g, NULL, NULL);
    } else if (!g->channels_last) {
        /* The furthest vector read of the last windows, and the row itself in whole vectors. */
        m.length = NAME(larger)(NAME(whole_vectors)(g->out[2]) * NAME(smaller)(g->stride[2], 2) + g->kernel[2],
                                (g->out[2] - 1) * g->stride[2] + g->kernel[2]);
        m.length = NAME(larger)(m.length, g->pad[2] + NAME(whole_vectors)(g->in[2])) + 2 * VL;
        scratch = (size_t)m.length * sizeof(T);
    }
    m.a_task = NAME(rows_a_task)(elements);
    const int status =
        fc_parallel((m.rows + m.a_task - 1) / m.a_task, (double)m.rows * (double)elements, scratch, loop, &m);
    fc_free(columns);
    return status;
}
