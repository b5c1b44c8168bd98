/* Dense convolution over a window: packed weights times gathered panels of pixels, tile by tile. Sums run over blocks of terms that
   are then added: the error stays near that of pairwise sums. Of pixels and filters the larger set passes once, the smaller again and
   again:

     many pixels (pixels stay):   the weight is packed whole; a task gathers a panel of TILE_LANES pixels, a block at a time, which
                                  stays in the first-level cache while every filter passes over it. No copy of the input is made.
     few pixels (filters stay):   the panels of all pixels are gathered whole, unless one tap finds them in the input as they are; a
                                  task passes them over the weight of a few filters, a block at a time: read where it lies, or packed
                                  there and then where its order is another.

   Where pixels stay and rows of output are whole vectors, or nearly, nothing is gathered but the input laid out (conv_laid.h). */

/* A panel of pixels: `vectors` whole vectors, then the `few` pixels the last of all vectors would hardly fill. */
typedef struct {
    ptrdiff_t vectors, few, row; /* row: elements from one term of the reduction to the next */
    ptrdiff_t first, length, run_count;
    ptrdiff_t place; /* of its first pixel in an output plane stored densely; -1 where the panel needs tile_to_output */
} NAME(panel);

typedef struct {
    const window *w;
    const T *x, *weight, *packed; /* packed: by dense_pack, or NULL */
    T *y;
    const T *bias; /* padded to whole tiles in every group, or NULL */
    const fc_epilogue *end;
    ptrdiff_t vectors, few, panels, tiles; /* of all pixels; register tiles of filters a group */
    const NAME(laid) *laid; /* pixels stay: or NULL */
    ptrdiff_t panel_groups, tile_groups; /* pixels stay: tasks are groups x panel_groups x tile_groups */
    T *input; /* filters stay: [group][panel][block of the reduction] of input_block elements */
    ptrdiff_t input_block, pieces; /* pieces of the reduction a panel's gathering is cut into */
    ptrdiff_t together; /* filters stay: tiles a task */
    int in_place; /* filters stay: the weight is read where it lies */
    int far; /* the output is too large for the caches */
} NAME(dense_job);

/* What a thread holds while it works: laid out in its scratch by dense_desk(). */
typedef struct {
    ptrdiff_t row, *off; /* off: BLOCK_ROOM, of a panel's rows, which are `row` apart */
    ptrdiff_t *source; /* BLOCK_ROOM + TILE_AHEAD: of its rows where they lie, one tap */
    run *runs; /* TILE_PITCH */
    NAME(load) *loads; /* of every tap of a block */
    T *block; /* BLOCK_ROOM rows of a panel; filters stay: of its last few pixels */
    T *weight; /* filters stay: tiles of the task x BLOCK_ROOM x TILE_M */
    T *partial; /* panels held x tiles of the task x TILE_M x TILE_PITCH */
    T *columns; /* weight in place: sums of the last few pixels, tiles of the task x TILE_FEW x TILE_M vectors */
    T *tile, *residual; /* TILE_M x TILE_PITCH each, and VL of slack */
} NAME(desk);

#define PANEL_ROWS(panel) (BLOCK_ROOM * (panel)->row + VL)
#define PANEL_BLOCK (BLOCK_ROOM * TILE_PITCH + VL) /* gathering stores up to a vector past the last row */

static size_t NAME(dense_desk)(const NAME(dense_job) *job, void *scratch, NAME(desk) *desk) {
    const window *w = job->w;
    const ptrdiff_t rows = smaller(TILE_PITCH, TILE_PITCH / w->out[2] + 2); /* of output that a panel touches */
    const ptrdiff_t tiles = job->input ? job->together : divide_up(job->tiles, job->tile_groups);
    char *at = scratch;
    if (desk) desk->row = -1;
#define ROOM(member, count)                                            \
    do {                                                               \
        if (desk) desk->member = (void *)at;                           \
        at += ((size_t)(count) * sizeof *desk->member + 63) / 64 * 64; \
    } while (0)
    ROOM(off, BLOCK_ROOM);
    ROOM(source, BLOCK_ROOM + TILE_AHEAD);
    ROOM(runs, TILE_PITCH);
    ROOM(loads, taps_a_block(w) * (rows + TILE_V + 2));
    ROOM(block, job->input ? BLOCK_ROOM * VL + VL : PANEL_BLOCK);
    ROOM(weight, job->input && !job->in_place ? tiles * BLOCK_ROOM * TILE_M : 0);
    ROOM(partial, (job->input ? job->panels : 1) * tiles * TILE_M * TILE_PITCH);
    ROOM(columns, job->in_place ? tiles * TILE_FEW * TILE_M * VL : 0);
    ROOM(tile, TILE_M * TILE_PITCH + VL);
    ROOM(residual, TILE_M * TILE_PITCH + VL);
#undef ROOM
    return (size_t)(at - (char *)scratch);
}

/* Blocks of the reduction, in the order of the packed weight: channels fastest. */
typedef struct {
    ptrdiff_t t0, t1, c0, c1, count, done; /* taps, channels, terms; terms before it */
} NAME(block);

static ptrdiff_t NAME(channel_blocks)(const window *w) { return divide_up(w->c, channels_a_block(w)); }
static ptrdiff_t NAME(reduction_blocks)(const window *w) {
    return divide_up(w->taps, larger(1, taps_a_block(w))) * NAME(channel_blocks)(w);
}

static NAME(block) NAME(block_at)(const window *w, ptrdiff_t i) {
    const ptrdiff_t taps = larger(1, taps_a_block(w)), channels = channels_a_block(w), blocks = NAME(channel_blocks)(w);
    NAME(block) b = {.t0 = i / blocks * taps, .c0 = i % blocks * channels};
    b.t1 = smaller(b.t0 + taps, w->taps);
    b.c1 = smaller(b.c0 + channels, w->c);
    b.count = (b.c1 - b.c0) * (b.t1 - b.t0);
    b.done = b.t0 * w->c + b.c0 * (b.t1 - b.t0);
    return b;
}

/* ---- panels */

static NAME(panel) NAME(panel_at)(const NAME(dense_job) *job, ptrdiff_t index) {
    const ptrdiff_t v0 = index * job->vectors / job->panels, v1 = (index + 1) * job->vectors / job->panels;
    NAME(panel) p = {.vectors = v1 - v0, .few = v1 == job->vectors ? job->few : 0, .first = v0 * VL};
    p.row = (p.vectors + (p.few > 0 && !job->in_place)) * VL;
    p.length = smaller(p.vectors * VL + p.few, job->w->n * window_pixels(job->w) - p.first);
    return p;
}

static NAME(panel) NAME(laid_panel)(const NAME(laid) *l, ptrdiff_t index) {
    const ptrdiff_t row = index / l->panels, part = index % l->panels, width = l->w->out[2];
    const ptrdiff_t v0 = part * l->vectors / l->panels, v1 = (part + 1) * l->vectors / l->panels;
    return (NAME(panel)){.vectors = v1 - v0,
                         .first = row * width + v0 * VL,
                         .length = l->joined ? (v1 - v0) * VL : smaller(v1 * VL, width) - v0 * VL};
}

/* The panel's rows of output. Where all its pixels lie one after another in an output plane, tiles are stored straight there. */
static void NAME(place_panel)(const window *w, NAME(panel) *p, run *runs) {
    const ptrdiff_t pixels = window_pixels(w), image = p->first / pixels;
    const int dense = w->y_s[2] == 1 && w->y_s[1] == w->out[2] && w->y_s[0] == w->out[2] * w->out[1];
    const int whole = p->length == p->vectors * VL + p->few && (p->first + p->length - 1) / pixels == image;
    p->run_count = window_runs(w, p->first, p->length, runs);
    p->place = dense && whole ? image * w->y_n + p->first % pixels : -1;
}

/* The weight of register tiles of filters for a block of the reduction as the micro-kernel reads it. */
typedef struct {
    const T *at;
    ptrdiff_t tile, row, step; /* elements from one tile, filter and term to the next */
    int ahead; /* the tile that follows is fetched meanwhile */
} NAME(operand);

/* A block of the reduction of a panel, on its turn with one tile of filters after another. */
typedef struct {
    const NAME(dense_job) *job;
    const NAME(desk) *desk;
    const NAME(panel) *panel;
    const NAME(block) *block;
    const T *b[TILE_V]; /* the panel's vectors */
    const T *few; /* weight in place: the panel's last few pixels, COLUMN_PITCH apart */
    const ptrdiff_t *off; /* from one of the block's terms to the next */
    int first, last; /* of the blocks */
    NAME(tile_end) end; /* what is the same for every tile is set once */
} NAME(turn);

static NAME(turn) NAME(turn_of)(const NAME(dense_job) *job, const NAME(desk) *desk, const NAME(panel) *panel,
                                const NAME(block) *block, const T *rows) {
    const window *w = job->w;
    NAME(turn) t = {.job = job, .desk = desk, .panel = panel, .block = block, .off = desk->off};
    for (ptrdiff_t v = 0; v < TILE_V; v++) t.b[v] = rows + v * VL;
    t.few = rows + PANEL_ROWS(panel);
    t.first = block->done == 0;
    t.last = block->done + block->count == w->c * w->taps;
    t.end = (NAME(tile_end)){.row = TILE_PITCH, .partial_row = TILE_PITCH, .taken = desk->block};
    if (t.last && job->end) {
        t.end.activation = job->end->activation;
        t.end.slope = (T)job->end->slope;
    }
    return t;
}

/* Where the tile of filters `i` of group g is stored after the last block, and what is added there. Whether that is its place in the
   output. */
static int NAME(end_tile)(NAME(turn) *t, ptrdiff_t g, ptrdiff_t i) {
    const NAME(dense_job) *job = t->job;
    const window *w = job->w;
    const T *add = job->end ? job->end->add : NULL;
    const ptrdiff_t k0 = i * TILE_M, filters = smaller(TILE_M, w->k - k0), channel = (g * w->k + k0) * w->y_c;
    const int direct = t->panel->place >= 0 && filters == TILE_M;
    NAME(tile_end) *end = &t->end;
    if (job->bias) end->bias = job->bias + (g * job->tiles + i) * TILE_M;
    end->c = direct ? job->y + channel + t->panel->place : t->desk->tile;
    end->row = direct ? w->y_c : TILE_PITCH;
    if (add && direct) {
        end->add = add + channel + t->panel->place;
        end->add_row = w->y_c;
    } else if (add) {
        NAME(output_to_tile)(w, t->desk->runs, t->panel->run_count, add + channel, t->desk->residual, filters);
        end->add = t->desk->residual;
        end->add_row = TILE_PITCH;
    }
    if (direct && job->far) /* each row of the tile is in a plane of its own: no prefetcher would have the lines */
        for (ptrdiff_t m = 0; m < TILE_M; m++)
            for (ptrdiff_t v = 0; v < t->panel->vectors; v++) __builtin_prefetch(end->c + m * end->row + v * VL, 1);
    return direct;
}

/* The block times the tiles of filters first .. stop-1; after the last block they are finished and stored. `taking`: where the rows lie
   that the first tile copies on its way (tile_taking), or NULL. next_rows: what comes after them, `next_step` apart from one tile to
   the next. */
static void NAME(multiply_tiles)(NAME(turn) *t, NAME(operand) a, ptrdiff_t g, ptrdiff_t first, ptrdiff_t stop,
                                 const T *taking, const T *next_rows, ptrdiff_t next_step, T *partial, T *columns) {
    const NAME(dense_job) *job = t->job;
    const NAME(desk) *desk = t->desk;
    const NAME(panel) *panel = t->panel;
    const ptrdiff_t count = t->block->count, vectors = panel->vectors, few = panel->few;
    const T *source[TILE_V];
    NAME(tile_end) *end = &t->end;
    for (ptrdiff_t i = first; i < stop; i++) {
        int direct = 1;
        end->c = partial;
        end->partial = t->first ? NULL : partial;
        end->next_a = a.ahead ? a.at + a.tile : a.at;
        end->next_b = next_rows;
        if (t->last) direct = NAME(end_tile)(t, g, i);
        if (taking) {
            for (ptrdiff_t v = 0; v < TILE_V; v++) source[v] = taking + v * VL;
            NAME(tile_taking)[vectors](count, a.at, a.row, a.step, source, desk->source, end);
            taking = NULL;
        } else if (vectors) {
            NAME(tile)[vectors](count, a.at, a.row, a.step, t->b, t->off, end);
        }
        if (few && job->in_place) {
            NAME(tile_columns)(count, a.at, a.row, t->few, few, t->first, columns);
            end->partial = NULL; /* the sums of columns wait apart */
            if (t->last) NAME(tile_columns_end)(columns, end, vectors * VL, few);
            columns += TILE_FEW * TILE_M * VL;
        } else if (few) {
            NAME(tile_few)(count, a.at, t->b[0], t->off, end, vectors * VL, few);
        }
        if (!direct) {
            const window *w = job->w;
            NAME(tile_to_output)(w, desk->runs, panel->run_count, desk->tile, job->y + (g * w->k + i * TILE_M) * w->y_c,
                                 smaller(TILE_M, w->k - i * TILE_M));
        }
        a.at += a.tile;
        partial += TILE_M * TILE_PITCH;
        next_rows += next_step;
    }
}

static void NAME(set_source)(NAME(desk) *desk, const window *w) {
    for (ptrdiff_t j = 0; j < BLOCK_ROOM + TILE_AHEAD; j++) desk->source[j] = j * w->x_c;
}

static void NAME(set_offsets)(NAME(desk) *desk, ptrdiff_t row) {
    if (desk->row == row) return;
    desk->row = row;
    for (ptrdiff_t j = 0; j < BLOCK_ROOM; j++) desk->off[j] = j * row;
}

/* A gathered block on its way in: batch norm and ReLU of its channels (fc_epilogue). */
static void NAME(enter)(const T *entry, ptrdiff_t channels, const NAME(block) *block, ptrdiff_t row, T *rows) {
    for (ptrdiff_t c = block->c0; c < block->c1; c++, rows += row) {
        const V mean = NAME(vset)(entry[c]), factor = NAME(vset)(entry[channels + c]),
                shift = NAME(vset)(entry[2 * channels + c]);
        for (ptrdiff_t i = 0; i < row; i += VL)
            NAME(vstore)(rows + i, NAME(relu)((NAME(vload)(rows + i) - mean) * factor + shift));
    }
}

/* The rows of a block, `row` apart, by the loads planned for its taps. */
static void NAME(gather_block)(const NAME(dense_job) *job, ptrdiff_t g, const NAME(block) *block,
                               const NAME(load) *table, ptrdiff_t loads, ptrdiff_t row, T *rows) {
    const window *w = job->w;
    NAME(gather)(w, job->x + g * w->c * w->x_c, block->c0, block->c1, block->t1 - block->t0, table, loads, row, rows);
    if (job->end && job->end->entry) NAME(enter)(job->end->entry, w->c, block, row, rows);
}

/* The pixels of a panel where one tap at step 1 finds them, as they are, side by side in each channel, whole vectors and the few after
   them in one image; else NULL. */
static const T *NAME(rows_of_input)(const NAME(dense_job) *job, ptrdiff_t g, const NAME(panel) *panel) {
    const window *w = job->w;
    const ptrdiff_t pixels = w->out[2], image = panel->first / larger(1, pixels);
    if (w->taps != 1 || w->step[2] != 1 || w->x_s[2] != 1 || w->tap[2] != 0 || w->in[2] != pixels) return NULL;
    if (job->end && job->end->entry) return NULL;
    if (window_pixels(w) != pixels || panel->length != panel->vectors * VL + panel->few) return NULL;
    if (panel->first % pixels + panel->length > pixels) return NULL;
    return job->x + image * w->x_n + g * w->c * w->x_c + panel->first % pixels;
}

/* ---- pixels stay */

static void NAME(dense_panel)(const NAME(dense_job) *job, NAME(desk) *desk, ptrdiff_t g, ptrdiff_t index,
                              ptrdiff_t tile0, ptrdiff_t tile1) {
    const window *w = job->w;
    const ptrdiff_t depth = w->c * w->taps, blocks = NAME(reduction_blocks)(w);
    ptrdiff_t loads = 0;
    const NAME(laid) *laid = job->laid;
    NAME(panel) panel = laid ? NAME(laid_panel)(laid, index) : NAME(panel_at)(job, index);
    NAME(place_panel)(w, &panel, desk->runs);
    NAME(set_offsets)(desk, panel.row);
    const T *source = laid || panel.few ? NULL : NAME(rows_of_input)(job, g, &panel);
    for (ptrdiff_t i = 0; i < larger(1, blocks); i++) { /* without taps: one empty block, for the bias */
        const NAME(block) block = blocks ? NAME(block_at)(w, i) : (NAME(block)){0};
        if (block.c0 == 0 && !source && !laid)
            loads = NAME(plan_gather)(w, desk->runs, panel.run_count, panel.row / VL, block.t0, block.t1, desk->loads);
        if (!source && !laid) NAME(gather_block)(job, g, &block, desk->loads, loads, panel.row, desk->block);
        NAME(turn) turn = NAME(turn_of)(job, desk, &panel, &block, desk->block);
        if (laid) {
            turn.off = laid->off + block.done;
            for (ptrdiff_t v = 0; v < panel.vectors; v++) turn.b[v] = NAME(laid_pixel)(laid, panel.first + v * VL);
        }
        const NAME(operand) a = {.at = job->packed + ((g * job->tiles + tile0) * depth + block.done) * TILE_M,
                                 .tile = depth * TILE_M,
                                 .row = 1,
                                 .step = TILE_M,
                                 .ahead = 1};
        NAME(multiply_tiles)(&turn, a, g, tile0, tile1, source ? source + block.c0 * w->x_c : NULL, turn.b[0], 0,
                             desk->partial, NULL);
    }
}

static void NAME(dense_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(dense_job) *job = context;
    NAME(desk) desk;
    (void)NAME(dense_desk)(job, scratch, &desk);
    NAME(set_source)(&desk, job->w);
    const ptrdiff_t tg = task % job->tile_groups, pg = task / job->tile_groups % job->panel_groups;
    const ptrdiff_t g = task / job->tile_groups / job->panel_groups;
    const ptrdiff_t tile0 = tg * job->tiles / job->tile_groups, tile1 = (tg + 1) * job->tiles / job->tile_groups;
    for (ptrdiff_t p = pg * job->panels / job->panel_groups; p < (pg + 1) * job->panels / job->panel_groups; p++)
        NAME(dense_panel)(job, &desk, g, p, tile0, tile1);
}

/* Tasks are cut by shape alone: first over pixels, then over filters, so that a few dozen are there to balance whatever the number of
   threads, and none so long that an interrupt would have to wait for it. */
static int NAME(pixels_stay)(NAME(dense_job) *job, double work) {
    enum { TASKS = 32, TILES_A_TASK = 4 };
    const ptrdiff_t groups = job->w->groups, tasks = TASKS + (ptrdiff_t)(work / LONGEST_TASK);
    job->panel_groups = smaller(job->panels, divide_up(tasks, groups));
    job->tile_groups = smaller(divide_up(job->tiles, TILES_A_TASK), divide_up(tasks, groups * job->panel_groups));
    return fc_parallel(groups * job->panel_groups * job->tile_groups, work, NAME(dense_desk)(job, NULL, NULL),
                       NAME(dense_task), job);
}
