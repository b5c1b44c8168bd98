/* The micro-kernel of sums over pixels: DOT_ROWS x DOT_COLUMNS inner products that stay in vector registers, the pixels in the lanes,

       sum[m][j] = over i:  a[m][i] * b[j][i]        m < DOT_ROWS, j < DOT_COLUMNS, i < count

   so that rows of an image are read where they lie, without a transpose. The lanes are added up once, at the end. */

#define DOT_ROWS 4
#if TILE_M == 8 /* 32 registers */
#define DOT_COLUMNS 6
#else
#define DOT_COLUMNS TILE_V
#endif

/* Elements between the sums of two tiles: whole vectors. */
#define DOT_TILE (((ptrdiff_t)(DOT_ROWS * DOT_COLUMNS) + VL - 1) / VL * VL)

/* The sum of the lanes of each of VL vectors: in lane i that of r[i]. */
INLINE V NAME(vsums)(V *r) {
    UNROLL(4)
    for (int half = VBYTES / sizeof(T) / 2; half > 0; half /= 2) {
        UNROLL(8)
        for (int i = 0; i < half; i++)
            r[i] = NAME(vinterleave_low)(r[i], r[i + half]) + NAME(vinterleave_high)(r[i], r[i + half]);
    }
    return r[0];
}

/* `columns` is a literal at each call: see tile.h. Writes sum[m][j] to `to`, element m * columns + j of DOT_TILE, added to what
   is there unless it is the first. */
INLINE void NAME(dot_of)(const int columns, ptrdiff_t count, const T *const *a, const T *const *b, int first, T *to) {
    enum { LANES = VBYTES / sizeof(T), TILE = (DOT_ROWS * DOT_COLUMNS + LANES - 1) / LANES * LANES };
    V sum[TILE], x[6], y;
    const T *a0 = a[0], *a1 = a[1], *a2 = a[2], *a3 = a[3];
    const T *b0 = b[0], *b1 = columns > 1 ? b[1] : NULL, *b2 = columns > 2 ? b[2] : NULL;
    const T *b3 = columns > 3 ? b[3] : NULL, *b4 = columns > 4 ? b[4] : NULL, *b5 = columns > 5 ? b[5] : NULL;
#define DOT_ROW(row, load, p, op) \
    y = load(p);                  \
    UNROLL(6)                     \
    for (int j = 0; j < columns; j++) sum[(row) * columns + j] op y *x[j]
#define DOT_STEP(load, op)            \
    x[0] = load(b0);                  \
    if (columns > 1) x[1] = load(b1); \
    if (columns > 2) x[2] = load(b2); \
    if (columns > 3) x[3] = load(b3); \
    if (columns > 4) x[4] = load(b4); \
    if (columns > 5) x[5] = load(b5); \
    DOT_ROW(0, load, a0, op);         \
    DOT_ROW(1, load, a1, op);         \
    DOT_ROW(2, load, a2, op);         \
    DOT_ROW(3, load, a3, op)
#define DOT_SOME(p) NAME(vload_masked)(p, some)
#define DOT_WHOLE(p) NAME(vload)((p) + i)
    ptrdiff_t i = (count - 1) % VL + 1; /* the odd pixels come first, so that the sums need no zeros to start from */
    const MASK some = NAME(mask_range)(0, i);
    DOT_STEP(DOT_SOME, =);
    for (; i < count; i += VL) { DOT_STEP(DOT_WHOLE, +=); }
#undef DOT_ROW
#undef DOT_STEP
#undef DOT_SOME
#undef DOT_WHOLE
    UNROLL(32)
    for (int v = DOT_ROWS * columns; v < TILE; v++) sum[v] = NAME(vzero)();
    UNROLL(16)
    for (int v = 0; v < DOT_ROWS * columns; v += LANES) {
        V s = NAME(vsums)(sum + v);
        if (!first) s += NAME(vload)(to + v);
        NAME(vstore)(to + v, s);
    }
}

typedef void NAME(dot_kernel)(ptrdiff_t count, const T *const *a, const T *const *b, int first, T *to);

#define DOT_KERNEL(columns)                                                                                          \
    static __attribute__((noinline)) void NAME(dot_##columns)(ptrdiff_t count, const T *const *a, const T *const *b, \
                                                              int first, T *to) {                                    \
        NAME(dot_of)(columns, count, a, b, first, to);                                                               \
    }
DOT_KERNEL(1)
DOT_KERNEL(2)
#if DOT_COLUMNS > 2
DOT_KERNEL(3)
#endif
#if DOT_COLUMNS > 3
DOT_KERNEL(4)
DOT_KERNEL(5)
DOT_KERNEL(6)
#endif
#undef DOT_KERNEL

static NAME(dot_kernel) *const NAME(dot)[DOT_COLUMNS + 1] = {
    NULL,        NAME(dot_1), NAME(dot_2),
#if DOT_COLUMNS > 2
    NAME(dot_3),
#endif
#if DOT_COLUMNS > 3
    NAME(dot_4), NAME(dot_5), NAME(dot_6),
#endif
};
