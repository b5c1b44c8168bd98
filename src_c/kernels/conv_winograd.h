/* Winograd convolution F(4x4, 3x3) over a window of 3 x 3 neighbouring taps and step 1: forward, and the gradient to the input. A task
   takes a block of tiles: transforms its input (lanes are tiles), multiplies point by point on the micro-kernel, transforms back and
   stores, all in the second-level cache. Results of images in which anything is not finite are computed again directly: a transform
   would spread a NaN over its whole tile. */

enum { NAME(GROUP) = 4 }; /* tiles of filters between two passes over the transformed input */

/* The window's taps as a 3 x 3 grid: grid[3 * i + j] is the weight offset of the tap at (lo + i, lo + j). */
typedef struct {
    ptrdiff_t lo[2], grid[9];
} NAME(taps_3x3);

static int NAME(winograd_taps)(const window *w, NAME(taps_3x3) *t) {
    if (w->taps != 9 || w->out[0] != 1 || w->in[0] != 1) return 0;
    if (w->step[1] != 1 || w->step[2] != 1 || w->x_s[2] != 1 || w->y_s[2] != 1) return 0;
    const extent e = window_extent(w);
    if (e.span[1] != 3 || e.span[2] != 3 || e.span[0] != 1 || e.lo[0] != 0) return 0;
    unsigned seen = 0;
    t->lo[0] = e.lo[1];
    t->lo[1] = e.lo[2];
    for (ptrdiff_t i = 0; i < 9; i++) {
        const ptrdiff_t at = 3 * (w->tap[3 * i + 1] - e.lo[1]) + w->tap[3 * i + 2] - e.lo[2];
        t->grid[at] = w->w_tap[i];
        seen |= 1u << at;
    }
    return seen == 0x1ff;
}

/* ---- weights: [group][GROUP tiles of filters][point][tile][channel][TILE_M] */

static ptrdiff_t NAME(winograd_packed_size)(const window *w) {
    return w->groups * divide_up(w->k, TILE_M) * TILE_M * w->c * WINO_POINTS;
}

typedef struct {
    const window *w;
    const NAME(taps_3x3) *taps;
    const T *weight;
    T *packed;
} NAME(winograd_pack_job);

static void NAME(winograd_pack_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(winograd_pack_job) *job = context;
    const window *w = job->w;
    const ptrdiff_t tiles = divide_up(w->k, TILE_M), g = task / tiles, tile = task % tiles;
    const ptrdiff_t first = tile / NAME(GROUP) *NAME(GROUP), in_group = smaller(NAME(GROUP), tiles - first),
                    size = w->c * TILE_M;
    T *to = job->packed + (g * tiles + first) * WINO_POINTS * size + (tile - first) * size;
    T lane[9][VBYTES / sizeof(T)];
    (void)scratch;
    for (ptrdiff_t at = 0; at < size; at += VL) { /* lanes are neighbours in [channel][TILE_M] */
        const ptrdiff_t count = smaller(VL, size - at);
        V weight[9], u[WINO_POINTS];
        memset(lane, 0, sizeof lane);
        for (ptrdiff_t i = 0; i < count; i++) {
            const ptrdiff_t k = tile * TILE_M + (at + i) % TILE_M, c = (at + i) / TILE_M;
            if (k >= w->k) continue;
            const T *from = job->weight + g * w->w_g + k * w->w_k + c * w->w_c;
            for (int t = 0; t < 9; t++) lane[t][i] = from[job->taps->grid[t]];
        }
        for (int t = 0; t < 9; t++) weight[t] = NAME(vload)(lane[t]);
        NAME(wino_weight)(weight, u);
        for (ptrdiff_t p = 0; p < WINO_POINTS; p++) NAME(vstore_first)(to + p * in_group * size + at, count, u[p]);
    }
}

static int NAME(winograd_pack)(const window *w, const NAME(taps_3x3) *taps, const T *weight, T *packed) {
    NAME(winograd_pack_job) job = {w, taps, weight, packed};
    return fc_parallel(w->groups * divide_up(w->k, TILE_M), (double)NAME(winograd_packed_size)(w), 0,
                       NAME(winograd_pack_task), &job);
}

/* ---- blocks of tiles */

typedef struct {
    const window *w;
    window grid; /* the same with tiles for pixels: out = 1 x tile rows x tile columns */
    const NAME(taps_3x3) *taps;
    const T *x, *packed;
    T *y;
    const fc_epilogue *end;
    ptrdiff_t vectors, blocks, tiles,
        tile_groups; /* vectors of tiles; blocks of up to TILE_V of them; tiles of filters; their groups */
    ptrdiff_t splits; /* of the groups of filters: tasks = groups * blocks * splits */
    ptrdiff_t pitch; /* elements between two points of the transformed input */
    unsigned char *not_finite; /* an image, set where a result is not finite */
} NAME(winograd_job);

/* A run of tiles, with the masks that keep its loads inside the rows. */
typedef struct {
    run r;
    MASK load[2 * WINO_OUT];
} NAME(tile_run);

typedef struct {
    NAME(tile_run) *runs; /* TILE_LANES, each up to VL tiles long */
    ptrdiff_t *off; /* KC */
    T *patch; /* WINO_POINTS x (TILE_LANES + VL): the inputs of one channel, lanes are tiles */
    T *input; /* WINO_POINTS x pitch: transformed, [point][channel][TILE_LANES] */
    T *product; /* WINO_POINTS x GROUP x TILE_M x TILE_LANES */
} NAME(winograd_desk);

static size_t NAME(winograd_scratch)(const NAME(winograd_job) *job, void *scratch, NAME(winograd_desk) *desk) {
    char *at = scratch;
#define ROOM(member, count)                                            \
    do {                                                               \
        if (desk) desk->member = (void *)at;                           \
        at += ((size_t)(count) * sizeof *desk->member + 63) / 64 * 64; \
    } while (0)
    ROOM(runs, TILE_LANES);
    ROOM(off, KC);
    ROOM(patch, WINO_POINTS * (TILE_LANES + VL));
    ROOM(input, WINO_POINTS * job->pitch);
    ROOM(product, WINO_POINTS * NAME(GROUP) *TILE_M * TILE_LANES);
#undef ROOM
    return (size_t)(at - (char *)scratch);
}

/* Runs of tiles first .. first+count-1, cut at vectors so that no run crosses one. */
static ptrdiff_t NAME(plan_tiles)(const NAME(winograd_job) *job, ptrdiff_t first, ptrdiff_t count,
                                  NAME(tile_run) *runs) {
    ptrdiff_t used = 0;
    for (ptrdiff_t lane = 0; lane < count; lane += VL) {
        run part[VBYTES / sizeof(T)];
        const ptrdiff_t parts = window_runs(&job->grid, first + lane, smaller(VL, count - lane), part);
        for (ptrdiff_t i = 0; i < parts; i++) {
            NAME(tile_run) *to = &runs[used++];
            to->r = part[i];
            to->r.lane += lane;
            const ptrdiff_t column = WINO_OUT * part[i].at[3] + job->taps->lo[1], width = job->w->in[2];
            const ptrdiff_t stop = smaller(width, column + WINO_OUT * part[i].length + 2);
            for (ptrdiff_t l = 0; l < WINO_OUT; l++) {
                const ptrdiff_t at = column + l * VL;
                to->load[l] = NAME(mask_range)(-at, stop - at);
                to->load[WINO_OUT + l] = NAME(mask_range)(-at - WINO_OUT, stop - at - WINO_OUT);
            }
        }
    }
    return used;
}

/* One input row of a run, from the first tile's column on: the six columns of every tile, lanes are tiles. */
INLINE void NAME(split_columns)(const T *row, const MASK *masks, V *column) {
    V l[4], m[4];
    UNROLL(4)
    for (int i = 0; i < 4; i++) {
        l[i] = NAME(vload_masked)(row + i * VL, masks[i]);
        m[i] = NAME(vload_masked)(row + WINO_OUT + i * VL, masks[WINO_OUT + i]);
    }
    const V e0 = NAME(veven)(l[0], l[1]), e1 = NAME(veven)(l[2], l[3]), o0 = NAME(vodd)(l[0], l[1]),
            o1 = NAME(vodd)(l[2], l[3]);
    column[0] = NAME(veven)(e0, e1);
    column[1] = NAME(veven)(o0, o1);
    column[2] = NAME(vodd)(e0, e1);
    column[3] = NAME(vodd)(o0, o1);
    column[4] = NAME(veven)(NAME(veven)(m[0], m[1]), NAME(veven)(m[2], m[3]));
    column[5] = NAME(veven)(NAME(vodd)(m[0], m[1]), NAME(vodd)(m[2], m[3]));
}

static void NAME(transform_input)(const NAME(winograd_job) *job, const NAME(winograd_desk) *desk, ptrdiff_t run_count,
                                  ptrdiff_t vectors, ptrdiff_t g) {
    enum { PITCH = TILE_LANES + VBYTES / sizeof(T) };
    const window *w = job->w;
    for (ptrdiff_t c = 0; c < w->c; c++) {
        const T *plane = job->x + (g * w->c + c) * w->x_c;
        for (ptrdiff_t i = 0; i < run_count; i++) {
            const NAME(tile_run) *t = &desk->runs[i];
            const T *x = plane + t->r.at[0] * w->x_n + WINO_OUT * t->r.at[3] + job->taps->lo[1];
            for (ptrdiff_t h = 0; h < WINO_IN; h++) {
                const ptrdiff_t row = WINO_OUT * t->r.at[2] + job->taps->lo[0] + h;
                T *to = desk->patch + h * WINO_IN * PITCH + t->r.lane;
                V column[WINO_IN];
                if (row >= 0 && row < w->in[1]) {
                    NAME(split_columns)(x + row * w->x_s[1], t->load, column);
                } else {
                    UNROLL(6)
                    for (int j = 0; j < WINO_IN; j++) column[j] = NAME(vzero)();
                }
                UNROLL(6)
                for (int j = 0; j < WINO_IN; j++) NAME(vstore)(to + j * PITCH, column[j]);
            }
        }
        for (ptrdiff_t v = 0; v < vectors; v++) {
            V d[WINO_POINTS];
            T *to = desk->input + c * vectors * VL + v * VL;
            UNROLL(36)
            for (int p = 0; p < WINO_POINTS; p++) d[p] = NAME(vload)(desk->patch + p * PITCH + v * VL);
            NAME(wino_input)(d);
            UNROLL(36)
            for (int p = 0; p < WINO_POINTS; p++) NAME(vstore)(to + p * job->pitch, d[p]);
        }
    }
}

/* product[point][tile][filter][lane] for one group of filters. */
static void NAME(multiply_points)(const NAME(winograd_job) *job, const NAME(winograd_desk) *desk, ptrdiff_t vectors,
                                  ptrdiff_t g, ptrdiff_t group) {
    const window *w = job->w;
    const ptrdiff_t first = group * NAME(GROUP), count = smaller(NAME(GROUP), job->tiles - first), size = w->c * TILE_M;
    const T *a = job->packed + (g * job->tiles + first) * WINO_POINTS * size;
    for (ptrdiff_t p = 0; p < WINO_POINTS; p++)
        for (ptrdiff_t c0 = 0; c0 < w->c; c0 += KC)
            for (ptrdiff_t i = 0; i < count; i++) {
                const T *b[TILE_V];
                T *to = desk->product + (p * NAME(GROUP) + i) * TILE_M * TILE_LANES;
                const NAME(tile_end) end = {.c = to, .row = TILE_LANES, .partial = c0 ? to : NULL};
                for (ptrdiff_t v = 0; v < TILE_V; v++) b[v] = desk->input + p * job->pitch + (c0 * vectors + v) * VL;
                NAME(tile)[vectors](smaller(KC, w->c - c0), a + ((p * count + i) * w->c + c0) * TILE_M, b, desk->off,
                                    &end);
            }
}

/* Rows of finished pixels of one run to the output, through the end of the epilogue. pixels: 4 rows of 4 * VL from the vector's
   first lane on. */
static void NAME(store_run)(const NAME(winograd_job) *job, const run *r, const T *pixels, ptrdiff_t k) {
    const window *w = job->w;
    const ptrdiff_t top = WINO_OUT * r->at[2], left = WINO_OUT * r->at[3];
    const ptrdiff_t rows = smaller(WINO_OUT, w->out[1] - top),
                    columns = smaller(WINO_OUT * r->length, w->out[2] - left);
    const ptrdiff_t place = r->at[0] * w->y_n + k * w->y_c + top * w->y_s[1] + left;
    const T *add = job->end ? job->end->add : NULL;
    const ptrdiff_t activation = job->end ? job->end->activation : 0;
    for (ptrdiff_t h = 0; h < rows; h++) {
        const T *from = pixels + h * WINO_OUT * VL + r->lane % VL * WINO_OUT;
        for (ptrdiff_t i = 0; i < columns; i += VL) {
            const ptrdiff_t at = place + h * w->y_s[1] + i, count = smaller(VL, columns - i);
            V s = NAME(vload)(from + i);
            if (add) s += NAME(vload_first)(add + at, count);
            if (activation) s = NAME(activate)(s, activation, (T)job->end->slope);
            if (count == VL)
                NAME(vstore)(job->y + at, s);
            else
                NAME(vstore_first)(job->y + at, count, s);
        }
    }
}

/* Transform a group of filters back and store it. Returns whether all was finite. */
static int NAME(transform_output)(const NAME(winograd_job) *job, const NAME(winograd_desk) *desk, ptrdiff_t run_count,
                                  ptrdiff_t vectors, ptrdiff_t g, ptrdiff_t group) {
    const window *w = job->w;
    const ptrdiff_t first = group * NAME(GROUP) *TILE_M, filters = smaller(NAME(GROUP) *TILE_M, w->k - first);
    T pixels[WINO_OUT * WINO_OUT * VBYTES / sizeof(T) + VBYTES / sizeof(T)];
    V check = NAME(vzero)();
    for (ptrdiff_t k = 0; k < filters; k++) {
        const T *bias = job->end ? job->end->bias : NULL;
        const V shift = bias ? NAME(vset)(bias[g * w->k + first + k]) : NAME(vzero)();
        const NAME(tile_run) *t = desk->runs, *stop = desk->runs + run_count;
        for (ptrdiff_t v = 0; v < vectors; v++) {
            V m[WINO_POINTS];
            const T *from = desk->product + k * TILE_LANES + v * VL;
            UNROLL(36)
            for (int p = 0; p < WINO_POINTS; p++) m[p] = NAME(vload)(from + p * NAME(GROUP) *TILE_M * TILE_LANES);
            NAME(wino_output)(m);
            UNROLL(4)
            for (int h = 0; h < WINO_OUT; h++) {
                V *row = m + h * WINO_IN;
                UNROLL(4)
                for (int q = 0; q < WINO_OUT; q++) {
                    check += row[q];
                    row[q] += shift;
                }
                NAME(vtranspose)(WINO_OUT, row);
                UNROLL(4)
                for (int q = 0; q < WINO_OUT; q++) NAME(vstore)(pixels + (h * WINO_OUT + q) * VL, row[q]);
            }
            for (; t < stop && t->r.lane < (v + 1) * VL; t++) NAME(store_run)(job, &t->r, pixels, g * w->k + first + k);
        }
    }
    const T sum = NAME(vsum)(check);
    return sum - sum == 0;
}

static void NAME(winograd_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(winograd_job) *job = context;
    const window *w = job->w;
    NAME(winograd_desk) desk;
    (void)NAME(winograd_scratch)(job, scratch, &desk);
    const ptrdiff_t split = task % job->splits, block = task / job->splits % job->blocks,
                    g = task / job->splits / job->blocks;
    const ptrdiff_t v0 = block * job->vectors / job->blocks, v1 = (block + 1) * job->vectors / job->blocks,
                    vectors = v1 - v0;
    const ptrdiff_t all = w->n * window_pixels(&job->grid), count = smaller(vectors * VL, all - v0 * VL);
    const ptrdiff_t run_count = NAME(plan_tiles)(job, v0 * VL, count, desk.runs);
    int finite = 1;
    for (ptrdiff_t j = 0; j < KC; j++) desk.off[j] = j * vectors * VL;
    memset(desk.patch, 0, WINO_POINTS * (size_t)(TILE_LANES + VL) * sizeof(T)); /* lanes past the last tile */
    NAME(transform_input)(job, &desk, run_count, vectors, g);
    for (ptrdiff_t group = split * job->tile_groups / job->splits; group < (split + 1) * job->tile_groups / job->splits;
         group++) {
        NAME(multiply_points)(job, &desk, vectors, g, group);
        finite &= NAME(transform_output)(job, &desk, run_count, vectors, g, group);
    }
    if (!finite)
        for (ptrdiff_t n = desk.runs[0].r.at[0]; n <= desk.runs[run_count - 1].r.at[0]; n++)
            __atomic_store_n(&job->not_finite[n], 1, __ATOMIC_RELAXED);
}

/* Images with anything not finite, again, directly. */
static int NAME(redo_directly)(const NAME(winograd_job) *job, const T *weight) {
    window one = *job->w;
    T *packed = NULL;
    int status = FC_OK;
    one.n = 1;
    for (ptrdiff_t n = 0; n < job->w->n && status == FC_OK; n++) {
        if (!job->not_finite[n]) continue;
        if (!packed) {
            packed = fc_alloc((size_t)NAME(dense_packed_size)(&one), sizeof(T));
            if (!packed) return FC_NO_MEMORY;
            status = NAME(dense_pack)(&one, weight, packed);
            if (status != FC_OK) break;
        }
        fc_epilogue end = job->end ? *job->end : (fc_epilogue){0};
        if (end.add) end.add = (const T *)end.add + n * one.y_n;
        status = NAME(dense)(&one, job->x + n * one.x_n, packed, &end, job->y + n * one.y_n);
    }
    fc_free(packed);
    return status;
}

/* y = epilogue(window of x); `weight` as the caller has it, `packed` by winograd_pack. */
static int NAME(winograd)(const window *w, const NAME(taps_3x3) *taps, const T *x, const T *weight, const T *packed,
                          const fc_epilogue *end, T *y) {
    enum { TASKS = 16 };
    NAME(winograd_job) job = {.w = w, .grid = *w, .taps = taps, .x = x, .packed = packed, .y = y, .end = end};
    job.grid.out[1] = divide_up(w->out[1], WINO_OUT);
    job.grid.out[2] = divide_up(w->out[2], WINO_OUT);
    job.vectors = divide_up(w->n * window_pixels(&job.grid), VL);
    job.blocks = divide_up(job.vectors, TILE_V);
    job.tiles = divide_up(w->k, TILE_M);
    job.tile_groups = divide_up(job.tiles, NAME(GROUP));
    job.splits = smaller(job.tile_groups, divide_up(TASKS, w->groups * job.blocks));
    job.pitch = w->c * TILE_LANES + VL; /* not a multiple of 4096 bytes: the points would share one set of the cache */
    job.not_finite = fc_alloc((size_t)w->n, 1);
    if (!job.not_finite) return FC_NO_MEMORY;
    memset(job.not_finite, 0, (size_t)w->n);
    const double work = (double)(w->n * window_pixels(w)) * (double)(w->groups * w->k) * (double)w->c * 2.25;
    int status = fc_parallel(w->groups * job.blocks * job.splits, work, NAME(winograd_scratch)(&job, NULL, NULL),
                             NAME(winograd_task), &job);
    if (status == FC_OK) status = NAME(redo_directly)(&job, weight);
    fc_free(job.not_finite);
    return status;
}
