/* Dense convolution over a window: packed weights times gathered panels of pixels, tile by tile. No copy of the whole input is
   ever made: a panel holds TILE_LANES pixels of at most KC input elements each and stays in the first-level cache while every
   filter passes over it. Sums run over blocks of KC terms that are then added: the error stays near that of pairwise sums. */

#ifndef FASTCONV_DENSE
#define FASTCONV_DENSE
#define KC ((ptrdiff_t)128)
#define LONGEST_TASK 1e9 /* multiply-adds: some tens of milliseconds */
static inline ptrdiff_t divide_up(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }
static inline ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
#endif

/* Channels and taps a block of the reduction covers: whole kernels of several channels, or part of one very large kernel. */
#define TAPS_A_BLOCK(w) smaller((w)->taps, KC)
#define CHANNELS_A_BLOCK(w) larger(1, KC / larger(1, (w)->taps))

/* ---- packing: [group][tile of TILE_M outputs][reduction, in the order of the blocks][TILE_M], zeros past the last output */

static ptrdiff_t NAME(dense_packed_size)(const window *w) {
    return w->groups * divide_up(w->k, TILE_M) * TILE_M * w->c * w->taps;
}

typedef struct {
    const window *w;
    const T *weight;
    T *packed;
} NAME(pack_job);

/* Whether a filter's taps lie one after another, in order: rows that pack_rows can transpose. */
static int NAME(taps_in_order)(const window *w) {
    for (ptrdiff_t t = 0; t < w->taps; t++)
        if (w->w_tap[t] != t) return 0;
    return 1;
}

/* The weights of TILE_M filters from k0 on, channels c0 .. c0+count-1: [channel][tap][TILE_M], zeros past the last filter. Rows of
   the weight are transposed a block of vectors at a time. */
static void NAME(pack_rows)(const window *w, const T *weight, ptrdiff_t k0, ptrdiff_t c0, ptrdiff_t count, T *to) {
    const int merged = w->w_c == w->taps;
    const ptrdiff_t length = merged ? count * w->taps : w->taps, filters = smaller(TILE_M, w->k - k0);
    for (ptrdiff_t row = 0; row < (merged ? 1 : count); row++) {
        const T *from = weight + k0 * w->w_k + (c0 + row) * w->w_c;
        for (ptrdiff_t j = 0; j < length; j += VL) {
            const ptrdiff_t room = smaller(VL, length - j);
            const MASK first = NAME(mask_range)(0, room);
            V r[TILE_M];
            UNROLL(8)
            for (int m = 0; m < TILE_M; m++)
                r[m] = m < filters ? NAME(vload_masked)(from + m * w->w_k + j, first) : NAME(vzero)();
            NAME(vtranspose)(TILE_M, r);
            if (room == VL) {
                UNROLL(8)
                for (int m = 0; m < TILE_M; m++) NAME(vstore)(to + m * VL, r[m]);
            } else {
                memcpy(to, r, (size_t)(room * TILE_M) * sizeof(T));
            }
            to += room * TILE_M;
        }
    }
}

static void NAME(pack_tile)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(pack_job) *job = context;
    const window *w = job->w;
    const ptrdiff_t tiles = divide_up(w->k, TILE_M), g = task / tiles, k0 = task % tiles * TILE_M;
    const ptrdiff_t rows = smaller(TILE_M, w->k - k0);
    const T *from = job->weight + g * w->w_g + k0 * w->w_k;
    T *to = job->packed + task * TILE_M * w->c * w->taps;
    (void)scratch;
    if (w->taps <= KC && (w->w_c == w->taps || w->taps >= VL / 2) && NAME(taps_in_order)(w)) {
        NAME(pack_rows)(w, job->weight + g * w->w_g, k0, 0, w->c, to);
        return;
    }
    for (ptrdiff_t t0 = 0; t0 < w->taps; t0 += TAPS_A_BLOCK(w))
        for (ptrdiff_t c = 0; c < w->c; c++)
            for (ptrdiff_t t = t0; t < smaller(t0 + TAPS_A_BLOCK(w), w->taps); t++, to += TILE_M) {
                const T *p = from + c * w->w_c + w->w_tap[t];
                if (w->w_k == 1 && rows == TILE_M) {
                    memcpy(to, p, TILE_M * sizeof(T));
                    continue;
                }
                for (ptrdiff_t m = 0; m < rows; m++) to[m] = p[m * w->w_k];
                for (ptrdiff_t m = rows; m < TILE_M; m++) to[m] = 0;
            }
}

static int NAME(dense_pack)(const window *w, const T *weight, T *packed) {
    NAME(pack_job) job = {w, weight, packed};
    return fc_parallel(w->groups * divide_up(w->k, TILE_M), (double)NAME(dense_packed_size)(w), 0, NAME(pack_tile),
                       &job);
}

/* ---- the product */

typedef struct {
    const window *w;
    const T *x, *packed;
    T *y;
    const T *bias; /* padded to whole tiles in every group, or NULL */
    const fc_epilogue *end;
    ptrdiff_t vectors, panels, panel_groups, tiles, tile_groups; /* the grid: groups x panel_groups x tile_groups */
} NAME(dense_job);

/* What a thread holds while it works: laid out in its scratch by dense_desk(). */
typedef struct {
    ptrdiff_t *off; /* KC */
    run *runs; /* TILE_LANES */
    NAME(load) *loads; /* TAPS_A_BLOCK x (2 x TILE_LANES + 1) at most */
    T *panel; /* KC x TILE_LANES + VL */
    T *partial; /* tiles of the task x TILE_M x TILE_LANES */
    T *tile, *residual; /* TILE_M x TILE_LANES each, and VL of slack */
} NAME(desk);

static ptrdiff_t NAME(loads_a_tap)(const window *w) {
    const ptrdiff_t rows = smaller(TILE_LANES, TILE_LANES / w->out[2] + 2);
    return rows + TILE_V + 1;
}

static size_t NAME(dense_desk)(const NAME(dense_job) *job, void *scratch, NAME(desk) *desk) {
    const window *w = job->w;
    char *at = scratch;
#define ROOM(member, count)                                            \
    do {                                                               \
        if (desk) desk->member = (void *)at;                           \
        at += ((size_t)(count) * sizeof *desk->member + 63) / 64 * 64; \
    } while (0)
    ROOM(off, KC);
    ROOM(runs, TILE_LANES);
    ROOM(loads, TAPS_A_BLOCK(w) * NAME(loads_a_tap)(w));
    ROOM(panel, KC * TILE_LANES + VL);
    ROOM(partial, divide_up(job->tiles, job->tile_groups) * TILE_M * TILE_LANES);
    ROOM(tile, TILE_M * TILE_LANES + VL);
    ROOM(residual, TILE_M * TILE_LANES + VL);
#undef ROOM
    return (size_t)(at - (char *)scratch);
}

/* A whole tile to an output whose channels are neighbours: TILE_M of them at once for each pixel. */
static void NAME(tile_to_channels_last)(const window *w, const run *runs, ptrdiff_t run_count, const T *tile, T *y) {
    T pixel[VBYTES / sizeof(T)][TILE_M];
    for (ptrdiff_t r = 0; r < run_count; r++) {
        const ptrdiff_t *at = runs[r].at, step = w->y_s[2];
        T *to = y + at[0] * w->y_n + at[1] * w->y_s[0] + at[2] * w->y_s[1] + at[3] * step;
        for (ptrdiff_t i = 0; i < runs[r].length; i += VL) {
            const ptrdiff_t lane = runs[r].lane + i;
            V v[TILE_M];
            UNROLL(8)
            for (int m = 0; m < TILE_M; m++) v[m] = NAME(vload)(tile + m * TILE_LANES + lane);
            NAME(vtranspose)(TILE_M, v);
            memcpy(pixel, v, sizeof pixel);
            for (ptrdiff_t j = 0; j < smaller(VL, runs[r].length - i); j++)
                memcpy(to + (i + j) * step, pixel[j], sizeof pixel[j]);
        }
    }
}

/* Copy between a tile and the places of its pixels in an output-shaped array. */
static void NAME(tile_to_output)(const window *w, const run *runs, ptrdiff_t run_count, const T *tile, T *y,
                                 ptrdiff_t rows) {
    if (w->y_c == 1 && rows == TILE_M) {
        NAME(tile_to_channels_last)(w, runs, run_count, tile, y);
        return;
    }
    for (ptrdiff_t m = 0; m < rows; m++)
        for (ptrdiff_t r = 0; r < run_count; r++) {
            const ptrdiff_t *at = runs[r].at, step = w->y_s[2];
            T *to = y + m * w->y_c + at[0] * w->y_n + at[1] * w->y_s[0] + at[2] * w->y_s[1] + at[3] * step;
            const T *from = tile + m * TILE_LANES + runs[r].lane;
            if (step == 1)
                memcpy(to, from, (size_t)runs[r].length * sizeof(T));
            else
                for (ptrdiff_t i = 0; i < runs[r].length; i++) to[i * step] = from[i];
        }
}

static void NAME(output_to_tile)(const window *w, const run *runs, ptrdiff_t run_count, const T *y, T *tile,
                                 ptrdiff_t rows) {
    memset(tile, 0, TILE_M * TILE_LANES * sizeof(T));
    for (ptrdiff_t m = 0; m < rows; m++)
        for (ptrdiff_t r = 0; r < run_count; r++) {
            const ptrdiff_t *at = runs[r].at, step = w->y_s[2];
            const T *from = y + m * w->y_c + at[0] * w->y_n + at[1] * w->y_s[0] + at[2] * w->y_s[1] + at[3] * step;
            T *to = tile + m * TILE_LANES + runs[r].lane;
            for (ptrdiff_t i = 0; i < runs[r].length; i++) to[i] = from[i * step];
        }
}

/* A panel of pixels, as the steps below see it. */
typedef struct {
    ptrdiff_t vectors, length, run_count;
    ptrdiff_t place; /* of its first pixel in an output plane stored densely; -1 where the panel needs tile_to_output */
    const T *b[TILE_V];
} NAME(panel);

/* Where all pixels of the panel lie one after another in an output plane, tiles are stored straight there. */
static ptrdiff_t NAME(dense_place)(const window *w, ptrdiff_t first, ptrdiff_t length, ptrdiff_t vectors) {
    const ptrdiff_t pixels = window_pixels(w), image = first / pixels;
    const int dense = w->y_s[2] == 1 && w->y_s[1] == w->out[2] && w->y_s[0] == w->out[2] * w->out[1];
    if (!dense || length < vectors * VL || (first + length - 1) / pixels != image) return -1;
    return image * w->y_n + first % pixels;
}

/* Multiply the gathered block (count rows) into every tile of the task; on the last block finish and store. */
static void NAME(multiply_block)(const NAME(dense_job) *job, const NAME(desk) *desk, const NAME(panel) *panel,
                                 ptrdiff_t g, ptrdiff_t tile0, ptrdiff_t tile1, ptrdiff_t done, ptrdiff_t count,
                                 int last) {
    const window *w = job->w;
    const ptrdiff_t depth = w->c * w->taps;
    for (ptrdiff_t i = tile0; i < tile1; i++) {
        const T *a = job->packed + ((g * job->tiles + i) * depth + done) * TILE_M;
        T *partial = desk->partial + (i - tile0) * TILE_M * TILE_LANES;
        NAME(tile_end) end = {.c = partial, .row = TILE_LANES, .partial = done ? partial : NULL};
        const ptrdiff_t k0 = i * TILE_M, rows = smaller(TILE_M, w->k - k0), channel = (g * w->k + k0) * w->y_c;
        const int direct = panel->place >= 0 && rows == TILE_M;
        if (last) {
            const T *add = job->end ? job->end->add : NULL;
            end.bias = job->bias ? job->bias + (g * job->tiles + i) * TILE_M : NULL;
            end.activation = job->end ? job->end->activation : 0;
            end.slope = job->end ? (T)job->end->slope : 0;
            end.c = direct ? job->y + channel + panel->place : desk->tile;
            end.row = direct ? w->y_c : TILE_LANES;
            if (add && direct) {
                end.add = add + channel + panel->place;
                end.add_row = w->y_c;
            } else if (add) {
                NAME(output_to_tile)(w, desk->runs, panel->run_count, add + channel, desk->residual, rows);
                end.add = desk->residual;
                end.add_row = TILE_LANES;
            }
        }
        NAME(tile)[panel->vectors](count, a, panel->b, desk->off, &end);
        if (last && !direct) NAME(tile_to_output)(w, desk->runs, panel->run_count, desk->tile, job->y + channel, rows);
    }
}

static void NAME(dense_panel)(const NAME(dense_job) *job, const NAME(desk) *desk, ptrdiff_t g, ptrdiff_t index,
                              ptrdiff_t tile0, ptrdiff_t tile1) {
    const window *w = job->w;
    const ptrdiff_t v0 = index * job->vectors / job->panels, v1 = (index + 1) * job->vectors / job->panels;
    const ptrdiff_t first = v0 * VL, length = smaller((v1 - v0) * VL, w->n * window_pixels(w) - first);
    const ptrdiff_t depth = w->c * w->taps, taps_a_block = larger(1, TAPS_A_BLOCK(w)),
                    channels_a_block = CHANNELS_A_BLOCK(w);
    NAME(panel) panel = {.vectors = v1 - v0, .length = length};
    const ptrdiff_t pitch = panel.vectors * VL;
    panel.run_count = window_runs(w, first, length, desk->runs);
    panel.place = NAME(dense_place)(w, first, length, panel.vectors);
    for (ptrdiff_t v = 0; v < TILE_V; v++) panel.b[v] = desk->panel + v * VL;
    for (ptrdiff_t j = 0; j < KC; j++) desk->off[j] = j * pitch;

    if (depth == 0) { /* no tap reaches these outputs: bias alone */
        NAME(multiply_block)(job, desk, &panel, g, tile0, tile1, 0, 0, 1);
        return;
    }
    ptrdiff_t done = 0;
    for (ptrdiff_t t0 = 0; t0 < w->taps; t0 += taps_a_block) {
        const ptrdiff_t t1 = smaller(t0 + taps_a_block, w->taps);
        const ptrdiff_t loads = NAME(plan_gather)(w, desk->runs, panel.run_count, panel.vectors, t0, t1, desk->loads);
        for (ptrdiff_t c0 = 0; c0 < w->c; c0 += channels_a_block) {
            const ptrdiff_t c1 = smaller(c0 + channels_a_block, w->c), count = (c1 - c0) * (t1 - t0);
            NAME(gather)(w, job->x + g * w->c * w->x_c, c0, c1, t1 - t0, desk->loads, loads, pitch, desk->panel);
            NAME(multiply_block)(job, desk, &panel, g, tile0, tile1, done, count, done + count == depth);
            done += count;
        }
    }
}

static void NAME(dense_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(dense_job) *job = context;
    NAME(desk) desk;
    (void)NAME(dense_desk)(job, scratch, &desk);
    const ptrdiff_t tg = task % job->tile_groups, pg = task / job->tile_groups % job->panel_groups;
    const ptrdiff_t g = task / job->tile_groups / job->panel_groups;
    const ptrdiff_t tile0 = tg * job->tiles / job->tile_groups, tile1 = (tg + 1) * job->tiles / job->tile_groups;
    for (ptrdiff_t p = pg * job->panels / job->panel_groups; p < (pg + 1) * job->panels / job->panel_groups; p++)
        NAME(dense_panel)(job, &desk, g, p, tile0, tile1);
}

/* The bias of every output, in whole tiles: the micro-kernel reads TILE_M of them at once. */
static T *NAME(padded_bias)(const window *w, const T *bias) {
    const ptrdiff_t tiles = divide_up(w->k, TILE_M);
    T *padded = fc_alloc((size_t)w->groups * (size_t)tiles, TILE_M * sizeof(T));
    if (!padded) return NULL;
    for (ptrdiff_t g = 0; g < w->groups; g++)
        for (ptrdiff_t i = 0; i < tiles * TILE_M; i++)
            padded[g * tiles * TILE_M + i] = i < w->k ? bias[g * w->k + i] : 0;
    return padded;
}

/* y = epilogue(window of x times packed weights). Tasks are cut by shape alone: first over pixels, then over filters, so that
   a few dozen are there to balance whatever the number of threads, and none so long that an interrupt would have to wait for it. */
static int NAME(dense)(const window *w, const T *x, const T *packed, const fc_epilogue *end, T *y) {
    enum { TASKS = 32, TILES_A_TASK = 4 };
    NAME(dense_job) job = {.w = w, .x = x, .packed = packed, .y = y, .end = end};
    const ptrdiff_t pixels = w->n * window_pixels(w);
    if (pixels == 0 || w->k == 0) return FC_OK;
    job.vectors = divide_up(pixels, VL);
    job.panels = divide_up(job.vectors, TILE_V);
    job.tiles = divide_up(w->k, TILE_M);
    const double work = (double)pixels * (double)(w->groups * w->k) * (double)(w->c * w->taps + 1);
    const ptrdiff_t tasks = TASKS + (ptrdiff_t)(work / LONGEST_TASK);
    job.panel_groups = smaller(job.panels, divide_up(tasks, w->groups));
    job.tile_groups = smaller(divide_up(job.tiles, TILES_A_TASK), divide_up(tasks, w->groups * job.panel_groups));
    T *bias = NULL;
    if (end && end->bias) {
        job.bias = bias = NAME(padded_bias)(w, end->bias);
        if (!bias) return FC_NO_MEMORY;
    }
    const int status = fc_parallel(w->groups * job.panel_groups * job.tile_groups, work,
                                   NAME(dense_desk)(&job, NULL, NULL), NAME(dense_task), &job);
    fc_free(bias);
    return status;
}
