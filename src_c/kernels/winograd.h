/* Winograd's minimal filtering F(n x n, 3x3) for n = 4 and 2: the one-dimensional transforms, and the windows it is possible for
   (Lavin and Gray 2016). n x n outputs come from (n + 2)^2 products in place of 9 n^2; at step 2, of 2 x 2 outputs, from 25 in place
   of 36: the taps g0 and g2 meet the even inputs alone, which is F(2, 2), and g1 the odd ones.
   F(4x4, 3x3) is Cook-Toom with the points 0, +-a, +-b and infinity, a = 1/sqrt(2), b = sqrt(2): their powers stay near 1, which keeps
   the rounding error some four times below that of the usual 0, +-1, +-2. F(2x2, 3x3) has the points 0, +-1 and infinity;
   F(2x2, 5x5) those of F(4x4, 3x3), and so the same transform of the input. The gradient
   to the input of a window of step 2 is the way back, "spread": of four outputs two meet g0 and g2, by F(2, 2), and two g1 alone;
   of a kernel of four ("spread_4") two meet g0 and g2, two g1 and g3.

     one dimension:  y = At [(G g) * (Bt d)],   d n + 2 inputs, g 3 weights, y n outputs;  for n = 4  M(x) = x (x^2 - 1/2) (x^2 - 2)
     Bt: coefficients of M(x) / (x - point), scaled; last row those of M.   At: powers of the points.   G: powers over the scales. */

#ifndef FASTCONV_WINOGRAD
#define FASTCONV_WINOGRAD
#define WINO_A 0.70710678118654752440
#define WINO_B 1.41421356237309504880
/* Files written once for every kind (2, 4, 5, strided, spread, spread_4) say WINO(name) for a name of theirs, and are included with WINO_KIND and,
   along an axis: WINO_KERNEL taps, WINO_OUT outputs a tile, WINO_SPACE columns of input from one tile to the next, WINO_IN of them a tile, WINO_SIDE
   points. */
#define WINO_POINTS (WINO_SIDE * WINO_SIDE)
#define WINO_TAPS (WINO_KERNEL * WINO_KERNEL)
#define WINO_SHIFTS ((WINO_IN + WINO_SPACE - 1) / WINO_SPACE) /* tiles that the columns of one reach over */
#define WINO__(x, kind) NAME(wino_##x##_##kind)
#define WINO_(x, kind) WINO__(x, kind)
#define WINO(x) WINO_(x, WINO_KIND)
#define WINO_PATCH (TILE_PITCH + VL) /* elements between two columns waiting for the second transform of the input */
#define WINO_ROWS ((ptrdiff_t)(TILE_M * 2)) /* channels whose weight waits for its transform */
#define WINO_GROUP ((ptrdiff_t)4) /* register tiles of filters that stay while the input passes over them */
#define WINO_LEAST ((ptrdiff_t)3) /* of them that should stay where they do, for the input comes from far */
#define WINO_INPUT_BYTES ((ptrdiff_t)32 << 20) /* of transformed input at a time */
#endif

/* Bt d, in place. */
INLINE void NAME(wino_input_4)(V *d) {
    const V half = NAME(vset)((T)0.5), a = NAME(vset)((T)WINO_A), c = NAME(vset)((T)2.5);
    const V d0 = d[0], d1 = d[1], d2 = d[2], d3 = d[3], d4 = d[4], d5 = d[5];
    const V e1 = d2 - half * d4, o1 = d1 - half * d3, e2 = d4 - half * d2, o2 = d3 - half * d1;
    d[0] = d0 + d4 - c * d2;
    d[1] = e1 + a * o1;
    d[2] = e1 - a * o1;
    d[3] = a * e2 + o2;
    d[4] = a * e2 - o2;
    d[5] = d1 + d5 - c * d3;
}

INLINE void NAME(wino_input_5)(V *d) { NAME(wino_input_4)(d); }

INLINE void NAME(wino_input_2)(V *d) {
    const V d0 = d[0], d1 = d[1], d2 = d[2], d3 = d[3];
    d[0] = d0 - d2;
    d[1] = d1 + d2;
    d[2] = d2 - d1;
    d[3] = d3 - d1;
}

INLINE void NAME(wino_input_strided)(V *d) {
    const V d0 = d[0], d1 = d[1], d2 = d[2], d3 = d[3], d4 = d[4];
    d[0] = d0 - d2;
    d[1] = d2;
    d[2] = d4 - d2;
    d[3] = d1;
    d[4] = d3;
}

/* Three inputs to five points. */
INLINE void NAME(wino_input_spread)(V *d) {
    const V d0 = d[0], d1 = d[1], d2 = d[2];
    d[0] = d0 - d1;
    d[2] = d2 - d1;
    d[3] = d0;
    d[4] = d1;
}

/* Four inputs to six points. */
INLINE void NAME(wino_input_spread_4)(V *d) {
    const V d0 = d[0], d1 = d[1], d2 = d[2], d3 = d[3];
    d[0] = d0 - d1;
    d[2] = d2 - d1;
    d[3] = d1 - d2;
    d[4] = d2;
    d[5] = d3 - d2;
}

/* At m: the n results are left in the first n places. */
INLINE void NAME(wino_output_4)(V *m) {
    /* b = 2 a; few constants, for every register holds a value of the tile */
    const V a = NAME(vset)((T)WINO_A), half = NAME(vset)((T)0.5), four = NAME(vset)((T)4);
    const V s1 = m[1] + m[2], d1 = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
    m[0] = m[0] + s1 + s2;
    m[1] = a * (d1 + (d2 + d2));
    m[2] = half * (s1 + four * s2);
    m[3] = m[5] + a * (half * d1 + four * d2);
}

INLINE void NAME(wino_output_5)(V *m) {
    const V a = NAME(vset)((T)WINO_A), s1 = m[1] + m[2], d1 = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
    m[0] = m[0] + s1 + s2;
    m[1] = m[5] + a * (d1 + (d2 + d2));
}

INLINE void NAME(wino_output_2)(V *m) {
    const V sum = m[1] + m[2], difference = m[1] - m[2];
    m[0] = m[0] + sum;
    m[1] = difference + m[3];
}

INLINE void NAME(wino_output_strided)(V *m) {
    m[0] = m[0] + m[1] + m[3];
    m[1] = m[1] + m[2] + m[4];
}

INLINE void NAME(wino_output_spread)(V *m) {
    const V odd = m[0] + m[1], next = m[1] + m[2];
    m[0] = m[3];
    m[1] = odd;
    m[2] = m[4];
    m[3] = next;
}

INLINE void NAME(wino_output_spread_4)(V *m) {
    const V next = m[1] + m[2];
    m[0] += m[1];
    m[1] = m[3] + m[4];
    m[2] = next;
    m[3] = m[4] + m[5];
}

/* G g: the weights, `sg` elements apart, to a point each, `su` apart. */
INLINE void NAME(wino_weight_4)(const V *g, const int sg, V *u, const int su) {
    const T c0 = (T)(4.0 / 3), c1 = (T)(4 * WINO_A / 3), c2 = (T)(2.0 / 3);
    const T e0 = (T)(WINO_B / 6), e1 = (T)(1.0 / 3), e2 = (T)(WINO_B / 3);
    const V g0 = g[0], g1 = g[sg], g2 = g[2 * sg];
    const V s = c0 * g0 + c2 * g2, t = e0 * g0 + e2 * g2;
    u[0] = g0;
    u[su] = s + c1 * g1;
    u[2 * su] = s - c1 * g1;
    u[3 * su] = t + e1 * g1;
    u[4 * su] = t - e1 * g1;
    u[5 * su] = g2;
}

INLINE void NAME(wino_weight_5)(const V *g, const int sg, V *u, const int su) {
    const T c0 = (T)(4.0 / 3), c1 = (T)(4 * WINO_A / 3), c2 = (T)(2.0 / 3), c3 = (T)(2 * WINO_A / 3), c4 = (T)(1.0 / 3);
    const T e0 = (T)(WINO_B / 6), e1 = (T)(1.0 / 3), e2 = (T)(WINO_B / 3), e3 = (T)(2.0 / 3), e4 = (T)(2 * WINO_B / 3);
    const V g0 = g[0], g1 = g[sg], g2 = g[2 * sg], g3 = g[3 * sg], g4 = g[4 * sg];
    const V s = c0 * g0 + c2 * g2 + c4 * g4, t = e0 * g0 + e2 * g2 + e4 * g4, p = c1 * g1 + c3 * g3,
            q = e1 * g1 + e3 * g3;
    u[0] = g0;
    u[su] = s + p;
    u[2 * su] = s - p;
    u[3 * su] = t + q;
    u[4 * su] = t - q;
    u[5 * su] = g4;
}

INLINE void NAME(wino_weight_2)(const V *g, const int sg, V *u, const int su) {
    const T half = (T)0.5;
    const V g0 = g[0], g1 = g[sg], g2 = g[2 * sg], s = half * (g0 + g2);
    u[0] = g0;
    u[su] = s + half * g1;
    u[2 * su] = s - half * g1;
    u[3 * su] = g2;
}

INLINE void NAME(wino_weight_strided)(const V *g, const int sg, V *u, const int su) {
    const V g0 = g[0], g1 = g[sg], g2 = g[2 * sg];
    u[0] = g0;
    u[su] = g0 + g2;
    u[2 * su] = g2;
    u[3 * su] = u[4 * su] = g1;
}

INLINE void NAME(wino_weight_spread)(const V *g, const int sg, V *u, const int su) {
    NAME(wino_weight_strided)(g + 2 * sg, -sg, u, su); /* the way back: the weights in reverse */
}

INLINE void NAME(wino_weight_spread_4)(const V *g, const int sg, V *u, const int su) {
    const V g0 = g[0], g1 = g[sg], g2 = g[2 * sg], g3 = g[3 * sg];
    u[0] = g3;
    u[su] = g1 + g3;
    u[2 * su] = g1;
    u[3 * su] = g2;
    u[4 * su] = g0 + g2;
    u[5 * su] = g0;
}

/* A y: the n values of y to the points that differ. */
INLINE void NAME(wino_gradient_4)(const V *y, V *z) {
    const V a = NAME(vset)((T)WINO_A), b = NAME(vset)((T)WINO_B), half = NAME(vset)((T)0.5), two = NAME(vset)((T)2);
    const V a3 = NAME(vset)((T)(WINO_A / 2)), b3 = NAME(vset)((T)(WINO_B * 2));
    const V y0 = y[0], y1 = y[1], y2 = y[2], y3 = y[3];
    const V e1 = y0 + half * y2, o1 = a * y1 + a3 * y3, e2 = y0 + two * y2, o2 = b * y1 + b3 * y3;
    z[0] = y0;
    z[1] = e1 + o1;
    z[2] = e1 - o1;
    z[3] = e2 + o2;
    z[4] = e2 - o2;
    z[5] = y3;
}

INLINE void NAME(wino_gradient_2)(const V *y, V *z) {
    z[0] = y[0];
    z[1] = y[0] + y[1];
    z[2] = y[0] - y[1];
    z[3] = y[1];
}

INLINE void NAME(wino_gradient_5)(const V *y, V *z) {
    const V a = NAME(vset)((T)WINO_A), b = NAME(vset)((T)WINO_B), o1 = a * y[1], o2 = b * y[1];
    z[0] = y[0];
    z[1] = y[0] + o1;
    z[2] = y[0] - o1;
    z[3] = y[0] + o2;
    z[4] = y[0] - o2;
    z[5] = y[1];
}

INLINE void NAME(wino_gradient_strided)(const V *y, V *z) {
    z[0] = y[0];
    z[1] = y[0] + y[1];
    z[2] = y[1];
}

/* Gt m: the points, `sm` elements apart, to the weights, `sg` apart. */
INLINE void NAME(wino_collect_4)(const V *m, const int sm, V *g, const int sg) {
    const V c0 = NAME(vset)((T)(4.0 / 3)), c1 = NAME(vset)((T)(4 * WINO_A / 3)), c2 = NAME(vset)((T)(2.0 / 3));
    const V e0 = NAME(vset)((T)(WINO_B / 6)), e1 = NAME(vset)((T)(1.0 / 3)), e2 = NAME(vset)((T)(WINO_B / 3));
    const V s1 = m[sm] + m[2 * sm], d1 = m[sm] - m[2 * sm], s2 = m[3 * sm] + m[4 * sm], d2 = m[3 * sm] - m[4 * sm];
    g[0] = m[0] + c0 * s1 + e0 * s2;
    g[sg] = c1 * d1 + e1 * d2;
    g[2 * sg] = c2 * s1 + e2 * s2 + m[5 * sm];
}

INLINE void NAME(wino_collect_2)(const V *m, const int sm, V *g, const int sg) {
    const V half = NAME(vset)((T)0.5), sum = half * (m[sm] + m[2 * sm]);
    g[0] = m[0] + sum;
    g[sg] = half * (m[sm] - m[2 * sm]);
    g[2 * sg] = sum + m[3 * sm];
}

INLINE void NAME(wino_collect_5)(const V *m, const int sm, V *g, const int sg) {
    const V c0 = NAME(vset)((T)(4.0 / 3)), c1 = NAME(vset)((T)(4 * WINO_A / 3)), half = NAME(vset)((T)0.5);
    const V e0 = NAME(vset)((T)(WINO_B / 6)), e1 = NAME(vset)((T)(1.0 / 3)), two = NAME(vset)((T)2);
    const V s1 = c0 * (m[sm] + m[2 * sm]), d1 = c1 * (m[sm] - m[2 * sm]);
    const V s2 = e0 * (m[3 * sm] + m[4 * sm]), d2 = e1 * (m[3 * sm] - m[4 * sm]);
    g[0] = m[0] + s1 + s2;
    g[sg] = d1 + d2;
    g[2 * sg] = half * s1 + two * s2;
    g[3 * sg] = half * d1 + two * d2;
    g[4 * sg] = m[5 * sm] + half * half * s1 + two * two * s2;
}

INLINE void NAME(wino_collect_strided)(const V *m, const int sm, V *g, const int sg) {
    g[0] = m[0] + m[sm];
    g[sg] = m[3 * sm] + m[4 * sm];
    g[2 * sg] = m[sm] + m[2 * sm];
}

/* The window's taps as a grid of `side` rows: grid[side * i + j] is the tap, and its place in the weight, at (lo + i, lo + j). */
typedef struct {
    ptrdiff_t lo[2], grid[25];
} NAME(taps_grid);

/* What WINO(convolve) is, of any kind. */
typedef int NAME(winograd_convolve)(const window *, const NAME(taps_grid) *, const T *x, const T *weight, const T *rows,
                                    const T *packed, const fc_epilogue *, T *y);

/* Whether a window is one for Winograd at this step and side of the kernel; along an axis with one output any step will do. */
static int NAME(winograd_taps)(const window *w, ptrdiff_t step, ptrdiff_t side, NAME(taps_grid) *t) {
    if (w->taps != side * side || w->out[0] != 1 || w->in[0] != 1) return 0;
    for (int a = 1; a < 3; a++)
        if (w->out[a] != 1 && w->step[a] != step) return 0;
    if (w->x_s[2] != 1 || w->y_s[2] != 1) return 0;
    const extent e = window_extent(w);
    if (e.span[1] != side || e.span[2] != side || e.span[0] != 1 || e.lo[0] != 0) return 0;
    unsigned seen = 0;
    t->lo[0] = e.lo[1];
    t->lo[1] = e.lo[2];
    for (ptrdiff_t i = 0; i < w->taps; i++) {
        const ptrdiff_t at = side * (w->tap[3 * i + 1] - e.lo[1]) + w->tap[3 * i + 2] - e.lo[2];
        t->grid[at] = i;
        seen |= w->w_tap[i] == i ? 1u << at : 0;
    }
    return seen == (1u << w->taps) - 1;
}
