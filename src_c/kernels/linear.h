/* A fully connected layer on a batch too small to fill the lanes of the micro-kernel: y[n][k] = bias[k] + sum over c of
   x[n][c] * w[k][c], and its gradients. Reads (or writes) each weight once, where it lies; larger batches run as 1x1
   convolutions. */

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

/* ---- gradients: dx[n][c] = sum over k of dy[n][k] * w[k][c];  dw[k][c] = sum over n of dy[n][k] * x[n][c] */

typedef struct {
    ptrdiff_t n, k, c;
    const T *dy, *w, *x;
    T *dx, *dw;
} NAME(linear_grad_job);

/* Columns of dx: one vector for every task, ROWS batch rows at a time, down all filters. */
static void NAME(linear_input_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(linear_grad_job) *job = context;
    const ptrdiff_t c0 = task * 2 * VL, first = smaller(VL, job->c - c0),
                    second = smaller(VL, larger(0, job->c - c0 - VL));
    const MASK m0 = NAME(mask_range)(0, first), m1 = NAME(mask_range)(0, second);
    (void)scratch;
    for (ptrdiff_t n0 = 0; n0 < job->n; n0 += NAME(ROWS)) {
        const T *d[NAME(ROWS)];
        V s0[NAME(ROWS)], s1[NAME(ROWS)];
        UNROLL(4)
        for (int i = 0; i < NAME(ROWS); i++) {
            d[i] = job->dy + smaller(n0 + i, job->n - 1) * job->k;
            s0[i] = s1[i] = NAME(vzero)();
        }
        for (ptrdiff_t k = 0; k < job->k; k++) {
            const V w0 = NAME(vload_masked)(job->w + k * job->c + c0, m0);
            const V w1 = NAME(vload_masked)(job->w + k * job->c + c0 + VL, m1);
            UNROLL(4)
            for (int i = 0; i < NAME(ROWS); i++) {
                const V f = NAME(vset)(d[i][k]);
                s0[i] += f * w0;
                s1[i] += f * w1;
            }
        }
        UNROLL(4)
        for (int i = 0; i < NAME(ROWS); i++)
            if (n0 + i < job->n) {
                NAME(vstore_masked)(job->dx + (n0 + i) * job->c + c0, m0, s0[i]);
                NAME(vstore_masked)(job->dx + (n0 + i) * job->c + c0 + VL, m1, s1[i]);
            }
    }
}

/* Rows of dw. */
static void NAME(linear_weight_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(linear_grad_job) *job = context;
    (void)scratch;
    for (ptrdiff_t k = task * NAME(LINEAR_TASK); k < smaller(job->k, (task + 1) * NAME(LINEAR_TASK)); k++)
        for (ptrdiff_t c = 0; c < job->c; c += VL) {
            const ptrdiff_t count = smaller(VL, job->c - c);
            V s = NAME(vzero)();
            for (ptrdiff_t n = 0; n < job->n; n++) {
                const T *x = job->x + n * job->c + c;
                s += NAME(vset)(job->dy[n * job->k + k]) * (count == VL ? NAME(vload)(x) : NAME(vload_first)(x, count));
            }
            if (count == VL)
                NAME(vstore)(job->dw + k * job->c + c, s);
            else
                NAME(vstore_first)(job->dw + k * job->c + c, count, s);
        }
}

/* dx from dy and w, or dw from dy and x: those that are not NULL. */
static int NAME(linear_few_backward)(ptrdiff_t n, ptrdiff_t k, ptrdiff_t c, const void *dy, const void *x,
                                     const void *w, void *dx, void *dw) {
    NAME(linear_grad_job) job = {n, k, c, dy, w, x, dx, dw};
    const double work = (double)k * (double)c * (double)n;
    int status = FC_OK;
    if (dx) status = fc_parallel(divide_up(c, 2 * VL), work, 0, NAME(linear_input_task), &job);
    if (dw && status == FC_OK)
        status = fc_parallel(divide_up(k, NAME(LINEAR_TASK)), work, 0, NAME(linear_weight_task), &job);
    return status;
}
