/* The micro-kernel every dense convolution, gradient and matrix product runs on: a TILE_M x TILE_V block of sums that stays in
   vector registers,

       sum[m][v] = over j:  a[m * a_row + j * a_step] * vector at (b[v] + off[j])        m < TILE_M, v < TILE_V, j < count

   a: one value a row and step, broadcast: packed (rows side by side: a_row 1, a_step TILE_M) or rows of a weight where it lies
   (a_step 1).  b: one pointer a vector column and an offset table shared by them, so that the vectors may lie in a packed panel, in a
   padded image or in a channel-blocked one, at any stride.
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
    T *taken; /* tile_taking: where the vectors go */
} NAME(tile_end);

#define TILE_LANES (TILE_V * VL)
/* Of a last vector with at most TILE_FEW lanes in use only those are summed (tile_few); it follows the TILE_V whole ones. */
#define TILE_FEW (VL / 4)
#define TILE_PITCH (TILE_LANES + VL)
#define TILE_AHEAD ((ptrdiff_t)8)
#define COLUMN_PITCH ((ptrdiff_t)160) /* terms a pixel of tile_columns has room for */

/* A NaN passes unchanged. */
INLINE V NAME(relu)(V s) { return NAME(vlarger)(NAME(vzero)(), s); }
INLINE V NAME(leaky_relu)(V s, T slope) { return NAME(vselect)((VI)(s < NAME(vzero)()), s * NAME(vset)(slope), s); }
INLINE V NAME(relu6)(V s) { return NAME(vsmaller)(NAME(vset)((T)6), NAME(relu)(s)); }

INLINE V NAME(activate)(V s, ptrdiff_t activation, T slope) {
    if (activation == FC_RELU) return NAME(relu)(s);
    if (activation == FC_LEAKY_RELU) return NAME(leaky_relu)(s, slope);
    if (activation == FC_RELU6) return NAME(relu6)(s);
    return s;
}

/* One statement for each sum of a tile of `rows` x `vectors`. */
#define EACH_SUM(statement)                 \
    UNROLL(8)                               \
    for (int m = 0; m < rows; m++) {        \
        UNROLL(3)                           \
        for (int v = 0; v < vectors; v++) { \
            V *s = &sum[m][v];              \
            statement;                      \
        }                                   \
    }

/* `rows`, `vectors` and `taking` are literals at each call: the array of sums has a fixed size and every loop over it is unrolled, else GCC
   keeps the sums in memory. Taking: the vectors are also written to end->taken, side by side. */
INLINE void NAME(tile_of)(const int rows, const int vectors, const int taking, ptrdiff_t count, const T *restrict a,
                          ptrdiff_t a_row, ptrdiff_t a_step, const T *const *b, const ptrdiff_t *restrict off,
                          const NAME(tile_end) *end) {
    V sum[TILE_M][TILE_V];
    const T *b0 = b[0], *b1 = vectors > 1 ? b[1] : NULL, *b2 = vectors > 2 ? b[2] : NULL;
    const T *a0 = a, *a3 = a + 3 * a_row,
            *a6 = a + 6 * a_row; /* an address has room for a pointer and twice a register */
    EACH_SUM(*s = NAME(vzero)())
    const T *next_a = end->next_a;
    const char *next_b = (const char *)end->next_b;
    T *taken = end->taken;
    for (const ptrdiff_t *stop = off + count; off < stop; off++) {
        V x[3]; /* of which `vectors` are used */
        __builtin_prefetch(next_a, 0, 3);
        if (!taking) __builtin_prefetch(next_b, 0, 2);
        x[0] = NAME(vload)(b0 + *off);
        if (vectors > 1) x[1] = NAME(vload)(b1 + *off);
        if (vectors > 2) x[2] = NAME(vload)(b2 + *off);
        if (taking) {
            const T *ahead = b0 + off[TILE_AHEAD];
            SEPARATE(ahead);
            UNROLL(3)
            for (int v = 0; v < vectors; v++) {
                NAME(vstore)(taken + v * VL, x[v]);
                __builtin_prefetch(ahead + v * VL, 0, 3);
            }
            taken += vectors * VL;
        }
        UNROLL(8)
        for (int m = 0; m < rows; m++) {
            const V w = NAME(vset)((m < 3 ? a0 : m < 6 ? a3 : a6)[m % 3 * a_row]);
            UNROLL(3)
            for (int v = 0; v < vectors; v++) sum[m][v] += w * x[v];
        }
        a0 += a_step;
        a3 += a_step;
        a6 += a_step;
        next_a += TILE_M;
        next_b += 64;
        SEPARATE(a0);
        if (rows > 3) SEPARATE(a3);
        if (rows > 6) SEPARATE(a6);
        SEPARATE(off);
        SEPARATE(next_a);
    }
    if (end->partial) {
        const T *partial = end->partial;
        const ptrdiff_t row = end->partial_row;
        EACH_SUM(*s += NAME(vload)(partial + m * row + v * VL))
    }
    if (end->bias) EACH_SUM(*s += NAME(vset)(end->bias[m]))
    if (end->add) {
        const T *add = end->add;
        const ptrdiff_t row = end->add_row;
        EACH_SUM(*s += NAME(vload)(add + m * row + v * VL))
    }
    if (end->activation == FC_RELU) {
        EACH_SUM(*s = NAME(relu)(*s))
    } else if (end->activation) {
        EACH_SUM(*s = NAME(activate)(*s, end->activation, end->slope))
    }
    T *c = end->c;
    const ptrdiff_t row = end->row;
    EACH_SUM(NAME(vstore)(c + m * row + v * VL, *s))
}
#undef EACH_SUM

typedef void NAME(tile_kernel)(ptrdiff_t count, const T *a, ptrdiff_t a_row, ptrdiff_t a_step, const T *const *b,
                               const ptrdiff_t *off, const NAME(tile_end) *end);

#define TILE_KERNEL(name, rows, vectors, taking)                                                                    \
    static __attribute__((noinline)) void NAME(name##_##vectors)(ptrdiff_t count, const T *a, ptrdiff_t a_row,      \
                                                                 ptrdiff_t a_step, const T *const *b,               \
                                                                 const ptrdiff_t *off, const NAME(tile_end) *end) { \
        NAME(tile_of)(rows, vectors, taking, count, a, a_row, a_step, b, off, end);                                 \
    }
TILE_KERNEL(tile, TILE_M, 1, 0)
TILE_KERNEL(tile, TILE_M, 2, 0)
TILE_KERNEL(tile_taking, TILE_M, 1, 1)
TILE_KERNEL(tile_taking, TILE_M, 2, 1)
TILE_KERNEL(half_tile, TILE_M / 2, 1, 0)
TILE_KERNEL(half_tile, TILE_M / 2, 2, 0)
#if TILE_V > 2
TILE_KERNEL(tile, TILE_M, 3, 0)
TILE_KERNEL(tile_taking, TILE_M, 3, 1)
TILE_KERNEL(half_tile, TILE_M / 2, 3, 0)
#endif
#undef TILE_KERNEL

/* By the number of vectors; half_tile has TILE_M / 2 rows. tile_taking reads vectors that lie side by side in rows far from each other and
   copies them, for the tiles that follow: its multiply-adds hide the copy. `off` has TILE_AHEAD more rows, which are fetched ahead. */
static NAME(tile_kernel) *const NAME(tile)[TILE_V + 1] = {
    NULL,
    NAME(tile_1),
    NAME(tile_2),
#if TILE_V > 2
    NAME(tile_3),
#endif
};
static NAME(tile_kernel) *const NAME(tile_taking)[TILE_V + 1] = {
    NULL,
    NAME(tile_taking_1),
    NAME(tile_taking_2),
#if TILE_V > 2
    NAME(tile_taking_3),
#endif
};
static NAME(tile_kernel) *const NAME(half_tile)[TILE_V + 1] = {
    NULL,
    NAME(half_tile_1),
    NAME(half_tile_2),
#if TILE_V > 2
    NAME(half_tile_3),
#endif
};

/* ---- a few lanes more: lanes are filters, pixels are broadcast */

typedef T NAME(filters) __attribute__((vector_size(TILE_M * sizeof(T))));
typedef T NAME(loose_filters) __attribute__((vector_size(TILE_M * sizeof(T)), aligned(sizeof(T)), may_alias));
#define FILTERS NAME(filters)

/* TILE_M elements at a, and in a vector with room for them as many at b. */
INLINE V NAME(vjoin)(const T *a, const T *b) {
#if VBYTES / T_BYTES > TILE_M
    const FILTERS low = *(const NAME(loose_filters) *)a, high = *(const NAME(loose_filters) *)b;
#if TILE_M == 8
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#else
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
#endif
#else
    (void)b;
    return NAME(vload)(a);
#endif
}

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

/* The same for 1 or 2 pixels where a's rows lie as they are in a weight and each pixel's terms one after another: both are read as
   vectors of terms, and so are the sums, [pixel][TILE_M] vectors that wait in memory between the blocks of a reduction. */
INLINE void NAME(tile_columns_of)(const int few, ptrdiff_t count, const T *restrict a, ptrdiff_t a_row,
                                  const T *restrict column, int first, T *restrict sums) {
    V sum[2][TILE_M], x[2];
    UNROLL(2)
    for (int l = 0; l < few; l++) {
        UNROLL(8)
        for (int m = 0; m < TILE_M; m++) sum[l][m] = first ? NAME(vzero)() : NAME(vload)(sums + (l * TILE_M + m) * VL);
    }
    for (ptrdiff_t j = 0; j < count; j += VL) {
        const MASK mask = NAME(mask_range)(0, count - j);
        x[0] = NAME(vload_masked)(column + j, mask);
        if (few > 1) x[1] = NAME(vload_masked)(column + COLUMN_PITCH + j, mask);
        UNROLL(8)
        for (int m = 0; m < TILE_M; m++) {
            const V w = NAME(vload_masked)(a + m * a_row + j, mask);
            UNROLL(2)
            for (int l = 0; l < few; l++) sum[l][m] += w * x[l];
        }
    }
    UNROLL(2)
    for (int l = 0; l < few; l++) {
        UNROLL(8)
        for (int m = 0; m < TILE_M; m++) NAME(vstore)(sums + (l * TILE_M + m) * VL, sum[l][m]);
    }
}

/* What the tile does for a vector of which only the first `few` (1 .. TILE_FEW) lanes count: the vector at b + at + off[j], its
   sums and operands `at` elements into the rows of `end`. */
static void NAME(store_few)(const FILTERS *total, const NAME(tile_end) *end, ptrdiff_t at, ptrdiff_t few) {
    T lane[TILE_M][VBYTES / sizeof(T)] = {{0}};
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

static __attribute__((noinline)) void NAME(tile_few)(ptrdiff_t count, const T *a, const T *b, const ptrdiff_t *off,
                                                     const NAME(tile_end) *end, ptrdiff_t at, ptrdiff_t few) {
    FILTERS total[4];
    if (few == 1) NAME(tile_few_of)(1, count, a, b + at, off, total);
    if (few == 2) NAME(tile_few_of)(2, count, a, b + at, off, total);
    if (few == 3) NAME(tile_few_of)(3, count, a, b + at, off, total);
    if (few == 4) NAME(tile_few_of)(4, count, a, b + at, off, total);
    NAME(store_few)(total, end, at, few);
}

/* Adds to the sums of `few` pixels; `first`: they begin here. */
static __attribute__((noinline)) void NAME(tile_columns)(ptrdiff_t count, const T *a, ptrdiff_t a_row, const T *column,
                                                         ptrdiff_t few, int first, T *sums) {
    ptrdiff_t l = 0;
    for (; l + 2 <= few; l += 2)
        NAME(tile_columns_of)(2, count, a, a_row, column + l * COLUMN_PITCH, first, sums + l * TILE_M * VL);
    if (l < few) NAME(tile_columns_of)(1, count, a, a_row, column + l * COLUMN_PITCH, first, sums + l * TILE_M * VL);
}

/* What tile_few does with the sums of tile_columns. */
static void NAME(tile_columns_end)(const T *sums, const NAME(tile_end) *end, ptrdiff_t at, ptrdiff_t few) {
    FILTERS total[4];
    for (ptrdiff_t l = 0; l < few; l++, sums += TILE_M * VL) {
        V lanes[TILE_M];
        T term[VBYTES / sizeof(T)][TILE_M];
        UNROLL(8)
        for (int m = 0; m < TILE_M; m++) lanes[m] = NAME(vload)(sums + m * VL);
        NAME(vtranspose)(TILE_M, lanes);
        memcpy(term, lanes, sizeof term);
        total[l] = (FILTERS){0};
        for (ptrdiff_t i = 0; i < VL; i++) total[l] += *(const NAME(loose_filters) *)term[i];
    }
    NAME(store_few)(total, end, at, few);
}
