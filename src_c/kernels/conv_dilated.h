/* Dilated 3x3 convolution as convolutions of neighbours, which Winograd's way is open to. With a dilation of d the outputs whose rows and
   columns leave the same remainders by d read one sub-image of every d-th row and column: each such phase is an image of its own,
   laid out with its padding, and its outputs are dealt back. */

enum { NAME(DILATED_BYTES) = 32 << 20 }; /* of images laid out at a time */

typedef struct {
    ptrdiff_t d[2], phases[2], lo[2]; /* the dilation; phases with outputs; where output 0 reads first */
    ptrdiff_t tap[27]; /* of `near` */
    window near; /* over the sub-images */
} NAME(dilated);

/* Whether a window is such a one. */
static int NAME(undilate)(const window *w, NAME(dilated) *u) {
    if (w->taps != 9 || w->in[0] != 1 || w->out[0] != 1 || w->step[1] != 1 || w->step[2] != 1) return 0;
    if (w->x_s[2] != 1 || w->y_s[2] != 1) return 0;
    const extent e = window_extent(w);
    if (e.span[0] != 1 || e.lo[0] != 0 || e.span[1] % 2 == 0 || e.span[2] % 2 == 0) return 0;
    u->near = *w;
    for (int a = 0; a < 2; a++) {
        u->d[a] = e.span[a + 1] / 2;
        u->lo[a] = e.lo[a + 1];
        if (u->d[a] == 0) return 0;
        u->phases[a] = smaller(u->d[a], w->out[a + 1]);
        u->near.out[a + 1] = divide_up(w->out[a + 1], u->d[a]);
        u->near.in[a + 1] = u->near.out[a + 1] + 2;
    }
    if (u->d[0] * u->d[1] == 1) return 0;
    for (ptrdiff_t t = 0; t < 9; t++) {
        u->tap[3 * t] = 0;
        for (int a = 0; a < 2; a++) {
            const ptrdiff_t at = w->tap[3 * t + a + 1] - u->lo[a];
            if (at % u->d[a] != 0) return 0;
            u->tap[3 * t + a + 1] = at / u->d[a];
        }
    }
    window *near = &u->near;
    near->tap = u->tap;
    near->n = w->n * u->phases[0] * u->phases[1];
    near->x_s[1] = near->in[2];
    near->x_s[0] = near->x_c = near->in[1] * near->in[2];
    near->x_n = capped_product(near->x_c, w->c * w->groups);
    near->y_s[1] = near->out[2];
    near->y_s[0] = near->y_c = window_pixels(near);
    near->y_n = capped_product(near->y_c, w->k * w->groups);
    const ptrdiff_t room = NAME(DILATED_BYTES) / (ptrdiff_t)sizeof(T); /* for the phases of an image */
    return near->x_n < room && near->y_n < room &&
           capped_product(near->x_n + near->y_n, u->phases[0] * u->phases[1]) <= room;
}

/* What it costs to lay the phases out and to deal them back, in multiply-adds of a vector: that depends on their rows, for they are
   short. */
static double NAME(dilated_cost)(const NAME(dilated) *u) {
    enum { ROW_COST = 100 };
    const window *w = &u->near;
    return ROW_COST * (double)(w->n * w->groups) * (double)(w->c * w->in[1] + w->k * w->out[1]);
}

/* An array of whole images and its phases, each way. */
typedef struct {
    const NAME(dilated) *u;
    const T *from;
    T *to;
    ptrdiff_t channels, x_n, x_c, x_row; /* the whole images: their strides, */
    ptrdiff_t size[2], lo[2]; /* size, and the row and column that phase 0 starts from */
    ptrdiff_t part[2]; /* rows and columns of a phase */
    const fc_epilogue *end; /* gathered back: the sum and the activation that waited for it, or NULL */
} NAME(phases);

static void NAME(split_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(phases) *p = context;
    const ptrdiff_t n = task / p->channels, c = task % p->channels, *d = p->u->d, *of = p->u->phases, *part = p->part;
    const T *plane = p->from + n * p->x_n + c * p->x_c;
    (void)scratch;
    for (ptrdiff_t phase = 0; phase < of[0] * of[1]; phase++) {
        const ptrdiff_t left = p->lo[1] + phase % of[1];
        T *to = p->to + ((n * of[0] * of[1] + phase) * p->channels + c) * part[0] * part[1];
        for (ptrdiff_t i = 0; i < part[0]; i++, to += part[1])
            NAME(deal_row)(plane, p->x_row, p->size, p->lo[0] + phase / of[1] + i * d[0], left, d[1], part[1], to);
    }
}

static void NAME(join_task)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(phases) *p = context;
    const ptrdiff_t n = task / p->channels, c = task % p->channels, *d = p->u->d, *of = p->u->phases, *part = p->part;
    const ptrdiff_t place = n * p->x_n + c * p->x_c;
    (void)scratch;
    for (ptrdiff_t row = 0; row < p->size[0]; row++) {
        T *to = p->to + place + row * p->x_row;
        for (ptrdiff_t b = 0; b < of[1]; b++) {
            const ptrdiff_t phase = row % d[0] * of[1] + b;
            const T *from =
                p->from + (((n * of[0] * of[1] + phase) * p->channels + c) * part[0] + row / d[0]) * part[1];
            for (ptrdiff_t i = b; i < p->size[1]; i += d[1]) to[i] = *from++;
        }
        if (!p->end) continue;
        const T *add = (const T *)p->end->add + place + row * p->x_row;
        for (ptrdiff_t i = 0; i < p->size[1]; i += VL) {
            const MASK some = NAME(mask_range)(0, p->size[1] - i);
            const V s = NAME(vload_masked)(to + i, some) + NAME(vload_masked)(add + i, some);
            NAME(vstore_masked)(to + i, some, NAME(activate)(s, p->end->activation, (T)p->end->slope));
        }
    }
}

/* What the window reads: the phases of the input with a border of what their first and last outputs read; or of an array like its
   output, without. */
static NAME(phases) NAME(phases_of_x)(const NAME(dilated) *u, const window *w) {
    return (NAME(phases)){.u = u,
                          .channels = w->c * w->groups,
                          .x_n = w->x_n,
                          .x_c = w->x_c,
                          .x_row = w->x_s[1],
                          .size = {w->in[1], w->in[2]},
                          .lo = {u->lo[0], u->lo[1]},
                          .part = {u->near.in[1], u->near.in[2]}};
}
static NAME(phases) NAME(phases_of_y)(const NAME(dilated) *u, const window *w) {
    return (NAME(phases)){.u = u,
                          .channels = w->k * w->groups,
                          .x_n = w->y_n,
                          .x_c = w->y_c,
                          .x_row = w->y_s[1],
                          .size = {w->out[1], w->out[2]},
                          .part = {u->near.out[1], u->near.out[2]}};
}

static int NAME(split_or_join)(NAME(phases) *p, ptrdiff_t n, fc_task *task, const T *from, T *to) {
    p->from = from;
    p->to = to;
    const ptrdiff_t elements = n * p->channels * p->u->phases[0] * p->u->phases[1] * p->part[0] * p->part[1];
    return fc_parallel(n * p->channels, (double)elements, 0, task, p);
}

/* As run_window, by a form of Winograd that convolves the phases; as many images at a time as DILATED_BYTES hold. */
static int NAME(convolve_dilated)(const window *w, const NAME(dilated) *u, const NAME(taps_grid) *taps,
                                  NAME(winograd_convolve) *convolve, const T *x, const T *weight, const T *rows,
                                  const T *packed, const fc_epilogue *end, T *y) {
    const ptrdiff_t phases = u->phases[0] * u->phases[1];
    const ptrdiff_t room = NAME(DILATED_BYTES) / (ptrdiff_t)sizeof(T) / (phases * (u->near.x_n + u->near.y_n));
    const ptrdiff_t together = smaller(w->n, larger(1, room)), of_x = phases * u->near.x_n, of_y = phases * u->near.y_n;
    fc_epilogue inside_phase = end ? *end : (fc_epilogue){0};
    NAME(phases) in = NAME(phases_of_x)(u, w), out = NAME(phases_of_y)(u, w);
    if (inside_phase.add) {
        out.end = end;
        inside_phase.add = NULL;
        inside_phase.activation = FC_IDENTITY;
    }
    T *both = fc_alloc((size_t)(together * (of_x + of_y)), sizeof(T));
    int status = both ? FC_OK : FC_NO_MEMORY;
    for (ptrdiff_t n = 0; n < w->n && status == FC_OK; n += together) {
        const ptrdiff_t count = smaller(together, w->n - n);
        fc_epilogue joined = end ? *end : (fc_epilogue){0};
        window near = u->near;
        near.n = count * phases;
        if (out.end) {
            joined.add = (const T *)joined.add + n * w->y_n;
            out.end = &joined;
        }
        T *ys = both + together * of_x;
        status = NAME(split_or_join)(&in, count, NAME(split_task), x + n * w->x_n, both);
        if (status == FC_OK) status = convolve(&near, taps, both, weight, rows, packed, &inside_phase, ys);
        if (status == FC_OK) status = NAME(split_or_join)(&out, count, NAME(join_task), ys, y + n * w->y_n);
    }
    fc_free(both);
    return status;
}

/* As dense_grad_weight by Winograd, over the phases of x and of dy, all images at once. */
static int NAME(dilated_grad_weight)(const window *w, const NAME(dilated) *u, const NAME(grad_kind) *kind,
                                     const NAME(taps_grid) *taps, const T *dy, const T *x, T *dw) {
    const ptrdiff_t of_x = u->near.n * u->near.x_n;
    NAME(phases) in = NAME(phases_of_x)(u, w), out = NAME(phases_of_y)(u, w);
    T *both = fc_alloc((size_t)(of_x + u->near.n * u->near.y_n), sizeof(T));
    if (!both) return FC_NO_MEMORY;
    int status = NAME(split_or_join)(&in, w->n, NAME(split_task), x, both);
    if (status == FC_OK) status = NAME(split_or_join)(&out, w->n, NAME(split_task), dy, both + of_x);
    if (status == FC_OK) status = NAME(dense_grad_weight)(&u->near, kind, taps, both + of_x, both, dw);
    fc_free(both);
    return status;
}
