/* Batch normalisation of short planes, down to one element: lanes are columns of the (N, C * inner) matrix that the array is,
   so that rows are read whole however short the planes in them. The second half: the calls of the table. */

/* Planes of more elements than this are long enough for a loop of their own; in inference, where rows in the order of memory
   are the alternative, shorter ones are. */
#define SHORT_PLANE 32
#define SHORT_ROW 8

/* Columns of one task, whole channels of them: at least SHORT_PLANE, a multiple of two vectors. */
#define COLUMNS 128

/* The channels of one task: sums and lines by column. */
typedef struct NAME(norm_columns) {
    ptrdiff_t channel, channels, at, count; /* its channels; its columns in a row */
    double first[COLUMNS], second[COLUMNS];
    T line[5][COLUMNS]; /* in the order of struct line */
} NAME(norm_columns);

INLINE ptrdiff_t NAME(channels_a_task)(ptrdiff_t inner) { return COLUMNS / inner; }

INLINE void NAME(begin_columns)(const NAME(batch_norm_call) *m, ptrdiff_t task, NAME(norm_columns) *s) {
    s->channel = task * NAME(channels_a_task)(m->inner);
    s->channels = NAME(smaller)(m->c - s->channel, NAME(channels_a_task)(m->inner));
    s->at = s->channel * m->inner;
    s->count = s->channels * m->inner;
    memset(s->line, 0, sizeof(s->line));
}

INLINE void NAME(set_line)(const NAME(batch_norm_call) *m, NAME(norm_columns) *s, ptrdiff_t i, NAME(line) l) {
    for (ptrdiff_t j = i * m->inner; j < (i + 1) * m->inner; j++) {
        s->line[0][j] = l.centre;
        s->line[1][j] = l.scale;
        s->line[2][j] = l.bias;
        s->line[3][j] = l.slope;
        s->line[4][j] = l.shift;
    }
}

INLINE NAME(vector_line) NAME(lines_at)(const NAME(norm_columns) *s, ptrdiff_t v) {
    return (NAME(vector_line)){NAME(vload)(s->line[0] + v), NAME(vload)(s->line[1] + v), NAME(vload)(s->line[2] + v),
                               NAME(vload)(s->line[3] + v), NAME(vload)(s->line[4] + v)};
}

INLINE void NAME(add_lanes)(double *sums, V v) {
    T lane[VBYTES / T_BYTES];
    NAME(vstore)(lane, v);
    for (ptrdiff_t i = 0; i < VL; i++) sums[i] += (double)lane[i];
}

/* Sums down each column. */
INLINE void NAME(column_sums)(const NAME(batch_norm_call) *m, NAME(norm_columns) *s, const int kind) {
    const ptrdiff_t row = m->c * m->inner;
    for (ptrdiff_t v = 0; v < s->count; v += 2 * VL) {
        const MASK some = NAME(mask_range)(0, s->count - v), more = NAME(mask_range)(0, s->count - v - VL);
        const NAME(vector_line) l = NAME(lines_at)(s, v), k = NAME(lines_at)(s, v + VL);
        const T *x = m->x + s->at + v, *g = IS_GRADIENT(kind) ? m->dy + s->at + v : x;
        for (ptrdiff_t i = v; i < v + 2 * VL; i++) s->first[i] = s->second[i] = 0;
        for (ptrdiff_t n = 0; n < m->n;) {
            V first = NAME(vzero)(), second = first, first_b = first, second_b = first;
            for (ptrdiff_t j = 0; j < FOLD && n < m->n; j++, n++, x += row, g += row) {
                const V p = NAME(vload_masked)(x, some), q = NAME(vload_masked)(x + VL, more);
                const V a = p - l.centre, b = q - k.centre;
                const V u = IS_GRADIENT(kind) ? NAME(through_relu)(p, NAME(vload_masked)(g, some), l, kind) : a;
                const V w = IS_GRADIENT(kind) ? NAME(through_relu)(q, NAME(vload_masked)(g + VL, more), k, kind) : b;
                first += u;
                first_b += w;
                second += u * a;
                second_b += w * b;
            }
            NAME(add_lanes)(s->first + v, first);
            NAME(add_lanes)(s->second + v, second);
            NAME(add_lanes)(s->first + v + VL, first_b);
            NAME(add_lanes)(s->second + v + VL, second_b);
        }
    }
}

/* The sums of one channel of the task from those of its columns. */
INLINE NAME(moments) NAME(column_moments)(const NAME(batch_norm_call) *m, const NAME(norm_columns) *s, ptrdiff_t i) {
    NAME(moments) total = {0, 0};
    for (ptrdiff_t j = i * m->inner; j < (i + 1) * m->inner; j++) {
        total.first += s->first[j];
        total.second += s->second[j];
    }
    return total;
}

INLINE void NAME(map_columns)(const NAME(batch_norm_call) *m, const NAME(norm_columns) *s, const int kind) {
    for (ptrdiff_t n = m->n - 1; n >= 0; n--) {
        const ptrdiff_t at = n * m->c * m->inner + s->at;
        const T *x = m->x + at, *u = IS_GRADIENT(kind) ? m->dy + at : x;
        for (ptrdiff_t v = 0; v < s->count; v += VL) {
            const MASK some = NAME(mask_range)(0, s->count - v);
            const V a = NAME(vload_masked)(x + v, some), b = NAME(vload_masked)(u + v, some);
            NAME(vstore_masked)(m->y + at + v, some, NAME(on_line)(a, b, NAME(lines_at)(s, v), kind));
        }
    }
}

static void NAME(train_columns)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(batch_norm_call) *m = call;
    const double count = (double)m->n * (double)m->inner;
    NAME(norm_columns) s;
    (void)scratch;
    NAME(begin_columns)(m, task, &s);
    NAME(column_sums)(m, &s, NAME(NORMAL));
    for (ptrdiff_t i = 0; i < s.channels; i++) {
        NAME(line) l = {(T)(NAME(column_moments)(m, &s, i).first / count), 0, 0, 0, 0};
        NAME(set_line)(m, &s, i, l);
    }
    NAME(column_sums)(m, &s, NAME(NORMAL));
    for (ptrdiff_t i = 0; i < s.channels; i++) {
        const ptrdiff_t c = s.channel + i;
        (void)NAME(keep_statistics)(m, c, s.line[0][i * m->inner], NAME(column_moments)(m, &s, i));
        NAME(set_line)(m, &s, i, NAME(normal_line)(m, c, m->out_mean[c], m->out_var[c]));
    }
    if (m->relu)
        NAME(map_columns)(m, &s, NAME(NORMAL_RELU));
    else
        NAME(map_columns)(m, &s, NAME(NORMAL));
}

/* The line of every channel under the given statistics. */
INLINE void NAME(given_lines)(const NAME(batch_norm_call) *m, NAME(norm_columns) *s) {
    for (ptrdiff_t i = 0; i < s->channels; i++) {
        const ptrdiff_t c = s->channel + i;
        NAME(set_line)(m, s, i, NAME(normal_line)(m, c, m->mean[c], m->var[c]));
    }
}

INLINE void NAME(gradient_of_columns)(const NAME(batch_norm_call) *m, NAME(norm_columns) *s, const int kind) {
    NAME(column_sums)(m, s, kind);
    for (ptrdiff_t i = 0; i < s->channels; i++)
        NAME(set_line)(m, s, i, NAME(gradient_line)(m, s->channel + i, NAME(column_moments)(m, s, i)));
    NAME(map_columns)(m, s, kind);
}

static void NAME(gradient_columns)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(batch_norm_call) *m = call;
    NAME(norm_columns) s;
    (void)scratch;
    NAME(begin_columns)(m, task, &s);
    NAME(given_lines)(m, &s);
    if (m->relu)
        NAME(gradient_of_columns)(m, &s, NAME(GRADIENT_RELU));
    else
        NAME(gradient_of_columns)(m, &s, NAME(GRADIENT));
}

static void NAME(normalise_columns)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(batch_norm_call) *m = call;
    NAME(norm_columns) s;
    (void)scratch;
    NAME(begin_columns)(m, task, &s);
    NAME(given_lines)(m, &s);
    if (m->relu)
        NAME(map_columns)(m, &s, NAME(NORMAL_RELU));
    else
        NAME(map_columns)(m, &s, NAME(NORMAL));
}

/* ---- the table's entries */

INLINE int NAME(run_batch_norm)(NAME(batch_norm_call) *m, fc_task *of_channel, fc_task *of_columns) {
    const double work = (double)m->n * (double)m->c * (double)m->inner * 3;
    if (m->inner > SHORT_PLANE) return fc_parallel(m->c, work, 0, of_channel, m);
    const ptrdiff_t channels = NAME(channels_a_task)(m->inner);
    return fc_parallel((m->c + channels - 1) / channels, work, 0, of_columns, m);
}

static int NAME(batch_norm_train)(ptrdiff_t n, ptrdiff_t c, ptrdiff_t inner, const void *x, const void *weight,
                                  const void *bias, double eps, ptrdiff_t relu, void *y, void *mean, void *var) {
    NAME(batch_norm_call) m = {.n = n,
                               .c = c,
                               .inner = inner,
                               .x = x,
                               .weight = weight,
                               .bias = bias,
                               .eps = eps,
                               .relu = relu != 0,
                               .y = y,
                               .out_mean = mean,
                               .out_var = var};
    return NAME(run_batch_norm)(&m, NAME(train_channel), NAME(train_columns));
}

static int NAME(batch_norm_backward)(ptrdiff_t n, ptrdiff_t c, ptrdiff_t inner, const void *dy, const void *x,
                                     const void *mean, const void *var, const void *weight, const void *bias,
                                     double eps, ptrdiff_t training, ptrdiff_t relu, void *dx, void *dweight,
                                     void *dbias) {
    NAME(batch_norm_call) m = {.n = n,
                               .c = c,
                               .inner = inner,
                               .x = x,
                               .dy = dy,
                               .weight = weight,
                               .bias = bias,
                               .mean = mean,
                               .var = var,
                               .eps = eps,
                               .training = training != 0,
                               .relu = relu != 0,
                               .y = dx,
                               .dweight = dweight,
                               .dbias = dbias};
    return NAME(run_batch_norm)(&m, NAME(gradient_channel), NAME(gradient_columns));
}

static int NAME(batch_norm)(ptrdiff_t n, ptrdiff_t c, ptrdiff_t inner, const void *x, const void *mean, const void *var,
                            const void *weight, const void *bias, double eps, ptrdiff_t relu, void *y) {
    NAME(batch_norm_call) m = {.n = n,
                               .c = c,
                               .inner = inner,
                               .x = x,
                               .weight = weight,
                               .bias = bias,
                               .mean = mean,
                               .var = var,
                               .eps = eps,
                               .relu = relu != 0,
                               .y = y};
    const double work = (double)n * (double)c * (double)inner;
    if (inner <= SHORT_ROW) {
        const ptrdiff_t channels = NAME(channels_a_task)(inner);
        return fc_parallel((c + channels - 1) / channels, work, 0, NAME(normalise_columns), &m);
    }
    m.a_task = NAME(rows_a_task)(inner);
    return fc_parallel((n * c + m.a_task - 1) / m.a_task, work, 0, NAME(normalise_rows), &m);
}
