/* The Winograd side of the weight gradient, the exact adjoint of the way forward: dg = Gt [sum over tiles (A dy At) * (Bt d B)] G, with
   the transforms' lanes across channels (of x) and filters (of dy). Written once, included for the kinds 2, 4, 5 and strided, whose tiles have
   as many points as they read columns, WINO_DISTINCT of them along an axis different in dy. */

/* Bt d B of every tile of the chunk for VL channels: [point][block][tile][VL]. */
static void WINO(grad_transform_block)(const NAME(grad_weight_job) *job, const NAME(chunk) *chunk, ptrdiff_t g,
                                       ptrdiff_t block, char *bench) {
    const window *w = job->w;
    const ptrdiff_t width = (job->grid.out[2] - 1) * WINO_SPACE + WINO_IN, step = job->blocks * job->room * VL;
    T *rows = (T *)(void *)bench, *to = chunk->input + (g * WINO_POINTS * job->blocks + block) * job->room * VL;
    for (ptrdiff_t i = 0; i < chunk->bands; i++) {
        ptrdiff_t n, depth, top;
        const ptrdiff_t height = NAME(band_at)(job, chunk->first_band + i, &n, &depth, &top);
        const T *x = job->x + n * w->x_n + (g * w->c + block * VL) * w->x_c;
        for (ptrdiff_t h = top; h < top + height; h++) {
            NAME(transpose_rows)(x, w->x_c, w->x_s, w->in, smaller(VL, w->c - block * VL),
                                 WINO_SPACE * h + job->taps->lo[0], WINO_IN, job->taps->lo[1], width, rows);
            for (ptrdiff_t q = 0; q < job->grid.out[2]; q++, to += VL) {
                V d[WINO_POINTS];
                UNROLL(6)
                for (int r = 0; r < WINO_IN; r++) {
                    UNROLL(6)
                    for (int c = 0; c < WINO_IN; c++)
                        d[r * WINO_IN + c] = NAME(vload)(rows + (r * width + q * WINO_SPACE + c) * VL);
                }
                UNROLL(6)
                for (int r = 0; r < WINO_IN; r++) WINO(input)(d + r * WINO_IN);
                UNROLL(6)
                for (int c = 0; c < WINO_IN; c++) {
                    V column[WINO_IN];
                    UNROLL(6)
                    for (int r = 0; r < WINO_IN; r++) column[r] = d[r * WINO_IN + c];
                    WINO(input)(column);
                    UNROLL(6)
                    for (int r = 0; r < WINO_IN; r++) d[r * WINO_IN + c] = column[r];
                }
                UNROLL(36)
                for (int p = 0; p < WINO_POINTS; p++) NAME(vstore)(to + p * step, d[p]);
            }
        }
    }
}

/* A dy At of every tile of the chunk for VL filters: [distinct point][tile of filters][tile][TILE_M]. */
static void WINO(grad_transform_dy)(const NAME(grad_weight_job) *job, const NAME(chunk) *chunk, ptrdiff_t g,
                                    ptrdiff_t block, char *bench) {
    enum {
        LANES = VBYTES / sizeof(T),
        PIECE = LANES < TILE_M ? LANES : TILE_M
    }; /* lanes that stay together in a tile of filters */
    const window *w = job->w;
    const ptrdiff_t width = job->grid.out[2] * WINO_OUT, step = job->tiles * job->room * TILE_M, k0 = block * VL;
    T *rows = (T *)(void *)bench, *to = chunk->packed + g * WINO_DISTINCT * WINO_DISTINCT * step;
    ptrdiff_t tile = 0;
    for (ptrdiff_t i = 0; i < chunk->bands; i++) {
        ptrdiff_t n, depth, top;
        const ptrdiff_t height = NAME(band_at)(job, chunk->first_band + i, &n, &depth, &top);
        const T *dy = job->dy + n * w->y_n + (g * w->k + k0) * w->y_c;
        for (ptrdiff_t h = top; h < top + height; h++) {
            NAME(transpose_rows)(dy, w->y_c, w->y_s, w->out, smaller(VL, w->k - k0), WINO_OUT * h, WINO_OUT, 0, width,
                                 rows);
            for (ptrdiff_t q = 0; q < job->grid.out[2]; q++, tile++) {
                V half[WINO_DISTINCT * WINO_OUT], z[WINO_DISTINCT * WINO_DISTINCT];
                UNROLL(4)
                for (int c = 0; c < WINO_OUT; c++) {
                    V y[WINO_OUT], column[WINO_DISTINCT];
                    UNROLL(4)
                    for (int r = 0; r < WINO_OUT; r++) y[r] = NAME(vload)(rows + (r * width + q * WINO_OUT + c) * VL);
                    WINO(gradient)(y, column);
                    UNROLL(6)
                    for (int r = 0; r < WINO_DISTINCT; r++) half[r * WINO_OUT + c] = column[r];
                }
                UNROLL(6)
                for (int r = 0; r < WINO_DISTINCT; r++) WINO(gradient)(half + r * WINO_OUT, z + r * WINO_DISTINCT);
                for (ptrdiff_t lane = 0; lane < LANES && k0 + lane < job->tiles * TILE_M; lane += PIECE) {
                    T *at = to + ((k0 + lane) / TILE_M * job->room + tile) * TILE_M + (k0 + lane) % TILE_M;
                    UNROLL(36)
                    for (int p = 0; p < WINO_DISTINCT * WINO_DISTINCT; p++)
                        memcpy(at + p * step, (const T *)&z[p] + lane, PIECE * sizeof(T));
                }
            }
        }
    }
}

/* Gt m G of the sums of one tile of filters with one set of columns, [point][TILE_M][TILE_LANES] from `sums` on with `step` elements
   between points, all parts added, into the weight. */
static void WINO(grad_transform_sums)(const NAME(grad_weight_job) *job, ptrdiff_t g, ptrdiff_t tile, ptrdiff_t set,
                                      const T *sums, ptrdiff_t step) {
    const window *w = job->w;
    V check = NAME(vzero)();
    for (ptrdiff_t k = tile * TILE_M; k < smaller((tile + 1) * TILE_M, w->k); k++)
        for (ptrdiff_t block = set * TILE_V; block < smaller((set + 1) * TILE_V, job->blocks); block++) {
            const T *from = sums + k % TILE_M * TILE_LANES + block % TILE_V * VL;
            V m[WINO_POINTS], half[WINO_KERNEL * WINO_IN], dg[WINO_TAPS];
            T lane[WINO_TAPS][VBYTES / sizeof(T)];
            for (ptrdiff_t p = 0; p < WINO_POINTS; p++) {
                m[p] = NAME(vload)(from + p * step);
                for (ptrdiff_t part = 1; part < job->parts; part++)
                    m[p] += NAME(vload)(from + p * step + part * job->size);
            }
            UNROLL(6)
            for (int c = 0; c < WINO_IN; c++) WINO(collect)(m + c, WINO_IN, half + c, WINO_IN);
            UNROLL(5)
            for (int r = 0; r < WINO_KERNEL; r++) WINO(collect)(half + r * WINO_IN, 1, dg + WINO_KERNEL * r, 1);
            UNROLL(25)
            for (int t = 0; t < WINO_TAPS; t++) {
                check += dg[t];
                NAME(vstore)(lane[t], dg[t]);
            }
            T *to = job->dw + g * w->w_g + k * w->w_k + block * VL * w->w_c;
            /* The same of the next filter: a short stretch far away, which no prefetcher would have. */
            for (ptrdiff_t i = 0; i < VL * WINO_TAPS; i += 64 / (ptrdiff_t)sizeof(T))
                __builtin_prefetch(to + w->w_k + i, 1);
            for (ptrdiff_t c = 0; c < smaller(VL, w->c - block * VL); c++)
                for (ptrdiff_t t = 0; t < WINO_TAPS; t++) to[c * w->w_c + job->taps->grid[t]] = lane[t][c];
        }
    const T sum = NAME(vsum)(check);
    if (!(sum - sum == 0)) __atomic_store_n(job->not_finite, 1, __ATOMIC_RELAXED);
}

/* Which of the points that differ in dy a point is: each its own, but at step 2 where the last two take y0 and y1 once more. */
static ptrdiff_t WINO(distinct)(ptrdiff_t point) {
#if WINO_DISTINCT == WINO_SIDE
    return point;
#else
    static const ptrdiff_t of[WINO_SIDE] = {0, 1, 2, 0, 2};
    return of[point / WINO_SIDE] * WINO_DISTINCT + of[point % WINO_SIDE];
#endif
}

static const NAME(grad_kind) WINO(grad_kind) = {
    .out = WINO_OUT,
    .space = WINO_SPACE,
    .in = WINO_IN,
    .points = WINO_POINTS,
    .distinct = WINO_DISTINCT * WINO_DISTINCT,
    .distinct_of = WINO(distinct),
    .transform_block = WINO(grad_transform_block),
    .transform_dy = WINO(grad_transform_dy),
    .transform_sums = WINO(grad_transform_sums),
};
