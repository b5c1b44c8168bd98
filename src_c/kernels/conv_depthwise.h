/* Convolution where a group has few channels (depthwise, with any multiplier): no reduction over channels to block, so the input
   rows of a band are copied once into a zero-padded, stride-separated scratch and every output vector is a sum over taps of
   neighbouring loads. Forward, gradient to the input (a window with its own taps) and gradient to the weight. */

enum { NAME(UNITS) = 4 }; /* output vectors summed at once: independent sums hide the latency of the multiply-adds */

/* A band: `rows` output rows of one image and depth, and the scratch that holds the input they read:
   [channel][depth][height][phase of the column stride][column / stride], zeros in the padding. */
typedef struct {
    const window *w;
    extent e;
    ptrdiff_t rows; /* output rows a band */
    ptrdiff_t width, row, plane, volume,
        channel; /* element counts: one phase of a row, a row, all rows, all depths = a channel */
    ptrdiff_t bands; /* bands a depth slice */
} NAME(band);

/* 0 where the scratch would be unreasonably large (huge dilations): the dense path takes those. */
static int NAME(plan_band)(const window *w, NAME(band) *b) {
    enum { BAND_BYTES = 24 << 10, LIMIT_BYTES = 8 << 20 };
    b->w = w;
    if (w->taps == 0 || w->n * window_pixels(w) == 0) return 0;
    b->e = window_extent(w);
    const ptrdiff_t columns = (w->out[2] - 1) * w->step[2] + b->e.span[2];
    b->width = columns / w->step[2] + 1 + VL;
    b->row = capped_product(b->width, w->step[2]);
    const ptrdiff_t per_row = capped_product(capped_product(b->row, b->e.span[0]), w->c * (ptrdiff_t)sizeof(T));
    if (capped_product(per_row, b->e.span[1]) > LIMIT_BYTES) return 0;
    const ptrdiff_t more = (BAND_BYTES / per_row - b->e.span[1]) / w->step[1];
    b->rows = smaller(w->out[1], larger(0, more) + 1);
    b->bands = divide_up(w->out[1], b->rows);
    b->plane = ((b->rows - 1) * w->step[1] + b->e.span[1]) * b->row;
    if (capped_product(capped_product(b->plane, b->e.span[0]), w->c * (ptrdiff_t)sizeof(T)) > LIMIT_BYTES) return 0;
    b->volume = b->channel = b->plane * b->e.span[0];
    return 1;
}

/* One input row, from column `first` on, split into its stride phases. */
static void NAME(fill_row)(const NAME(band) *b, const T *x, ptrdiff_t first, T *to) {
    const window *w = b->w;
    const ptrdiff_t step = w->step[2], stride = w->x_s[2];
    for (ptrdiff_t phase = 0; phase < step; phase++, to += b->width) {
        ptrdiff_t lo, hi;
        inside(first + phase, step, w->in[2], b->width, &lo, &hi);
        const T *from = x + (first + phase) * stride;
        memset(to, 0, (size_t)lo * sizeof(T));
        if (step * stride == 2) {
            for (ptrdiff_t i = lo; i < hi; i += VL) {
                const ptrdiff_t n = smaller(hi - i, VL), m = 2 * n - 1;
                NAME(vstore_first)(
                    to + i, n,
                    NAME(veven)(NAME(vload_first)(from + 2 * i, m), NAME(vload_first)(from + 2 * i + VL, m - VL)));
            }
        } else {
            for (ptrdiff_t i = lo; i < hi; i++) to[i] = from[i * step * stride];
        }
        memset(to + hi, 0, (size_t)(b->width - hi) * sizeof(T));
    }
}

/* The same where neighbours stay neighbours: lo .. hi are what lies inside. Stores run up to VL - 1 lanes past the row's end. */
INLINE void NAME(copy_row)(const NAME(band) *b, const T *from, ptrdiff_t lo, ptrdiff_t hi, T *to) {
    for (ptrdiff_t i = 0; i < b->width; i += VL) {
        if (i >= lo && i + VL <= hi)
            NAME(vstore)(to + i, NAME(vload)(from + i));
        else
            NAME(vstore)(to + i, NAME(vload_masked)(from + i, NAME(mask_range)(lo - i, hi - i)));
    }
}

/* The input that output rows row0 .. row0+rows-1 of depth `depth` read; x is channel 0 of the group in its image. */
static void NAME(fill_band)(const NAME(band) *b, const T *x, ptrdiff_t depth, ptrdiff_t row0, ptrdiff_t rows, T *to) {
    const window *w = b->w;
    const ptrdiff_t heights = (rows - 1) * w->step[1] + b->e.span[1], first = b->e.lo[2];
    const int neighbours = w->step[2] * w->x_s[2] == 1;
    ptrdiff_t lo, hi;
    inside(first, 1, w->in[2], b->width, &lo, &hi);
    for (ptrdiff_t c = 0; c < w->c; c++)
        for (ptrdiff_t d = 0; d < b->e.span[0]; d++)
            for (ptrdiff_t h = 0; h < heights; h++) {
                const ptrdiff_t at_d = depth * w->step[0] + b->e.lo[0] + d, at_h = row0 * w->step[1] + b->e.lo[1] + h;
                const T *from = x + c * w->x_c + at_d * w->x_s[0] + at_h * w->x_s[1];
                T *row = to + c * b->channel + d * b->plane + h * b->row;
                if (at_d < 0 || at_d >= w->in[0] || at_h < 0 || at_h >= w->in[1])
                    memset(row, 0, (size_t)b->row * sizeof(T));
                else if (neighbours)
                    NAME(copy_row)(b, from + first, lo, hi, row);
                else
                    NAME(fill_row)(b, from, first, row);
            }
}

/* Where each (channel, tap) reads in the band, relative to an output element's place (row * step rows down, column across). */
static void NAME(band_offsets)(const NAME(band) *b, ptrdiff_t *off) {
    const window *w = b->w;
    for (ptrdiff_t c = 0; c < w->c; c++)
        for (ptrdiff_t t = 0; t < w->taps; t++) {
            const ptrdiff_t *tap = w->tap + 3 * t, column = tap[2] - b->e.lo[2];
            *off++ = c * b->channel + (tap[0] - b->e.lo[0]) * b->plane + (tap[1] - b->e.lo[1]) * b->row +
                     column % w->step[2] * b->width + column / w->step[2];
        }
}

typedef struct {
    NAME(band) band;
    const T *x, *weight, *y_or_dy;
    T *y;
    const fc_epilogue *end;
    T *partial; /* weight gradient: [splits][groups][k][c][taps] */
    ptrdiff_t splits; /* parts of the batch */
} NAME(depthwise_job);

static size_t NAME(depthwise_scratch)(const NAME(band) *b, T *at, ptrdiff_t **off, T **values, T **band) {
    const ptrdiff_t terms = b->w->c * b->w->taps,
                    off_room = divide_up(terms, 8) * 8 * (ptrdiff_t)sizeof(ptrdiff_t) / (ptrdiff_t)sizeof(T);
    const ptrdiff_t value_room = divide_up(terms * VL, 16) * 16;
    if (at) {
        *off = (ptrdiff_t *)(void *)at;
        *values = at + off_room;
        *band = at + off_room + value_room;
    }
    return (size_t)(off_room + value_room + b->channel * b->w->c + VL) * sizeof(T);
}

/* UNITS output vectors at once: p[u] their place in the band. */
INLINE void NAME(sum_taps)(const T *const *p, const T *weights, const ptrdiff_t *off, ptrdiff_t terms, V *sum) {
    V s0 = NAME(vzero)(), s1 = s0, s2 = s0, s3 = s0;
    for (ptrdiff_t j = 0; j < terms; j++) {
        const V w = NAME(vset)(weights[j]);
        const ptrdiff_t o = off[j];
        s0 += w * NAME(vload)(p[0] + o);
        s1 += w * NAME(vload)(p[1] + o);
        s2 += w * NAME(vload)(p[2] + o);
        s3 += w * NAME(vload)(p[3] + o);
    }
    sum[0] = s0, sum[1] = s1, sum[2] = s2, sum[3] = s3;
}

INLINE void NAME(finish_unit)(const NAME(depthwise_job) *job, V s, ptrdiff_t k, ptrdiff_t place, ptrdiff_t count) {
    const ptrdiff_t step = job->band.w->y_s[2];
    const fc_epilogue *end = job->end;
    T lane[VBYTES / sizeof(T)];
    if (end && end->bias) s += NAME(vset)(((const T *)end->bias)[k]);
    if (end && end->add) {
        const T *add = (const T *)end->add + place;
        if (step == 1) {
            s += NAME(vload_first)(add, count);
        } else {
            NAME(vstore)(lane, NAME(vzero)());
            for (ptrdiff_t i = 0; i < count; i++) lane[i] = add[i * step];
            s += NAME(vload)(lane);
        }
    }
    if (end) s = NAME(activate)(s, end->activation, (T)end->slope);
    if (step == 1 && count == VL) {
        NAME(vstore)(job->y + place, s);
    } else if (step == 1) {
        NAME(vstore_first)(job->y + place, count, s);
    } else {
        NAME(vstore)(lane, s);
        for (ptrdiff_t i = 0; i < count; i++) job->y[place + i * step] = lane[i];
    }
}

static void NAME(depthwise_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(depthwise_job) *job = context;
    const NAME(band) *b = &job->band;
    const window *w = b->w;
    ptrdiff_t *off;
    T *weights, *band;
    (void)NAME(depthwise_scratch)(b, scratch, &off, &weights, &band);
    const ptrdiff_t row0 = task % b->bands * b->rows, depth = task / b->bands % w->out[0];
    const ptrdiff_t g = task / b->bands / w->out[0] % w->groups, n = task / b->bands / w->out[0] / w->groups;
    const ptrdiff_t rows = smaller(b->rows, w->out[1] - row0), terms = w->c * w->taps;
    const ptrdiff_t across = divide_up(w->out[2], VL), units = rows * across;
    NAME(band_offsets)(b, off);
    NAME(fill_band)(b, job->x + n * w->x_n + g * w->c * w->x_c, depth, row0, rows, band);
    for (ptrdiff_t k = 0; k < w->k; k++) {
        const T *from = job->weight + g * w->w_g + k * w->w_k;
        for (ptrdiff_t j = 0; j < terms; j++) weights[j] = from[j / w->taps * w->w_c + w->w_tap[j % w->taps]];
        const ptrdiff_t plane = n * w->y_n + (g * w->k + k) * w->y_c + depth * w->y_s[0];
        for (ptrdiff_t u = 0; u < units; u += NAME(UNITS)) {
            const T *p[NAME(UNITS)];
            V sum[NAME(UNITS)];
            for (ptrdiff_t i = 0; i < NAME(UNITS); i++) {
                const ptrdiff_t at = smaller(u + i, units - 1);
                p[i] = band + at / across * w->step[1] * b->row + at % across * VL;
            }
            NAME(sum_taps)(p, weights, off, terms, sum);
            for (ptrdiff_t i = 0; i < NAME(UNITS) &&u + i < units; i++) {
                const ptrdiff_t r = (u + i) / across, q = (u + i) % across * VL;
                NAME(finish_unit)(job, sum[i], g * w->k + k, plane + (row0 + r) * w->y_s[1] + q * w->y_s[2],
                                  smaller(VL, w->out[2] - q));
            }
        }
    }
}

/* Groups so small that the dense tile would be mostly empty. */
static int NAME(is_depthwise)(const window *w) { return w->groups > 1 && w->c * w->k <= TILE_M; }

static int NAME(depthwise)(const window *w, const NAME(band) *b, const T *x, const T *weight, const fc_epilogue *end,
                           T *y) {
    NAME(depthwise_job) job = {.band = *b, .x = x, .weight = weight, .y = y, .end = end};
    const ptrdiff_t tasks = w->n * w->groups * w->out[0] * b->bands;
    const double work =
        (double)w->n * (double)window_pixels(w) * (double)(w->groups * w->k * w->c) * (double)(w->taps + 2);
    return fc_parallel(tasks, work, NAME(depthwise_scratch)(b, NULL, NULL, NULL, NULL), NAME(depthwise_task), &job);
}

/* ---- gradient to the weight: dw[g][k][c][t] = sum of dy times what tap t of channel c reads */

/* Sums of UNITS taps over a band; dy is the first output row of the band in its plane. */
static void NAME(correlate_band)(const NAME(band) *b, const T *band, const T *dy, ptrdiff_t rows, const ptrdiff_t *off,
                                 ptrdiff_t taps, T *sums) {
    const window *w = b->w;
    const ptrdiff_t step = w->y_s[2];
    const T *p[NAME(UNITS)];
    V s[NAME(UNITS)];
    T lane[VBYTES / sizeof(T)];
    for (ptrdiff_t i = 0; i < NAME(UNITS); i++) {
        p[i] = band + off[smaller(i, taps - 1)];
        s[i] = i < taps ? NAME(vload)(sums + i * VL) : NAME(vzero)();
    }
    V s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3];
    for (ptrdiff_t r = 0; r < rows; r++) {
        const T *d = dy + r * w->y_s[1];
        const ptrdiff_t down = r * w->step[1] * b->row;
        for (ptrdiff_t q = 0; q < w->out[2]; q += VL) {
            const ptrdiff_t count = smaller(VL, w->out[2] - q), at = down + q;
            V v;
            if (step == 1 && count == VL) {
                v = NAME(vload)(d + q);
            } else if (step == 1) {
                v = NAME(vload_first)(d + q, count);
            } else {
                NAME(vstore)(lane, NAME(vzero)());
                for (ptrdiff_t i = 0; i < count; i++) lane[i] = d[(q + i) * step];
                v = NAME(vload)(lane);
            }
            if (count == VL) {
                s0 += v * NAME(vload)(p[0] + at);
                s1 += v * NAME(vload)(p[1] + at);
                s2 += v * NAME(vload)(p[2] + at);
                s3 += v * NAME(vload)(p[3] + at);
            } else { /* lanes past the row's end are masked on both sides: 0 * NaN is NaN */
                s0 += v * NAME(vload_first)(p[0] + at, count);
                s1 += v * NAME(vload_first)(p[1] + at, count);
                s2 += v * NAME(vload_first)(p[2] + at, count);
                s3 += v * NAME(vload_first)(p[3] + at, count);
            }
        }
    }
    s[0] = s0, s[1] = s1, s[2] = s2, s[3] = s3;
    for (ptrdiff_t i = 0; i < smaller(NAME(UNITS), taps); i++) NAME(vstore)(sums + i * VL, s[i]);
}

static void NAME(depthwise_grad_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(depthwise_job) *job = context;
    const NAME(band) *b = &job->band;
    const window *w = b->w;
    ptrdiff_t *off;
    T *sums, *band;
    (void)NAME(depthwise_scratch)(b, scratch, &off, &sums, &band);
    const ptrdiff_t g = task % w->groups, split = task / w->groups, terms = w->c * w->taps;
    T *out = job->partial + (split * w->groups + g) * w->k * terms;
    NAME(band_offsets)(b, off);
    for (ptrdiff_t k = 0; k < w->k; k++) {
        memset(sums, 0, (size_t)(terms * VL) * sizeof(T));
        for (ptrdiff_t n = split * w->n / job->splits; n < (split + 1) * w->n / job->splits; n++)
            for (ptrdiff_t depth = 0; depth < w->out[0]; depth++)
                for (ptrdiff_t row0 = 0; row0 < w->out[1]; row0 += b->rows) {
                    const ptrdiff_t rows = smaller(b->rows, w->out[1] - row0);
                    const T *dy =
                        job->y_or_dy + n * w->y_n + (g * w->k + k) * w->y_c + depth * w->y_s[0] + row0 * w->y_s[1];
                    NAME(fill_band)(b, job->x + n * w->x_n + g * w->c * w->x_c, depth, row0, rows, band);
                    for (ptrdiff_t j = 0; j < terms; j += NAME(UNITS))
                        NAME(correlate_band)(b, band, dy, rows, off + j, terms - j, sums + j * VL);
                }
        for (ptrdiff_t j = 0; j < terms; j++) out[k * terms + j] = NAME(vsum)(NAME(vload)(sums + j * VL));
    }
}

/* Runs a task for every group and part of the batch, `job` being part of its context, and adds up what the parts gave. */
static int NAME(weight_by_parts)(NAME(depthwise_job) *job, void *context, size_t scratch, fc_task *one, T *dw) {
    enum { TASKS = 32 };
    const window *w = job->band.w;
    const ptrdiff_t length = w->groups * w->k * w->c * w->taps;
    const double work = (double)w->n * (double)window_pixels(w) * (double)length;
    job->splits = larger(1, smaller(w->n, TASKS / w->groups + (ptrdiff_t)(work / (double)w->groups / LONGEST_TASK)));
    job->partial = job->splits == 1 ? dw : fc_alloc((size_t)length * sizeof(T), (size_t)job->splits);
    if (!job->partial) return FC_NO_MEMORY;
    const int status = fc_parallel(w->groups * job->splits, work, scratch, one, context);
    if (job->splits == 1) return status;
    for (ptrdiff_t i = 0; i < length && status == FC_OK; i++) {
        T s = job->partial[i];
        for (ptrdiff_t p = 1; p < job->splits; p++) s += job->partial[p * length + i];
        dw[i] = s;
    }
    fc_free(job->partial);
    return status;
}

/* dw is contiguous [groups][k][c][taps] in the order of the window's taps. */
static int NAME(depthwise_grad_weight)(const NAME(band) *b, const T *dy, const T *x, T *dw) {
    NAME(depthwise_job) job = {.band = *b, .x = x, .y_or_dy = dy};
    const size_t scratch = NAME(depthwise_scratch)(b, NULL, NULL, NULL, NULL);
    return NAME(weight_by_parts)(&job, &job, scratch, NAME(depthwise_grad_task), dw);
}
