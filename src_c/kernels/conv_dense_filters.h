/* Dense convolution of few pixels and many filters: the schedule in which the filters stay (conv_dense.h). */

/* The few pixels at a panel's end, each pixel's terms one after another. */
static void NAME(gather_columns)(const NAME(dense_job) *job, const NAME(desk) *desk, ptrdiff_t g,
                                 const NAME(panel) *panel, const NAME(block) *block, T *columns) {
    const window *w = job->w;
    const ptrdiff_t run_count = window_runs(w, panel->first + panel->vectors * VL, panel->few, desk->runs);
    const ptrdiff_t loads = NAME(plan_gather)(w, desk->runs, run_count, 1, block->t0, block->t1, desk->loads);
    NAME(gather_block)(job, g, block, desk->loads, loads, VL, desk->block);
    for (ptrdiff_t l = 0; l < panel->few; l++)
        for (ptrdiff_t j = 0; j < block->count; j++) columns[l * COLUMN_PITCH + j] = desk->block[j * VL + l];
}

static T *NAME(panel_block)(const NAME(dense_job) *job, ptrdiff_t g, ptrdiff_t panel, ptrdiff_t blocks, ptrdiff_t i) {
    return job->input + ((g * job->panels + panel) * blocks + i) * job->input_block;
}

static void NAME(gather_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(dense_job) *job = context;
    const window *w = job->w;
    NAME(desk) desk;
    (void)NAME(dense_desk)(job, scratch, &desk);
    const ptrdiff_t piece = task % job->pieces, index = task / job->pieces % job->panels,
                    g = task / job->pieces / job->panels, blocks = NAME(reduction_blocks)(w);
    ptrdiff_t loads = 0, planned = -1;
    NAME(panel) panel = NAME(panel_at)(job, index);
    const ptrdiff_t first = piece * blocks / job->pieces, stop = (piece + 1) * blocks / job->pieces;
    const ptrdiff_t run_count = window_runs(w, panel.first, smaller(panel.row, panel.length), desk.runs);
    const int gathered = panel.row && !NAME(rows_of_input)(job, g, &panel);
    for (ptrdiff_t i = first; i < stop && gathered; i++) {
        const NAME(block) block = NAME(block_at)(w, i);
        if (block.t0 != planned)
            loads = NAME(plan_gather)(w, desk.runs, run_count, panel.row / VL, block.t0, block.t1, desk.loads);
        planned = block.t0;
        NAME(gather_block)(job, g, &block, desk.loads, loads, panel.row, NAME(panel_block)(job, g, index, blocks, i));
    }
    for (ptrdiff_t i = first; i < stop && panel.few && job->in_place; i++) {
        const NAME(block) block = NAME(block_at)(w, i);
        NAME(gather_columns)(job, &desk, g, &panel, &block,
                             NAME(panel_block)(job, g, index, blocks, i) + PANEL_ROWS(&panel));
    }
}

/* The weight of a task's filters from register tile `first` on: where it lies, as dense_pack left it, or packed at the desk. */
static NAME(operand) NAME(operand_of)(const NAME(dense_job) *job, const NAME(desk) *desk, ptrdiff_t g, ptrdiff_t first,
                                      const NAME(block) *block) {
    const window *w = job->w;
    const ptrdiff_t depth = w->c * w->taps;
    if (job->in_place)
        return (NAME(operand)){.at = job->weight + g * w->w_g + first * TILE_M * w->w_k + block->done,
                               .tile = TILE_M * w->w_k,
                               .row = w->w_k,
                               .step = 1};
    NAME(operand) a = {.at = desk->weight, .tile = BLOCK_ROOM * TILE_M, .row = 1, .step = TILE_M, .ahead = 1};
    if (job->packed) {
        a.at = job->packed + ((g * job->tiles + first) * depth + block->done) * TILE_M;
        a.tile = depth * TILE_M;
    }
    return a;
}

/* The weight of a task's filters for one block of the reduction, packed at the desk. */
static void NAME(pack_tiles)(const NAME(dense_job) *job, const NAME(desk) *desk, ptrdiff_t g, ptrdiff_t first,
                             ptrdiff_t stop, const NAME(block) *block) {
    const window *w = job->w;
    const T *weight = job->weight + g * w->w_g;
    const ptrdiff_t pitch = BLOCK_ROOM * TILE_M;
    if (w->w_k == 1 && block->t1 - block->t0 == 1 && stop * TILE_M <= w->k) {
        NAME(pack_neighbours)(w, weight, first * TILE_M, stop - first, block->t0, block->c0, block->c1, desk->weight,
                              pitch);
        return;
    }
    for (ptrdiff_t tile = first; tile < stop; tile++)
        NAME(pack_filters)(w, weight, tile * TILE_M, block->t0, block->t1, block->c0, block->c1,
                           desk->weight + (tile - first) * pitch);
}

static void NAME(filters_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(dense_job) *job = context;
    const window *w = job->w;
    NAME(desk) desk;
    (void)NAME(dense_desk)(job, scratch, &desk);
    const ptrdiff_t groups = divide_up(job->tiles, job->together), g = task / groups;
    const ptrdiff_t first = task % groups * job->tiles / groups, stop = (task % groups + 1) * job->tiles / groups;
    const ptrdiff_t blocks = NAME(reduction_blocks)(w);
    NAME(set_source)(&desk, w);
    for (ptrdiff_t i = 0; i < blocks; i++) {
        const NAME(block) block = NAME(block_at)(w, i);
        if (!job->packed && !job->in_place) NAME(pack_tiles)(job, &desk, g, first, stop, &block);
        for (ptrdiff_t p = 0; p < job->panels; p++) {
            NAME(panel) panel = NAME(panel_at)(job, p);
            if (i == blocks - 1) NAME(place_panel)(w, &panel, desk.runs);
            NAME(set_offsets)(&desk, panel.row);
            const T *rows = NAME(panel_block)(job, g, p, blocks, i), *source = NAME(rows_of_input)(job, g, &panel);
            NAME(turn) turn = NAME(turn_of)(job, &desk, &panel, &block, rows);
            if (source) {
                turn.off = desk.source;
                for (ptrdiff_t v = 0; v < TILE_V; v++) turn.b[v] = source + block.c0 * w->x_c + v * VL;
            }
            NAME(multiply_tiles)(&turn, NAME(operand_of)(job, &desk, g, first, &block), g, first, stop, NULL,
                                 rows + blocks * job->input_block, BLOCK_ROOM * (64 / (ptrdiff_t)sizeof(T)),
                                 desk.partial + p * job->together * TILE_M * TILE_PITCH, desk.columns);
        }
    }
}

static int NAME(filters_stay)(NAME(dense_job) *job, double work) {
    enum { TASKS = 16, TOGETHER = 4 };
    const window *w = job->w;
    const ptrdiff_t blocks = NAME(reduction_blocks)(w);
    job->in_place =
        job->weight && w->w_c == w->taps && taps_a_block(w) == w->taps && w->k % TILE_M == 0 && NAME(taps_in_order)(w);
    job->together = larger(1, smaller(TOGETHER, job->tiles * w->groups / TASKS));
    job->pieces = smaller(blocks, divide_up(TASKS, w->groups * job->panels));
    job->input = fc_alloc((size_t)(w->groups * job->panels * blocks), (size_t)job->input_block * sizeof(T));
    if (!job->input) return FC_NO_MEMORY;
    const size_t scratch = NAME(dense_desk)(job, NULL, NULL);
    double gathering = job->in_place ? (double)(w->groups * w->c * w->taps * job->few) : 0;
    for (ptrdiff_t p = 0; p < job->panels; p++) {
        const NAME(panel) panel = NAME(panel_at)(job, p);
        if (!NAME(rows_of_input)(job, 0, &panel)) gathering += (double)(w->groups * w->c * w->taps * panel.row);
    }
    int status = FC_OK;
    if (gathering > 0)
        status = fc_parallel(w->groups * job->panels * job->pieces, gathering * GATHER_COST, scratch, NAME(gather_task),
                             job);
    if (status == FC_OK)
        status = fc_parallel(w->groups * divide_up(job->tiles, job->together), work, scratch, NAME(filters_task), job);
    fc_free(job->input);
    return status;
}
