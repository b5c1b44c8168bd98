/* Matrix times a few vectors: y[n][k] = bias[k] + sum over c of x[n][c] * w[k][c] for a batch too small to fill the lanes of the
   micro-kernel. Reads each weight once, where it lies; larger batches run as 1x1 convolutions. */

enum { NAME(ROWS) = 4, NAME(LINEAR_TASK) = 16 }; /* batch rows and filters summed together; filters a task */

typedef struct {
    ptrdiff_t n, k, c;
    const T *x, *w, *bias;
    T *y;
} NAME(linear_job);

/* The sums of filters k0 .. k0+3 with batch rows n0 .. n0+3; rows past the end repeat the last and are not stored. */
static void NAME(linear_block)(const NAME(linear_job) *job, ptrdiff_t n0, ptrdiff_t k0) {
    const ptrdiff_t c = job->c;
    const T *x[NAME(ROWS)], *w[NAME(ROWS)];
    V sum[NAME(ROWS)][NAME(ROWS)];
    UNROLL(4)
    for (int i = 0; i < NAME(ROWS); i++) {
        x[i] = job->x + smaller(n0 + i, job->n - 1) * c;
        w[i] = job->w + smaller(k0 + i, job->k - 1) * c;
        UNROLL(4)
        for (int j = 0; j < NAME(ROWS); j++) sum[i][j] = NAME(vzero)();
    }
    for (ptrdiff_t at = 0; at < c; at += VL) {
        const ptrdiff_t count = smaller(VL, c - at);
        V v[NAME(ROWS)];
        UNROLL(4)
        for (int i = 0; i < NAME(ROWS); i++)
            v[i] = count == VL ? NAME(vload)(x[i] + at) : NAME(vload_first)(x[i] + at, count);
        UNROLL(4)
        for (int j = 0; j < NAME(ROWS); j++) {
            const V f = count == VL ? NAME(vload)(w[j] + at) : NAME(vload_first)(w[j] + at, count);
            UNROLL(4)
            for (int i = 0; i < NAME(ROWS); i++) sum[i][j] += v[i] * f;
        }
    }
    UNROLL(4)
    for (int i = 0; i < NAME(ROWS); i++) {
        UNROLL(4)
        for (int j = 0; j < NAME(ROWS); j++)
            if (n0 + i < job->n && k0 + j < job->k)
                job->y[(n0 + i) * job->k + k0 + j] = NAME(vsum)(sum[i][j]) + (job->bias ? job->bias[k0 + j] : 0);
    }
}

static void NAME(linear_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(linear_job) *job = context;
    (void)scratch;
    for (ptrdiff_t k = task * NAME(LINEAR_TASK); k < smaller(job->k, (task + 1) * NAME(LINEAR_TASK)); k += NAME(ROWS))
        for (ptrdiff_t n = 0; n < job->n; n += NAME(ROWS)) NAME(linear_block)(job, n, k);
}

static int NAME(linear_few)(ptrdiff_t n, ptrdiff_t k, ptrdiff_t c, const void *x, const void *w, const void *bias,
                            void *y) {
    NAME(linear_job) job = {n, k, c, x, w, bias, y};
    return fc_parallel(divide_up(k, NAME(LINEAR_TASK)), (double)k * (double)c * (double)n, 0, NAME(linear_task), &job);
}
