/* The vector type of the kernels, over GCC/Clang vector extensions; included once per target and element type by
   kernels/instantiate.h, which defines T (float or double), TI (the integer of its size), NAME(x) and VBYTES (bytes a vector).
   Everything is static and always inlined: a copy compiled for one target must never be linked into another.
   64 and 32 bytes are AVX-512 and AVX2: clang defines no macro that says so for a part of a file.
   Lanes are never indexed in a hot loop, and nothing reads or writes an element outside the caller's array. */

#define V NAME(vector)
#define VI NAME(vector_int)
#define MASK NAME(mask)
#define VL ((ptrdiff_t)(VBYTES / sizeof(T)))

typedef T V __attribute__((vector_size(VBYTES)));
typedef TI VI __attribute__((vector_size(VBYTES)));
typedef T NAME(loose_vector) __attribute__((vector_size(VBYTES), aligned(sizeof(T)), may_alias));
typedef TI NAME(loose_vector_int) __attribute__((vector_size(VBYTES), aligned(sizeof(TI)), may_alias));

INLINE V NAME(vzero)(void) { return (V){0}; }
INLINE V NAME(vset)(T x) { return x - (V){0}; }
INLINE V NAME(vload)(const T *p) { return *(const NAME(loose_vector) *)p; }
INLINE void NAME(vstore)(T *p, V v) { *(NAME(loose_vector) *)p = v; }

/* Lanewise choice: where the comparison result `m` (all ones or all zeros a lane) is set, a, else b. */
INLINE V NAME(vselect)(VI m, V a, V b) { return (V)(((VI)a & m) | ((VI)b & ~m)); }

/* A mask selects the lanes lo <= lane < hi (any integers); masked-off memory is never touched. */

/* n, at least 0 and at most the number of lanes. The compiler is not to know: it would split the loops around into cases. */
INLINE ptrdiff_t NAME(clamp_lanes)(ptrdiff_t n) {
    n = n < 0 ? 0 : n;
    n = n > VL ? VL : n;
    __asm__("" : "+r"(n));
    return n;
}
#if VBYTES == 64
#if T_IS_FLOAT
typedef __mmask16 MASK;
INLINE V NAME(vload_masked)(const T *p, MASK m) { return (V)_mm512_maskz_loadu_ps(m, p); }
INLINE void NAME(vstore_masked)(T *p, MASK m, V v) { _mm512_mask_storeu_ps(p, m, (__m512)v); }
#else
typedef __mmask8 MASK;
INLINE V NAME(vload_masked)(const T *p, MASK m) { return (V)_mm512_maskz_loadu_pd(m, p); }
INLINE void NAME(vstore_masked)(T *p, MASK m, V v) { _mm512_mask_storeu_pd(p, m, (__m512d)v); }
#endif
INLINE MASK NAME(mask_range)(ptrdiff_t lo, ptrdiff_t hi) {
    const unsigned high = (1u << NAME(clamp_lanes)(hi)) - 1u;
    if (__builtin_constant_p(lo) && lo <= 0) return (MASK)high;
    return (MASK)(high & ~((1u << NAME(clamp_lanes)(lo)) - 1u));
}
#elif VBYTES == 32
typedef __m256i MASK;
#if T_IS_FLOAT
INLINE V NAME(vload_masked)(const T *p, MASK m) { return (V)_mm256_maskload_ps(p, m); }
INLINE void NAME(vstore_masked)(T *p, MASK m, V v) { _mm256_maskstore_ps(p, m, (__m256)v); }
#else
INLINE V NAME(vload_masked)(const T *p, MASK m) { return (V)_mm256_maskload_pd(p, m); }
INLINE void NAME(vstore_masked)(T *p, MASK m, V v) { _mm256_maskstore_pd(p, m, (__m256d)v); }
#endif
INLINE MASK NAME(mask_range)(ptrdiff_t lo, ptrdiff_t hi) {
    VI lane;
    for (TI i = 0; i < (TI)VL; i++) lane[i] = i;
    const VI below = lane < (TI)NAME(clamp_lanes)(hi);
    if (__builtin_constant_p(lo) && lo <= 0) return (MASK)below;
    return (MASK)(below & (lane >= (TI)NAME(clamp_lanes)(lo)));
}
#else
typedef struct {
    ptrdiff_t lo, hi;
} MASK;
INLINE MASK NAME(mask_range)(ptrdiff_t lo, ptrdiff_t hi) {
    MASK m = {lo < 0 ? 0 : lo, hi > VL ? VL : hi};
    return m;
}
INLINE V NAME(vload_masked)(const T *p, MASK m) {
    V v = {0};
    if (m.lo == 0 && m.hi == VL) return NAME(vload)(p);
    for (ptrdiff_t i = m.lo; i < m.hi; i++) v[i] = p[i];
    return v;
}
INLINE void NAME(vstore_masked)(T *p, MASK m, V v) {
    for (ptrdiff_t i = m.lo; i < m.hi; i++) p[i] = v[i];
}
#endif

/* The first n lanes (0 <= n <= lanes), zeros elsewhere; and storing only them. */
INLINE V NAME(vload_first)(const T *p, ptrdiff_t n) { return NAME(vload_masked)(p, NAME(mask_range)(0, n)); }
INLINE void NAME(vstore_first)(T *p, ptrdiff_t n, V v) { NAME(vstore_masked)(p, NAME(mask_range)(0, n), v); }

/* Perfect shuffles of two vectors (a0 b0 a1 b1 ...: low half, high half) and their inverses. */
#if VBYTES / T_BYTES == 16
#define FC_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define FC_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define FC_EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define FC_ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define FC_NEXT 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
#elif VBYTES / T_BYTES == 8
#define FC_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define FC_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#define FC_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define FC_ODD 1, 3, 5, 7, 9, 11, 13, 15
#define FC_NEXT 1, 2, 3, 4, 5, 6, 7, 8
#elif VBYTES / T_BYTES == 4
#define FC_LOW 0, 4, 1, 5
#define FC_HIGH 2, 6, 3, 7
#define FC_EVEN 0, 2, 4, 6
#define FC_ODD 1, 3, 5, 7
#define FC_NEXT 1, 2, 3, 4
#else
#define FC_LOW 0, 2
#define FC_HIGH 1, 3
#define FC_EVEN 0, 2
#define FC_ODD 1, 3
#define FC_NEXT 1, 2
#endif
INLINE V NAME(vinterleave_low)(V a, V b) { return __builtin_shufflevector(a, b, FC_LOW); }
INLINE V NAME(vinterleave_high)(V a, V b) { return __builtin_shufflevector(a, b, FC_HIGH); }
INLINE V NAME(veven)(V a, V b) { return __builtin_shufflevector(a, b, FC_EVEN); }
INLINE V NAME(vodd)(V a, V b) { return __builtin_shufflevector(a, b, FC_ODD); }
/* The lanes of a from the second on, then the first of b. */
INLINE V NAME(vnext)(V a, V b) { return __builtin_shufflevector(a, b, FC_NEXT); }
#undef FC_LOW
#undef FC_HIGH
#undef FC_EVEN
#undef FC_ODD
#undef FC_NEXT

/* Transpose `rows` vectors (a literal power of two): r[0], r[1] ... then hold, one after another, lane 0 of every row, lane 1 of
   every row, and so on: log2(rows) rounds of perfect shuffles of the two halves. */
INLINE void NAME(vtranspose)(const int rows, V *r) {
    V s[64 / T_BYTES];
    UNROLL(4)
    for (int step = 1; step < rows; step *= 2) {
        UNROLL(8)
        for (int i = 0; i < rows / 2; i++) {
            s[2 * i] = NAME(vinterleave_low)(r[i], r[i + rows / 2]);
            s[2 * i + 1] = NAME(vinterleave_high)(r[i], r[i + rows / 2]);
        }
        UNROLL(16)
        for (int i = 0; i < rows; i++) r[i] = s[i];
    }
}

/* The sum of the lanes, halves first: the same order on every call. */
INLINE T NAME(vsum)(V v) {
    UNROLL(4)
    for (ptrdiff_t lanes = VL; lanes > 1; lanes /= 2) v = NAME(vinterleave_low)(v, v) + NAME(vinterleave_high)(v, v);
    return v[0];
}
