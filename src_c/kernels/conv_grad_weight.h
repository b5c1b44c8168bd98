/* Gradient to the weight of dense convolutions: dw[k][column] = sum over pixels of dy[k][pixel] * x[column][pixel], a column being
   one (channel, tap) pair. The micro-kernel keeps filters x columns in registers over hundreds of pixels. Work goes chunk by chunk
   (rows of output, a few hundred kilobytes): dy is packed [tile][pixel][TILE_M]; the input is laid out so that VL columns are one
   vector, in one of two ways:

     blocked   [channels / VL][band][depth][height][width][VL], transposed once and shared by all taps
     winograd  both sides transformed (conv_winograd_grad.h): a pixel stands for a tile, each of its points is a plane of its
               own, and a column is a channel

   Layers with few channels or long planes of a single tap go to conv_grad_weight_rows.h instead, short ones to conv_grad_weight_point.h.

   Small weights: the batch is cut into parts, each a task of its own with private sums, added at the end in a fixed order.
   Large weights: all threads work on one chunk at a time, first packing it, then each summing its own columns; in several passes over
   ranges of filters where sums would take too much memory. */

enum {
    NAME(SUMS_BYTES) = 48 << 20, /* of sums in memory in a pass */
    NAME(SHARED_BYTES) = 8 << 20, /* of a chunk that all threads work on, by winograd */
    NAME(FAR_BYTES) = 24 << 20, /* of sums that go to memory and back with every chunk */
    NAME(AT_ONCE_BYTES) = 40 << 20, /* of a chunk that is all there is, lest they did: its sums stay in the caches */
};

/* Packing is cut into jobs: (group, tile) of dy, then (group, block) of the input. */
static ptrdiff_t NAME(pack_jobs)(const NAME(grad_weight_job) *job) {
    if (job->kind) return job->w->groups * (NAME(filter_blocks)(job) + job->blocks);
    return job->w->groups * (job->tiles + job->blocks);
}

static void NAME(pack_part)(const NAME(grad_weight_job) *job, const NAME(chunk) *chunk, ptrdiff_t i, char *bench) {
    const ptrdiff_t groups = job->w->groups, a_group = job->kind ? NAME(filter_blocks)(job) : job->tiles;
    const ptrdiff_t rest = i - groups * a_group;
    if (rest < 0 && job->kind)
        job->kind->transform_dy(job, chunk, i / a_group, i % a_group, bench);
    else if (rest < 0)
        NAME(pack_dy)(job, chunk, i / a_group, i % a_group);
    else if (job->kind)
        job->kind->transform_block(job, chunk, rest / job->blocks, rest % job->blocks, bench);
    else
        NAME(pack_block)(job, chunk, rest / job->blocks, rest % job->blocks);
}

/* ---- summing over a chunk: one set of TILE_V columns of one plane against tiles of filters */

/* Where the vector of a column starts. */
static const T *NAME(column_start)(const NAME(grad_weight_job) *job, const NAME(chunk) *chunk, ptrdiff_t plane,
                                   ptrdiff_t column) {
    const window *w = job->w;
    if (job->kind) return chunk->input + (plane * job->blocks + column) * job->room * VL;
    const ptrdiff_t *tap = w->tap + 3 * (column % w->taps);
    const ptrdiff_t place =
        (tap[0] - job->e.lo[0]) * job->plane + (tap[1] - job->e.lo[1]) * job->width + tap[2] - job->e.lo[2];
    return chunk->input + ((plane * job->blocks + column / w->taps) * job->bands_a_chunk * job->volume + place) * VL;
}

static void NAME(sum_set)(const NAME(grad_weight_job) *job, const NAME(chunk) *chunk, ptrdiff_t plane, ptrdiff_t set,
                          ptrdiff_t tile0, ptrdiff_t tile1, int first, T *sums) {
    const window *w = job->w;
    const ptrdiff_t v0 = set * TILE_V, vectors = smaller(TILE_V, job->columns - v0);
    const ptrdiff_t row = job->in_place ? w->w_k : TILE_LANES;
    const ptrdiff_t of_dy = NAME(dy_plane)(job, plane);
    const T *b[TILE_V];
    for (ptrdiff_t v = 0; v < TILE_V; v++)
        b[v] = NAME(column_start)(job, chunk, plane, smaller(v0 + v, job->columns - 1));
    for (ptrdiff_t p = 0; p < chunk->pixels; p += NAME(RUN))
        for (ptrdiff_t tile = tile0; tile < tile1; tile++) {
            T *to = job->in_place ? job->dw + plane * w->w_g + tile * TILE_M * w->w_k + set * TILE_LANES
                                  : sums + ((plane * job->tiles + tile) * job->sets + set) * TILE_M * TILE_LANES;
            const T *a = chunk->packed + ((of_dy * job->tiles + tile) * job->room + p) * TILE_M;
            const NAME(tile_end) end = {.c = to,
                                        .row = row,
                                        .partial = first && p == 0 ? NULL : to,
                                        .partial_row = row,
                                        .next_a = a + job->room * TILE_M,
                                        .next_b = b[0]};
            NAME(tile)[vectors](smaller(NAME(RUN), chunk->pixels - p), a, 1, TILE_M, b, chunk->off + p, &end);
        }
}

/* ---- the sums of all parts, put in the weight's own order: tasks over (group, tile) */

static void NAME(store_weight_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(grad_weight_job) *job = context;
    const window *w = job->w;
    const ptrdiff_t g = task / job->tiles, k0 = task % job->tiles * TILE_M, size = job->sets * TILE_M * TILE_LANES;
    T *sums = job->sums + task * size;
    (void)scratch;
    if (job->kind) {
        for (ptrdiff_t set = 0; set < job->sets; set++)
            job->kind->transform_sums(job, g, task % job->tiles, set,
                                      job->sums +
                                          ((g * job->kind->points * job->tiles + task % job->tiles) * job->sets + set) *
                                              TILE_M * TILE_LANES,
                                      job->tiles * size);
        return;
    }
    for (ptrdiff_t part = 1; part < job->parts; part++)
        for (ptrdiff_t i = 0; i < size; i += VL)
            NAME(vstore)(sums + i, NAME(vload)(sums + i) + NAME(vload)(sums + part * job->size + i));
    for (ptrdiff_t m = 0; m < smaller(TILE_M, w->k - k0); m++) {
        T *row = job->dw + (g * w->k + k0 + m) * w->c * w->taps;
        for (ptrdiff_t column = 0; column < job->columns; column++) {
            const T *from = sums + (column / TILE_V * TILE_M + m) * TILE_LANES + column % TILE_V * VL;
            const ptrdiff_t c0 = column / w->taps * VL;
            T *to = row + c0 * w->taps + column % w->taps;
            if (w->taps == 1) {
                memcpy(to, from, (size_t)smaller(VL, w->c - c0) * sizeof(T));
                continue;
            }
            for (ptrdiff_t i = 0; i < smaller(VL, w->c - c0); i++) to[i * w->taps] = from[i];
        }
    }
}

/* ---- the plan: layout, bands, chunks and parts, by shape alone */

static void NAME(choose_columns)(NAME(grad_weight_job) *job) {
    const window *w = job->w;
    job->e = window_extent(w);
    job->grid = *w;
    job->tiles = divide_up(w->k, TILE_M);
    job->blocks = divide_up(w->c, VL);
    for (int a = 0; a < 3; a++) job->skip[a] = job->e.span[a] == 1 ? w->step[a] : 1;
    job->width = capped_product(w->out[2] - 1, NAME(laid_step)(job, 2)) + job->e.span[2];
    job->planes = job->dy_planes = w->groups;
    if (job->kind) {
        job->planes = w->groups * job->kind->points;
        job->dy_planes = w->groups * job->kind->distinct;
        job->columns = job->blocks;
        for (int a = 1; a < 3; a++) job->grid.out[a] = divide_up(w->out[a], job->kind->out);
    } else {
        job->columns = job->blocks * w->taps;
    }
    job->sets = divide_up(job->columns, TILE_V);
    job->size = job->planes * job->tiles * job->sets * TILE_M * TILE_LANES;
}

/* Whether a single chunk is all there is, by winograd. */
static int NAME(at_once)(const NAME(grad_weight_job) *job) {
    return job->kind && job->parts == 1 && job->bands <= job->bands_a_chunk;
}

static void NAME(plan_grad_weight)(NAME(grad_weight_job) *job) {
    enum { CHUNK_BYTES = 1 << 19, PARTS = 32, PARTS_BYTES = 16 << 20, TASKS = 32, TOGETHER = 8 };
    const window *w = &job->grid;
    NAME(choose_columns)(job);
    /* Private sums pay while they are few next to the pixels each part sums. */
    const ptrdiff_t pixels = w->n * window_pixels(w);
    job->parts = smaller(smaller(PARTS, PARTS_BYTES / (job->size * (ptrdiff_t)sizeof(T))), pixels / (2 * NAME(RUN)));
    const double work = (double)pixels * (double)(job->planes * job->tiles * TILE_M) * (double)(job->columns * VL);
    if (job->parts < 4 || work / (double)job->parts > 4 * LONGEST_TASK) job->parts = 1;

    const ptrdiff_t dy_bytes = job->dy_planes * job->tiles * TILE_M * w->out[2] * (ptrdiff_t)sizeof(T);
    const ptrdiff_t x_bytes = job->kind ? job->planes * job->columns * VBYTES * w->out[2]
                                        : job->planes * job->blocks * VBYTES * job->width * NAME(laid_step)(job, 1);
    ptrdiff_t budget = CHUNK_BYTES;
    job->pieces = job->tiles;
    if (job->parts == 1 && job->kind) {
        const ptrdiff_t pixel = job->kind->points * (ptrdiff_t)sizeof(T),
                        whole = capped_product(dy_bytes + x_bytes, w->n * w->out[1]);
        const int far = job->size * (ptrdiff_t)sizeof(T) > NAME(FAR_BYTES);
        budget = far && whole <= NAME(AT_ONCE_BYTES) ? whole : NAME(SHARED_BYTES);
        /* Several tiles pass over columns that would not stay in the second-level cache from one tile to the next. */
        if (far && capped_product(pixels, pixel * TILE_LANES) > L2_BYTES / 3)
            job->pieces = divide_up(job->tiles, TOGETHER);
    }
    const ptrdiff_t least = job->kind ? 32 : NAME(RUN);
    const ptrdiff_t rows = larger(budget / (dy_bytes + x_bytes), divide_up(least, w->out[2]));
    job->band_rows = smaller(w->out[1], rows);
    job->bands_a_plane = divide_up(w->out[1], job->band_rows);
    job->bands = w->n * w->out[0] * job->bands_a_plane;
    job->parts = larger(1, smaller(job->parts, job->bands));
    job->bands_a_chunk = smaller(divide_up(job->bands, job->parts), larger(1, rows / job->band_rows));
    job->plane = ((job->band_rows - 1) * NAME(laid_step)(job, 1) + job->e.span[1]) * job->width;
    job->volume = job->plane * job->e.span[0];
    job->room = job->bands_a_chunk * job->band_rows * w->out[2];
    if (!NAME(at_once)(job)) job->pieces = smaller(job->tiles, divide_up(TASKS, job->planes * job->sets));
    job->in_place = job->parts == 1 && w->taps == 1 && w->k % TILE_M == 0 && w->c % VL == 0;
}

/* Bytes of a chunk's arrays; where `at` is given they are laid out there. */
static size_t NAME(lay_out_chunk)(const NAME(grad_weight_job) *job, char *at, NAME(chunk) *chunk) {
    const size_t input =
        job->kind ? (size_t)(job->room * job->columns) : (size_t)(job->blocks * job->bands_a_chunk * job->volume);
    const size_t sizes[5] = {
        (size_t)(job->dy_planes * job->tiles * TILE_M * job->room) * sizeof(T),
        (size_t)job->planes * input * VBYTES,
        (size_t)job->room * sizeof(ptrdiff_t),
        (size_t)job->bands_a_chunk * sizeof(ptrdiff_t),
        job->kind ? (size_t)(job->kind->in * (job->grid.out[2] * job->kind->space + job->kind->in)) * VBYTES : 0,
    };
    char *place[5];
    size_t total = 0;
    for (int i = 0; i < 5; i++) {
        place[i] = at ? at + total : NULL;
        total += (sizes[i] + 63) / 64 * 64;
    }
    if (chunk)
        *chunk = (NAME(chunk)){.packed = (T *)(void *)place[0],
                               .input = (T *)(void *)place[1],
                               .off = (ptrdiff_t *)(void *)place[2],
                               .pixel_of_band = (ptrdiff_t *)(void *)place[3],
                               .bench = place[4]};
    return total;
}

/* ---- small weights: a task is a part of the batch */

static void NAME(grad_weight_part_task)(void *context, ptrdiff_t part, void *scratch) {
    const NAME(grad_weight_job) *job = context;
    const ptrdiff_t start = part * job->bands / job->parts, stop = (part + 1) * job->bands / job->parts;
    NAME(chunk) chunk;
    (void)NAME(lay_out_chunk)(job, scratch, &chunk);
    for (ptrdiff_t band = start; band < stop; band += chunk.bands) {
        NAME(place_chunk)(job, &chunk, band, stop);
        for (ptrdiff_t i = 0; i < NAME(pack_jobs)(job); i++) NAME(pack_part)(job, &chunk, i, chunk.bench);
        for (ptrdiff_t i = 0; i < job->planes * job->sets; i++)
            NAME(sum_set)(job, &chunk, i / job->sets, i % job->sets, 0, job->tiles, band == start,
                          job->sums + part * job->size);
    }
}

/* ---- large weights: all threads on one chunk */

typedef struct {
    const NAME(grad_weight_job) *job;
    NAME(chunk) chunk;
    int first;
} NAME(shared_chunk);

static void NAME(shared_pack_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(shared_chunk) *shared = context;
    NAME(pack_part)(shared->job, &shared->chunk, task, scratch);
}

static void NAME(shared_sum_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(shared_chunk) *shared = context;
    const NAME(grad_weight_job) *job = shared->job;
    const ptrdiff_t piece = task % job->pieces, set = task / job->pieces % job->sets;
    (void)scratch;
    NAME(sum_set)(job, &shared->chunk, task / job->pieces / job->sets, set, piece * job->tiles / job->pieces,
                  (piece + 1) * job->tiles / job->pieces, shared->first, job->sums);
}

/* Winograd in a single chunk: a task is a few tiles of filters with a set of columns at every point, whose sums go from the cache into
   the weight. All sums together, four times the weight, are never in memory. */
static void NAME(shared_only_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(shared_chunk) *shared = context;
    const NAME(grad_weight_job) *job = shared->job;
    const NAME(chunk) *chunk = &shared->chunk;
    const ptrdiff_t piece = task % job->pieces, set = task / job->pieces % job->sets,
                    g = task / job->pieces / job->sets, points = job->kind->points;
    const ptrdiff_t first = piece * job->tiles / job->pieces, stop = (piece + 1) * job->tiles / job->pieces;
    const ptrdiff_t v0 = set * TILE_V, vectors = smaller(TILE_V, job->columns - v0), point_size = TILE_M * TILE_LANES,
                    filters = job->room * TILE_M;
    T *sums = scratch; /* [tile][point][TILE_M][TILE_LANES] */
    for (ptrdiff_t point = 0; point < points; point++) {
        const ptrdiff_t plane = g * points + point;
        const T *of_plane = chunk->packed + NAME(dy_plane)(job, plane) * job->tiles * filters, *b[TILE_V];
        for (ptrdiff_t v = 0; v < TILE_V; v++)
            b[v] = NAME(column_start)(job, chunk, plane, smaller(v0 + v, job->columns - 1));
        for (ptrdiff_t p = 0; p < chunk->pixels; p += NAME(RUN))
            for (ptrdiff_t tile = first; tile < stop; tile++) {
                T *to = sums + ((tile - first) * points + point) * point_size;
                const NAME(tile_end) end = {
                    .c = to,
                    .row = TILE_LANES,
                    .partial = p == 0 ? NULL : to,
                    .partial_row = TILE_LANES,
                    .next_a = of_plane + (tile + 1 < stop ? tile + 1 : first + job->tiles) * filters + p * TILE_M,
                    .next_b = b[0] + job->columns * job->room * VL};
                NAME(tile)[vectors](smaller(NAME(RUN), chunk->pixels - p), of_plane + tile * filters + p * TILE_M, 1,
                                    TILE_M, b, chunk->off + p, &end);
            }
    }
    for (ptrdiff_t tile = first; tile < stop; tile++)
        job->kind->transform_sums(job, g, tile, set, sums + (tile - first) * points * point_size, point_size);
}

static int NAME(grad_weight_shared)(const NAME(grad_weight_job) *job) {
    const window *w = job->w;
    NAME(shared_chunk) shared = {.job = job, .first = 1};
    char *memory = fc_alloc(NAME(lay_out_chunk)(job, NULL, NULL), 1);
    if (!memory) return FC_NO_MEMORY;
    const size_t whole = NAME(lay_out_chunk)(job, memory, &shared.chunk);
    const size_t bench = whole - (size_t)(shared.chunk.bench - memory);
    int status = FC_OK;
    for (ptrdiff_t band = 0; band < job->bands && status == FC_OK; band += shared.chunk.bands) {
        NAME(place_chunk)(job, &shared.chunk, band, job->bands);
        const double pixels = (double)shared.chunk.pixels;
        status = fc_parallel(NAME(pack_jobs)(job), pixels * (double)(job->planes * (w->k + w->c)), bench,
                             NAME(shared_pack_task), &shared);
        if (status != FC_OK) break;
        const double work = pixels * (double)(job->planes * w->k) * (double)(job->columns * VL);
        if (NAME(at_once)(job))
            status = fc_parallel(w->groups * job->sets * job->pieces, work,
                                 (size_t)(divide_up(job->tiles, job->pieces) * job->kind->points) * TILE_M *
                                     TILE_LANES * sizeof(T),
                                 NAME(shared_only_task), &shared);
        else
            status = fc_parallel(job->planes * job->sets * job->pieces, work, 0, NAME(shared_sum_task), &shared);
        shared.first = 0;
    }
    fc_free(memory);
    return status;
}

/* ---- passes */

/* Bytes of the sums of one group. */
static ptrdiff_t NAME(sums_bytes)(const window *w, const NAME(grad_kind) *kind) {
    const ptrdiff_t columns = capped_product(divide_up(w->c, VL), kind ? 1 : w->taps);
    const ptrdiff_t tiles = divide_up(w->k, TILE_M) * (kind ? kind->points : 1);
    return capped_product(capped_product(divide_up(columns, TILE_V), tiles),
                          TILE_M * TILE_LANES * (ptrdiff_t)sizeof(T));
}

/* Filters of a group whose sums are made in a pass: all, unless those are too much memory, or unless by winograd the transformed
   pixels of some of the filters fit into a single chunk. */
static ptrdiff_t NAME(filters_a_pass)(const window *w, const NAME(grad_kind) *kind) {
    const ptrdiff_t sums = NAME(sums_bytes)(w, kind);
    ptrdiff_t passes = divide_up(sums, NAME(SUMS_BYTES));
    if (kind) {
        const ptrdiff_t pixels = w->n * divide_up(w->out[1], kind->out) * divide_up(w->out[2], kind->out);
        const ptrdiff_t channels = NAME(AT_ONCE_BYTES) / capped_product(pixels, kind->points * (ptrdiff_t)sizeof(T));
        const ptrdiff_t room = channels - divide_up(w->c, VL) * VL; /* filters, next to all input channels */
        if (room > 0 && sums / divide_up(w->k, room) > NAME(FAR_BYTES)) passes = larger(passes, divide_up(w->k, room));
    }
    return divide_up(divide_up(w->k, larger(1, passes)), TILE_M) * TILE_M;
}

/* By a kind of Winograd with the taps of winograd_taps, with NULL directly. */
static int NAME(grad_weight_pass)(const window *w, const NAME(grad_kind) *kind, const NAME(taps_grid) *taps,
                                  const T *dy, const T *x, T *dw) {
    int not_finite = 0;
    if (!kind && NAME(choose_rows)(w)) return NAME(rows_grad_weight)(w, dy, x, dw);
    if (!kind && NAME(choose_point)(w)) return NAME(point_grad_weight)(w, dy, x, dw);
    NAME(grad_weight_job) job = {.w = w, .kind = kind, .taps = taps, .x = x, .dy = dy, .dw = dw};
    job.not_finite = &not_finite;
    NAME(plan_grad_weight)(&job);
    if (!NAME(at_once)(&job) && !job.in_place) {
        job.sums = fc_alloc((size_t)job.parts * sizeof(T), (size_t)job.size);
        if (!job.sums) return FC_NO_MEMORY;
    }
    const double work = (double)(w->n * window_pixels(w)) * (double)(w->groups * w->k) * (double)(w->c * w->taps);
    int status = job.parts > 1 ? fc_parallel(job.parts, work, NAME(lay_out_chunk)(&job, NULL, NULL),
                                             NAME(grad_weight_part_task), &job)
                               : NAME(grad_weight_shared)(&job);
    if (status == FC_OK && job.sums)
        status = fc_parallel(w->groups * job.tiles, (double)(job.parts * job.size), 0, NAME(store_weight_task), &job);
    fc_free(job.sums);
    if (status == FC_OK && not_finite) return NAME(grad_weight_pass)(w, NULL, NULL, dy, x, dw);
    return status;
}

/* In passes over ranges of groups, or of one group's filters. */
static int NAME(dense_grad_weight)(const window *whole, const NAME(grad_kind) *kind, const NAME(taps_grid) *taps,
                                   const T *dy, const T *x, T *dw) {
    const window row = window_in_one_row(whole), *w = &row;
    const ptrdiff_t k = NAME(filters_a_pass)(w, kind);
    const ptrdiff_t groups = k < w->k ? 1 : larger(1, NAME(SUMS_BYTES) / NAME(sums_bytes)(w, kind));
    window part = *w;
    int status = FC_OK;
    for (ptrdiff_t g = 0; g < w->groups; g += groups)
        for (ptrdiff_t k0 = 0; k0 < w->k && status == FC_OK; k0 += k) {
            part.groups = smaller(groups, w->groups - g);
            part.k = smaller(k, w->k - k0);
            status = NAME(grad_weight_pass)(&part, kind, taps, dy + (g * w->k + k0) * w->y_c, x + g * w->c * w->x_c,
                                            dw + g * w->w_g + k0 * w->w_k);
        }
    return status;
}
