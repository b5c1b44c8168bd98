/* Element by element: activations and their gradients. NaN passes every activation; a flat array is cut into equal runs. */

#define POINTWISE_RUN 16384

/* One row an operation: name in fc_pointwise_op, value from a, b and the constant p (a and b vectors, p the slope). */
#define POINTWISE(X)                                                            \
    X(FC_POINT_RELU, NAME(positive)(a, a))                                      \
    X(FC_POINT_RELU_GRAD, NAME(positive)(b, a))                                 \
    X(FC_POINT_LEAKY_RELU, NAME(vselect)((VI)(a > zero), a, a * p))             \
    X(FC_POINT_LEAKY_RELU_GRAD, NAME(vselect)((VI)(b > zero), a, a * p))        \
    X(FC_POINT_RELU6, NAME(vselect)((VI)(a >= six), six, NAME(positive)(a, a))) \
    X(FC_POINT_RELU6_GRAD, (V)((VI)a & ~((VI)(b <= zero) | (VI)(b >= six))))    \
    X(FC_POINT_ADD, a + b)                                                      \
    X(FC_POINT_ADD_RELU, NAME(positive)(a + b, a + b))

/* v where x is positive or NaN, else +0. */
INLINE V NAME(positive)(V x, V v) { return (V)((VI)v & ~(VI)(x <= NAME(vzero)())); }

typedef struct NAME(pointwise_call) {
    const T *a, *b;
    T *y;
    T p;
    ptrdiff_t count;
    int op;
} NAME(pointwise_call);

static void NAME(pointwise_task)(void *call, ptrdiff_t task, void *scratch) {
    const NAME(pointwise_call) *m = call;
    const ptrdiff_t from = task * POINTWISE_RUN;
    const ptrdiff_t n = m->count - from < POINTWISE_RUN ? m->count - from : POINTWISE_RUN, whole = n / VL * VL;
    const T *pa = m->a + from, *pb = m->b + from;
    T *y = m->y + from;
    const V p = NAME(vset)(m->p), zero = NAME(vzero)(), six = NAME(vset)(6);
    (void)scratch, (void)p, (void)zero, (void)six;
#define LOOP(name, value)                                             \
    case name:                                                        \
        for (ptrdiff_t i = 0; i < whole; i += VL) {                   \
            const V a = NAME(vload)(pa + i), b = NAME(vload)(pb + i); \
            (void)b;                                                  \
            NAME(vstore)(y + i, value);                               \
        }                                                             \
        if (whole < n) {                                              \
            const V a = NAME(vload_first)(pa + whole, n - whole);     \
            const V b = NAME(vload_first)(pb + whole, n - whole);     \
            (void)b;                                                  \
            NAME(vstore_first)(y + whole, n - whole, value);          \
        }                                                             \
        return;
    switch (m->op) { POINTWISE(LOOP) }
#undef LOOP
}

/* y = op(a, b); an operation of one operand reads a alone (b may be NULL). y may be a or b. */
static int NAME(pointwise)(ptrdiff_t op, ptrdiff_t count, double p, const void *a, const void *b, void *y) {
    NAME(pointwise_call) m = {.a = a, .b = b ? b : a, .y = y, .p = (T)p, .count = count, .op = (int)op};
    return fc_parallel((count + POINTWISE_RUN - 1) / POINTWISE_RUN, (double)count, 0, NAME(pointwise_task), &m);
}
