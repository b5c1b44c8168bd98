/* Sums over a batch: the gradient of a bias. */

typedef struct {
    ptrdiff_t n, c, inner, channels_last;
    const T *x;
    T *out;
} NAME(channel_sum_job);

/* A run of neighbours in four interleaved vector sums. */
static T NAME(sum_of)(const T *x, ptrdiff_t count) {
    V s0 = NAME(vzero)(), s1 = s0, s2 = s0, s3 = s0;
    ptrdiff_t i = 0;
    for (; i + 4 * VL <= count; i += 4 * VL) {
        s0 += NAME(vload)(x + i);
        s1 += NAME(vload)(x + i + VL);
        s2 += NAME(vload)(x + i + 2 * VL);
        s3 += NAME(vload)(x + i + 3 * VL);
    }
    for (; i < count; i += VL) s0 += NAME(vload_first)(x + i, smaller(VL, count - i));
    return NAME(vsum)((s0 + s1) + (s2 + s3));
}

static void NAME(channel_sum_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(channel_sum_job) *job = context;
    (void)scratch;
    if (job->channels_last) { /* one vector of channels, down all pixels, in blocks */
        enum { BLOCK = 512 };
        const ptrdiff_t c0 = task * VL, channels = smaller(VL, job->c - c0), rows = job->n * job->inner;
        V total = NAME(vzero)();
        for (ptrdiff_t r0 = 0; r0 < rows; r0 += BLOCK) {
            V block = NAME(vzero)();
            for (ptrdiff_t r = r0; r < smaller(rows, r0 + BLOCK); r++)
                block += NAME(vload_first)(job->x + r * job->c + c0, channels);
            total += block;
        }
        NAME(vstore_first)(job->out + c0, channels, total);
    } else {
        T total = 0;
        for (ptrdiff_t n = 0; n < job->n; n++)
            total += NAME(sum_of)(job->x + (n * job->c + task) * job->inner, job->inner);
        job->out[task] = total;
    }
}

static int NAME(channel_sum)(ptrdiff_t n, ptrdiff_t c, ptrdiff_t inner, ptrdiff_t channels_last, const void *x,
                             void *out) {
    NAME(channel_sum_job) job = {n, c, inner, channels_last, x, out};
    return fc_parallel(channels_last ? divide_up(c, VL) : c, (double)(n * c * inner) / 4, 0, NAME(channel_sum_task),
                       &job);
}
