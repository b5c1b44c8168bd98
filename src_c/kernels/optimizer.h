/* Optimizer steps: one pass over the parameter, its gradient and its state, cut into equal runs. Never writes the gradient. */

#define OPTIMIZER_RUN 16384

typedef struct NAME(sgd_call) {
    ptrdiff_t count;
    const fc_sgd *s;
    const T *g;
    T *p, *v;
} NAME(sgd_call);

typedef struct NAME(adam_call) {
    ptrdiff_t count;
    const fc_adam *s;
    const T *g;
    T *p, *m, *v, *top; /* top: the largest v so far, or NULL */
} NAME(adam_call);

#if VBYTES == 64 && T_IS_FLOAT
INLINE V NAME(vroot)(V x) { return (V)_mm512_sqrt_ps((__m512)x); }
#elif VBYTES == 64
INLINE V NAME(vroot)(V x) { return (V)_mm512_sqrt_pd((__m512d)x); }
#elif VBYTES == 32 && T_IS_FLOAT
INLINE V NAME(vroot)(V x) { return (V)_mm256_sqrt_ps((__m256)x); }
#elif VBYTES == 32
INLINE V NAME(vroot)(V x) { return (V)_mm256_sqrt_pd((__m256d)x); }
#elif VBYTES == 16 && defined(__SSE2__) && T_IS_FLOAT
INLINE V NAME(vroot)(V x) { return (V)_mm_sqrt_ps((__m128)x); }
#elif VBYTES == 16 && defined(__SSE2__)
INLINE V NAME(vroot)(V x) { return (V)_mm_sqrt_pd((__m128d)x); }
#else
INLINE V NAME(vroot)(V x) {
    for (ptrdiff_t i = 0; i < VL; i++) x[i] = (T)sqrt((double)x[i]); /* to T it is rounded as sqrtf rounds */
    return x;
}
#endif

/* `velocity` and `first` are literals: a loop for each. */
INLINE void NAME(sgd_run)(const NAME(sgd_call) *call, ptrdiff_t from, const int velocity, const int first) {
    const fc_sgd *s = call->s;
    const ptrdiff_t end = NAME(smaller)(from + OPTIMIZER_RUN, call->count);
    const V lr = NAME(vset)((T)s->lr), decay = NAME(vset)((T)s->weight_decay), momentum = NAME(vset)((T)s->momentum);
    const V share = NAME(vset)((T)(1 - s->dampening));
    for (ptrdiff_t i = from; i < end; i += VL) {
        const MASK some = NAME(mask_range)(0, end - i);
        const V p = NAME(vload_masked)(call->p + i, some);
        V g = NAME(vload_masked)(call->g + i, some);
        if (s->weight_decay != 0) g += decay * p; /* an infinite p times 0 would be NaN */
        V step = g;
        if (velocity) {
            const V v = first ? g : momentum * NAME(vload_masked)(call->v + i, some) + share * g;
            NAME(vstore_masked)(call->v + i, some, v);
            step = s->nesterov ? g + momentum * v : v;
        }
        NAME(vstore_masked)(call->p + i, some, p - lr * step);
    }
}

static void NAME(sgd_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(sgd_call) *call = context;
    const ptrdiff_t from = task * OPTIMIZER_RUN;
    (void)scratch;
    if (!call->v)
        NAME(sgd_run)(call, from, 0, 0);
    else if (call->s->first)
        NAME(sgd_run)(call, from, 1, 1);
    else
        NAME(sgd_run)(call, from, 1, 0);
}

INLINE void NAME(adam_run)(const NAME(adam_call) *call, ptrdiff_t from, const int largest) {
    const fc_adam *s = call->s;
    const ptrdiff_t end = NAME(smaller)(from + OPTIMIZER_RUN, call->count);
    const V share1 = NAME(vset)((T)(1 - s->beta1)), beta2 = NAME(vset)((T)s->beta2);
    const V share2 = NAME(vset)((T)(1 - s->beta2)), root = NAME(vset)((T)s->root), eps = NAME(vset)((T)s->eps);
    const V keep = NAME(vset)((T)s->keep), decay = NAME(vset)((T)s->weight_decay), size = NAME(vset)((T)s->step_size);
    for (ptrdiff_t i = from; i < end; i += VL) {
        const MASK some = NAME(mask_range)(0, end - i);
        const V p = NAME(vload_masked)(call->p + i, some) * keep;
        V g = NAME(vload_masked)(call->g + i, some);
        if (s->weight_decay != 0) g += decay * p;
        const V before = NAME(vload_masked)(call->m + i, some), m = before + share1 * (g - before);
        const V v = beta2 * NAME(vload_masked)(call->v + i, some) + share2 * (g * g);
        V top = v;
        if (largest) {
            const V old = NAME(vload_masked)(call->top + i, some);
            top = NAME(vselect)((VI)(old >= v), old, v); /* a NaN in v goes on */
            NAME(vstore_masked)(call->top + i, some, top);
        }
        NAME(vstore_masked)(call->m + i, some, m);
        NAME(vstore_masked)(call->v + i, some, v);
        NAME(vstore_masked)(call->p + i, some, p - size * (m / (NAME(vroot)(top) / root + eps)));
    }
}

static void NAME(adam_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(adam_call) *call = context;
    (void)scratch;
    if (call->top)
        NAME(adam_run)(call, task * OPTIMIZER_RUN, 1);
    else
        NAME(adam_run)(call, task * OPTIMIZER_RUN, 0);
}

static int NAME(sgd)(ptrdiff_t count, const fc_sgd *s, const void *gradient, void *parameter, void *velocity) {
    NAME(sgd_call) call = {count, s, gradient, parameter, velocity};
    return fc_parallel((count + OPTIMIZER_RUN - 1) / OPTIMIZER_RUN, 2 * (double)count, 0, NAME(sgd_task), &call);
}

static int NAME(adam)(ptrdiff_t count, const fc_adam *s, const void *gradient, void *parameter, void *m, void *v,
                      void *largest) {
    NAME(adam_call) call = {count, s, gradient, parameter, m, v, largest};
    return fc_parallel((count + OPTIMIZER_RUN - 1) / OPTIMIZER_RUN, 6 * (double)count, 0, NAME(adam_task), &call);
}
