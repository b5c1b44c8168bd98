/* Lanewise choices and integers for the pooling kernels: comparisons, one tap number a lane, and its form of one byte in
   memory (TAPS: the vector of such bytes as a target likes it best). Never reads or writes a byte outside the lanes named. */

#if VBYTES == 16 && defined(__SSE2__)
#include <emmintrin.h>
#endif

#define CHOICE NAME(choice)
#define TAPS NAME(taps)

typedef uint8_t NAME(byte_vector) __attribute__((vector_size(VBYTES / T_BYTES)));

INLINE VI NAME(vset_int)(TI x) { return x - (VI){0}; }
INLINE VI NAME(vload_int)(const TI *p) { return *(const NAME(loose_vector_int) *)p; }
INLINE void NAME(vstore_int)(TI *p, VI v) { *(NAME(loose_vector_int) *)p = v; }

/* 0, 1, 2, ... */
INLINE VI NAME(vlanes)(void) {
    VI lane;
    UNROLL(16)
    for (TI i = 0; i < (TI)VL; i++) lane[i] = i;
    return lane;
}

/* vbeats: does x replace the best value so far? A larger value does, and the first NaN does for good; an equal one does not.
   vgreater: a > b. vunordered: a or b is NaN. vequal, vsame: equal integers, values. vlarger, vsmaller: b where they are equal or one is NaN.
   vpick: a where chosen, else b. vpick_sum: a + n where chosen, else b. vkeep: v where chosen, else 0. vadd_where: sum + v where chosen, else sum.
   vany, vfirst: is any chosen, and the first that is. vload_or: masked lanes from memory, the others from `other`. */
#if VBYTES == 64
#if T_IS_FLOAT
typedef __mmask16 CHOICE;
INLINE CHOICE NAME(vbeats)(V x, V best) {
    return _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask((__m512)x, (__m512)best, _CMP_NLE_UQ), (__m512)best, (__m512)best,
                                   _CMP_ORD_Q);
}
INLINE CHOICE NAME(vgreater)(V a, V b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ); }
INLINE CHOICE NAME(vunordered)(V a, V b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_UNORD_Q); }
INLINE CHOICE NAME(vsame)(V a, V b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ); }
INLINE V NAME(vlarger)(V a, V b) { return (V)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE V NAME(vsmaller)(V a, V b) { return (V)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE V NAME(vload_or)(const T *p, MASK m, V other) { return (V)_mm512_mask_loadu_ps((__m512)other, m, p); }
INLINE CHOICE NAME(vequal)(VI a, VI b) { return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b); }
INLINE V NAME(vpick)(CHOICE m, V a, V b) { return (V)_mm512_mask_blend_ps(m, (__m512)b, (__m512)a); }
INLINE VI NAME(vpick_int)(CHOICE m, VI a, VI b) { return (VI)_mm512_mask_blend_epi32(m, (__m512i)b, (__m512i)a); }
INLINE VI NAME(vpick_sum)(CHOICE m, VI a, VI n, VI b) {
    return (VI)_mm512_mask_add_epi32((__m512i)b, m, (__m512i)a, (__m512i)n);
}
INLINE V NAME(vkeep)(CHOICE m, V v) { return (V)_mm512_maskz_mov_ps(m, (__m512)v); }
INLINE V NAME(vadd_where)(CHOICE m, V sum, V v) {
    return (V)_mm512_mask_add_ps((__m512)sum, m, (__m512)sum, (__m512)v);
}
INLINE __m128i NAME(narrow)(VI v) { return _mm512_cvtepi32_epi8((__m512i)v); }
#else
typedef __mmask8 CHOICE;
INLINE CHOICE NAME(vbeats)(V x, V best) {
    return _mm512_mask_cmp_pd_mask(_mm512_cmp_pd_mask((__m512d)x, (__m512d)best, _CMP_NLE_UQ), (__m512d)best,
                                   (__m512d)best, _CMP_ORD_Q);
}
INLINE CHOICE NAME(vgreater)(V a, V b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_GT_OQ); }
INLINE CHOICE NAME(vunordered)(V a, V b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_UNORD_Q); }
INLINE CHOICE NAME(vsame)(V a, V b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_EQ_OQ); }
INLINE V NAME(vlarger)(V a, V b) { return (V)_mm512_max_pd((__m512d)a, (__m512d)b); }
INLINE V NAME(vsmaller)(V a, V b) { return (V)_mm512_min_pd((__m512d)a, (__m512d)b); }
INLINE V NAME(vload_or)(const T *p, MASK m, V other) { return (V)_mm512_mask_loadu_pd((__m512d)other, m, p); }
INLINE CHOICE NAME(vequal)(VI a, VI b) { return _mm512_cmpeq_epi64_mask((__m512i)a, (__m512i)b); }
INLINE V NAME(vpick)(CHOICE m, V a, V b) { return (V)_mm512_mask_blend_pd(m, (__m512d)b, (__m512d)a); }
INLINE VI NAME(vpick_int)(CHOICE m, VI a, VI b) { return (VI)_mm512_mask_blend_epi64(m, (__m512i)b, (__m512i)a); }
INLINE VI NAME(vpick_sum)(CHOICE m, VI a, VI n, VI b) {
    return (VI)_mm512_mask_add_epi64((__m512i)b, m, (__m512i)a, (__m512i)n);
}
INLINE V NAME(vkeep)(CHOICE m, V v) { return (V)_mm512_maskz_mov_pd(m, (__m512d)v); }
INLINE V NAME(vadd_where)(CHOICE m, V sum, V v) {
    return (V)_mm512_mask_add_pd((__m512d)sum, m, (__m512d)sum, (__m512d)v);
}
INLINE __m128i NAME(narrow)(VI v) { return _mm512_cvtepi64_epi8((__m512i)v); }
#endif
INLINE int NAME(vany)(CHOICE m) { return m != 0; }
INLINE int NAME(vfirst)(CHOICE m) { return __builtin_ctz(m); }

/* The low byte of each of the first n lanes to memory. */
INLINE void NAME(store_bytes)(uint8_t *p, VI v, ptrdiff_t n) {
    const __m128i b = NAME(narrow)(v);
    if (n >= VL)
        memcpy(p, &b, VBYTES / T_BYTES);
    else
        _mm_mask_storeu_epi8(p, (__mmask16)((1u << n) - 1u), b);
}

/* Tap numbers from memory, of all lanes or of lanes lo <= i < hi with 255 elsewhere; to memory;
   one number in every lane; which lanes are equal. */
typedef __m128i TAPS;
INLINE TAPS NAME(load_taps)(const uint8_t *p) {
    __m128i b = _mm_setzero_si128();
    memcpy(&b, p, VBYTES / T_BYTES);
    return b;
}
INLINE TAPS NAME(load_taps_masked)(const uint8_t *p, ptrdiff_t lo, ptrdiff_t hi) {
    return _mm_mask_loadu_epi8(_mm_set1_epi8(-1), (__mmask16)NAME(mask_range)(lo, hi), p);
}
INLINE void NAME(store_taps_whole)(uint8_t *p, TAPS t) { memcpy(p, &t, VBYTES / T_BYTES); }
INLINE TAPS NAME(taps_number)(int number) { return _mm_set1_epi8((char)number); }
INLINE CHOICE NAME(taps_are)(TAPS t, TAPS number) { return (CHOICE)_mm_cmpeq_epi8_mask(t, number); }
#else
typedef VI CHOICE;
INLINE CHOICE NAME(vbeats)(V x, V best) { return (VI) ~(x <= best) & (VI)(best == best); }
INLINE CHOICE NAME(vgreater)(V a, V b) { return (VI)(a > b); }
INLINE CHOICE NAME(vunordered)(V a, V b) { return (VI)(a != a) | (VI)(b != b); }
INLINE CHOICE NAME(vequal)(VI a, VI b) { return (VI)(a == b); }
INLINE CHOICE NAME(vsame)(V a, V b) { return (VI)(a == b); }
#if VBYTES == 32
#if T_IS_FLOAT
INLINE V NAME(vlarger)(V a, V b) { return (V)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE V NAME(vsmaller)(V a, V b) { return (V)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE int NAME(chosen_bits)(CHOICE m) { return _mm256_movemask_ps((__m256)m); }
#else
INLINE V NAME(vlarger)(V a, V b) { return (V)_mm256_max_pd((__m256d)a, (__m256d)b); }
INLINE V NAME(vsmaller)(V a, V b) { return (V)_mm256_min_pd((__m256d)a, (__m256d)b); }
INLINE int NAME(chosen_bits)(CHOICE m) { return _mm256_movemask_pd((__m256d)m); }
#endif
INLINE V NAME(vload_or)(const T *p, MASK m, V other) { return NAME(vselect)((VI)m, NAME(vload_masked)(p, m), other); }
#else
#if VBYTES == 16 && defined(__SSE2__) && T_IS_FLOAT
INLINE V NAME(vlarger)(V a, V b) { return (V)_mm_max_ps((__m128)a, (__m128)b); }
INLINE V NAME(vsmaller)(V a, V b) { return (V)_mm_min_ps((__m128)a, (__m128)b); }
INLINE int NAME(chosen_bits)(CHOICE m) { return _mm_movemask_ps((__m128)m); }
#elif VBYTES == 16 && defined(__SSE2__)
INLINE V NAME(vlarger)(V a, V b) { return (V)_mm_max_pd((__m128d)a, (__m128d)b); }
INLINE V NAME(vsmaller)(V a, V b) { return (V)_mm_min_pd((__m128d)a, (__m128d)b); }
INLINE int NAME(chosen_bits)(CHOICE m) { return _mm_movemask_pd((__m128d)m); }
#else
INLINE V NAME(vlarger)(V a, V b) { return NAME(vselect)((VI)(a > b), a, b); }
INLINE V NAME(vsmaller)(V a, V b) { return NAME(vselect)((VI)(a < b), a, b); }
INLINE int NAME(chosen_bits)(CHOICE m) {
    int bits = 0;
    for (int i = 0; i < (int)VL; i++) bits |= (int)(m[i] & 1) << i;
    return bits;
}
#endif
INLINE V NAME(vload_or)(const T *p, MASK m, V other) {
    if (m.lo == 0 && m.hi == VL) return NAME(vload)(p);
    for (ptrdiff_t i = m.lo; i < m.hi; i++) other[i] = p[i];
    return other;
}
#endif
#if VBYTES == 32
INLINE VI NAME(vpick_int)(CHOICE m, VI a, VI b) { return (VI)_mm256_blendv_epi8((__m256i)b, (__m256i)a, (__m256i)m); }
INLINE V NAME(vpick)(CHOICE m, V a, V b) { return (V)NAME(vpick_int)(m, (VI)a, (VI)b); }
#else
INLINE VI NAME(vpick_int)(CHOICE m, VI a, VI b) { return (a & m) | (b & ~m); }
INLINE V NAME(vpick)(CHOICE m, V a, V b) { return NAME(vselect)(m, a, b); }
#endif
INLINE VI NAME(vpick_sum)(CHOICE m, VI a, VI n, VI b) { return NAME(vpick_int)(m, a + n, b); }
INLINE V NAME(vkeep)(CHOICE m, V v) { return (V)((VI)v & m); }
INLINE V NAME(vadd_where)(CHOICE m, V sum, V v) { return sum + NAME(vkeep)(m, v); }
INLINE void NAME(store_bytes)(uint8_t *p, VI v, ptrdiff_t n) {
    const NAME(byte_vector) b = __builtin_convertvector(v, NAME(byte_vector));
    if (n >= VL)
        memcpy(p, &b, sizeof(b));
    else
        for (ptrdiff_t i = 0; i < n; i++) p[i] = b[i];
}
INLINE int NAME(vany)(CHOICE m) { return NAME(chosen_bits)(m) != 0; }
INLINE int NAME(vfirst)(CHOICE m) { return __builtin_ctz((unsigned)NAME(chosen_bits)(m)); }

typedef VI TAPS;
INLINE TAPS NAME(load_taps)(const uint8_t *p) {
    NAME(byte_vector) b;
    memcpy(&b, p, sizeof(b));
    return __builtin_convertvector(b, VI);
}
/* At most 8 bytes: two overlapping loads of the largest power of two that fits. */
INLINE TAPS NAME(load_taps_masked)(const uint8_t *p, ptrdiff_t lo, ptrdiff_t hi) {
    lo = NAME(clamp_lanes)(lo);
    hi = NAME(clamp_lanes)(hi);
    const ptrdiff_t n = hi - lo;
    if (n == VL) return NAME(load_taps)(p);
    uint64_t bytes = 0;
    if (n >= 4) {
        uint32_t first, last;
        memcpy(&first, p + lo, 4);
        memcpy(&last, p + hi - 4, 4);
        bytes = first | (uint64_t)last << 8 * (n - 4);
    } else if (n >= 2) {
        uint16_t first, last;
        memcpy(&first, p + lo, 2);
        memcpy(&last, p + hi - 2, 2);
        bytes = first | (uint64_t)last << 8 * (n - 2);
    } else if (n == 1) {
        bytes = p[lo];
    }
    const uint64_t wanted = n <= 0 ? 0 : ((uint64_t)1 << 8 * n) - 1;
    bytes = ~((wanted & ~bytes) << 8 * lo);
    NAME(byte_vector) b;
    memcpy(&b, &bytes, sizeof(b));
    return __builtin_convertvector(b, VI);
}
INLINE void NAME(store_taps_whole)(uint8_t *p, TAPS t) {
    const NAME(byte_vector) b = __builtin_convertvector(t, NAME(byte_vector));
    memcpy(p, &b, sizeof(b));
}
INLINE TAPS NAME(taps_number)(int number) { return NAME(vset_int)((TI)number); }
INLINE CHOICE NAME(taps_are)(TAPS t, TAPS number) { return NAME(vequal)(t, number); }
#endif

/* As many of the first n lanes as there are; n may be negative. */
INLINE void NAME(store_some)(T *p, ptrdiff_t n, V v) {
    if (n >= VL)
        NAME(vstore)(p, v);
    else if (n > 0)
        NAME(vstore_first)(p, n, v);
}
