/* The Winograd side of the weight gradient, the exact adjoint of F(4x4, 3x3): dg = Gt [sum over tiles (A dy At) * (Bt d B)] G, with the
   transforms' lanes across channels (of x) and filters (of dy). Included by conv_grad_weight.h, whose chunks and sums it fills. */

/* A y: four values to six, from y (elements `sy` apart) to z (elements `sz` apart). */
INLINE void NAME(wino_spread_1d)(const V *y, const int sy, V *z, const int sz) {
    const V a = NAME(vset)((T)WINO_A), b = NAME(vset)((T)WINO_B), half = NAME(vset)((T)0.5), two = NAME(vset)((T)2);
    const V a3 = NAME(vset)((T)(WINO_A / 2)), b3 = NAME(vset)((T)(WINO_B * 2));
    const V y0 = y[0], y1 = y[sy], y2 = y[2 * sy], y3 = y[3 * sy];
    const V e1 = y0 + half * y2, o1 = a * y1 + a3 * y3, e2 = y0 + two * y2, o2 = b * y1 + b3 * y3;
    z[0] = y0;
    z[sz] = e1 + o1;
    z[2 * sz] = e1 - o1;
    z[3 * sz] = e2 + o2;
    z[4 * sz] = e2 - o2;
    z[5 * sz] = y3;
}

/* Gt m: six values to three. */
INLINE void NAME(wino_collect_1d)(const V *m, const int sm, V *g, const int sg) {
    const V c0 = NAME(vset)((T)(4.0 / 3)), c1 = NAME(vset)((T)(4 * WINO_A / 3)), c2 = NAME(vset)((T)(2.0 / 3));
    const V e0 = NAME(vset)((T)(WINO_B / 6)), e1 = NAME(vset)((T)(1.0 / 3)), e2 = NAME(vset)((T)(WINO_B / 3));
    const V s1 = m[sm] + m[2 * sm], d1 = m[sm] - m[2 * sm], s2 = m[3 * sm] + m[4 * sm], d2 = m[3 * sm] - m[4 * sm];
    g[0] = m[0] + c0 * s1 + e0 * s2;
    g[sg] = c1 * d1 + e1 * d2;
    g[2 * sg] = c2 * s1 + e2 * s2 + m[5 * sm];
}

/* Blocks of VL filters that cover every tile of TILE_M of them. */
static ptrdiff_t NAME(filter_blocks)(const NAME(grad_weight_job) *job) { return divide_up(job->tiles * TILE_M, VL); }

/* Rows `row` .. row+count-1 of a plane, transposed to [row][column][VL]; zeros outside the plane. */
static void NAME(transpose_rows)(const T *x, ptrdiff_t x_c, const ptrdiff_t *x_s, const ptrdiff_t *size,
                                 ptrdiff_t channels, ptrdiff_t row, ptrdiff_t count, ptrdiff_t first, ptrdiff_t width,
                                 T *to) {
    for (ptrdiff_t h = row; h < row + count; h++, to += width * VL) {
        if (h < 0 || h >= size[1] || channels <= 0)
            memset(to, 0, (size_t)(width * VL) * sizeof(T));
        else
            NAME(transpose_row)(x + h * x_s[1], x_c, x_s[2], size[2], channels, first, 1, width, to);
    }
}

/* Bt d B of every tile of the chunk for VL channels: [point][block][tile][VL]. */
static void NAME(transform_block)(const NAME(grad_weight_job) *job, const NAME(chunk) *chunk, ptrdiff_t g,
                                  ptrdiff_t block, char *bench) {
    const window *w = job->w;
    const ptrdiff_t width = job->grid.out[2] * WINO_OUT + 2, step = job->blocks * job->room * VL;
    T *rows = (T *)(void *)bench, *to = chunk->input + (g * WINO_POINTS * job->blocks + block) * job->room * VL;
    for (ptrdiff_t i = 0; i < chunk->bands; i++) {
        ptrdiff_t n, depth, top;
        const ptrdiff_t height = NAME(band_at)(job, chunk->first_band + i, &n, &depth, &top);
        const T *x = job->x + n * w->x_n + (g * w->c + block * VL) * w->x_c;
        for (ptrdiff_t h = top; h < top + height; h++) {
            NAME(transpose_rows)(x, w->x_c, w->x_s, w->in, smaller(VL, w->c - block * VL),
                                 WINO_OUT * h + job->taps->lo[0], WINO_IN, job->taps->lo[1], width, rows);
            for (ptrdiff_t q = 0; q < job->grid.out[2]; q++, to += VL) {
                V d[WINO_POINTS];
                UNROLL(6)
                for (int r = 0; r < WINO_IN; r++) {
                    UNROLL(6)
                    for (int c = 0; c < WINO_IN; c++)
                        d[r * WINO_IN + c] = NAME(vload)(rows + (r * width + q * WINO_OUT + c) * VL);
                }
                UNROLL(6)
                for (int r = 0; r < WINO_IN; r++) NAME(wino_input_4)(d + r * WINO_IN);
                UNROLL(6)
                for (int c = 0; c < WINO_IN; c++) {
                    V column[WINO_IN];
                    UNROLL(6)
                    for (int r = 0; r < WINO_IN; r++) column[r] = d[r * WINO_IN + c];
                    NAME(wino_input_4)(column);
                    UNROLL(6)
                    for (int r = 0; r < WINO_IN; r++) d[r * WINO_IN + c] = column[r];
                }
                UNROLL(36)
                for (int p = 0; p < WINO_POINTS; p++) NAME(vstore)(to + p * step, d[p]);
            }
        }
    }
}

/* A dy At of every tile of the chunk for VL filters: [point][tile of filters][tile][TILE_M]. */
static void NAME(transform_dy)(const NAME(grad_weight_job) *job, const NAME(chunk) *chunk, ptrdiff_t g, ptrdiff_t block,
                               char *bench) {
    enum {
        LANES = VBYTES / sizeof(T),
        PIECE = LANES < TILE_M ? LANES : TILE_M
    }; /* lanes that stay together in a tile of filters */
    const window *w = job->w;
    const ptrdiff_t width = job->grid.out[2] * WINO_OUT, step = job->tiles * job->room * TILE_M, k0 = block * VL;
    T *rows = (T *)(void *)bench, *to = chunk->packed + g * WINO_POINTS * step;
    ptrdiff_t tile = 0;
    for (ptrdiff_t i = 0; i < chunk->bands; i++) {
        ptrdiff_t n, depth, top;
        const ptrdiff_t height = NAME(band_at)(job, chunk->first_band + i, &n, &depth, &top);
        const T *dy = job->dy + n * w->y_n + (g * w->k + k0) * w->y_c;
        for (ptrdiff_t h = top; h < top + height; h++) {
            NAME(transpose_rows)(dy, w->y_c, w->y_s, w->out, smaller(VL, w->k - k0), WINO_OUT * h, WINO_OUT, 0, width,
                                 rows);
            for (ptrdiff_t q = 0; q < job->grid.out[2]; q++, tile++) {
                V half[WINO_IN * WINO_OUT], z[WINO_POINTS];
                UNROLL(4)
                for (int c = 0; c < WINO_OUT; c++) {
                    V y[WINO_OUT];
                    UNROLL(4)
                    for (int r = 0; r < WINO_OUT; r++) y[r] = NAME(vload)(rows + (r * width + q * WINO_OUT + c) * VL);
                    NAME(wino_spread_1d)(y, 1, half + c, WINO_OUT);
                }
                UNROLL(6)
                for (int r = 0; r < WINO_IN; r++) NAME(wino_spread_1d)(half + r * WINO_OUT, 1, z + r * WINO_IN, 1);
                for (ptrdiff_t lane = 0; lane < LANES && k0 + lane < job->tiles * TILE_M; lane += PIECE) {
                    T *at = to + ((k0 + lane) / TILE_M * job->room + tile) * TILE_M + (k0 + lane) % TILE_M;
                    UNROLL(36)
                    for (int p = 0; p < WINO_POINTS; p++)
                        memcpy(at + p * step, (const T *)&z[p] + lane, PIECE * sizeof(T));
                }
            }
        }
    }
}

/* Gt m G of the sums of one tile of filters with one set of columns, [point][TILE_M][TILE_LANES] from `sums` on with `step` elements
   between points, all parts added, into the weight. */
static void NAME(transform_sums)(const NAME(grad_weight_job) *job, ptrdiff_t g, ptrdiff_t tile, ptrdiff_t set,
                                 const T *sums, ptrdiff_t step) {
    const window *w = job->w;
    V check = NAME(vzero)();
    for (ptrdiff_t k = tile * TILE_M; k < smaller((tile + 1) * TILE_M, w->k); k++)
        for (ptrdiff_t block = set * TILE_V; block < smaller((set + 1) * TILE_V, job->blocks); block++) {
            const T *from = sums + k % TILE_M * TILE_LANES + block % TILE_V * VL;
            V m[WINO_POINTS], half[3 * WINO_IN], dg[9];
            T lane[9][VBYTES / sizeof(T)];
            for (ptrdiff_t p = 0; p < WINO_POINTS; p++) {
                m[p] = NAME(vload)(from + p * step);
                for (ptrdiff_t part = 1; part < job->parts; part++)
                    m[p] += NAME(vload)(from + p * step + part * job->size);
            }
            UNROLL(6)
            for (int c = 0; c < WINO_IN; c++) NAME(wino_collect_1d)(m + c, WINO_IN, half + c, WINO_IN);
            UNROLL(3)
            for (int r = 0; r < 3; r++) NAME(wino_collect_1d)(half + r * WINO_IN, 1, dg + 3 * r, 1);
            UNROLL(9)
            for (int t = 0; t < 9; t++) {
                check += dg[t];
                NAME(vstore)(lane[t], dg[t]);
            }
            T *to = job->dw + g * w->w_g + k * w->w_k + block * VL * w->w_c;
            for (ptrdiff_t c = 0; c < smaller(VL, w->c - block * VL); c++)
                for (ptrdiff_t t = 0; t < 9; t++) to[c * w->w_c + job->taps->grid[t]] = lane[t][c];
        }
    const T sum = NAME(vsum)(check);
    if (!(sum - sum == 0)) __atomic_store_n(job->not_finite, 1, __ATOMIC_RELAXED);
}
