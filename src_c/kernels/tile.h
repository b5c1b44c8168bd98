/* The micro-kernel every dense convolution, gradient and matrix product runs on: a TILE_M x TILE_V block of sums that stays in
   vector registers,

       sum[m][v] = over j:  a[j * TILE_M + m] * vector at (b[v] + off[j])        m < TILE_M, v < TILE_V, j < count

   a: packed, TILE_M values a step (filters; broadcast).  b: one pointer a vector column and an offset table shared by them, so that
   the vectors may lie in a packed panel, in a padded image or in a channel-blocked one, at any stride.
   The epilogue (earlier partial sums, bias, residual, activation) is applied in registers on the way to memory. */

typedef struct {
    T *c; /* where the tile goes: row m at c + m * row */
    ptrdiff_t row;
    const T *partial; /* earlier sums to add, row m at partial + m * partial_row; NULL for none */
    ptrdiff_t partial_row;
    const T *bias; /* TILE_M values, or NULL */
    const T *add; /* residual, row m at add + m * add_row, or NULL */
    ptrdiff_t add_row;
    ptrdiff_t activation;
    T slope;
    /* What the next calls will read, fetched meanwhile: TILE_M elements of next_a (to the first-level cache) and a line of next_b (to
       the second) a step. Any address will do where nothing is known. */
    const T *next_a, *next_b;
} NAME(tile_end);

#define TILE_LANES (TILE_V * VL)
/* Of a last vector with at most TILE_FEW lanes in use only those are summed (tile_few); it follows the TILE_V whole ones. */
#define TILE_FEW (VL / 4)
#define TILE_PITCH (TILE_LANES + VL)

INLINE V NAME(activate)(V s, ptrdiff_t activation, T slope) {
    /* Comparisons are false for NaN, which therefore passes unchanged. */
    const V zero = NAME(vzero)();
    if (activation == FC_RELU) return NAME(vselect)((VI)(s < zero), zero, s);
    if (activation == FC_LEAKY_RELU) return NAME(vselect)((VI)(s < zero), s * NAME(vset)(slope), s);
    if (activation == FC_RELU6) {
        const V six = NAME(vset)((T)6);
        s = NAME(vselect)((VI)(s < zero), zero, s);
        return NAME(vselect)((VI)(s > six), six, s);
    }
    return s;
}

/* `vectors` is a literal at each call: the array of sums has a fixed size and every loop over it is unrolled, else GCC keeps the
   sums in memory. */
INLINE void NAME(tile_of)(const int vectors, ptrdiff_t count, const T *restrict a, const T *const *b,
                          const ptrdiff_t *restrict off, const NAME(tile_end) *end) {
    V sum[TILE_M][TILE_V];
    const T *b0 = b[0], *b1 = vectors > 1 ? b[1] : NULL, *b2 = vectors > 2 ? b[2] : NULL;
    UNROLL(8)
    for (int m = 0; m < TILE_M; m++) {
        UNROLL(3)
        for (int v = 0; v < vectors; v++) sum[m][v] = NAME(vzero)();
    }
    const T *next_a = end->next_a;
    const char *next_b = (const char *)end->next_b;
    for (ptrdiff_t j = 0; j < count; j++) {
        V x[TILE_V];
        __builtin_prefetch(next_a + j * TILE_M, 0, 3);
        __builtin_prefetch(next_b + j * 64, 0, 2);
        const ptrdiff_t o = off[j];
        x[0] = NAME(vload)(b0 + o);
        if (vectors > 1) x[1] = NAME(vload)(b1 + o);
        if (vectors > 2) x[2] = NAME(vload)(b2 + o);
        UNROLL(8)
        for (int m = 0; m < TILE_M; m++) {
            const V w = NAME(vset)(a[m]);
            UNROLL(3)
            for (int v = 0; v < vectors; v++) sum[m][v] += w * x[v];
        }
        a += TILE_M;
    }
    UNROLL(8)
    for (int m = 0; m < TILE_M; m++) {
        UNROLL(3)
        for (int v = 0; v < vectors; v++) {
            V s = sum[m][v];
            if (end->partial) s += NAME(vload)(end->partial + m * end->partial_row + v * VL);
            if (end->bias) s += NAME(vset)(end->bias[m]);
            if (end->add) s += NAME(vload)(end->add + m * end->add_row + v * VL);
            if (end->activation) s = NAME(activate)(s, end->activation, end->slope);
            NAME(vstore)(end->c + m * end->row + v * VL, s);
        }
    }
}

typedef void NAME(tile_kernel)(ptrdiff_t count, const T *a, const T *const *b, const ptrdiff_t *off,
                               const NAME(tile_end) *end);

#define TILE_KERNEL(vectors)                                                                                      \
    static __attribute__((noinline)) void NAME(tile_##vectors)(ptrdiff_t count, const T *a, const T *const *b,    \
                                                               const ptrdiff_t *off, const NAME(tile_end) *end) { \
        NAME(tile_of)(vectors, count, a, b, off, end);                                                            \
    }
TILE_KERNEL(1)
TILE_KERNEL(2)
#if TILE_V > 2
TILE_KERNEL(3)
#endif
#undef TILE_KERNEL

static NAME(tile_kernel) *const NAME(tile)[TILE_V + 1] = {
    NULL,
    NAME(tile_1),
    NAME(tile_2),
#if TILE_V > 2
    NAME(tile_3),
#endif
};

/* ---- a few lanes more: lanes are filters, pixels are broadcast */

typedef T NAME(filters) __attribute__((vector_size(TILE_M * sizeof(T))));
typedef T NAME(loose_filters) __attribute__((vector_size(TILE_M * sizeof(T)), aligned(sizeof(T)), may_alias));
#define FILTERS NAME(filters)

/* The sums of `few` (a literal) pixels, in as many chains as hide the latency of a multiply-add. */
INLINE void NAME(tile_few_of)(const int few, ptrdiff_t count, const T *restrict a, const T *restrict b,
                              const ptrdiff_t *restrict off, FILTERS *total) {
    enum { CHAINS = 4 };
    const int chains = few > 2 ? 2 : CHAINS;
    FILTERS sum[4][CHAINS];
    UNROLL(4)
    for (int l = 0; l < few; l++) {
        UNROLL(4)
        for (int q = 0; q < CHAINS; q++) sum[l][q] = (FILTERS){0};
    }
    ptrdiff_t j = 0;
    for (; j + chains <= count; j += chains, a += chains * TILE_M) {
        UNROLL(4)
        for (int q = 0; q < chains; q++) {
            const FILTERS w = *(const NAME(loose_filters) *)(a + q * TILE_M);
            const T *x = b + off[j + q];
            UNROLL(4)
            for (int l = 0; l < few; l++) sum[l][q] += w * x[l];
        }
    }
    for (; j < count; j++, a += TILE_M) {
        UNROLL(4)
        for (int l = 0; l < few; l++) sum[l][0] += *(const NAME(loose_filters) *)a * b[off[j] + l];
    }
    UNROLL(4)
    for (int l = 0; l < few; l++)
        total[l] = chains == 2 ? sum[l][0] + sum[l][1] : (sum[l][0] + sum[l][1]) + (sum[l][2] + sum[l][3]);
}

/* What the tile does for a vector of which only the first `few` (1 .. TILE_FEW) lanes count: the vector at b + at + off[j], its
   sums and operands `at` elements into the rows of `end`. */
static __attribute__((noinline)) void NAME(tile_few)(ptrdiff_t count, const T *a, const T *b, const ptrdiff_t *off,
                                                     const NAME(tile_end) *end, ptrdiff_t at, ptrdiff_t few) {
    FILTERS total[4];
    T lane[TILE_M][VBYTES / sizeof(T)] = {{0}};
    if (few == 1) NAME(tile_few_of)(1, count, a, b + at, off, total);
    if (few == 2) NAME(tile_few_of)(2, count, a, b + at, off, total);
    if (few == 3) NAME(tile_few_of)(3, count, a, b + at, off, total);
    if (few == 4) NAME(tile_few_of)(4, count, a, b + at, off, total);
    for (ptrdiff_t l = 0; l < few; l++)
        for (int m = 0; m < TILE_M; m++) lane[m][l] = total[l][m];
    const MASK mask = NAME(mask_range)(0, few);
    for (int m = 0; m < TILE_M; m++) {
        V s = NAME(vload)(lane[m]);
        if (end->partial) s += NAME(vload_masked)(end->partial + m * end->partial_row + at, mask);
        if (end->bias) s += NAME(vset)(end->bias[m]);
        if (end->add) s += NAME(vload_masked)(end->add + m * end->add_row + at, mask);
        if (end->activation) s = NAME(activate)(s, end->activation, end->slope);
        NAME(vstore_masked)(end->c + m * end->row + at, mask, s);
    }
}
