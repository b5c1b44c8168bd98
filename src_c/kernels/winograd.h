/* The transforms of Winograd's minimal filtering F(4x4, 3x3): sixteen outputs from 36 products in place of 144 (Lavin and Gray 2016).
   Cook-Toom with the points 0, +-a, +-b and infinity, a = 1/sqrt(2), b = sqrt(2): their powers stay near 1, which keeps the rounding
   error some four times below that of the usual 0, +-1, +-2. The lanes of a vector are independent tiles (or filters, or channels).

     one dimension:  y = At [(G g) * (Bt d)],   d 6 inputs, g 3 weights, y 4 outputs;  M(x) = x (x^2 - 1/2) (x^2 - 2)
     Bt: coefficients of M(x) / (x - point), scaled; last row those of M.   At: powers of the points.   G: powers over the scales. */

#ifndef FASTCONV_WINOGRAD
#define FASTCONV_WINOGRAD
enum { WINO_OUT = 4, WINO_IN = 6, WINO_POINTS = 36 };
#define WINO_A 0.70710678118654752440
#define WINO_B 1.41421356237309504880
#endif

/* Bt d, elements `s` apart. */
INLINE void NAME(wino_input_1d)(V *d, const int s) {
    const V half = NAME(vset)((T)0.5), a = NAME(vset)((T)WINO_A), c = NAME(vset)((T)2.5);
    const V d0 = d[0], d1 = d[s], d2 = d[2 * s], d3 = d[3 * s], d4 = d[4 * s], d5 = d[5 * s];
    const V e1 = d2 - half * d4, o1 = d1 - half * d3, e2 = d4 - half * d2, o2 = d3 - half * d1;
    d[0] = d0 + d4 - c * d2;
    d[s] = e1 + a * o1;
    d[2 * s] = e1 - a * o1;
    d[3 * s] = a * e2 + o2;
    d[4 * s] = a * e2 - o2;
    d[5 * s] = d1 + d5 - c * d3;
}

/* At m: six values to four, elements `s` apart; the results are left in the first four places. */
INLINE void NAME(wino_output_1d)(V *m, const int s) {
    const V a = NAME(vset)((T)WINO_A), b = NAME(vset)((T)WINO_B), half = NAME(vset)((T)0.5), two = NAME(vset)((T)2);
    const V a3 = NAME(vset)((T)(WINO_A / 2)), b3 = NAME(vset)((T)(WINO_B * 2));
    const V s1 = m[s] + m[2 * s], d1 = m[s] - m[2 * s], s2 = m[3 * s] + m[4 * s], d2 = m[3 * s] - m[4 * s];
    m[0] = m[0] + s1 + s2;
    m[s] = a * d1 + b * d2;
    m[2 * s] = half * s1 + two * s2;
    m[3 * s] = a3 * d1 + b3 * d2 + m[5 * s];
}

/* G g: three weights to six, from g (elements `sg` apart) to u (elements `su` apart). */
INLINE void NAME(wino_weight_1d)(const V *g, const int sg, V *u, const int su) {
    const V c0 = NAME(vset)((T)(4.0 / 3)), c1 = NAME(vset)((T)(4 * WINO_A / 3)), c2 = NAME(vset)((T)(2.0 / 3));
    const V e0 = NAME(vset)((T)(WINO_B / 6)), e1 = NAME(vset)((T)(1.0 / 3)), e2 = NAME(vset)((T)(WINO_B / 3));
    const V g0 = g[0], g1 = g[sg], g2 = g[2 * sg];
    const V s = c0 * g0 + c2 * g2, t = e0 * g0 + e2 * g2;
    u[0] = g0;
    u[su] = s + c1 * g1;
    u[2 * su] = s - c1 * g1;
    u[3 * su] = t + e1 * g1;
    u[4 * su] = t - e1 * g1;
    u[5 * su] = g2;
}

INLINE void NAME(wino_input)(V *d) {
    UNROLL(6)
    for (int i = 0; i < WINO_IN; i++) NAME(wino_input_1d)(d + i * WINO_IN, 1);
    UNROLL(6)
    for (int i = 0; i < WINO_IN; i++) NAME(wino_input_1d)(d + i, WINO_IN);
}

/* The 4 x 4 results are at m[6 * p + q]. */
INLINE void NAME(wino_output)(V *m) {
    UNROLL(6)
    for (int i = 0; i < WINO_IN; i++) NAME(wino_output_1d)(m + i, WINO_IN);
    UNROLL(4)
    for (int i = 0; i < WINO_OUT; i++) NAME(wino_output_1d)(m + i * WINO_IN, 1);
}

INLINE void NAME(wino_weight)(const V *g, V *u) {
    V half[3 * WINO_IN];
    UNROLL(3)
    for (int j = 0; j < 3; j++) NAME(wino_weight_1d)(g + j, 3, half + j, 3);
    UNROLL(6)
    for (int i = 0; i < WINO_IN; i++) NAME(wino_weight_1d)(half + 3 * i, 1, u + i * WINO_IN, 1);
}
