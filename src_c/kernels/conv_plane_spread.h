/* Gradient to the input of depthwise convolution at stride 2 for the kernels of conv_plane.h: every row of dy goes into pairs of
   rows and pairs of columns, whose even and odd halves are interleaved in registers. In coordinates that count from the first
   padded row (and column) position 2 i + a receives from output i - k through tap a + 2 k, whatever the padding.
   Never stores outside a row of the input. */

typedef struct {
    ptrdiff_t pairs, from; /* vectors: the pairs of columns a vector holds start at `from` */
    MASK inside[4], out[2]; /* of the loads shifted by 0 .. 3 outputs, of the two stores */
    int edge;
} NAME(spread_column);

typedef struct {
    const fc_conv *s;
    const T *dy, *weight, *bias;
    T *dx;
    NAME(plane_tasks) share; /* rows: pairs of them */
    ptrdiff_t first_row, first_pair, row_pairs,
        columns; /* the first pair of rows, of columns with a place in the input */
} NAME(spread_job);

typedef struct {
    const T *dy, *zeros, *weight;
    T *dx, bias;
    ptrdiff_t i0, i1, pad, H, W, P, Q;
    int skip, more; /* skip: rows outside add nothing; more: add to what is there */
} NAME(spread);

/* Whether this geometry is one of those. */
static int NAME(spreads)(const fc_conv *s) {
    const ptrdiff_t *k = s->kernel;
    return !s->channels_last && s->in[0] == 1 && s->out[0] == 1 && k[0] == 1 && s->pad[0] == 0 && k[1] == k[2] &&
           (k[1] == 3 || k[1] == 5 || k[1] == 7) && s->stride[1] == 2 && s->stride[2] == 2 && s->dilation[1] == 1 &&
           s->dilation[2] == 1 && s->pad[1] < k[1] && s->pad[2] < k[1];
}

/* The pair of rows 2 i and 2 i + 1, counted from the padding. side, edge and inner are literals; inner: all rows exist. */
INLINE void NAME(spread_rows)(const NAME(spread) *c, const NAME(spread_column) *column, const V *w, V bias, ptrdiff_t i,
                              const int side, const int edge, const int inner) {
    const int half = (side + 1) / 2;
    V sum[2][2] = {{bias, bias}, {bias, bias}};
    UNROLL(4)
    for (int k = 0; k < half; k++) {
        const ptrdiff_t p = i - k;
        const int down = 2 * k + 1 < side ? 2 : 1, outside = !inner && (p < 0 || p >= c->P);
        if (outside && c->skip) continue;
        const T *row = outside ? c->zeros + 3 : c->dy + p * c->Q + column->pairs;
        if (inner && k == 0) __builtin_prefetch(row + NAME(AHEAD), 0, 3);
        UNROLL(4)
        for (int m = 0; m < half; m++) {
            const int across = 2 * m + 1 < side ? 2 : 1;
            const V at = edge ? NAME(vload_masked)(row - m, column->inside[m]) : NAME(vload)(row - m);
            UNROLL(2)
            for (int a = 0; a < down; a++) {
                UNROLL(2)
                for (int b = 0; b < across; b++) {
                    const int t = (a + 2 * k) * side + b + 2 * m;
                    sum[a][b] += (side == 3 ? w[t % 9] : NAME(vset)(c->weight[t])) * at;
                }
            }
        }
    }
    UNROLL(2)
    for (int a = 0; a < 2; a++) {
        const ptrdiff_t h = 2 * i + a - c->pad;
        if (!inner && (h < 0 || h >= c->H)) continue;
        T *to = c->dx + h * c->W + column->from;
        V low = NAME(vinterleave_low)(sum[a][0], sum[a][1]), high = NAME(vinterleave_high)(sum[a][0], sum[a][1]);
        if (inner) {
            __builtin_prefetch(to + NAME(AHEAD), 1, 3);
            __builtin_prefetch(to + NAME(AHEAD) + VL, 1, 3);
        }
        if (edge) {
            if (c->more) {
                low += NAME(vload_masked)(to, column->out[0]);
                high += NAME(vload_masked)(to + VL, column->out[1]);
            }
            NAME(vstore_masked)(to, column->out[0], low);
            NAME(vstore_masked)(to + VL, column->out[1], high);
        } else {
            if (c->more) {
                low += NAME(vload)(to);
                high += NAME(vload)(to + VL);
            }
            NAME(vstore)(to, low);
            NAME(vstore)(to + VL, high);
        }
    }
}

INLINE void NAME(spread_of)(const NAME(spread) *shared, const NAME(spread_column) *place, const int side,
                            const int edge) {
    const NAME(spread) c = *shared; /* copies: a store to dx cannot change them */
    const NAME(spread_column) column = *place;
    const V bias = NAME(vset)(c.bias);
    V w[9];
    if (side == 3) {
        UNROLL(9)
        for (int t = 0; t < 9; t++) w[t] = NAME(vset)(c.weight[t]);
    }
    const ptrdiff_t first = larger((side - 1) / 2, (c.pad + 1) / 2), last = smaller(c.P, (c.H + c.pad) / 2);
    for (ptrdiff_t i = c.i0; i < c.i1; i++) {
        if (i >= first)
            for (; i < smaller(last, c.i1); i++) NAME(spread_rows)(&c, &column, w, bias, i, side, edge, 1);
        if (i < c.i1) NAME(spread_rows)(&c, &column, w, bias, i, side, edge, 0);
    }
}

typedef void NAME(spread_kernel)(const NAME(spread) *, const NAME(spread_column) *);

#define SPREAD(side, edge)                                                                                  \
    static __attribute__((noinline)) void NAME(spread_##side##_##edge)(const NAME(spread) *c,               \
                                                                       const NAME(spread_column) *column) { \
        NAME(spread_of)(c, column, side, edge);                                                             \
    }
SPREAD(3, 0)
SPREAD(3, 1)
SPREAD(5, 0)
SPREAD(5, 1)
SPREAD(7, 0)
SPREAD(7, 1)
#undef SPREAD

static NAME(spread_kernel) *const NAME(spread_kernels)[3][2] = {
    {NAME(spread_3_0), NAME(spread_3_1)}, {NAME(spread_5_0), NAME(spread_5_1)}, {NAME(spread_7_0), NAME(spread_7_1)}};

static void NAME(place_spread)(const NAME(spread_job) *job, NAME(spread_column) *column) {
    const fc_conv *s = job->s;
    const ptrdiff_t W = s->in[2], Q = s->out[2];
    for (ptrdiff_t i = 0; i < job->columns; i++, column++) {
        column->pairs = job->first_pair + i * VL;
        column->from = 2 * column->pairs - s->pad[2];
        column->edge =
            column->from < 0 || column->from + 2 * VL > W || column->pairs < s->kernel[2] / 2 || column->pairs + VL > Q;
        for (ptrdiff_t m = 0; m < 4; m++)
            column->inside[m] = NAME(mask_range)(m - column->pairs, Q + m - column->pairs);
        for (ptrdiff_t v = 0; v < 2; v++)
            column->out[v] = NAME(mask_range)(-column->from - v * VL, W - column->from - v * VL);
    }
}

static void NAME(spread_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(spread_job) *job = context;
    const NAME(plane_tasks) *share = &job->share;
    const fc_conv *s = job->s;
    const ptrdiff_t taps = s->kernel[1] * s->kernel[2], C = s->c / s->g, K = s->k / s->g;
    T *zeros = scratch;
    NAME(spread_column) *column = (NAME(spread_column) *)(void *)(zeros + NAME(ZEROS));
    memset(zeros, 0, NAME(ZEROS) *sizeof(T));
    NAME(place_spread)(job, column);
    const ptrdiff_t first = task / share->bands * share->planes, i0 = task % share->bands * share->rows;
    NAME(spread) call = {.zeros = zeros,
                         .i0 = job->first_row + i0,
                         .i1 = job->first_row + smaller(i0 + share->rows, job->row_pairs),
                         .pad = s->pad[1],
                         .H = s->in[1],
                         .W = s->in[2],
                         .P = s->out[1],
                         .Q = s->out[2]};
    ptrdiff_t n = first / s->c, c = first % s->c;
    for (ptrdiff_t left = smaller(share->planes, s->n * s->c - first); left > 0; left--) {
        const ptrdiff_t g = C == 1 ? c : c / C;
        call.dx = job->dx + (n * s->c + c) * call.H * call.W;
        for (ptrdiff_t k = g * K; k < (g + 1) * K; k++) {
            call.dy = job->dy + (n * s->k + k) * call.P * call.Q;
            call.weight = job->weight + (k * C + c - g * C) * taps;
            call.skip = NAME(all_finite)(call.weight, taps);
            call.more = k > g * K;
            call.bias = job->bias && !call.more ? job->bias[c] : 0;
            for (ptrdiff_t i = 0; i < job->columns; i++)
                NAME(spread_kernels)[s->kernel[1] / 2 - 1][column[i].edge](&call, column + i);
        }
        if (++c == s->c) n++, c = 0;
    }
}

static int NAME(plane_spread)(const fc_conv *s, const T *dy, const T *weight, const T *bias, T *dx) {
    NAME(spread_job) job = {.s = s, .dy = dy, .weight = weight, .bias = bias, .dx = dx};
    job.first_row = s->pad[1] / 2;
    job.first_pair = s->pad[2] / 2;
    job.row_pairs = (s->in[1] - 1 + s->pad[1]) / 2 - job.first_row + 1;
    job.columns = divide_up((s->in[2] - 1 + s->pad[2]) / 2 - job.first_pair + 1, VL);
    const double work_a_row = (double)s->in[2] / 2 * (double)(s->k / s->g * s->kernel[1] * s->kernel[2]);
    job.share = NAME(share_planes)(s->n * s->c, job.row_pairs, work_a_row);
    const size_t scratch = NAME(ZEROS) *sizeof(T) + (size_t)job.columns * sizeof(NAME(spread_column));
    return fc_parallel(job.share.tasks, work_a_row * (double)(job.row_pairs * s->n * s->c), scratch, NAME(spread_task),
                       &job);
}
