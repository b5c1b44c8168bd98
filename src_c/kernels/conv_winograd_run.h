/* Which schedule a Winograd convolution runs with, and how its work is cut. Written once, included for each WINO_KIND. */

/* How the work is cut where filters stay: as many register tiles of filters as let their weight and the products stay in the
   second-level cache, in passes of KC channels if that lets more of them stay (but then the products of all blocks of a wave have to
   wait), and some TASKS of them at least. A packed weight is read as fast from the third level: of it only the products stay. */
static void WINO(cut_filters)(WINO(job) *job) {
    enum { TASKS = 16 };
    const window *w = job->w;
    const ptrdiff_t room = L2_BYTES / 10 * 9 / (WINO_POINTS * TILE_M * (ptrdiff_t)sizeof(T));
    const ptrdiff_t input = w->groups * WINO_POINTS * job->input_pitch * (ptrdiff_t)sizeof(T); /* bytes a block */
    const ptrdiff_t longest = larger(1, (room / WINO_LEAST - KC) / job->lanes); /* blocks a wave of passes */
    job->wave = smaller(job->blocks, larger(1, WINO_INPUT_BYTES / input));
    job->depth = w->c;
    job->group = room / (job->packed ? 2 * job->lanes : w->c + job->lanes);
    if (!job->packed && job->group < WINO_LEAST && w->c > KC &&
        room / (KC + smaller(job->wave, longest) * job->lanes) > job->group) {
        job->wave = smaller(job->wave, longest);
        job->depth = KC;
        job->group = room / (KC + job->wave * job->lanes);
    }
    const ptrdiff_t tasks = divide_up(TASKS, w->groups);
    job->group = larger(1, smaller(job->group, job->tiles / tasks));
    job->groups = divide_up(job->tiles, job->group);
    job->splits = smaller(divide_up(w->c, 8), divide_up(TASKS, w->groups * job->wave));
    WINO(lay_weight)(job, job->packed ? w->c : job->depth);
    job->u_room = job->packed ? 0 : job->group * job->tile_pitch;
}

/* Tasks there are where tiles stay and none transforms what another does. */
static ptrdiff_t WINO(tasks_of_blocks)(const WINO(job) *job) {
    return job->w->groups * job->blocks * divide_up(job->tiles, WINO_GROUP);
}

/* Where tiles are fewer than filters, where the transformed weight would be large, and where one task would do all. */
static int WINO(filters_should_stay)(const WINO(job) *job) {
    enum { LIMIT_BYTES = 48 << 20 };
    const window *w = job->w;
    const double weight = (double)w->groups * (double)w->k * (double)w->c * WINO_POINTS * sizeof(T);
    return w->n * window_pixels(&job->grid) < w->k || weight > LIMIT_BYTES || WINO(tasks_of_blocks)(job) == 1;
}

/* y = epilogue(window of x); the weight as the caller has it, as dense_pack made it (rows), and as WINO(pack) did (packed): one of the
   first two at least. Images in which anything is not finite are marked in not_finite, which is zero before. */
static int WINO(run)(const window *w, const NAME(taps_grid) *taps, const T *x, const T *weight, const T *rows,
                     const T *packed, const fc_epilogue *end, T *y, unsigned char *not_finite) {
    enum { TASKS = 16 };
    WINO(job) job = {.w = w, .grid = *w, .taps = taps, .x = x, .weight = weight, .rows = rows, .packed = packed};
    job.y = y;
    job.end = end;
    job.not_finite = not_finite;
    job.grid.out[1] = divide_up(w->out[1], WINO_OUT);
    job.grid.out[2] = divide_up(w->out[2], WINO_OUT);
    const ptrdiff_t all = w->n * window_pixels(&job.grid);
    job.few = all % VL <= TILE_FEW ? all % VL : 0;
    job.vectors = divide_up(all - job.few, VL);
    job.tiles = divide_up(w->k, TILE_M);
    job.blocks = larger(1, divide_up(job.vectors, TILE_V));
    if (WINO(tasks_of_blocks)(&job) == 1)
        job.blocks = larger(1, divide_up(job.vectors, 2)); /* two, a bit slower each */
    job.lanes = (divide_up(job.vectors, job.blocks) + (job.few > 0)) * VL;
    job.input_pitch = WINO(pitch)(w->c * job.lanes);
    const double work = (double)all * WINO_POINTS * (double)(w->groups * w->k) * (double)w->c;
    const int few = !packed && WINO(few_tiles)(w), filters_stay = !few && WINO(filters_should_stay)(&job);
    if (few) {
        WINO(cut_few)(&job);
    } else if (filters_stay) {
        WINO(cut_filters)(&job);
    } else {
        job.depth = w->c;
        job.group = smaller(WINO_GROUP, job.tiles);
        job.groups = divide_up(job.tiles, job.group);
        job.splits = smaller(job.groups, divide_up(TASKS, w->groups * job.blocks));
        WINO(lay_weight)(&job, w->c);
    }
    job.product_pitch = WINO(pitch)(job.group * TILE_M * job.lanes);
    return few            ? WINO(run_few)(&job, work)
           : filters_stay ? WINO(filters_stay)(&job, work)
                          : WINO(tiles_stay)(&job, work);
}
