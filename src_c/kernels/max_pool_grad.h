/* Gradient of max pooling: every element of dx sums the dy of the windows that chose it, in row-major order of the windows,
   whether it gathers them (small windows) or they are scattered plane by plane. Tap numbers and indices come from the caller's
   memory: one that points outside its plane is left out, never followed. */

typedef struct NAME(max_grad_call) {
    const fc_pool *g;
    const T *dy;
    const uint8_t *taps8;
    const int32_t *taps32;
    const int64_t *indices;
    T *dx;
    ptrdiff_t rows, a_task;
    ptrdiff_t offset[256];
} NAME(max_grad_call);

#define SCATTER_CHANNELS 64

/* Scatter: task = some planes (NCHW, `channels` 1), or a block of channels of one volume (channels last). */
INLINE ptrdiff_t NAME(chosen)(const NAME(max_grad_call) *m, ptrdiff_t i, ptrdiff_t base) {
    const fc_pool *g = m->g;
    if (m->indices) return (ptrdiff_t)m->indices[i];
    if (m->taps8) return base + m->offset[m->taps8[i]];
    const ptrdiff_t tap = m->taps32[i], S = g->kernel[2], R = g->kernel[1];
    if (tap < 0 || tap >= NAME(volume)(g->kernel)) return -1;
    return base + tap % S * g->dilation[2] +
           (tap / S / R * g->dilation[0] * g->in[1] + tap / S % R * g->dilation[1]) * g->in[2];
}

INLINE void NAME(scatter_volume)(const NAME(max_grad_call) *m, ptrdiff_t out, ptrdiff_t in, ptrdiff_t pitch,
                                 ptrdiff_t channels) {
    const fc_pool *g = m->g;
    const ptrdiff_t size = NAME(volume)(g->in), Q = g->out[2];
    if (pitch == channels)
        memset(m->dx + in, 0, (size_t)(size * channels) * sizeof(T));
    else
        for (ptrdiff_t i = 0; i < size; i++) memset(m->dx + in + i * pitch, 0, (size_t)channels * sizeof(T));
    PLACE at = {0, 0, 0};
    for (ptrdiff_t row = 0; row < g->out[0] * g->out[1]; row++, NAME(next_place)(&at, g->out)) {
        const ptrdiff_t d = NAME(window_start)(g, 0, at.depth), h = NAME(window_start)(g, 1, at.height);
        ptrdiff_t base = (d * g->in[1] + h) * g->in[2] - g->pad[2], i = out + row * Q * pitch;
        for (ptrdiff_t q = 0; q < Q; q++, base += g->stride[2], i += pitch)
            for (ptrdiff_t c = 0; c < channels; c++) {
                const ptrdiff_t to = NAME(chosen)(m, i + c, base);
                if (to >= 0 && to < size) m->dx[in + to * pitch + c] += m->dy[i + c];
            }
    }
}

static void NAME(max_scatter)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(max_grad_call) *m = call;
    const fc_pool *g = m->g;
    const ptrdiff_t in = NAME(volume)(g->in), out = NAME(volume)(g->out);
    (void)scratch;
    if (g->channels_last) {
        const ptrdiff_t blocks = (g->c + SCATTER_CHANNELS - 1) / SCATTER_CHANNELS, n = task / blocks;
        const ptrdiff_t c = task % blocks * SCATTER_CHANNELS;
        NAME(scatter_volume)(m, n * out * g->c + c, n * in * g->c + c, g->c, NAME(smaller)(g->c - c, SCATTER_CHANNELS));
        return;
    }
    const ptrdiff_t last = NAME(smaller)((task + 1) * m->a_task, g->n * g->c);
    for (ptrdiff_t plane = task * m->a_task; plane < last; plane++)
        NAME(scatter_volume)(m, plane * out, plane * in, 1, 1);
}

static int NAME(run_scatter)(NAME(max_grad_call) *m) {
    const fc_pool *g = m->g;
    const ptrdiff_t size = NAME(volume)(g->in) + NAME(volume)(g->out);
    m->a_task = NAME(rows_a_task)(size);
    const ptrdiff_t blocks = (g->c + SCATTER_CHANNELS - 1) / SCATTER_CHANNELS;
    const ptrdiff_t tasks = g->channels_last ? g->n * blocks : (g->n * g->c + m->a_task - 1) / m->a_task;
    return fc_parallel(tasks, (double)g->n * (double)g->c * (double)size, 0, NAME(max_scatter), m);
}

/* Gather, NCHW, column stride 1 or 2 (STEP; with 2, dilation 1): column w = STEP * u + j receives tap s of window column
   u + (j + pad - s) / STEP. Adds what window rows at dy and taps (first tap `number`) give to the columns of one vector of u. */
INLINE void NAME(gather_row)(const fc_pool *g, const T *dy, const uint8_t *taps, TI number, ptrdiff_t u, V *sum,
                             const ptrdiff_t STEP, const int edge) {
    const ptrdiff_t S = g->kernel[2], Q = g->out[2], pad = g->pad[2], dilation = STEP == 1 ? g->dilation[2] : 1;
    UNROLL(2)
    for (ptrdiff_t j = 0; j < STEP; j++) {
        V acc = sum[j];
        /* From the last tap that reaches this phase to the first: window columns in ascending order. */
        ptrdiff_t s = STEP == 1 ? S - 1 : S - 1 - ((S - 1 - j - pad) & 1);
        for (; s >= 0; s -= STEP) {
            const ptrdiff_t q = u + (STEP == 1 ? pad - s * dilation : (j + pad - s) >> 1);
            V v;
            VI tap;
            if (edge) {
                v = NAME(vload_masked)(dy + q, NAME(mask_range)(-q, Q - q));
                tap = NAME(load_bytes_masked)(taps + q, -q, Q - q);
            } else {
                v = NAME(vload)(dy + q);
                tap = NAME(load_bytes)(taps + q);
            }
            acc += NAME(vkeep)(NAME(vequal)(tap, NAME(vset_int)(number + (TI)s)), v);
        }
        sum[j] = acc;
    }
}

/* All window rows that reach the input row at `at`. */
INLINE void NAME(gather_rows)(const NAME(max_grad_call) *m, const PLACE at, SPAN o, SPAN p, ptrdiff_t u, V *sum,
                              const ptrdiff_t STEP, const int edge) {
    const fc_pool *g = m->g;
    for (ptrdiff_t i = o.first; i < o.last; i++) {
        const ptrdiff_t t = NAME(tap_at)(g, 0, i, at.depth);
        if (t < 0) continue;
        for (ptrdiff_t j = p.first; j < p.last; j++) {
            const ptrdiff_t r = NAME(tap_at)(g, 1, j, at.height);
            if (r < 0) continue;
            const ptrdiff_t row = ((at.plane * g->out[0] + i) * g->out[1] + j) * g->out[2];
            NAME(gather_row)(g, m->dy + row, m->taps8 + row, (TI)((t * g->kernel[1] + r) * g->kernel[2]), u, sum, STEP, edge);
        }
    }
}

INLINE void NAME(max_gather_task)(const NAME(max_grad_call) *m, ptrdiff_t task, const ptrdiff_t STEP) {
    const fc_pool *g = m->g;
    const ptrdiff_t W = g->in[2], Q = g->out[2], pad = g->pad[2];
    const ptrdiff_t reach = (g->kernel[2] - 1) * g->dilation[2], last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    /* Window columns that u receives: u - before ... u + after */
    const ptrdiff_t before = reach - pad, after = STEP == 1 ? pad : (pad + 1) / 2;
    PLACE at = NAME(place_of)(task * m->a_task, g->in);
    for (ptrdiff_t row = task * m->a_task; row < last; row++, NAME(next_place)(&at, g->in)) {
        const SPAN o = NAME(windows_over)(g, 0, at.depth), p = NAME(windows_over)(g, 1, at.height);
        T *dx = m->dx + row * W;
        for (ptrdiff_t w = 0; w < W; w += STEP * VL) {
            const ptrdiff_t u = w / STEP;
            V sum[2] = {NAME(vzero)(), NAME(vzero)()};
            if (u >= before && u + after + VL <= Q)
                NAME(gather_rows)(m, at, o, p, u, sum, STEP, 0);
            else
                NAME(gather_rows)(m, at, o, p, u, sum, STEP, 1);
            const V a = STEP == 1 ? sum[0] : NAME(vinterleave_low)(sum[0], sum[1]);
            const V b = STEP == 1 ? sum[0] : NAME(vinterleave_high)(sum[0], sum[1]);
            if (w + STEP * VL <= W) {
                NAME(vstore)(dx + w, a);
                if (STEP == 2) NAME(vstore)(dx + w + VL, b);
            } else {
                NAME(vstore_first)(dx + w, NAME(smaller)(W - w, VL), a);
                if (STEP == 2 && W - w > VL) NAME(vstore_first)(dx + w + VL, W - w - VL, b);
            }
        }
    }
}
static void NAME(max_gather_1)(void *call, ptrdiff_t task, void *scratch) {
    (void)scratch;
    NAME(max_gather_task)(call, task, 1);
}
static void NAME(max_gather_2)(void *call, ptrdiff_t task, void *scratch) {
    (void)scratch;
    NAME(max_gather_task)(call, task, 2);
}

/* Gather, channels last: input pixels, a vector of channels at a time. */
static void NAME(max_gather_pixels)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(max_grad_call) *m = call;
    const fc_pool *g = m->g;
    const ptrdiff_t C = g->c, W = g->in[2], last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    (void)scratch;
    for (ptrdiff_t pixel = task * m->a_task; pixel < last; pixel++) {
        const PLACE at = NAME(place_of)(pixel / W, g->in);
        const ptrdiff_t w = pixel % W;
        const SPAN o = NAME(windows_over)(g, 0, at.depth), p = NAME(windows_over)(g, 1, at.height),
                   q = NAME(windows_over)(g, 2, w);
        for (ptrdiff_t c = 0; c < C; c += VL) {
            const ptrdiff_t lanes = C - c;
            const MASK some = NAME(mask_range)(0, lanes);
            V sum = NAME(vzero)();
            for (ptrdiff_t i = o.first; i < o.last; i++)
                for (ptrdiff_t j = p.first; j < p.last; j++)
                    for (ptrdiff_t k = q.first; k < q.last; k++) {
                        const ptrdiff_t t = NAME(tap_at)(g, 0, i, at.depth), r = NAME(tap_at)(g, 1, j, at.height),
                                        s = NAME(tap_at)(g, 2, k, w);
                        if (t < 0 || r < 0 || s < 0) continue;
                        const ptrdiff_t e = (((at.plane * g->out[0] + i) * g->out[1] + j) * g->out[2] + k) * C + c;
                        const VI want = NAME(vset_int)((TI)((t * g->kernel[1] + r) * g->kernel[2] + s));
                        const VI tap = lanes >= VL ? NAME(load_bytes)(m->taps8 + e)
                                                   : NAME(load_bytes_masked)(m->taps8 + e, 0, lanes);
                        const V v = lanes >= VL ? NAME(vload)(m->dy + e) : NAME(vload_masked)(m->dy + e, some);
                        sum += NAME(vkeep)(NAME(vequal)(tap, want), v);
                    }
            NAME(vstore_masked)(m->dx + pixel * C + c, some, sum);
        }
    }
}

/* A gather reads every window an element lies in, a scatter walks the windows one by one: it pays up to about a vector. */
INLINE fc_task *NAME(max_gather)(const fc_pool *g) {
    double reads = 1;
    if (NAME(volume)(g->kernel) > 256) return NULL;
    for (int a = 0; a < 3; a++) reads *= (double)g->kernel[a] / (double)NAME(smaller)(g->stride[a], g->kernel[a]);
    if (reads > (double)VL + 1) return NULL;
    if (g->channels_last) return NAME(max_gather_pixels);
    if (g->stride[2] == 1) return NAME(max_gather_1);
    return g->stride[2] == 2 && g->dilation[2] == 1 ? NAME(max_gather_2) : NULL;
}

static int NAME(max_pool_backward_taps)(const fc_pool *g, const void *dy, const void *taps, void *dx) {
    NAME(max_grad_call) m = {.g = g, .dy = dy, .dx = dx};
    if (NAME(volume)(g->kernel) <= 256)
        m.taps8 = taps;
    else
        m.taps32 = taps;
    fc_task *const gather = NAME(max_gather)(g);
    if (!gather) {
        NAME(fill_offsets)(g, m.offset);
        return NAME(run_scatter)(&m);
    }
    m.rows = g->n * (g->channels_last ? NAME(volume)(g->in) : g->c * g->in[0] * g->in[1]);
    const ptrdiff_t elements = (g->channels_last ? g->c : g->in[2]) * 3;
    m.a_task = NAME(rows_a_task)(elements);
    return fc_parallel((m.rows + m.a_task - 1) / m.a_task, (double)m.rows * (double)elements, 0, gather, &m);
}

static int NAME(max_pool_backward)(const fc_pool *g, const void *dy, const int64_t *indices, void *dx) {
    NAME(max_grad_call) m = {.g = g, .dy = dy, .indices = indices, .dx = dx};
    return NAME(run_scatter)(&m);
}
