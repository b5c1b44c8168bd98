/* Gradient of max pooling: every element of dx sums the dy of the windows that chose it, in row-major order of the windows. Tap
   numbers and indices come from the caller's memory: one that points outside its volume is left out, never followed.
   The windows of pool_gather.h and those that tile or are the whole plane do without the scatter. */

#define SCATTER_CHANNELS 64

/* Where output i chose its element; `base` is where the first tap of its window lies, `source` the bytes a choice takes. */
INLINE ptrdiff_t NAME(chosen)(const NAME(pool_grad) *m, ptrdiff_t i, ptrdiff_t base, const int source) {
    const fc_pool *g = m->g;
    if (source == 8) return (ptrdiff_t)m->indices[i];
    if (source == 1) return base + m->offset[m->taps8[i]];
    const ptrdiff_t tap = m->taps32[i], S = g->kernel[2], R = g->kernel[1];
    if (tap < 0 || tap >= NAME(volume)(g->kernel)) return -1;
    return base + tap % S * g->dilation[2] +
           (tap / S / R * g->dilation[0] * g->in[1] + tap / S % R * g->dilation[1]) * g->in[2];
}

/* One volume: outputs from `out` and inputs from `in` on, elements `pitch` apart, `channels` of them side by side. */
INLINE void NAME(scatter_volume)(const NAME(pool_grad) *m, ptrdiff_t out, ptrdiff_t in, ptrdiff_t pitch,
                                 ptrdiff_t channels, const int source) {
    const fc_pool *g = m->g;
    const ptrdiff_t size = NAME(volume)(g->in), Q = g->out[2], step = g->stride[2];
    const T *dy = m->dy + out;
    T *dx = m->dx + in;
    if (pitch == channels)
        memset(dx, 0, (size_t)(size * channels) * sizeof(T));
    else
        for (ptrdiff_t i = 0; i < size; i++) memset(dx + i * pitch, 0, (size_t)channels * sizeof(T));
    PLACE at = {0, 0, 0};
    for (ptrdiff_t row = 0; row < g->out[0] * g->out[1]; row++, NAME(next_place)(&at, g->out)) {
        const ptrdiff_t d = NAME(window_start)(g, 0, at.depth), h = NAME(window_start)(g, 1, at.height);
        ptrdiff_t base = (d * g->in[1] + h) * g->in[2] - g->pad[2], i = row * Q * pitch;
        for (ptrdiff_t q = 0; q < Q; q++, base += step, i += pitch)
            for (ptrdiff_t c = 0; c < channels; c++) {
                const ptrdiff_t to = NAME(chosen)(m, out + i + c, base, source);
                if (to >= 0 && to < size) dx[to * pitch + c] += dy[i + c];
            }
    }
}

/* Task: some planes (NCHW), or a block of channels of one volume (channels last). */
INLINE void NAME(scatter_task)(const NAME(pool_grad) *m, ptrdiff_t task, const int source) {
    const fc_pool *g = m->g;
    const ptrdiff_t in = NAME(volume)(g->in), out = NAME(volume)(g->out);
    if (g->channels_last) {
        const ptrdiff_t blocks = (g->c + SCATTER_CHANNELS - 1) / SCATTER_CHANNELS, n = task / blocks;
        const ptrdiff_t c = task % blocks * SCATTER_CHANNELS, count = NAME(smaller)(g->c - c, SCATTER_CHANNELS);
        NAME(scatter_volume)(m, n * out * g->c + c, n * in * g->c + c, g->c, count, source);
        return;
    }
    const ptrdiff_t last = NAME(smaller)((task + 1) * m->a_task, g->n * g->c);
    for (ptrdiff_t plane = task * m->a_task; plane < last; plane++)
        NAME(scatter_volume)(m, plane * out, plane * in, 1, 1, source);
}
static void NAME(scatter_taps8)(void *call, ptrdiff_t task, void *scratch) {
    (void)scratch;
    NAME(scatter_task)(call, task, 1);
}
static void NAME(scatter_taps32)(void *call, ptrdiff_t task, void *scratch) {
    (void)scratch;
    NAME(scatter_task)(call, task, 4);
}
static void NAME(scatter_indices)(void *call, ptrdiff_t task, void *scratch) {
    (void)scratch;
    NAME(scatter_task)(call, task, 8);
}

INLINE int NAME(run_scatter)(NAME(pool_grad) *m, fc_task *loop) {
    const fc_pool *g = m->g;
    const ptrdiff_t size = NAME(volume)(g->in) + NAME(volume)(g->out);
    const ptrdiff_t blocks = (g->c + SCATTER_CHANNELS - 1) / SCATTER_CHANNELS;
    m->a_task = NAME(rows_a_task)(size);
    const ptrdiff_t tasks = g->channels_last ? g->n * blocks : (g->n * g->c + m->a_task - 1) / m->a_task;
    return fc_parallel(tasks, (double)g->n * (double)g->c * (double)size, 0, loop, m);
}

/* Windows that tile: a vector of dy becomes four vectors of dx, two in each of two rows. */
INLINE void NAME(tile_pair)(V v, TAPS tap, int number, T *dx, ptrdiff_t n) {
    const V even = NAME(vkeep)(NAME(taps_are)(tap, NAME(taps_number)(number)), v) + NAME(vzero)();
    const V odd = NAME(vkeep)(NAME(taps_are)(tap, NAME(taps_number)(number + 1)), v) + NAME(vzero)();
    const V a = NAME(vinterleave_low)(even, odd), b = NAME(vinterleave_high)(even, odd);
    if (n >= VL) {
        NAME(vstore)(dx, a);
        NAME(vstore)(dx + VL, b);
    } else {
        NAME(vstore_first)(dx, NAME(smaller)(2 * n, VL), a);
        if (2 * n > VL) NAME(vstore_first)(dx + VL, 2 * n - VL, b);
    }
}

static void NAME(max_tiles)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(pool_grad) *m = call;
    const fc_pool *g = m->g;
    const ptrdiff_t Q = g->out[2], rows = g->n * g->c * g->out[0] * g->out[1];
    const ptrdiff_t last = NAME(smaller)((task + 1) * m->a_task, rows);
    (void)scratch;
    for (ptrdiff_t row = task * m->a_task; row < last; row++) {
        const T *dy = m->dy + row * Q;
        const uint8_t *taps = m->taps8 + row * Q;
        T *dx = m->dx + row * 4 * Q;
        for (ptrdiff_t q = 0; q < Q; q += VL) {
            if (Q - q < VL && Q >= VL) q = Q - VL;
            const ptrdiff_t n = Q - q;
            const V v = n >= VL ? NAME(vload)(dy + q) : NAME(vload_first)(dy + q, n);
            const TAPS tap = n >= VL ? NAME(load_taps)(taps + q) : NAME(load_taps_masked)(taps + q, 0, n);
            NAME(tile_pair)(v, tap, 0, dx + 2 * q, n);
            NAME(tile_pair)(v, tap, 2, dx + 2 * Q + 2 * q, n);
        }
    }
}

static int NAME(max_pool_backward_taps)(const fc_pool *g, const void *dy, const void *taps, void *dx) {
    NAME(pool_grad) m = {.g = g, .dy = dy, .dx = dx};
    const int small = NAME(volume)(g->kernel) <= 256;
    if (small)
        m.taps8 = taps;
    else
        m.taps32 = taps;
    if (NAME(whole_plane)(g)) return NAME(run_whole_grad)(&m, NAME(max_whole_grad));
    if (!small) return NAME(run_scatter)(&m, NAME(scatter_taps32));
    if (NAME(tiles)(g)) {
        const ptrdiff_t rows = g->n * g->c * g->out[0] * g->out[1];
        m.a_task = NAME(rows_a_task)(4 * g->out[2]);
        return fc_parallel((rows + m.a_task - 1) / m.a_task, (double)rows * 4 * (double)g->out[2], 0, NAME(max_tiles),
                           &m);
    }
    if (NAME(fixed_windows)(g)) return NAME(run_gather)(&m, NAME(TAP));
    NAME(fill_offsets)(g, m.offset);
    return NAME(run_scatter)(&m, NAME(scatter_taps8));
}

static int NAME(max_pool_backward)(const fc_pool *g, const void *dy, const int64_t *indices, void *dx) {
    NAME(pool_grad) m = {.g = g, .dy = dy, .indices = indices, .dx = dx};
    return NAME(run_scatter)(&m, NAME(scatter_indices));
}
