/* A fully connected layer on a batch too small to fill the lanes of the micro-kernel: y[n][k] = bias[k] + sum over c of
   x[n][c] * w[k][c], and its gradients. Reads (or writes) each weight once, where it lies; larger batches run as 1x1
   convolutions. */

enum {
    NAME(ROWS) = 4, /* batch rows, and filters, summed together */
    NAME(FILTERS_OF_ONE) = 8, /* filters summed together with one batch row */
    NAME(LINEAR_TASK) = 16 /* filters a task */
};

typedef struct {
    ptrdiff_t n, k, c;
    const T *x, *w, *bias;
    T *y;
} NAME(linear_job);

/* The sums of `filters` filters from k0 on with `rows` batch rows from n0 on (both literals); those past the end repeat the last and are
   not stored. */
INLINE void NAME(linear_block)(const NAME(linear_job) *job, ptrdiff_t n0, ptrdiff_t k0, const int rows,
                               const int filters) {
    const ptrdiff_t c = job->c;
    const T *x[NAME(ROWS)], *w[NAME(FILTERS_OF_ONE)];
    V sum[NAME(ROWS)][NAME(FILTERS_OF_ONE)];
    UNROLL(4)
    for (int i = 0; i < rows; i++) {
        x[i] = job->x + smaller(n0 + i, job->n - 1) * c;
        UNROLL(8)
        for (int j = 0; j < filters; j++) sum[i][j] = NAME(vzero)();
    }
    UNROLL(8)
    for (int j = 0; j < filters; j++) w[j] = job->w + smaller(k0 + j, job->k - 1) * c;
    for (ptrdiff_t at = 0; at < c; at += VL) {
        const ptrdiff_t count = smaller(VL, c - at);
        V v[NAME(ROWS)];
        UNROLL(4)
        for (int i = 0; i < rows; i++)
            v[i] = count == VL ? NAME(vload)(x[i] + at) : NAME(vload_first)(x[i] + at, count);
        UNROLL(8)
        for (int j = 0; j < filters; j++) {
            const V f = count == VL ? NAME(vload)(w[j] + at) : NAME(vload_first)(w[j] + at, count);
            UNROLL(4)
            for (int i = 0; i < rows; i++) sum[i][j] += v[i] * f;
        }
    }
    UNROLL(4)
    for (int i = 0; i < rows; i++) {
        UNROLL(8)
        for (int j = 0; j < filters; j++)
            if (n0 + i < job->n && k0 + j < job->k)
                job->y[(n0 + i) * job->k + k0 + j] = NAME(vsum)(sum[i][j]) + (job->bias ? job->bias[k0 + j] : 0);
    }
}

/* One row is bound by the reading of the weight: more rows of it at once keep more lines on their way. */
static void NAME(linear_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(linear_job) *job = context;
    const ptrdiff_t first = task * NAME(LINEAR_TASK), last = smaller(job->k, first + NAME(LINEAR_TASK));
    (void)scratch;
    if (job->n == 1)
        for (ptrdiff_t k = first; k < last; k += NAME(FILTERS_OF_ONE))
            NAME(linear_block)(job, 0, k, 1, NAME(FILTERS_OF_ONE));
    else
        for (ptrdiff_t k = first; k < last; k += NAME(ROWS))
            for (ptrdiff_t n = 0; n < job->n; n += NAME(ROWS)) NAME(linear_block)(job, n, k, NAME(ROWS), NAME(ROWS));
}

static int NAME(linear_few)(ptrdiff_t n, ptrdiff_t k, ptrdiff_t c, const void *x, const void *w, const void *bias,
                            void *y) {
    NAME(linear_job) job = {n, k, c, x, w, bias, y};
    return fc_parallel(divide_up(k, NAME(LINEAR_TASK)), (double)k * (double)c * (double)n, 0, NAME(linear_task), &job);
}

/* ---- gradients: dx[n][c] = sum over k of dy[n][k] * w[k][c];  dw[k][c] = sum over n of dy[n][k] * x[n][c]

   Both go through the weight by columns of it, a run of neighbours at a time, so that what is met again for every filter (dx, or
   x) stays in the first-level cache while the rows of the weight stream by. */

enum { NAME(COLUMNS_AT_ONCE) = 4096 }; /* elements of all batch rows of a task's columns */

typedef struct {
    ptrdiff_t n, k, c, columns; /* columns: of one task, or of one pass */
    const T *dy, *w, *x;
    T *dx, *dw;
} NAME(linear_grad_job);

/* One vector of columns of dx, of `rows` batch rows: the shares of `filters` filters (both literals) are added, or begin the sum. */
INLINE void NAME(linear_input_vector)(const NAME(linear_grad_job) *job, const T *const *w, V d[][NAME(ROWS)], T *dx,
                                      ptrdiff_t c, ptrdiff_t count, const int filters, const int rows, int first) {
    const MASK some = NAME(mask_range)(0, count);
    V v[NAME(ROWS)];
    UNROLL(4)
    for (int i = 0; i < filters; i++) v[i] = count >= VL ? NAME(vload)(w[i] + c) : NAME(vload_masked)(w[i] + c, some);
    UNROLL(2)
    for (int j = 0; j < rows; j++) {
        T *to = dx + j * job->c + c;
        V s = NAME(vzero)();
        if (!first) s = count >= VL ? NAME(vload)(to) : NAME(vload_masked)(to, some);
        UNROLL(4)
        for (int i = 0; i < filters; i++) s += d[j][i] * v[i];
        if (count >= VL)
            NAME(vstore)(to, s);
        else
            NAME(vstore_masked)(to, some, s);
    }
}

/* The columns c0 .. end of dx, of the batch rows n .. n + rows: the shares of the filters from k on. */
INLINE void NAME(linear_input_rows)(const NAME(linear_grad_job) *job, ptrdiff_t k, ptrdiff_t n, ptrdiff_t c0,
                                    ptrdiff_t end, const int filters, const int rows) {
    const T *w[NAME(ROWS)];
    V d[2][NAME(ROWS)];
    T *dx = job->dx + n * job->c;
    ptrdiff_t c = c0;
    UNROLL(4)
    for (int i = 0; i < filters; i++) {
        w[i] = job->w + (k + i) * job->c;
        UNROLL(2)
        for (int j = 0; j < rows; j++) d[j][i] = NAME(vset)(job->dy[(n + j) * job->k + k + i]);
    }
    for (; c + VL <= end; c += VL) {
        if (n == 0) { /* the next rows of the weight, while this core computes */
            UNROLL(4)
            for (int i = 0; i < filters; i++) __builtin_prefetch(w[i] + filters * job->c + c);
        }
        NAME(linear_input_vector)(job, w, d, dx, c, VL, filters, rows, k == 0);
    }
    if (c < end) NAME(linear_input_vector)(job, w, d, dx, c, end - c, filters, rows, k == 0);
}

INLINE void NAME(linear_input_filters)(const NAME(linear_grad_job) *job, ptrdiff_t k, ptrdiff_t c0, ptrdiff_t end,
                                       const int filters) {
    ptrdiff_t n = 0;
    for (; n + 2 <= job->n; n += 2) NAME(linear_input_rows)(job, k, n, c0, end, filters, 2);
    if (n < job->n) NAME(linear_input_rows)(job, k, n, c0, end, filters, 1);
}

static void NAME(linear_input_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(linear_grad_job) *job = context;
    const ptrdiff_t c0 = task * job->columns, end = smaller(job->c, c0 + job->columns);
    ptrdiff_t k = 0;
    (void)scratch;
    for (; k + NAME(ROWS) <= job->k; k += NAME(ROWS)) NAME(linear_input_filters)(job, k, c0, end, NAME(ROWS));
    /* The last few one by one: a filter that stands in with a share of 0 would bring 0 times infinity. */
    for (; k < job->k; k++) NAME(linear_input_filters)(job, k, c0, end, 1);
}

/* ROWS rows of dw, two vectors of columns. */
INLINE void NAME(linear_weight_block)(const NAME(linear_grad_job) *job, ptrdiff_t k, ptrdiff_t c, MASK one, MASK two) {
    V s[2][NAME(ROWS)];
    UNROLL(4)
    for (int i = 0; i < NAME(ROWS); i++) s[0][i] = s[1][i] = NAME(vzero)();
    const T *x = job->x + c, *dy[NAME(ROWS)];
    UNROLL(4)
    for (int i = 0; i < NAME(ROWS); i++) dy[i] = job->dy + smaller(k + i, job->k - 1);
    for (ptrdiff_t n = 0; n < job->n; n++, x += job->c) {
        const V a = NAME(vload_masked)(x, one), b = NAME(vload_masked)(x + VL, two);
        UNROLL(4)
        for (int i = 0; i < NAME(ROWS); i++) {
            const V d = NAME(vset)(dy[i][n * job->k]);
            s[0][i] += d * a;
            s[1][i] += d * b;
        }
    }
    UNROLL(4)
    for (int i = 0; i < NAME(ROWS); i++)
        if (k + i < job->k) {
            NAME(vstore_masked)(job->dw + (k + i) * job->c + c, one, s[0][i]);
            NAME(vstore_masked)(job->dw + (k + i) * job->c + c + VL, two, s[1][i]);
        }
}

/* Rows of dw. */
static void NAME(linear_weight_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(linear_grad_job) *job = context;
    const ptrdiff_t last = smaller(job->k, (task + 1) * NAME(LINEAR_TASK));
    (void)scratch;
    for (ptrdiff_t c0 = 0; c0 < job->c; c0 += job->columns) {
        const ptrdiff_t end = smaller(job->c, c0 + job->columns);
        for (ptrdiff_t k = task * NAME(LINEAR_TASK); k < last; k += NAME(ROWS))
            for (ptrdiff_t c = c0; c < end; c += 2 * VL)
                NAME(linear_weight_block)(job, k, c, NAME(mask_range)(0, end - c), NAME(mask_range)(0, end - c - VL));
    }
}

/* dx from dy and w, or dw from dy and x: those that are not NULL. */
static int NAME(linear_few_backward)(ptrdiff_t n, ptrdiff_t k, ptrdiff_t c, const void *dy, const void *x,
                                     const void *w, void *dx, void *dw) {
    const ptrdiff_t fit = NAME(COLUMNS_AT_ONCE) / larger(n, 1) / 64 * 64;
    NAME(linear_grad_job) job = {n, k, c, smaller(larger(fit, 64), 1024), dy, w, x, dx, dw};
    const double work = (double)k * (double)c * (double)n;
    int status = FC_OK;
    if (dx) status = fc_parallel(divide_up(c, job.columns), work, 0, NAME(linear_input_task), &job);
    if (dw && status == FC_OK)
        status = fc_parallel(divide_up(k, NAME(LINEAR_TASK)), work, 0, NAME(linear_weight_task), &job);
    return status;
}
