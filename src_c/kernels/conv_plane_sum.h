/* Depthwise convolution forward, and the gradient to the input at stride 1, for the windows of conv_plane.h. A row of the input is
   loaded once for every row of taps: the sums of all output rows it reaches stay in registers and move down as the column does.
   Reads no element outside a row, writes none twice unless it only stores. */

typedef struct {
    NAME(square) square;
    NAME(plane_tasks) share;
    const T *x, *weight;
    T *y;
    const fc_epilogue *end;
} NAME(plane_job);

/* One channel pair on its way through a task. */
typedef struct {
    const T *x, *zeros, *weight; /* x: the plane; zeros: what rows outside hold */
    const T *add; /* laid out as y, or NULL */
    T *y;
    T bias, slope;
    ptrdiff_t activation;
    ptrdiff_t p0, p1, height, x_row, y_row, lo; /* rows of output, of the input, their strides, first row read */
    ptrdiff_t above; /* rows of the input before those at x */
    int skip,
        finish; /* skip: rows outside add nothing, for no weight is infinite or NaN; finish: there is more to do than to sum */
} NAME(sweep);

/* What a column keeps in registers: sums of the output rows in the making, the next to be finished last. */
typedef struct {
    V sum[7][2], bias, w[9]; /* w: the weights of a 3 x 3 kernel; larger ones are fetched for each use */
    ptrdiff_t h, from, to; /* the row of the input, where its first tap lies, where the next output goes */
} NAME(sums);

/* The rows of the input between one output row and the next. side, step, vectors, edge and inner are literals; inner: the rows lie
   inside the plane. */
INLINE void NAME(sweep_rows)(const NAME(sweep) *c, const NAME(column) *column, NAME(sums) *r, const int side,
                             const int step, const int vectors, const int edge, const int inner) {
    UNROLL(2)
    for (int a = 0; a < step; a++, r->h++, r->from += c->x_row) {
        const int outside = !inner && (r->h < 0 || r->h >= c->height);
        if (outside && c->skip) continue;
        const T *row = outside ? c->zeros : c->x + r->from;
        if (inner) {
            UNROLL(2)
            for (int v = 0; v < vectors; v++) {
                const ptrdiff_t far = r->from + NAME(AHEAD) + v * VL;
                __builtin_prefetch(c->x + far, 0, 3);
                if (step == 2) __builtin_prefetch(c->x + far + vectors * VL, 0, 3);
                if (a == 0) __builtin_prefetch(c->y + r->to + NAME(AHEAD) + v * VL, 1, 3);
            }
        }
        UNROLL(7)
        for (int s = 0; s < side; s += step) {
            V at[2][2];
            UNROLL(2)
            for (int v = 0; v < vectors; v++) NAME(load_column)(row, column, v, s, step, edge, at[v]);
            const int split = s + step > side ? 1 : step;
            UNROLL(2)
            for (int i = 0; i < split; i++) {
                UNROLL(7)
                for (int k = 0; k < (side - a + step - 1) / step; k++) {
                    const int t = (a + step * k) * side + s + i;
                    const V weight = side == 3 ? r->w[t % 9] : NAME(vset)(c->weight[t]);
                    UNROLL(2)
                    for (int v = 0; v < vectors; v++) r->sum[k][v] += weight * at[v][i];
                }
            }
        }
    }
}

INLINE void NAME(sweep_store)(const NAME(sweep) *c, const NAME(column) *column, NAME(sums) *r, const V *sum,
                              const int vectors, const int edge) {
    UNROLL(2)
    for (int v = 0; v < vectors; v++) {
        V s = sum[v];
        if (c->finish) {
            const T *add = c->add + r->to + v * VL;
            if (c->add) s += edge ? NAME(vload_masked)(add, column->out[v]) : NAME(vload)(add);
            s = NAME(activate)(s, c->activation, c->slope);
        }
        if (edge && column->partial)
            NAME(vstore_masked)(c->y + r->to + v * VL, column->out[v], s);
        else
            NAME(vstore)(c->y + r->to + v * VL, s);
    }
    r->to += c->y_row;
}

/* The next output row becomes the last but one of those in the making. */
INLINE void NAME(sweep_down)(NAME(sums) *r, const int held, const int vectors) {
    UNROLL(7)
    for (int k = held - 1; k > 0; k--) {
        UNROLL(2)
        for (int v = 0; v < vectors; v++) r->sum[k][v] = r->sum[k - 1][v];
    }
    r->sum[0][0] = r->sum[0][1] = r->bias;
}

/* side, step, vectors and edge are literals. */
INLINE void NAME(sweep_of)(const NAME(sweep) *shared, const NAME(column) *place, const int side, const int step,
                           const int vectors, const int edge) {
    const int held = (side + step - 1) / step; /* output rows that one row of the input reaches */
    const NAME(sweep) c = *shared; /* copies: a store to y cannot change them */
    const NAME(column) column = *place;
    NAME(sums) r = {.bias = NAME(vset)(c.bias)};
    if (side == 3) {
        UNROLL(9)
        for (int t = 0; t < 9; t++) r.w[t] = NAME(vset)(c.weight[t]);
    }
    UNROLL(7)
    for (int k = 0; k < held; k++) r.sum[k][0] = r.sum[k][1] = r.bias;
    r.h = c.p0 * step + c.lo;
    r.from = (r.h - c.above) * c.x_row + column.at;
    r.to = c.p0 * c.y_row + column.q;
    const ptrdiff_t stop = c.p1 + held - 1;
    for (ptrdiff_t j = c.p0; j < stop; j++) {
        const ptrdiff_t inner = smaller(stop - j, (c.height - r.h) / step);
        if (j >= c.p0 + held - 1 && r.h >= 0)
            for (const ptrdiff_t end = j + inner; j < end; j++) {
                NAME(sweep_rows)(&c, &column, &r, side, step, vectors, edge, 1);
                NAME(sweep_store)(&c, &column, &r, r.sum[held - 1], vectors, edge);
                NAME(sweep_down)(&r, held, vectors);
            }
        if (j == stop) break;
        NAME(sweep_rows)(&c, &column, &r, side, step, vectors, edge, 0);
        if (j >= c.p0 + held - 1) NAME(sweep_store)(&c, &column, &r, r.sum[held - 1], vectors, edge);
        NAME(sweep_down)(&r, held, vectors);
    }
}

typedef void NAME(sweep_kernel)(const NAME(sweep) *, const NAME(column) *);

#define SWEEP(side, step, vectors, edge)                                                    \
    static __attribute__((noinline)) void NAME(sweep_##side##_##step##_##vectors##_##edge)( \
        const NAME(sweep) *c, const NAME(column) *column) {                                 \
        NAME(sweep_of)(c, column, side, step, vectors, edge);                               \
    }
#if VBYTES == 64
#define SWEEPS(side, step) \
    SWEEP(side, step, 1, 0) SWEEP(side, step, 1, 1) SWEEP(side, step, 2, 0) SWEEP(side, step, 2, 1)
#define SWEEP_ROW(side, step)                                                     \
    {                                                                             \
        {NAME(sweep_##side##_##step##_1_0), NAME(sweep_##side##_##step##_1_1)}, { \
            NAME(sweep_##side##_##step##_2_0), NAME(sweep_##side##_##step##_2_1)  \
        }                                                                         \
    }
#else
#define SWEEPS(side, step) SWEEP(side, step, 1, 0) SWEEP(side, step, 1, 1)
#define SWEEP_ROW(side, step)                                                    \
    {                                                                            \
        { NAME(sweep_##side##_##step##_1_0), NAME(sweep_##side##_##step##_1_1) } \
    }
#endif
SWEEPS(3, 1)
SWEEPS(3, 2)
SWEEPS(5, 1)
SWEEPS(5, 2)
SWEEPS(7, 1)
SWEEPS(7, 2)

/* By side / 2 - 1, step - 1, vectors - 1, edge. */
static NAME(sweep_kernel) *const NAME(sweeps)[3][2][NAME(COLUMN_VECTORS)][2] = {
    {SWEEP_ROW(3, 1), SWEEP_ROW(3, 2)}, {SWEEP_ROW(5, 1), SWEEP_ROW(5, 2)}, {SWEEP_ROW(7, 1), SWEEP_ROW(7, 2)}};
#undef SWEEP
#undef SWEEPS
#undef SWEEP_ROW

/* 0 times everything is 0: nothing is infinite or NaN. */
INLINE int NAME(all_finite)(const T *x, ptrdiff_t count) {
    V s = NAME(vzero)();
    for (ptrdiff_t i = 0; i < count; i += VL) s += NAME(vload_first)(x + i, count - i) * NAME(vzero)();
    return !NAME(vany)(NAME(vunordered)(s, s));
}

/* Elements of scratch for rows outside: as much of one as a column reads. */
enum { NAME(ZEROS) = (2 * NAME(COLUMN_VECTORS) + 1) * VBYTES / T_BYTES + 16, NAME(WEIGHTS) = 64 };

static size_t NAME(sweep_scratch)(const window *w) {
    return (NAME(ZEROS) + NAME(WEIGHTS))*sizeof(T) + (size_t)NAME(columns_across)(w->out[2]) * sizeof(NAME(column));
}

/* What a thread holds while it sweeps, in its scratch. */
typedef struct {
    NAME(sweep) sweep;
    T *weights;
    NAME(column) *column;
} NAME(sweep_desk);

/* For output rows p0 .. p1-1 of one plane after another. */
static NAME(sweep_desk) NAME(sweep_rows_of)(const NAME(plane_job) *job, ptrdiff_t p0, ptrdiff_t p1, void *scratch) {
    const window *w = job->square.w;
    const fc_epilogue *end = job->end;
    T *zeros = scratch, *weights = zeros + NAME(ZEROS);
    NAME(sweep_desk) desk = {.weights = weights, .column = (NAME(column) *)(void *)(weights + NAME(WEIGHTS))};
    memset(zeros, 0, NAME(ZEROS) *sizeof(T));
    /* an output that is read back must not have been written by the column before */
    NAME(place_columns)(&job->square, w->c == 1 && !(end && end->add), desk.column);
    desk.sweep = (NAME(sweep)){.zeros = zeros,
                               .slope = end ? (T)end->slope : 0,
                               .p0 = p0,
                               .p1 = p1,
                               .height = w->in[1],
                               .x_row = w->x_s[1],
                               .y_row = w->y_s[1],
                               .lo = job->square.lo[0]};
    return desk;
}

/* Plane k of the output of image n, its group's planes of the input one after another from x on. */
static void NAME(sweep_plane)(const NAME(plane_job) *job, NAME(sweep_desk) *desk, const T *x, ptrdiff_t n,
                              ptrdiff_t k) {
    const NAME(square) *square = &job->square;
    const window *w = square->w;
    const fc_epilogue *end = job->end;
    const ptrdiff_t columns = NAME(columns_across)(w->out[2]), g = w->k == 1 ? k : k / w->k;
    const ptrdiff_t place = n * w->y_n + k * w->y_c;
    NAME(sweep) *c = &desk->sweep;
    c->y = job->y + place;
    for (ptrdiff_t i = 0; i < w->c; i++) {
        c->weight = NAME(square_weights)(square, job->weight + g * w->w_g + (k - g * w->k) * w->w_k + i * w->w_c,
                                         desk->weights);
        c->x = x + i * w->x_c;
        c->skip = NAME(all_finite)(c->weight, w->taps);
        c->bias = i == 0 && end && end->bias ? ((const T *)end->bias)[k] : 0;
        c->add = i > 0 ? c->y : end && end->add ? (const T *)end->add + place : NULL;
        c->activation = end && i + 1 == w->c ? end->activation : FC_IDENTITY;
        c->finish = c->add || c->activation;
        for (const NAME(column) *at = desk->column; at < desk->column + columns; at++)
            NAME(sweeps)[square->size / 2 - 1][square->step - 1][at->vectors - 1][at->edge](c, at);
    }
}

static void NAME(plane_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(plane_job) *job = context;
    const NAME(plane_tasks) *share = &job->share;
    const window *w = job->square.w;
    const ptrdiff_t channels = w->groups * w->k, p0 = task % share->bands * share->rows;
    const ptrdiff_t first = task / share->bands * share->planes;
    NAME(sweep_desk) desk = NAME(sweep_rows_of)(job, p0, smaller(p0 + share->rows, w->out[1]), scratch);
    ptrdiff_t n = first / channels, k = first % channels;
    for (ptrdiff_t left = smaller(share->planes, w->n * channels - first); left > 0; left--) {
        const ptrdiff_t g = w->k == 1 ? k : k / w->k;
        NAME(sweep_plane)(job, &desk, job->x + n * w->x_n + g * w->c * w->x_c, n, k);
        if (++k == channels) n++, k = 0;
    }
}

static int NAME(plane_forward)(const NAME(square) *square, const T *x, const T *weight, const fc_epilogue *end, T *y) {
    const window *w = square->w;
    const ptrdiff_t planes = w->n * w->groups * w->k;
    const double work_a_row = (double)w->out[2] * (double)(w->c * w->taps);
    NAME(plane_job) job = {.square = *square, .x = x, .weight = weight, .y = y, .end = end};
    job.share = NAME(share_planes)(planes, w->out[1], work_a_row);
    return fc_parallel(job.share.tasks, work_a_row * (double)(w->out[1] * planes), NAME(sweep_scratch)(w),
                       NAME(plane_task), &job);
}
