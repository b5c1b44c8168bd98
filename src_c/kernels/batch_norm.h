/* Batch normalisation of (N, C, inner) arrays. Statistics are the corrected two-pass formula (Chan, Golub, LeVeque 1983): a sum,
   then the sums of the deviations and of their squares; short runs in the element type, folded into double in a fixed order. */

typedef struct NAME(batch_norm_call) {
    ptrdiff_t n, c, inner;
    const T *x, *dy, *weight, *bias; /* weight and bias may be NULL: 1 and 0 */
    const T *mean, *var; /* given statistics, or NULL while training */
    double eps;
    int training;
    T *y; /* of the gradient: dx */
    T *out_mean, *out_var, *dweight, *dbias;
    ptrdiff_t a_task;
} NAME(batch_norm_call);

typedef struct NAME(moments) {
    double first, second;
} NAME(moments);

/* Rounds of vectors between two folds into double. */
#define FOLD 32

/* Sums over a channel c of: deviation(x) and deviation^2 (dy NULL), or dy and dy * deviation(x). */
INLINE NAME(moments) NAME(channel_moments)(const NAME(batch_norm_call) *m, ptrdiff_t c, const T *dy, T mean) {
    const ptrdiff_t inner = m->inner, image = m->c * inner;
    const V centre = NAME(vset)(mean);
    NAME(moments) total = {0, 0};
    V first = NAME(vzero)(), second = first, first_b = first, second_b = first;
    ptrdiff_t rounds = 0;
    for (ptrdiff_t n = 0; n < m->n; n++) {
        const T *x = m->x + n * image + c * inner, *g = dy ? dy + n * image + c * inner : NULL;
        for (ptrdiff_t i = 0; i < inner;) {
            /* Whole pairs of vectors up to the next fold, then what is left of the row. */
            const ptrdiff_t pairs = NAME(smaller)((inner - i) / (2 * VL), FOLD - rounds);
            for (ptrdiff_t j = 0; j < pairs; j++, i += 2 * VL) {
                const V a = NAME(vload)(x + i) - centre, b = NAME(vload)(x + i + VL) - centre;
                const V u = g ? NAME(vload)(g + i) : a, v = g ? NAME(vload)(g + i + VL) : b;
                first += u;
                first_b += v;
                second += u * a;
                second_b += v * b;
            }
            rounds += pairs;
            if (rounds < FOLD && i < inner) {
                const ptrdiff_t rest = NAME(smaller)(inner - i, VL);
                const MASK some = NAME(mask_range)(0, rest);
                V a = NAME(vload_masked)(x + i, some) - centre;
                if (rest < VL) a = NAME(vselect)((VI)(NAME(vlanes)() < NAME(vset_int)((TI)rest)), a, NAME(vzero)());
                const V u = g ? NAME(vload_masked)(g + i, some) : a;
                first += u;
                second += u * a;
                rounds++;
                i += rest;
            }
            if (rounds >= FOLD) {
                total.first += (double)NAME(vsum)(first + first_b);
                total.second += (double)NAME(vsum)(second + second_b);
                first = second = first_b = second_b = NAME(vzero)();
                rounds = 0;
            }
        }
    }
    total.first += (double)NAME(vsum)(first + first_b);
    total.second += (double)NAME(vsum)(second + second_b);
    return total;
}

/* The same sums for a vector of channels when inner is 1: lanes are channels. */
INLINE void NAME(lane_moments)(const NAME(batch_norm_call) *m, ptrdiff_t c, MASK some, const T *dy, V centre,
                               double *first, double *second) {
    for (ptrdiff_t i = 0; i < VL; i++) first[i] = second[i] = 0;
    for (ptrdiff_t n = 0; n < m->n;) {
        V a = NAME(vzero)(), b = a;
        for (ptrdiff_t j = 0; j < FOLD && n < m->n; j++, n++) {
            const V d = NAME(vload_masked)(m->x + n * m->c + c, some) - centre;
            const V u = dy ? NAME(vload_masked)(dy + n * m->c + c, some) : d;
            a += u;
            b += u * d;
        }
        T u[VBYTES / T_BYTES], v[VBYTES / T_BYTES];
        NAME(vstore)(u, a);
        NAME(vstore)(v, b);
        for (ptrdiff_t i = 0; i < VL; i++) {
            first[i] += (double)u[i];
            second[i] += (double)v[i];
        }
    }
}

/* y[i] = (x[i] - centre) * slope + u[i] * scale + shift: normalises (u NULL) or gives the gradient (u = dy). */
typedef struct NAME(line) {
    T centre, slope, scale, shift;
} NAME(line);

INLINE V NAME(on_line)(V x, V u, V centre, V slope, V scale, V shift, const int with_u) {
    const V y = (x - centre) * slope + shift;
    return with_u ? u * scale + y : y;
}

INLINE void NAME(map_channel)(const NAME(batch_norm_call) *m, ptrdiff_t c, NAME(line) l, const int with_u) {
    const V centre = NAME(vset)(l.centre), slope = NAME(vset)(l.slope), scale = NAME(vset)(l.scale);
    const V shift = NAME(vset)(l.shift);
    for (ptrdiff_t n = 0; n < m->n; n++) {
        const ptrdiff_t at = (n * m->c + c) * m->inner;
        const T *x = m->x + at, *u = with_u ? m->dy + at : x;
        T *y = m->y + at;
        ptrdiff_t i = 0;
        for (; i + VL <= m->inner; i += VL)
            NAME(vstore)(y + i,
                         NAME(on_line)(NAME(vload)(x + i), NAME(vload)(u + i), centre, slope, scale, shift, with_u));
        if (i == m->inner) continue;
        const MASK some = NAME(mask_range)(0, m->inner - i);
        NAME(vstore_masked)(y + i, some,
                            NAME(on_line)(NAME(vload_masked)(x + i, some), NAME(vload_masked)(u + i, some), centre,
                                          slope, scale, shift, with_u));
    }
}

/* The same for a vector of channels when inner is 1. */
INLINE void NAME(map_lanes)(const NAME(batch_norm_call) *m, ptrdiff_t c, MASK some, const NAME(line) *l,
                            const int with_u) {
    T lane[4][VBYTES / T_BYTES];
    for (ptrdiff_t i = 0; i < VL; i++) {
        lane[0][i] = l[i].centre;
        lane[1][i] = l[i].slope;
        lane[2][i] = l[i].scale;
        lane[3][i] = l[i].shift;
    }
    const V centre = NAME(vload)(lane[0]), slope = NAME(vload)(lane[1]), scale = NAME(vload)(lane[2]);
    const V shift = NAME(vload)(lane[3]);
    for (ptrdiff_t at = c; at < m->n * m->c; at += m->c) {
        const V x = NAME(vload_masked)(m->x + at, some), u = with_u ? NAME(vload_masked)(m->dy + at, some) : x;
        NAME(vstore_masked)(m->y + at, some, NAME(on_line)(x, u, centre, slope, scale, shift, with_u));
    }
}

INLINE NAME(line) NAME(normal_line)(const NAME(batch_norm_call) *m, ptrdiff_t c, double mean, double var) {
    NAME(line) l = {(T)mean, (T)((m->weight ? (double)m->weight[c] : 1) / sqrt(var + m->eps)), 0,
                    m->bias ? m->bias[c] : 0};
    return l;
}

/* The statistics of channel c from the sums about `centre`; kept for the caller. */
INLINE NAME(line) NAME(trained_line)(const NAME(batch_norm_call) *m, ptrdiff_t c, T centre, NAME(moments) about) {
    const double count = (double)m->n * (double)m->inner, off = about.first / count;
    const double mean = (double)centre + off, var = about.second / count - off * off;
    const double positive = var < 0 ? 0 : var; /* NaN stays */
    m->out_mean[c] = (T)mean;
    m->out_var[c] = (T)positive;
    return NAME(normal_line)(m, c, mean, positive);
}

/* The gradient of channel c from the sums of dy and dy * (x - mean). */
INLINE NAME(line) NAME(gradient_line)(const NAME(batch_norm_call) *m, ptrdiff_t c, NAME(moments) sums) {
    const double count = (double)m->n * (double)m->inner, inverse = 1 / sqrt((double)m->var[c] + m->eps);
    const double scale = inverse * (m->weight ? (double)m->weight[c] : 1);
    m->dweight[c] = (T)(sums.second * inverse);
    m->dbias[c] = (T)sums.first;
    NAME(line) l = {m->mean[c], 0, (T)scale, 0};
    if (m->training) {
        l.slope = (T)(-scale * inverse * inverse * sums.second / count);
        l.shift = (T)(-scale * sums.first / count);
    }
    return l;
}

/* One channel, or with inner 1 one vector of channels, from statistics to result. */
static void NAME(batch_norm_task)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(batch_norm_call) *m = call;
    const double count = (double)m->n * (double)m->inner;
    (void)scratch;
    if (m->inner > 1) {
        const T centre = m->mean ? m->mean[task] : (T)(NAME(channel_moments)(m, task, NULL, 0).first / count);
        const NAME(moments) sums = NAME(channel_moments)(m, task, m->dy, centre);
        if (m->dy)
            NAME(map_channel)(m, task, NAME(gradient_line)(m, task, sums), 1);
        else
            NAME(map_channel)(m, task, NAME(trained_line)(m, task, centre, sums), 0);
        return;
    }
    const ptrdiff_t from = task * VL, lanes = NAME(smaller)(m->c - from, VL);
    const MASK some = NAME(mask_range)(0, lanes);
    double first[VBYTES / T_BYTES], second[VBYTES / T_BYTES];
    T centre[VBYTES / T_BYTES] = {0};
    NAME(line) line[VBYTES / T_BYTES];
    memset(line, 0, sizeof(line));
    if (!m->mean) NAME(lane_moments)(m, from, some, NULL, NAME(vzero)(), first, second);
    for (ptrdiff_t i = 0; i < lanes; i++) centre[i] = m->mean ? m->mean[from + i] : (T)(first[i] / count);
    NAME(lane_moments)(m, from, some, m->dy, NAME(vload)(centre), first, second);
    for (ptrdiff_t i = 0; i < lanes; i++) {
        const NAME(moments) sums = {first[i], second[i]};
        line[i] = m->dy ? NAME(gradient_line)(m, from + i, sums) : NAME(trained_line)(m, from + i, centre[i], sums);
    }
    if (m->dy)
        NAME(map_lanes)(m, from, some, line, 1);
    else
        NAME(map_lanes)(m, from, some, line, 0);
}

INLINE int NAME(run_batch_norm)(NAME(batch_norm_call) *m) {
    const double work = (double)m->n * (double)m->c * (double)m->inner * 3;
    return fc_parallel(m->inner > 1 ? m->c : (m->c + VL - 1) / VL, work, 0, NAME(batch_norm_task), m);
}

static int NAME(batch_norm_train)(ptrdiff_t n, ptrdiff_t c, ptrdiff_t inner, const void *x, const void *weight,
                                  const void *bias, double eps, void *y, void *mean, void *var) {
    NAME(batch_norm_call) m = {.n = n,
                               .c = c,
                               .inner = inner,
                               .x = x,
                               .weight = weight,
                               .bias = bias,
                               .eps = eps,
                               .training = 1,
                               .y = y,
                               .out_mean = mean,
                               .out_var = var};
    return NAME(run_batch_norm)(&m);
}

static int NAME(batch_norm_backward)(ptrdiff_t n, ptrdiff_t c, ptrdiff_t inner, const void *dy, const void *x,
                                     const void *mean, const void *var, const void *weight, double eps,
                                     ptrdiff_t training, void *dx, void *dweight, void *dbias) {
    NAME(batch_norm_call) m = {.n = n,
                               .c = c,
                               .inner = inner,
                               .x = x,
                               .dy = dy,
                               .weight = weight,
                               .mean = mean,
                               .var = var,
                               .eps = eps,
                               .training = training != 0,
                               .y = dx,
                               .dweight = dweight,
                               .dbias = dbias};
    return NAME(run_batch_norm)(&m);
}

/* Inference: given statistics; rows (n, c) in any order, or with inner 1 vectors of channels. */
static void NAME(normalise_task)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(batch_norm_call) *m = call;
    (void)scratch;
    if (m->inner == 1) {
        const ptrdiff_t from = task * VL, lanes = NAME(smaller)(m->c - from, VL);
        NAME(line) line[VBYTES / T_BYTES];
        memset(line, 0, sizeof(line));
        for (ptrdiff_t i = 0; i < lanes; i++)
            line[i] = NAME(normal_line)(m, from + i, (double)m->mean[from + i], (double)m->var[from + i]);
        NAME(map_lanes)(m, from, NAME(mask_range)(0, lanes), line, 0);
        return;
    }
    const ptrdiff_t rows = m->n * m->c, last = NAME(smaller)((task + 1) * m->a_task, rows);
    for (ptrdiff_t row = task * m->a_task; row < last; row++) {
        const ptrdiff_t c = row % m->c;
        NAME(batch_norm_call) one = *m;
        one.n = 1;
        one.x += (row - c) * m->inner;
        one.y += (row - c) * m->inner;
        NAME(map_channel)(&one, c, NAME(normal_line)(m, c, (double)m->mean[c], (double)m->var[c]), 0);
    }
}

static int NAME(batch_norm)(ptrdiff_t n, ptrdiff_t c, ptrdiff_t inner, const void *x, const void *mean, const void *var,
                            const void *weight, const void *bias, double eps, void *y) {
    NAME(batch_norm_call) m = {.n = n,
                               .c = c,
                               .inner = inner,
                               .x = x,
                               .weight = weight,
                               .bias = bias,
                               .mean = mean,
                               .var = var,
                               .eps = eps,
                               .y = y};
    m.a_task = NAME(rows_a_task)(inner);
    const ptrdiff_t tasks = inner == 1 ? (c + VL - 1) / VL : (n * c + m.a_task - 1) / m.a_task;
    return fc_parallel(tasks, (double)n * (double)c * (double)inner, 0, NAME(normalise_task), &m);
}
