/* Steps of inference that no gradient needs: nearest upsampling of planes, and local response normalisation across channels. */

typedef struct {
    ptrdiff_t h, w, down, across;
    const T *x;
    T *y;
} NAME(upsample_job);

static void NAME(upsample_task)(void *context, ptrdiff_t plane, void *scratch) {
    const NAME(upsample_job) *job = context;
    const ptrdiff_t w = job->w, across = job->across, row = w * across;
    const T *from = job->x + plane * job->h * w;
    T *to = job->y + plane * job->h * job->down * row;
    (void)scratch;
    for (ptrdiff_t i = 0; i < job->h; i++, from += w, to += job->down * row) {
        ptrdiff_t j = 0;
        for (; across == 2 && j + VL <= w; j += VL) {
            const V v = NAME(vload)(from + j);
            NAME(vstore)(to + 2 * j, NAME(vinterleave_low)(v, v));
            NAME(vstore)(to + 2 * j + VL, NAME(vinterleave_high)(v, v));
        }
        for (; j < w; j++)
            for (ptrdiff_t s = 0; s < across; s++) to[j * across + s] = from[j];
        for (ptrdiff_t r = 1; r < job->down; r++) memcpy(to + r * row, to, (size_t)row * sizeof(T));
    }
}

/* y: each element of x (planes, size[0], size[1]) factor[0] times down and factor[1] times across. */
static int NAME(upsample)(ptrdiff_t planes, const ptrdiff_t *size, const ptrdiff_t *factor, const void *x, void *y) {
    NAME(upsample_job) job = {size[0], size[1], factor[0], factor[1], x, y};
    const double elements = (double)planes * (double)(size[0] * size[1]) * (double)(factor[0] * factor[1]);
    return fc_parallel(planes, elements, 0, NAME(upsample_task), &job);
}

typedef struct {
    ptrdiff_t c, inner, size;
    const double *p;
    const T *x;
    T *y;
} NAME(response_job);

enum { NAME(RESPONSE_RUN) = 16 }; /* vectors a task */

INLINE V NAME(vsqrt)(V v) {
    T lane[VBYTES / T_BYTES];
    NAME(vstore)(lane, v);
    UNROLL(16)
    for (ptrdiff_t i = 0; i < VL; i++) lane[i] = (T)sqrt((double)lane[i]);
    return NAME(vload)(lane);
}

/* v to the power beta: by square roots where beta is 1/2 or 3/4, as it nearly always is. */
INLINE V NAME(vpower)(V v, double beta) {
    if (beta == 0.5) return NAME(vsqrt)(v);
    if (beta == 0.75) {
        const V root = NAME(vsqrt)(v);
        return root * NAME(vsqrt)(root);
    }
    T lane[VBYTES / T_BYTES];
    NAME(vstore)(lane, v);
    for (ptrdiff_t i = 0; i < VL; i++) lane[i] = (T)pow((double)lane[i], beta);
    return NAME(vload)(lane);
}

static void NAME(response_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(response_job) *job = context;
    const ptrdiff_t first = task * NAME(RESPONSE_RUN) *VL, last = smaller(job->inner, first + NAME(RESPONSE_RUN) *VL);
    const V share = NAME(vset)((T)job->p[0]), k = NAME(vset)((T)job->p[2]);
    (void)scratch;
    for (ptrdiff_t c = 0; c < job->c; c++) {
        const ptrdiff_t c0 = larger(0, c - job->size / 2), c1 = smaller(job->c, c - job->size / 2 + job->size);
        for (ptrdiff_t i = first; i < last; i += VL) {
            const MASK some = NAME(mask_range)(0, last - i);
            V sum = NAME(vzero)();
            for (ptrdiff_t j = c0; j < c1; j++) {
                const V v = NAME(vload_masked)(job->x + j * job->inner + i, some);
                sum += v * v;
            }
            const V divisor = NAME(vpower)(sum * share + k, job->p[1]);
            NAME(vstore_masked)(job->y + c * job->inner + i, some,
                                NAME(vload_masked)(job->x + c * job->inner + i, some) / divisor);
        }
    }
}

/* y = x / (p[0] * sum of squares of the `size` channels around + p[2]) ^ p[1]; of an even size one more lies before. One image of
   c planes of `inner` elements. */
static int NAME(response_norm)(ptrdiff_t c, ptrdiff_t inner, ptrdiff_t size, const double *p, const void *x, void *y) {
    NAME(response_job) job = {c, inner, size, p, x, y};
    return fc_parallel(divide_up(inner, NAME(RESPONSE_RUN) *VL), (double)c * (double)inner * (double)(size + 8), 0,
                       NAME(response_task), &job);
}
