/* Convolution in groups of a few channels (2 to 16), too many for one sum at a time, too few to gather panels for: the padded band of
   conv_depthwise.h is what the micro-kernel of tile.h reads, each vector of pixels at its place in it. The gradient to the weight
   is a tile of filters x taps, whose lanes are pixels and are summed across at the end. */

enum { NAME(GROUP_CHANNELS) = 16, NAME(GROUP_TERMS) = 256 }; /* the most that are taken here */

static int NAME(is_small_group)(const window *w) {
    return w->groups > 1 && w->c * w->k > TILE_M &&
           w->c <= NAME(GROUP_CHANNELS) &&w->k <= NAME(GROUP_CHANNELS) &&w->c * w->taps <=
                   NAME(GROUP_TERMS) &&w->x_s[2] ==
               1;
}

typedef struct {
    NAME(depthwise_job) base;
    const T *packed; /* by dense_pack, or NULL */
    ptrdiff_t across, tiles; /* vectors a row of output, tiles of filters a group */
    ptrdiff_t count, together; /* bands of groups in all, and in a task */
    int finish; /* there is more to do than to sum */
} NAME(group_job);

typedef struct {
    ptrdiff_t *off; /* terms: a (channel, tap) in the band; as many as fill whole tiles */
    T *tile; /* TILE_M rows of TILE_PITCH */
    T *weight; /* [tile][terms][TILE_M]; gradient: sums [tile of filters][terms / TILE_V][TILE_M][TILE_LANES] */
    T *dy; /* gradient: [unit][TILE_M][VL], zeros past the last filter and past a row's end */
    T *band;
} NAME(group_desk);

static ptrdiff_t NAME(group_terms)(const window *w) { return divide_up(w->c * w->taps, TILE_V) * TILE_V; }

static size_t NAME(group_lay_out)(const NAME(group_job) *job, int gradient, char *at, NAME(group_desk) *desk) {
    const window *w = job->base.band.w;
    const size_t sizes[5] = {
        (size_t)NAME(group_terms)(w) * sizeof(ptrdiff_t),
        (size_t)(TILE_M * TILE_PITCH + VL) * sizeof(T),
        (size_t)(job->tiles * NAME(group_terms)(w) * TILE_M * (gradient ? VL : 1)) * sizeof(T),
        gradient ? (size_t)(job->base.band.rows * job->across * TILE_M) * VBYTES : 0,
        (size_t)(job->base.band.channel * w->c + VL) * sizeof(T),
    };
    char *place[5];
    size_t total = 0;
    for (int i = 0; i < 5; i++) {
        place[i] = at ? at + total : NULL;
        total += (sizes[i] + 63) / 64 * 64;
    }
    if (desk)
        *desk = (NAME(group_desk)){(ptrdiff_t *)(void *)place[0], (T *)(void *)place[1], (T *)(void *)place[2],
                                   (T *)(void *)place[3], (T *)(void *)place[4]};
    return total;
}

/* Where a unit, a vector of outputs, reads and how many outputs it has: units run along the rows of a band. */
INLINE ptrdiff_t NAME(unit_place)(const NAME(group_job) *job, ptrdiff_t unit) {
    const NAME(band) *b = &job->base.band;
    return unit / job->across * b->w->step[1] * b->row + unit % job->across * VL;
}

/* The tile of sums for `vectors` units from u on, and filters from k0 on, to its place in the output. */
static void NAME(store_units)(const NAME(group_job) *job, const T *tile, ptrdiff_t u, ptrdiff_t vectors,
                              ptrdiff_t plane, ptrdiff_t row0, ptrdiff_t channel, ptrdiff_t filters) {
    const window *w = job->base.band.w;
    for (ptrdiff_t v = 0; v < vectors; v++, tile += VL) {
        const ptrdiff_t r = row0 + (u + v) / job->across, q = (u + v) % job->across * VL,
                        count = smaller(VL, w->out[2] - q);
        const ptrdiff_t to = plane + r * w->y_s[1] + q * w->y_s[2];
        if (w->y_s[2] == 1 && !job->finish) {
            const MASK mask = NAME(mask_range)(0, count);
            for (ptrdiff_t m = 0; m < filters; m++)
                NAME(vstore_masked)(job->base.y + to + m * w->y_c, mask, NAME(vload)(tile + m * TILE_PITCH));
        } else {
            for (ptrdiff_t m = 0; m < filters; m++)
                NAME(finish_unit)(&job->base, NAME(vload)(tile + m * TILE_PITCH), channel + m, to + m * w->y_c, count);
        }
    }
}

/* One group of one image, the rows of a band. */
static void NAME(sum_group)(const NAME(group_job) *job, ptrdiff_t index, const NAME(group_desk) *desk) {
    const NAME(band) *b = &job->base.band;
    const window *w = b->w;
    const ptrdiff_t row0 = index % b->bands * b->rows, depth = index / b->bands % w->out[0];
    const ptrdiff_t g = index / b->bands / w->out[0] % w->groups, n = index / b->bands / w->out[0] / w->groups;
    const ptrdiff_t rows = smaller(b->rows, w->out[1] - row0), terms = w->c * w->taps, units = rows * job->across;
    const T *x = job->base.x + n * w->x_n + g * w->c * w->x_c;
    const ptrdiff_t plane = n * w->y_n + g * w->k * w->y_c + depth * w->y_s[0];
    NAME(fill_band)(b, x, depth, row0, rows, desk->band);
    const T *a = job->packed ? job->packed + g * job->tiles * terms * TILE_M : desk->weight;
    for (ptrdiff_t i = 0; i < job->tiles && !job->packed; i++)
        NAME(pack_filters)(w, job->base.weight + g * w->w_g, i * TILE_M, 0, w->taps, 0, w->c,
                           desk->weight + i * terms * TILE_M);
    for (ptrdiff_t i = 0; i < job->tiles; i++, a += terms * TILE_M) {
        const ptrdiff_t k0 = i * TILE_M, filters = smaller(TILE_M, w->k - k0);
        /* fetched meanwhile: the planes of the next group */
        const T *next_y = job->base.y + plane + (w->k + k0) * w->y_c,
                *next_x = x + (w->c + i * w->c / job->tiles) * w->x_c;
        for (ptrdiff_t u = 0; u < units; u += TILE_V, next_y += terms * TILE_M, next_x += terms * (64 / T_BYTES)) {
            const T *at[TILE_V];
            for (ptrdiff_t v = 0; v < TILE_V; v++)
                at[v] = desk->band + NAME(unit_place)(job, smaller(u + v, units - 1));
            const NAME(tile_end) end = {.c = desk->tile, .row = TILE_PITCH, .next_a = next_y, .next_b = next_x};
            NAME(tile)[smaller(TILE_V, units - u)](terms, a, 1, TILE_M, at, desk->off, &end);
            NAME(store_units)(job, desk->tile, u, smaller(TILE_V, units - u), plane + k0 * w->y_c, row0, g * w->k + k0,
                              filters);
        }
    }
}

static void NAME(group_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(group_job) *job = context;
    NAME(group_desk) desk;
    (void)NAME(group_lay_out)(job, 0, scratch, &desk);
    NAME(band_offsets)(&job->base.band, desk.off);
    for (ptrdiff_t i = task * job->together; i < smaller((task + 1) * job->together, job->count); i++)
        NAME(sum_group)(job, i, &desk);
}

static int NAME(small_groups)(const window *w, const NAME(band) *b, const T *x, const T *weight, const T *packed,
                              const fc_epilogue *end, T *y) {
    NAME(group_job) job = {.base = {.band = *b, .x = x, .weight = weight, .y = y, .end = end}, .packed = packed};
    job.across = divide_up(w->out[2], VL);
    job.tiles = divide_up(w->k, TILE_M);
    const double work = (double)w->n * (double)window_pixels(w) * (double)(w->groups * w->k * w->c * w->taps);
    job.finish = end && (end->bias || end->add || end->activation);
    job.count = w->n * w->groups * w->out[0] * b->bands;
    job.together = job.count / 64 > 4 ? 4 : larger(1, job.count / 64);
    return fc_parallel(divide_up(job.count, job.together), work, NAME(group_lay_out)(&job, 0, NULL, NULL),
                       NAME(group_task), &job);
}

/* ---- gradient to the weight */

/* Sums of TILE_M filters x TILE_V terms over the units of a band; lanes past a row's end are masked on both sides. */
static __attribute__((noinline)) void NAME(dot_tile)(const T *dy, const T *band, const ptrdiff_t *off, ptrdiff_t rows,
                                                     ptrdiff_t across, ptrdiff_t down, ptrdiff_t last, T *sums) {
    V sum[TILE_M][TILE_V];
    UNROLL(8)
    for (int m = 0; m < TILE_M; m++) {
        UNROLL(3)
        for (int v = 0; v < TILE_V; v++) sum[m][v] = NAME(vload)(sums + (m * TILE_V + v) * VL);
    }
    const MASK inside = NAME(mask_range)(0, last);
    for (ptrdiff_t r = 0; r < rows; r++, band += down)
        for (ptrdiff_t q = 0; q < across; q++, dy += TILE_M * VL) {
            const T *at = band + q * VL;
            V x[TILE_V];
            UNROLL(3)
            for (int v = 0; v < TILE_V; v++)
                x[v] = q + 1 < across ? NAME(vload)(at + off[v]) : NAME(vload_masked)(at + off[v], inside);
            UNROLL(8)
            for (int m = 0; m < TILE_M; m++) {
                const V d = NAME(vload)(dy + m * VL);
                UNROLL(3)
                for (int v = 0; v < TILE_V; v++) sum[m][v] += d * x[v];
            }
        }
    UNROLL(8)
    for (int m = 0; m < TILE_M; m++) {
        UNROLL(3)
        for (int v = 0; v < TILE_V; v++) NAME(vstore)(sums + (m * TILE_V + v) * VL, sum[m][v]);
    }
}

/* dy of TILE_M filters over the rows of a band, unit by unit. */
static void NAME(fill_dy)(const NAME(group_job) *job, const T *dy, ptrdiff_t filters, ptrdiff_t rows, T *to) {
    const window *w = job->base.band.w;
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t q = 0; q < w->out[2]; q += VL, to += TILE_M * VL) {
            const MASK mask = NAME(mask_range)(0, w->out[2] - q);
            const T *from = dy + r * w->y_s[1] + q;
            for (ptrdiff_t m = 0; m < filters; m++)
                NAME(vstore)(to + m * VL, NAME(vload_masked)(from + m * w->y_c, mask));
            for (ptrdiff_t m = filters; m < TILE_M; m++) NAME(vstore)(to + m * VL, NAME(vzero)());
        }
}

/* The sums of one group, across, in the weight's order: terms fastest. */
static void NAME(store_group)(const window *w, const T *sums, T *out) {
    const ptrdiff_t terms = w->c * w->taps, sets = NAME(group_terms)(w) / TILE_V;
    for (ptrdiff_t k = 0; k < w->k; k++)
        for (ptrdiff_t j = 0; j < terms; j += VL) {
            V r[VBYTES / T_BYTES];
            for (ptrdiff_t i = 0; i < VL; i++) {
                const ptrdiff_t term = smaller(j + i, terms - 1), set = k / TILE_M * sets + term / TILE_V;
                r[i] = NAME(vload)(sums + ((set * TILE_M + k % TILE_M) * TILE_V + term % TILE_V) * VL);
            }
            NAME(vstore_first)(out + k * terms + j, smaller(VL, terms - j), NAME(vsum_each)(r));
        }
}

static void NAME(group_weight_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(group_job) *job = context;
    const NAME(band) *b = &job->base.band;
    const window *w = b->w;
    const ptrdiff_t g = task % w->groups, split = task / w->groups, terms = w->c * w->taps;
    const ptrdiff_t room = NAME(group_terms)(w), last = w->out[2] - (job->across - 1) * VL;
    NAME(group_desk) desk;
    (void)NAME(group_lay_out)(job, 1, scratch, &desk);
    NAME(band_offsets)(b, desk.off);
    for (ptrdiff_t j = terms; j < room; j++) desk.off[j] = desk.off[0];
    memset(desk.weight, 0, (size_t)(job->tiles * room * TILE_M) * VBYTES);
    for (ptrdiff_t n = split * w->n / job->base.splits; n < (split + 1) * w->n / job->base.splits; n++)
        for (ptrdiff_t depth = 0; depth < w->out[0]; depth++)
            for (ptrdiff_t row0 = 0; row0 < w->out[1]; row0 += b->rows) {
                const ptrdiff_t rows = smaller(b->rows, w->out[1] - row0);
                const T *dy = job->base.y_or_dy + n * w->y_n + g * w->k * w->y_c + depth * w->y_s[0] + row0 * w->y_s[1];
                NAME(fill_band)(b, job->base.x + n * w->x_n + g * w->c * w->x_c, depth, row0, rows, desk.band);
                T *sums = desk.weight;
                for (ptrdiff_t i = 0; i < job->tiles; i++) {
                    NAME(fill_dy)(job, dy + i * TILE_M * w->y_c, smaller(TILE_M, w->k - i * TILE_M), rows, desk.dy);
                    for (ptrdiff_t j = 0; j < room; j += TILE_V, sums += TILE_M * TILE_LANES)
                        NAME(dot_tile)(desk.dy, desk.band, desk.off + j, rows, job->across, w->step[1] * b->row, last,
                                       sums);
                }
            }
    NAME(store_group)(w, desk.weight, job->base.partial + (split * w->groups + g) * w->k * terms);
}

/* dw is contiguous [groups][k][c][taps]. */
static int NAME(small_groups_grad_weight)(const window *w, const NAME(band) *b, const T *dy, const T *x, T *dw) {
    NAME(group_job) job = {.base = {.band = *b, .x = x, .y_or_dy = dy}};
    job.across = divide_up(w->out[2], VL);
    job.tiles = divide_up(w->k, TILE_M);
    return NAME(weight_by_parts)(&job.base, &job, NAME(group_lay_out)(&job, 1, NULL, NULL), NAME(group_weight_task),
                                 dw);
}
