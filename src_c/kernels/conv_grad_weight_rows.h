/* Gradient to the weight of dense convolutions with the pixels in the lanes (dot_tile.h): dw[k][column] = sum over pixels of
   dy[k][pixel] * x[column][pixel], a column being one (channel, tap) pair. Planes are read where they lie as far as they can be: dy
   where rows of pixels are long, x besides where the kernel is a single unpadded tap; else they are gathered into panels. No
   transposes, so it is the method of choice unless pixels are so few that adding up the lanes would cost more than they do.
   Pixels are taken a chunk at a time: chunks of a few columns stay in the first-level cache, and those of a block of filters in the
   second while the columns pass. A task is a range of columns, of one part of the chunks; parts have sums of their own, added at
   the end in a fixed order. */

typedef struct {
    window x_w, y_w; /* what the columns read, and dy seen as the input of a 1x1 window: both over the same pixels */
    const T *x, *dy;
    T *dw;
    int x_in_place, dy_in_place, planned; /* planned: all taps of a chunk at once, while there are not too many */
    ptrdiff_t columns, sets, tiles; /* a group: columns, sets of DOT_COLUMNS of them, tiles of DOT_ROWS filters */
    ptrdiff_t block; /* filters whose chunks stay in the second-level cache */
    ptrdiff_t span,
        spans; /* pixels that chunks do not cross the ends of (an image, or the whole batch), and their number */
    ptrdiff_t chunk, chunks_a_span;
    ptrdiff_t ranges, parts;
    T *sums; /* [part][group][set][tile][DOT_TILE]; NULL where every sum is complete after one chunk */
} NAME(rows_job);

/* ---- the choice and the plan, by shape alone */

/* Whether the input that a single output row needs, all channels, is too large to be laid out at once: a huge dilation. */
static int NAME(wide_rows)(const window *w) {
    enum { LIMIT_BYTES = 16 << 20 };
    const extent e = window_extent(w);
    const ptrdiff_t width = capped_product(w->out[2] - 1, w->step[2]) + e.span[2];
    const ptrdiff_t rows = capped_product(e.span[1], e.span[0]);
    return capped_product(capped_product(width, rows), divide_up(w->c, VL) * w->groups * VBYTES) > LIMIT_BYTES;
}

/* Whether the pixels go into the lanes: where a vector of channels would be mostly empty or its rows very long, and where a single
   tap would not repay the transposes while there are pixels enough to repay adding up the lanes. */
static int NAME(choose_rows)(const window *w) {
    enum { LEAST_PIXELS = 512 };
    return 2 * w->c < VL || NAME(wide_rows)(w) || (w->taps == 1 && w->x_c != 1 && window_pixels(w) >= LEAST_PIXELS);
}

/* Whether the pixels of a plane with these strides lie one after another. */
static int NAME(contiguous)(const ptrdiff_t *stride, const ptrdiff_t *size) {
    return stride[2] == 1 && stride[1] == size[2] && stride[0] == size[1] * size[2];
}

/* Whether the columns are the planes of the input themselves. */
static int NAME(reads_whole_planes)(const window *w) {
    int whole = w->taps == 1;
    for (int a = 0; a < 3 && whole; a++) whole &= w->tap[a] == 0 && w->step[a] == 1 && w->in[a] == w->out[a];
    return whole;
}

static void NAME(flatten)(window *w) {
    const ptrdiff_t pixels = window_pixels(w);
    w->in[2] = w->out[2] = pixels;
    w->in[0] = w->in[1] = w->out[0] = w->out[1] = 1;
}

/* What is read, and where it lies. */
static void NAME(choose_places)(NAME(rows_job) *job, const window *w) {
    enum { LONG_PLANE = 512, MOST_TAPS = 128 };
    static const ptrdiff_t origin[3];
    job->x_w = job->y_w = *w;
    job->y_w.c = w->k;
    job->y_w.taps = 1;
    job->y_w.tap = origin;
    job->y_w.x_n = w->y_n;
    job->y_w.x_c = w->y_c;
    for (int a = 0; a < 3; a++) {
        job->y_w.in[a] = w->out[a];
        job->y_w.step[a] = 1;
        job->y_w.x_s[a] = w->y_s[a];
    }
    const int x_flat = NAME(reads_whole_planes)(w) && NAME(contiguous)(w->x_s, w->in),
              y_flat = NAME(contiguous)(w->y_s, w->out);
    if (x_flat) NAME(flatten)(&job->x_w);
    if (y_flat) NAME(flatten)(&job->y_w);
    /* Short planes are joined, lest a good part of their last vectors were empty. */
    const ptrdiff_t plane = window_pixels(w);
    const int by_image = plane >= LONG_PLANE || w->n == 1;
    job->x_in_place = x_flat && by_image;
    job->dy_in_place = y_flat && by_image;
    job->planned = w->taps <= MOST_TAPS;
    job->span = by_image ? plane : w->n * plane;
    job->spans = by_image ? w->n : 1;
}

static void NAME(plan_rows)(NAME(rows_job) *job, const window *w) {
    enum { CHUNK_BYTES = 4096, RANGE = 32, TASKS = 32, LEAST_TASK = 200000, SUMS_BYTES = 16 << 20 };
    NAME(choose_places)(job, w);
    job->chunks_a_span = divide_up(job->span, CHUNK_BYTES / (ptrdiff_t)sizeof(T));
    job->chunk = divide_up(divide_up(job->span, job->chunks_a_span), VL) * VL;
    job->chunks_a_span = divide_up(job->span, job->chunk);
    job->columns = w->c * w->taps;
    job->sets = divide_up(job->columns, DOT_COLUMNS);
    job->tiles = divide_up(w->k, DOT_ROWS);
    const ptrdiff_t resident = larger(1, L2_BYTES / 2 / (job->chunk * (ptrdiff_t)sizeof(T)) / DOT_ROWS);
    job->block = divide_up(job->tiles, divide_up(job->tiles, resident)) * DOT_ROWS;
    /* Parts first, for every range of columns reads dy again; as many tasks as keep threads busy, none of them long. */
    const double work = (double)(w->n * window_pixels(w)) * (double)(w->groups * w->k) * (double)job->columns;
    const double few = fmin(TASKS, work / LEAST_TASK), tasks = fmin(fmax(few, 4 * work / LONGEST_TASK), 1e6);
    const ptrdiff_t a_group = larger(1, divide_up((ptrdiff_t)tasks, w->groups));
    const ptrdiff_t size = capped_product(w->groups * job->sets * job->tiles, DOT_TILE * (ptrdiff_t)sizeof(T));
    job->parts = larger(1, smaller(smaller(a_group, SUMS_BYTES / size), job->spans * job->chunks_a_span));
    job->ranges = larger(1, smaller(divide_up(a_group, job->parts), job->columns / RANGE));
}

/* ---- a task */

/* What a thread needs: panels of both sides and the plans to gather them. */
typedef struct {
    T *x, *dy; /* [DOT_COLUMNS][chunk], [block][chunk] */
    NAME(load) *x_loads, *y_loads;
    run *runs;
} NAME(rows_bench);

static size_t NAME(lay_out_bench)(const NAME(rows_job) *job, char *at, NAME(rows_bench) *bench) {
    const ptrdiff_t vectors = job->chunk / VL;
    /* runs a chunk may touch, and loads for each tap */
    const ptrdiff_t x_runs = job->chunk / job->x_w.out[2] + 2, y_runs = job->chunk / job->y_w.out[2] + 2;
    const size_t sizes[5] = {
        (size_t)(job->x_in_place ? 0 : DOT_COLUMNS * job->chunk + VL) * sizeof(T),
        (size_t)(job->dy_in_place ? 0 : job->block * job->chunk + VL) * sizeof(T),
        (size_t)(job->x_in_place ? 0 : (job->planned ? job->x_w.taps : 1) * (x_runs + vectors + 1)) *
            sizeof(NAME(load)),
        (size_t)(job->dy_in_place ? 0 : y_runs + vectors + 1) * sizeof(NAME(load)),
        (size_t)larger(x_runs, y_runs) * sizeof(run),
    };
    char *place[5];
    size_t total = 0;
    for (int i = 0; i < 5; i++) {
        place[i] = at ? at + total : NULL;
        total += (sizes[i] + 63) / 64 * 64;
    }
    if (bench)
        *bench = (NAME(rows_bench)){(T *)(void *)place[0], (T *)(void *)place[1], (void *)place[2], (void *)place[3],
                                    (void *)place[4]};
    return total;
}

/* A chunk: its pixels first .. first+count-1 of the batch, and the plans to gather them. */
typedef struct {
    ptrdiff_t image, pixel, count; /* image and pixel: where it starts in a plane that is read in place */
    ptrdiff_t runs; /* of the input's window, in the bench */
    ptrdiff_t x_loads, y_loads; /* a tap */
} NAME(rows_chunk);

/* The plan to gather taps t0 .. t1-1. */
static void NAME(plan_taps)(const NAME(rows_job) *job, const NAME(rows_bench) *bench, NAME(rows_chunk) *chunk,
                            ptrdiff_t t0, ptrdiff_t t1) {
    chunk->x_loads = NAME(plan_gather)(&job->x_w, bench->runs, chunk->runs, job->chunk / VL, t0, t1, bench->x_loads);
}

static void NAME(place_rows)(const NAME(rows_job) *job, const NAME(rows_bench) *bench, ptrdiff_t chunk,
                             NAME(rows_chunk) *to) {
    const ptrdiff_t span = chunk / job->chunks_a_span, at = chunk % job->chunks_a_span * job->chunk;
    const ptrdiff_t first = span * job->span + at, vectors = job->chunk / VL;
    to->image = span;
    to->pixel = at;
    to->count = smaller(job->chunk, job->span - at);
    if (!job->dy_in_place) {
        const ptrdiff_t runs = window_runs(&job->y_w, first, to->count, bench->runs);
        to->y_loads = NAME(plan_gather)(&job->y_w, bench->runs, runs, vectors, 0, 1, bench->y_loads);
    }
    if (!job->x_in_place) {
        to->runs = window_runs(&job->x_w, first, to->count, bench->runs);
        if (job->planned) NAME(plan_taps)(job, bench, to, 0, job->x_w.taps);
    }
}

/* Columns j0 .. j0+count-1 of group g: where each starts. */
static void NAME(columns_of)(const NAME(rows_job) *job, const NAME(rows_bench) *bench, NAME(rows_chunk) *chunk,
                             ptrdiff_t g, ptrdiff_t j0, ptrdiff_t count, const T **column) {
    const window *w = &job->x_w;
    const T *x = job->x + g * w->c * w->x_c;
    for (ptrdiff_t j = 0; j < count; j++) {
        if (job->x_in_place) {
            column[j] = x + chunk->image * w->x_n + (j0 + j) * w->x_c + chunk->pixel;
        } else {
            T *to = bench->x + j * job->chunk;
            const ptrdiff_t c = (j0 + j) / w->taps, t = (j0 + j) % w->taps;
            if (!job->planned) NAME(plan_taps)(job, bench, chunk, t, t + 1);
            NAME(gather)(w, x, c, c + 1, 1, bench->x_loads + (job->planned ? t * chunk->x_loads : 0), chunk->x_loads,
                         job->chunk, to);
            column[j] = to;
        }
    }
}

/* The finished sums of one tile, [DOT_ROWS][columns], into the weight. */
static void NAME(put_tile)(const NAME(rows_job) *job, ptrdiff_t g, ptrdiff_t tile, ptrdiff_t j0, ptrdiff_t columns,
                           const T *sums) {
    const window *w = &job->x_w;
    const ptrdiff_t k0 = tile * DOT_ROWS;
    T *to = job->dw + g * w->w_g + k0 * w->w_k + j0;
    for (ptrdiff_t m = 0; m < smaller(DOT_ROWS, w->k - k0); m++)
        for (ptrdiff_t j = 0; j < columns; j++) to[m * w->w_k + j] = sums[m * columns + j];
}

static T *NAME(tile_sums)(const NAME(rows_job) *job, ptrdiff_t part, ptrdiff_t g, ptrdiff_t set, ptrdiff_t tile) {
    return job->sums + (((part * job->x_w.groups + g) * job->sets + set) * job->tiles + tile) * DOT_TILE;
}

/* Where set s begins: sets are of even size. */
static ptrdiff_t NAME(set_start)(const NAME(rows_job) *job, ptrdiff_t s) { return s * job->columns / job->sets; }

static void NAME(rows_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(rows_job) *job = context;
    const window *w = &job->x_w, *y_w = &job->y_w;
    const ptrdiff_t range = task % job->ranges, g = task / job->ranges % w->groups,
                    part = task / job->ranges / w->groups;
    const ptrdiff_t chunks = job->spans * job->chunks_a_span, first = part * chunks / job->parts;
    const ptrdiff_t set0 = range * job->sets / job->ranges, set1 = (range + 1) * job->sets / job->ranges;
    const T *dy = job->dy + g * w->k * y_w->x_c;
    T tile_sums[DOT_ROWS * DOT_COLUMNS + 64 / sizeof(T)];
    NAME(rows_bench) bench;
    NAME(rows_chunk) chunk = {0};
    (void)NAME(lay_out_bench)(job, scratch, &bench);
    for (ptrdiff_t i = first; i < (part + 1) * chunks / job->parts; i++) {
        NAME(place_rows)(job, &bench, i, &chunk);
        for (ptrdiff_t k0 = 0; k0 < w->k; k0 += job->block) {
            const ptrdiff_t k1 = smaller(w->k, k0 + job->block);
            const T *row0 = job->dy_in_place ? dy + chunk.image * y_w->x_n + k0 * y_w->x_c + chunk.pixel : bench.dy;
            const ptrdiff_t pitch = job->dy_in_place ? y_w->x_c : job->chunk;
            if (!job->dy_in_place) NAME(gather)(y_w, dy, k0, k1, 1, bench.y_loads, chunk.y_loads, job->chunk, bench.dy);
            for (ptrdiff_t set = set0; set < set1; set++) {
                const T *column[DOT_COLUMNS], *row[DOT_ROWS];
                const ptrdiff_t j0 = NAME(set_start)(job, set), columns = NAME(set_start)(job, set + 1) - j0;
                NAME(columns_of)(job, &bench, &chunk, g, j0, columns, column);
                for (ptrdiff_t k = k0; k < k1; k += DOT_ROWS) {
                    for (ptrdiff_t m = 0; m < DOT_ROWS; m++) row[m] = row0 + (smaller(k + m, k1 - 1) - k0) * pitch;
                    T *to = job->sums ? NAME(tile_sums)(job, part, g, set, k / DOT_ROWS) : tile_sums;
                    NAME(dot)[columns](chunk.count, row, column, i == first, to);
                    if (!job->sums) NAME(put_tile)(job, g, k / DOT_ROWS, j0, columns, to);
                }
            }
        }
    }
}

/* The parts' sums added, into the weight: tasks over (group, set). */
static void NAME(store_rows_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(rows_job) *job = context;
    const ptrdiff_t g = task / job->sets, set = task % job->sets;
    const ptrdiff_t j0 = NAME(set_start)(job, set), columns = NAME(set_start)(job, set + 1) - j0;
    (void)scratch;
    for (ptrdiff_t tile = 0; tile < job->tiles; tile++) {
        T *sums = NAME(tile_sums)(job, 0, g, set, tile);
        for (ptrdiff_t part = 1; part < job->parts; part++) {
            const T *more = NAME(tile_sums)(job, part, g, set, tile);
            for (ptrdiff_t i = 0; i < DOT_TILE; i += VL)
                NAME(vstore)(sums + i, NAME(vload)(sums + i) + NAME(vload)(more + i));
        }
        NAME(put_tile)(job, g, tile, j0, columns, sums);
    }
}

static int NAME(rows_grad_weight)(const window *w, const T *dy, const T *x, T *dw) {
    NAME(rows_job) job = {.x = x, .dy = dy, .dw = dw};
    NAME(plan_rows)(&job, w);
    const ptrdiff_t size = job.parts * w->groups * job.sets * job.tiles;
    if (job.spans * job.chunks_a_span > 1) {
        job.sums = fc_alloc((size_t)DOT_TILE * sizeof(T), (size_t)size);
        if (!job.sums) return FC_NO_MEMORY;
    }
    const double work = (double)(w->n * window_pixels(w)) * (double)(w->groups * w->k) * (double)job.columns;
    int status = fc_parallel(job.parts * w->groups * job.ranges, work, NAME(lay_out_bench)(&job, NULL, NULL),
                             NAME(rows_task), &job);
    if (status == FC_OK && job.sums)
        status = fc_parallel(w->groups * job.sets, (double)(size * DOT_TILE), 0, NAME(store_rows_task), &job);
    fc_free(job.sums);
    return status;
}
