/* Max and average pooling for windows of 2 x 2 and 3 x 3 at stride 1 or 2 on NCHW planes, which nearly every network has: the size
   is a literal, everything that does not change from row to row is worked out once a task, and a row of the input that two rows of
   windows share is searched, or summed, once. */

/* A vector of columns: first window q, its first element `at`, at an edge the lanes of its three loads that lie in the row; what
   was found in the last rows of the input (at most two) that the next windows share. */
typedef struct NAME(column_block) {
    V best[2]; /* or sum */
    VI tap[2], first; /* first tap inside */
    MASK inside[3];
    ptrdiff_t q, at;
    int edge;
} NAME(column_block);

typedef struct NAME(fixed_desk) {
    NAME(column_block) *block;
    ptrdiff_t blocks;
    uint8_t *taps; /* a row of them, on their way to become indices */
} NAME(fixed_desk);

INLINE size_t NAME(fixed_lay_out)(const fc_pool *g, void *scratch, NAME(fixed_desk) *desk) {
    const ptrdiff_t blocks = NAME(whole_vectors)(g->out[2]) / VL;
    if (desk) *desk = (NAME(fixed_desk)){scratch, blocks, (uint8_t *)((NAME(column_block) *)scratch + blocks)};
    return (size_t)blocks * sizeof(NAME(column_block)) + (size_t)g->out[2];
}

INLINE void NAME(place_blocks)(const NAME(pool_call) *m, const NAME(fixed_desk) *desk, const int apart, const int wide,
                               const int kind) {
    const ptrdiff_t Q = m->g->out[2], W = m->g->in[2];
    for (ptrdiff_t i = 0; i < desk->blocks; i++) {
        NAME(column_block) *b = &desk->block[i];
        /* The last block overlaps the one before rather than being partial. */
        b->q = NAME(smaller)(i * VL, NAME(larger)(Q - VL, 0));
        b->at = NAME(window_start)(m->g, 2, b->q);
        b->edge = b->at < 0 || b->at + apart * (VL - 1) + wide > W || b->at + apart * VL > W;
        b->first = kind == NAME(TAP) ? NAME(vload_int)(m->first_s + b->q) : NAME(vset_int)(0);
        for (int j = 0; j < 3; j++) {
            const ptrdiff_t from = b->at + (apart == 1 ? j : j * VL), lanes = apart == 2 && j == 2 ? 1 : VL;
            b->inside[j] = NAME(mask_range)(-from, NAME(smaller)(W - from, lanes));
        }
    }
}

/* The best (or the sum) of a block's windows in row x of the input; nan: a NaN was seen. */
INLINE void NAME(fixed_across)(const T *x, const NAME(column_block) *b, V *best, VI *tap, CHOICE *nan, const int apart,
                               const int wide, const int edge, const int kind) {
    const V none = kind == NAME(MEAN) ? NAME(vzero)() : NAME(vset)((T)-INFINITY);
    V v[3];
    x += b->at;
#define LOAD(j, offset) (edge ? NAME(vload_or)(x + (offset), b->inside[j], none) : NAME(vload)(x + (offset)))
    if (apart == 2) {
        const V low = LOAD(0, 0), high = LOAD(1, VL);
        v[0] = NAME(veven)(low, high);
        v[1] = NAME(vodd)(low, high);
        if (wide == 3) v[2] = NAME(vnext)(v[0], edge ? LOAD(2, 2 * VL) : NAME(vset)(x[2 * VL]));
    } else {
        v[0] = LOAD(0, 0);
        v[1] = LOAD(1, 1);
        if (wide == 3) v[2] = LOAD(2, 2);
    }
#undef LOAD
    if (kind == NAME(MEAN)) {
        *best = wide == 3 ? v[0] + v[1] + v[2] : v[0] + v[1];
        return;
    }
    *nan |= NAME(vunordered)(v[0], v[1]);
    if (wide == 3) *nan |= NAME(vunordered)(v[2], v[2]);
    if (kind == NAME(TAP)) *tap = NAME(vpick_int)(NAME(vgreater)(v[1], v[0]), NAME(vset_int)(1), b->first);
    *best = NAME(vlarger)(v[1], v[0]);
    if (wide < 3) return;
    if (kind == NAME(TAP)) *tap = NAME(vpick_int)(NAME(vgreater)(v[2], *best), NAME(vset_int)(2), *tap);
    *best = NAME(vlarger)(v[2], *best);
}

/* The same for row h of the plane x. A row outside never wins and adds nothing; where it is the first of a window the next one is
   inside. */
INLINE void NAME(fixed_row)(const T *x, ptrdiff_t h, ptrdiff_t H, ptrdiff_t W, const NAME(column_block) *b, V *best,
                            VI *tap, CHOICE *nan, const int apart, const int wide, const int kind) {
    if (h < 0 || h >= H) {
        *best = kind == NAME(MEAN) ? NAME(vzero)() : NAME(vset)((T)-INFINITY);
        if (kind == NAME(TAP)) *tap = b->first + wide;
    } else if (b->edge) {
        NAME(fixed_across)(x + h * W, b, best, tap, nan, apart, wide, 1, kind);
    } else {
        NAME(fixed_across)(x + h * W, b, best, tap, nan, apart, wide, 0, kind);
    }
}

/* Rows p0 <= p < p1 of windows of a plane. */
INLINE void NAME(fixed_plane)(const NAME(pool_call) *m, ptrdiff_t plane, ptrdiff_t p0, ptrdiff_t p1,
                              const NAME(fixed_desk) *desk, const int apart, const int wide, const int kind) {
    const fc_pool *g = m->g;
    const ptrdiff_t H = g->in[1], W = g->in[2], Q = g->out[2], pad = g->pad[1];
    const T *x = m->x + plane * H * W;
    const int shared = wide - apart;
    const CHOICE none = NAME(vgreater)(NAME(vzero)(), NAME(vzero)());
    CHOICE nan = none;
    int exact = 0; /* a NaN was seen in these rows, perhaps in one that is shared */
    for (ptrdiff_t i = 0; i < desk->blocks; i++) {
        NAME(column_block) *b = &desk->block[i];
        UNROLL(2)
        for (int r = 0; r < shared; r++)
            NAME(fixed_row)(x, p0 * apart - pad + r, H, W, b, &b->best[r], &b->tap[r], &nan, apart, wide, kind);
    }
    exact = NAME(vany)(nan);
    for (ptrdiff_t p = p0, h = p0 * apart - pad, row = (plane * g->out[1] + p0) * Q; p < p1;
         p++, h += apart, row += Q) {
        const V divisor = NAME(vset)(kind == NAME(MEAN) ? NAME(row_divisor)(g, plane % g->in[0], p) : 1);
        uint8_t *taps = m->taps8 ? m->taps8 + row : desk->taps;
        for (ptrdiff_t i = 0; i < desk->blocks; i++) {
            NAME(column_block) *b = &desk->block[i];
            V best[3];
            VI tap[3];
            nan = none;
            UNROLL(3)
            for (int r = 0; r < wide; r++) {
                if (r < shared) {
                    best[r] = b->best[r];
                    tap[r] = b->tap[r];
                } else {
                    NAME(fixed_row)(x, h + r, H, W, b, &best[r], &tap[r], &nan, apart, wide, kind);
                }
            }
            UNROLL(2)
            for (int r = 0; r < shared; r++) {
                b->best[r] = best[r + apart];
                if (kind == NAME(TAP)) b->tap[r] = tap[r + apart];
            }
            UNROLL(2)
            for (int r = 1; r < wide; r++) {
                if (kind == NAME(TAP))
                    tap[0] = NAME(vpick_sum)(NAME(vgreater)(best[r], best[0]), tap[r], NAME(vset_int)((TI)(r * wide)),
                                             tap[0]);
                best[0] = kind == NAME(MEAN) ? best[0] + best[r] : NAME(vlarger)(best[r], best[0]);
            }
            if (kind == NAME(MEAN)) {
                best[0] = best[0] / (divisor * NAME(vload)(m->columns + b->q));
            } else if (exact || NAME(vany)(nan)) {
                exact = 1;
                const PLACE at = {plane / g->in[0], plane % g->in[0], p};
                const NAME(running) max =
                    NAME(max_exact)(m, at, b->q, b->first, NULL, apart == 1 ? NAME(ADJACENT) : NAME(ALTERNATE));
                best[0] = max.best;
                tap[0] = max.tap;
            }
            NAME(store_some)(m->y + row + b->q, Q - b->q, best[0]);
            if (kind == NAME(TAP)) NAME(store_bytes)(taps + b->q, tap[0], Q - b->q);
        }
        if (kind == NAME(TAP) &&m->indices)
            for (ptrdiff_t q = 0; q < Q; q++)
                m->indices[row + q] = (int64_t)(h * W - g->pad[2] + q * apart + m->offset[taps[q]]);
    }
}

INLINE void NAME(fixed_rows)(const NAME(pool_call) *m, ptrdiff_t task, void *scratch, const int apart, const int wide,
                             const int kind) {
    const ptrdiff_t P = m->g->out[1], last = NAME(smaller)((task + 1) * m->a_task, m->rows);
    NAME(fixed_desk) desk;
    (void)NAME(fixed_lay_out)(m->g, scratch, &desk);
    NAME(place_blocks)(m, &desk, apart, wide, kind);
    for (ptrdiff_t row = task * m->a_task, rows; row < last; row += rows) {
        rows = NAME(smaller)(P - row % P, last - row);
        NAME(fixed_plane)(m, row / P, row % P, row % P + rows, &desk, apart, wide, kind);
    }
}

#define FIXED_TASK(apart, wide, kind)                                                              \
    static void NAME(fixed_##apart##_##wide##_##kind)(void *call, ptrdiff_t task, void *scratch) { \
        NAME(fixed_rows)(call, task, scratch, apart, wide, NAME(kind));                            \
    }
#define FIXED_TASKS(apart, wide) \
    FIXED_TASK(apart, wide, LARGEST) FIXED_TASK(apart, wide, TAP) FIXED_TASK(apart, wide, MEAN)
FIXED_TASKS(1, 2)
FIXED_TASKS(1, 3)
FIXED_TASKS(2, 2)
FIXED_TASKS(2, 3)
#undef FIXED_TASKS
#undef FIXED_TASK

INLINE fc_task *NAME(fixed_task)(const fc_pool *g, enum NAME(pool_kind) kind) {
#define FIXED_KINDS(apart, wide) \
    { NAME(fixed_##apart##_##wide##_LARGEST), NAME(fixed_##apart##_##wide##_TAP), NAME(fixed_##apart##_##wide##_MEAN) }
    static fc_task *const loops[2][2][3] = {{FIXED_KINDS(1, 2), FIXED_KINDS(1, 3)},
                                            {FIXED_KINDS(2, 2), FIXED_KINDS(2, 3)}};
#undef FIXED_KINDS
    return loops[g->stride[2] - 1][g->kernel[2] - 2][kind];
}
