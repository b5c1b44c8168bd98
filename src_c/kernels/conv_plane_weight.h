/* Gradient to the weight of depthwise convolution for the windows of conv_plane.h: the sums of all taps, or of as many rows of taps
   as there are registers, are vectors that stay in registers while a column runs down the planes of x and dy. They are summed
   across once, after the last image. Lanes past the end of a row are masked on both sides, for 0 * NaN is NaN. */

typedef struct {
    NAME(square) square;
    const T *x, *dy;
    T *dw; /* [split][pair][taps] */
    ptrdiff_t pairs, together,
        splits; /* pairs of an output and an input channel, those of a task; parts of the batch */
} NAME(correlate_job);

typedef struct {
    const T *x, *dy, *zeros;
    ptrdiff_t lo, P, H, x_row, dy_row, x_ahead, dy_ahead; /* ahead: how far ahead they are fetched */
} NAME(correlate);

/* How far ahead an array is fetched: to the next plane where it comes from memory. */
INLINE ptrdiff_t NAME(next_plane)(const window *w, const ptrdiff_t *sizes) {
    enum { CACHED_BYTES = 8 << 20, NEAR_BYTES = 1 << 16 };
    const ptrdiff_t plane = sizes[1] * sizes[2];
    const int cached = (double)w->n * (double)(w->groups * w->k) * (double)window_pixels(w) * T_BYTES < CACHED_BYTES;
    return cached || plane > NEAR_BYTES / T_BYTES ? NAME(AHEAD) : larger(plane, NAME(AHEAD));
}

/* Of one row of the input and the outputs (k rows up) it meets through rows a + step * k of the taps. The numbers are literals;
   inner: all rows exist. */
INLINE void NAME(correlate_row)(const T *row, const NAME(column) *column, ptrdiff_t v, const V *d, V *sum, ptrdiff_t j,
                                ptrdiff_t P, const int a, const int side, const int rows, const int step,
                                const int edge, const int inner) {
    UNROLL(7)
    for (int s = 0; s < side; s += step) {
        const int split = s + step > side ? 1 : step;
        V at[2];
        NAME(load_column)(row, column, (int)v, s, step, edge, at);
        UNROLL(4)
        for (int k = 0; k < (rows - a + step - 1) / step; k++) {
            if (!inner && (j - k < 0 || j - k >= P)) continue;
            UNROLL(2)
            for (int i = 0; i < split; i++) sum[(a + step * k) * side + s + i] += d[k] * at[i];
        }
    }
}

/* Adds to the sums of rows r0 .. r0 + rows - 1 of the taps what vector v of a column gives. */
INLINE void NAME(correlate_of)(const NAME(correlate) *c, const NAME(column) *column, ptrdiff_t v, ptrdiff_t r0, T *sums,
                               const int side, const int rows, const int step, const int edge) {
    const int held = (rows + step - 1) / step;
    V sum[21], d[4];
    UNROLL(21)
    for (int t = 0; t < rows * side; t++) sum[t] = NAME(vload)(sums + t * VL);
    UNROLL(4)
    for (int k = 0; k < held; k++) d[k] = NAME(vzero)();
    const ptrdiff_t stop = c->P + held - 1, x_row = c->x_row, dy_row = c->dy_row;
    const T *dy = c->dy + column->q + v * VL;
    ptrdiff_t h = c->lo + r0;
    for (ptrdiff_t j = 0; j < stop; j++) {
        const ptrdiff_t inner = smaller(c->P - j, (c->H - h) / step);
        if (j >= held - 1 && h >= 0 && inner > 0) {
            const T *row = c->x + h * x_row + column->at;
            for (const ptrdiff_t end = j + inner; j < end; j++, dy += dy_row) {
                __builtin_prefetch(dy + c->dy_ahead, 0, 3);
                d[0] = edge ? NAME(vload_masked)(dy, column->out[v]) : NAME(vload)(dy);
                UNROLL(2)
                for (int a = 0; a < step; a++, h++, row += x_row) {
                    __builtin_prefetch(row + c->x_ahead + v * VL, 0, 3);
                    if (step == 2) __builtin_prefetch(row + c->x_ahead + (v + 1) * VL, 0, 3);
                    NAME(correlate_row)(row, column, v, d, sum, j, c->P, a, side, rows, step, edge, 1);
                }
                UNROLL(4)
                for (int k = held - 1; k > 0; k--) d[k] = d[k - 1];
            }
        }
        if (j == stop) break;
        if (j < c->P) d[0] = edge ? NAME(vload_masked)(dy, column->out[v]) : NAME(vload)(dy);
        UNROLL(2)
        for (int a = 0; a < step; a++, h++) {
            const T *row = h < 0 || h >= c->H ? c->zeros : c->x + h * x_row + column->at;
            NAME(correlate_row)(row, column, v, d, sum, j, c->P, a, side, rows, step, edge, 0);
        }
        UNROLL(4)
        for (int k = held - 1; k > 0; k--) d[k] = d[k - 1];
        dy += dy_row;
    }
    UNROLL(21)
    for (int t = 0; t < rows * side; t++) NAME(vstore)(sums + t * VL, sum[t]);
}

#define CORRELATE(side, rows, step)                                                                 \
    static __attribute__((noinline)) void NAME(correlate_##side##_##rows##_##step)(                 \
        const NAME(correlate) *c, const NAME(column) *column, ptrdiff_t v, ptrdiff_t r0, T *sums) { \
        if (column->edge)                                                                           \
            NAME(correlate_of)(c, column, v, r0, sums, side, rows, step, 1);                        \
        else                                                                                        \
            NAME(correlate_of)(c, column, v, r0, sums, side, rows, step, 0);                        \
    }
#define CORRELATES(side, rows) CORRELATE(side, rows, 1) CORRELATE(side, rows, 2)
#define CORRELATE_ROW(side, rows) {NAME(correlate_##side##_##rows##_1), NAME(correlate_##side##_##rows##_2)}
typedef void NAME(correlate_kernel)(const NAME(correlate) *, const NAME(column) *, ptrdiff_t, ptrdiff_t, T *);

/* Rows of taps at a time, the first times and the last: by side / 2 - 1, then by step - 1. */
CORRELATES(3, 3)
#if VBYTES == 64 /* 32 registers */
CORRELATES(5, 3)
CORRELATES(5, 2)
CORRELATES(7, 3)
CORRELATES(7, 2)
static const ptrdiff_t NAME(correlate_rows)[3][2] = {{3, 3}, {3, 2}, {3, 2}};
static NAME(correlate_kernel) *const NAME(correlates)[3][2][2] = {{CORRELATE_ROW(3, 3), CORRELATE_ROW(3, 3)},
                                                                  {CORRELATE_ROW(5, 3), CORRELATE_ROW(5, 2)},
                                                                  {CORRELATE_ROW(7, 3), CORRELATE_ROW(7, 2)}};
#else
CORRELATES(5, 2)
CORRELATES(5, 1)
CORRELATES(7, 1)
static const ptrdiff_t NAME(correlate_rows)[3][2] = {{3, 3}, {2, 1}, {1, 1}};
static NAME(correlate_kernel) *const NAME(correlates)[3][2][2] = {{CORRELATE_ROW(3, 3), CORRELATE_ROW(3, 3)},
                                                                  {CORRELATE_ROW(5, 2), CORRELATE_ROW(5, 1)},
                                                                  {CORRELATE_ROW(7, 1), CORRELATE_ROW(7, 1)}};
#endif
#undef CORRELATE
#undef CORRELATES
#undef CORRELATE_ROW

/* Sums across VL vectors at once: lane i of the result is the sum of the lanes of r[i]. */
INLINE V NAME(vsum_each)(V *r) {
    UNROLL(4)
    for (int half = VBYTES / T_BYTES / 2; half > 0; half /= 2) {
        UNROLL(8)
        for (int i = 0; i < half; i++)
            r[i] = NAME(vinterleave_low)(r[i], r[i + half]) + NAME(vinterleave_high)(r[i], r[i + half]);
    }
    return r[0];
}

/* Pairs of an output and an input channel whose sums a task holds at once, and what those of one take. */
enum { NAME(PAIRS) = 32 };
static ptrdiff_t NAME(sums_room)(const window *w) { return divide_up(w->taps, VL) * VL * VL; }

/* All taps of one pair in one image. */
static void NAME(correlate_plane)(const NAME(correlate) *c, const NAME(square) *square, const NAME(column) *column,
                                  ptrdiff_t columns, T *sums) {
    const ptrdiff_t side = square->size, *rows = NAME(correlate_rows)[side / 2 - 1];
    for (ptrdiff_t r0 = 0, some; r0 < side; r0 += some) {
        const int last = side % rows[0] && side - r0 <= 2 * rows[1];
        some = rows[last];
        for (ptrdiff_t i = 0; i < columns; i++)
            for (ptrdiff_t v = 0; v < column[i].vectors; v++)
                NAME(correlates)[side / 2 - 1][last][square->step - 1](c, column + i, v, r0, sums + r0 * side * VL);
    }
}

static void NAME(correlate_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(correlate_job) *job = context;
    const NAME(square) *square = &job->square;
    const window *w = square->w;
    const ptrdiff_t columns = NAME(columns_across)(w->out[2]), chunks = divide_up(job->pairs, job->together);
    const ptrdiff_t split = task / chunks, first = task % chunks * job->together, room = NAME(sums_room)(w);
    const ptrdiff_t count = smaller(job->together, job->pairs - first);
    T *zeros = scratch, *sums = zeros + NAME(ZEROS);
    NAME(column) *column = (NAME(column) *)(void *)(sums + job->together * room);
    memset(zeros, 0, NAME(ZEROS) *sizeof(T));
    memset(sums, 0, (size_t)(count * room) * sizeof(T));
    NAME(place_columns)(square, 0, column);
    NAME(correlate)
    c = {.zeros = zeros,
         .lo = square->lo[0],
         .P = w->out[1],
         .H = w->in[1],
         .x_row = w->x_s[1],
         .dy_row = w->y_s[1],
         .x_ahead = NAME(next_plane)(w, w->in),
         .dy_ahead = NAME(next_plane)(w, w->out)};
    /* images outside: the planes of neighbouring channels lie one after another */
    for (ptrdiff_t n = split * w->n / job->splits; n < (split + 1) * w->n / job->splits; n++)
        for (ptrdiff_t i = 0; i < count; i++) {
            const ptrdiff_t k = (first + i) / w->c, input = k / w->k * w->c + (first + i) % w->c; /* channels */
            c.x = job->x + n * w->x_n + input * w->x_c;
            c.dy = job->dy + n * w->y_n + k * w->y_c;
            NAME(correlate_plane)(&c, square, column, columns, sums + i * room);
        }
    T *to = job->dw + (split * job->pairs + first) * w->taps;
    for (ptrdiff_t i = 0; i < count; i++, to += w->taps)
        for (ptrdiff_t t = 0; t < w->taps; t += VL) {
            V r[VBYTES / T_BYTES];
            UNROLL(16)
            for (int j = 0; j < VBYTES / T_BYTES; j++) r[j] = NAME(vload)(sums + i * room + (t + j) * VL);
            NAME(vstore_first)(to + t, smaller(VL, w->taps - t), NAME(vsum_each)(r));
        }
}

/* dw is contiguous [groups][k][c][taps]. */
static int NAME(plane_grad_weight)(const NAME(square) *square, const T *dy, const T *x, T *dw) {
    enum { TASKS = 32, TASK_WORK = 1 << 17, TASK_BYTES = 1 << 16 };
    const window *w = square->w;
    NAME(correlate_job) job = {.square = *square, .x = x, .dy = dy, .pairs = w->groups * w->k * w->c};
    const double a_pair = (double)w->n * (double)window_pixels(w) * (double)w->taps, work = a_pair * (double)job.pairs;
    const ptrdiff_t length = job.pairs * w->taps;
    const double together = fmax(TASK_WORK / a_pair, TASK_BYTES / (double)(w->in[1] * w->in[2] * T_BYTES));
    job.together = larger(1, smaller((ptrdiff_t)together, smaller(NAME(PAIRS), job.pairs / TASKS)));
    job.splits = larger(1, smaller(w->n, TASKS / job.pairs + (ptrdiff_t)(a_pair / LONGEST_TASK)));
    job.dw = job.splits == 1 ? dw : fc_alloc((size_t)length * sizeof(T), (size_t)job.splits);
    if (!job.dw) return FC_NO_MEMORY;
    const size_t scratch = (size_t)(NAME(ZEROS) + job.together * NAME(sums_room)(w)) * sizeof(T) +
                           (size_t)NAME(columns_across)(w->out[2]) * sizeof(NAME(column));
    const int status =
        fc_parallel(divide_up(job.pairs, job.together) * job.splits, work, scratch, NAME(correlate_task), &job);
    if (job.splits == 1) return status;
    for (ptrdiff_t i = 0; i < length && status == FC_OK; i++) {
        T s = job.dw[i];
        for (ptrdiff_t p = 1; p < job.splits; p++) s += job.dw[p * length + i];
        dw[i] = s;
    }
    fc_free(job.dw);
    return status;
}
