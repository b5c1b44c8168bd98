/* Batch normalisation of (N, C, inner) arrays, with or without a ReLU behind it: what a channel's values become, and long
   planes. Short planes are in batch_norm_columns.h. Sums are of deviations from a value near the mean, in the element type over
   short runs and folded into double in a fixed order; Chan, Golub, LeVeque 1983 correct them for where the mean really is. */

typedef struct NAME(batch_norm_call) {
    ptrdiff_t n, c, inner;
    const T *x, *dy, *weight, *bias; /* weight and bias may be NULL: 1 and 0 */
    const T *mean, *var; /* given statistics, or NULL while training */
    double eps;
    int training, relu;
    T *y; /* of the gradient: dx, which may be dy */
    T *out_mean, *out_var, *dweight, *dbias;
    ptrdiff_t a_task;
} NAME(batch_norm_call);

/* What is computed of x and u = dy: a literal wherever it is passed on, so that each gets a loop of its own. */
enum { NAME(NORMAL), NAME(NORMAL_RELU), NAME(GRADIENT), NAME(GRADIENT_RELU) };
#define IS_GRADIENT(kind) ((kind) >= NAME(GRADIENT))

/* A channel's values: NORMAL gives (x - centre) * scale + bias; GRADIENT (x - centre) * slope + u * scale + shift. */
typedef struct NAME(line) {
    T centre, scale, bias, slope, shift;
} NAME(line);

typedef struct NAME(vector_line) {
    V centre, scale, bias, slope, shift;
} NAME(vector_line);

INLINE NAME(vector_line) NAME(line_everywhere)(NAME(line) l) {
    return (NAME(vector_line)){NAME(vset)(l.centre), NAME(vset)(l.scale), NAME(vset)(l.bias), NAME(vset)(l.slope),
                               NAME(vset)(l.shift)};
}

INLINE V NAME(normal)(V x, NAME(vector_line) l) { return (x - l.centre) * l.scale + l.bias; }

/* dy, or behind a ReLU dy where what it was given is positive: the same numbers as in the forward pass. */
INLINE V NAME(through_relu)(V x, V u, NAME(vector_line) l, const int kind) {
    return kind == NAME(GRADIENT_RELU) ? NAME(positive)(NAME(normal)(x, l), u) : u;
}

INLINE V NAME(on_line)(V x, V u, NAME(vector_line) l, const int kind) {
    if (IS_GRADIENT(kind)) return NAME(through_relu)(x, u, l, kind) * l.scale + ((x - l.centre) * l.slope + l.shift);
    const V y = NAME(normal)(x, l);
    return kind == NAME(NORMAL_RELU) ? NAME(positive)(y, y) : y;
}

/* Sums of x - centre and its square, or of dy and dy * (x - centre). */
typedef struct NAME(moments) {
    double first, second;
} NAME(moments);

/* Rounds of vectors between two folds into double. */
#define FOLD 32

/* Begins to read row `n` of a channel: rows are short and far apart, which no hardware prefetcher follows. */
INLINE void NAME(prefetch_row)(const NAME(batch_norm_call) *m, ptrdiff_t n, ptrdiff_t c, const int kind) {
    if (n < 0 || n >= m->n) return;
    const ptrdiff_t at = (n * m->c + c) * m->inner;
    for (ptrdiff_t i = 0; i < 256; i += 64) {
        __builtin_prefetch((const char *)(m->x + at) + i);
        if (IS_GRADIENT(kind)) __builtin_prefetch((const char *)(m->dy + at) + i);
    }
}

INLINE NAME(moments)
    NAME(channel_moments)(const NAME(batch_norm_call) *m, ptrdiff_t c, NAME(line) line, const int kind) {
    const NAME(vector_line) l = NAME(line_everywhere)(line);
    NAME(moments) total = {0, 0};
    V first = NAME(vzero)(), second = first, first_b = first, second_b = first;
    ptrdiff_t rounds = 0;
    for (ptrdiff_t n = 0; n < m->n; n++) {
        const ptrdiff_t at = (n * m->c + c) * m->inner;
        const T *x = m->x + at, *g = IS_GRADIENT(kind) ? m->dy + at : x;
        NAME(prefetch_row)(m, n + 1, c, kind);
        for (ptrdiff_t i = 0; i < m->inner;) {
            /* Whole pairs of vectors up to the next fold, then what is left of the row. */
            const ptrdiff_t pairs = NAME(smaller)((m->inner - i) / (2 * VL), FOLD - rounds);
            for (ptrdiff_t j = 0; j < pairs; j++, i += 2 * VL) {
                const V p = NAME(vload)(x + i), q = NAME(vload)(x + i + VL), a = p - l.centre, b = q - l.centre;
                const V u = IS_GRADIENT(kind) ? NAME(through_relu)(p, NAME(vload)(g + i), l, kind) : a;
                const V v = IS_GRADIENT(kind) ? NAME(through_relu)(q, NAME(vload)(g + i + VL), l, kind) : b;
                first += u;
                first_b += v;
                second += u * a;
                second_b += v * b;
            }
            rounds += pairs;
            if (rounds < FOLD && i < m->inner) {
                const ptrdiff_t rest = NAME(smaller)(m->inner - i, VL);
                const MASK some = NAME(mask_range)(0, rest);
                const V p = NAME(vload_masked)(x + i, some);
                V a = p - l.centre;
                if (rest < VL) a = NAME(vselect)((VI)(NAME(vlanes)() < NAME(vset_int)((TI)rest)), a, NAME(vzero)());
                const V u = IS_GRADIENT(kind) ? NAME(through_relu)(p, NAME(vload_masked)(g + i, some), l, kind) : a;
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

INLINE void NAME(map_row)(const NAME(batch_norm_call) *m, ptrdiff_t at, NAME(vector_line) l, const int kind) {
    const T *x = m->x + at, *u = IS_GRADIENT(kind) ? m->dy + at : x;
    T *y = m->y + at;
    ptrdiff_t i = 0;
    for (; i + VL <= m->inner; i += VL)
        NAME(vstore)(y + i, NAME(on_line)(NAME(vload)(x + i), NAME(vload)(u + i), l, kind));
    if (i == m->inner) return;
    const MASK some = NAME(mask_range)(0, m->inner - i);
    NAME(vstore_masked)(y + i, some,
                        NAME(on_line)(NAME(vload_masked)(x + i, some), NAME(vload_masked)(u + i, some), l, kind));
}

/* From the last image to the first: what was read last is still in cache. */
INLINE void NAME(map_channel)(const NAME(batch_norm_call) *m, ptrdiff_t c, NAME(line) line, const int kind) {
    const NAME(vector_line) l = NAME(line_everywhere)(line);
    for (ptrdiff_t n = m->n - 1; n >= 0; n--) {
        NAME(prefetch_row)(m, n - 1, c, kind);
        NAME(map_row)(m, (n * m->c + c) * m->inner, l, kind);
    }
}

/* The line of channel c under statistics as they are handed on, rounded: the gradient works out the same one from them. */
INLINE NAME(line) NAME(normal_line)(const NAME(batch_norm_call) *m, ptrdiff_t c, T mean, T var) {
    const double inverse = 1 / sqrt((double)var + m->eps);
    return (NAME(line)){mean, (T)(inverse * (m->weight ? (double)m->weight[c] : 1)), m->bias ? m->bias[c] : 0, 0, 0};
}

/* Keeps the statistics of channel c, of which the sums about `centre` are given, for the caller. Returns whether the centre was
   far from the mean, as deviations go: then the variance is the small difference of large numbers. */
INLINE int NAME(keep_statistics)(const NAME(batch_norm_call) *m, ptrdiff_t c, T centre, NAME(moments) about) {
    const double count = (double)m->n * (double)m->inner, off = about.first / count;
    const double var = about.second / count - off * off;
    m->out_mean[c] = (T)((double)centre + off);
    m->out_var[c] = (T)(var < 0 ? 0 : var); /* NaN stays */
    return off * off > 4 * var;
}

/* The gradient of channel c from the sums of dy and dy * (x - mean). */
INLINE NAME(line) NAME(gradient_line)(const NAME(batch_norm_call) *m, ptrdiff_t c, NAME(moments) sums) {
    const double count = (double)m->n * (double)m->inner, inverse = 1 / sqrt((double)m->var[c] + m->eps);
    const double scale = inverse * (m->weight ? (double)m->weight[c] : 1);
    m->dweight[c] = (T)(sums.second * inverse);
    m->dbias[c] = (T)sums.first;
    NAME(line) l = NAME(normal_line)(m, c, m->mean[c], m->var[c]);
    if (m->training) {
        l.slope = (T)(-scale * inverse * inverse * sums.second / count);
        l.shift = (T)(-scale * sums.first / count);
    }
    return l;
}

/* Elements that say about where the mean of a channel is. */
#define FIRST_GUESS 512

static void NAME(train_channel)(void *call, ptrdiff_t c, void *scratch) {
    const NAME(batch_norm_call) *m = call;
    const ptrdiff_t some = NAME(smaller)(m->inner, FIRST_GUESS);
    NAME(line) l = {NAME(sum_of)(m->x + c * m->inner, some) / (T)some, 0, 0, 0, 0};
    (void)scratch;
    for (int tries = 0; tries < 2; tries++) {
        if (!NAME(keep_statistics)(m, c, l.centre, NAME(channel_moments)(m, c, l, NAME(NORMAL)))) break;
        l.centre = m->out_mean[c];
    }
    l = NAME(normal_line)(m, c, m->out_mean[c], m->out_var[c]);
    if (m->relu)
        NAME(map_channel)(m, c, l, NAME(NORMAL_RELU));
    else
        NAME(map_channel)(m, c, l, NAME(NORMAL));
}

static void NAME(gradient_channel)(void *call, ptrdiff_t c, void *scratch) {
    const NAME(batch_norm_call) *m = call;
    const NAME(line) l = NAME(normal_line)(m, c, m->mean[c], m->var[c]);
    (void)scratch;
    if (m->relu)
        NAME(map_channel)(m, c, NAME(gradient_line)(m, c, NAME(channel_moments)(m, c, l, NAME(GRADIENT_RELU))),
                          NAME(GRADIENT_RELU));
    else
        NAME(map_channel)(m, c, NAME(gradient_line)(m, c, NAME(channel_moments)(m, c, l, NAME(GRADIENT))),
                          NAME(GRADIENT));
}

/* Inference on long planes: rows (n, c) in any order. */
static void NAME(normalise_rows)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(batch_norm_call) *m = call;
    const ptrdiff_t last = NAME(smaller)((task + 1) * m->a_task, m->n * m->c);
    (void)scratch;
    for (ptrdiff_t row = task * m->a_task; row < last; row++) {
        const ptrdiff_t c = row % m->c;
        const NAME(vector_line) l = NAME(line_everywhere)(NAME(normal_line)(m, c, m->mean[c], m->var[c]));
        if (m->relu)
            NAME(map_row)(m, row * m->inner, l, NAME(NORMAL_RELU));
        else
            NAME(map_row)(m, row * m->inner, l, NAME(NORMAL));
    }
}
