/* The input of a convolution laid out so that the micro-kernel reads every tap where it lies: padded with zeros, its columns dealt into
   one row for each phase of the step, so that outputs side by side read neighbours. It is copied once, by gathering panels
   (window.h) once for each tap; but vectors of pixels have to end where rows do. First layers gain most. */

typedef struct {
    const window *w;
    const T *x;
    T *rows; /* [image][channel][height][phase][pitch] */
    ptrdiff_t *off; /* of every term of the reduction, in the order of the packed weight */
    ptrdiff_t height, pitch;
    int joined; /* rows of output are whole vectors: all are one row */
    ptrdiff_t vectors, panels; /* of one row of output: its last vector may be part of one */
    extent e;
} NAME(laid);

/* Whether the copy, and the lanes left empty at the end of a row, cost less than gathering would. */
static int NAME(laying_pays)(const window *w) {
    enum { LIMIT_BYTES = 32 << 20 };
    if (w->groups > 1 || w->taps < 2 || taps_a_block(w) < w->taps) return 0;
    if (w->out[0] != 1 || w->in[0] != 1 || w->x_s[2] != 1) return 0;
    const extent e = window_extent(w);
    const ptrdiff_t width = divide_up(w->out[2], VL) * VL, step = w->step[2];
    const ptrdiff_t height = capped_product(w->out[1] - 1, w->step[1]) + e.span[1];
    const ptrdiff_t rows = capped_product(capped_product(w->n * w->c, height), step * (ptrdiff_t)sizeof(T));
    if (e.lo[0] != 0 || e.span[0] != 1 || e.span[2] > w->in[2] || e.span[1] > w->in[1]) return 0;
    if (capped_product(rows, width + e.span[2]) > LIMIT_BYTES) return 0;
    /* A pixel and channel, in multiply-adds of a vector. */
    const double filters = (double)(divide_up(w->k, TILE_M) * TILE_M), taps = (double)w->taps / (double)VL;
    const double gather = taps * GATHER_COST * (step > 2 ? 4 : 1), copy = (double)(w->step[1] * step);
    const double empty = (double)(width - w->out[2]) / (double)w->out[2] * filters * taps;
    const double turned =
        width > w->out[2] ? filters / (2 * (double)w->c) : 0; /* part of a vector is stored by a copy */
    return copy + empty + turned < gather;
}

/* Every step-th of `count` elements. */
static void NAME(deal)(const T *from, ptrdiff_t step, ptrdiff_t count, T *to) {
    ptrdiff_t i = 0;
    if (step == 2)
        for (; i + VL < count; i += VL)
            NAME(vstore)(to + i, NAME(veven)(NAME(vload)(from + 2 * i), NAME(vload)(from + 2 * i + VL)));
    for (; i < count; i++) to[i] = from[i * step];
}

/* `length` elements of a row of a plane, whose rows are x_row apart: every step-th from column `first` on, zeros outside of the plane. */
static void NAME(deal_row)(const T *plane, ptrdiff_t x_row, const ptrdiff_t *size, ptrdiff_t row, ptrdiff_t first,
                           ptrdiff_t step, ptrdiff_t length, T *to) {
    ptrdiff_t lo = 0, hi = 0;
    if (row >= 0 && row < size[0]) inside(first, step, size[1], length, &lo, &hi);
    memset(to, 0, (size_t)lo * sizeof(T));
    if (hi > lo) NAME(deal)(plane + row * x_row + first + lo * step, step, hi - lo, to + lo);
    memset(to + hi, 0, (size_t)(length - hi) * sizeof(T));
}

static void NAME(lay_plane)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(laid) *l = context;
    const window *w = l->w;
    const ptrdiff_t step = w->step[2];
    const T *plane = l->x + task / w->c * w->x_n + task % w->c * w->x_c;
    T *to = l->rows + task * l->height * step * l->pitch;
    (void)scratch;
    for (ptrdiff_t h = l->e.lo[1]; h < l->e.lo[1] + l->height; h++)
        for (ptrdiff_t phase = 0; phase < step; phase++, to += l->pitch)
            NAME(deal_row)(plane, w->x_s[1], w->in + 1, h, l->e.lo[2] + phase, step, l->pitch, to);
}

static int NAME(lay_input)(NAME(laid) *l, const window *w, const T *x) {
    const ptrdiff_t step = w->step[2], *tap = w->tap;
    *l = (NAME(laid)){.w = w, .x = x, .e = window_extent(w), .vectors = divide_up(w->out[2], VL)};
    l->height = (w->out[1] - 1) * w->step[1] + l->e.span[1];
    l->pitch = l->vectors * VL + (l->e.span[2] - 1) / step;
    l->joined = w->out[2] % VL == 0;
    if (l->joined) l->vectors *= w->n * w->out[1];
    l->panels = divide_up(l->vectors, TILE_V);
    const ptrdiff_t planes = w->n * w->c, plane = l->height * step * l->pitch;
    l->rows = fc_alloc((size_t)(planes * plane), sizeof(T));
    l->off = fc_alloc((size_t)(w->c * w->taps), sizeof(ptrdiff_t));
    if (!l->rows || !l->off) return FC_NO_MEMORY;
    for (ptrdiff_t t = 0; t < w->taps; t++, tap += 3) {
        const ptrdiff_t h = tap[1] - l->e.lo[1], q = tap[2] - l->e.lo[2];
        for (ptrdiff_t c = 0; c < w->c; c++)
            l->off[c * w->taps + t] = c * plane + (h * step + q % step) * l->pitch + q / step;
    }
    return fc_parallel(planes, (double)(planes * plane), 0, NAME(lay_plane), l);
}

static void NAME(free_laid)(NAME(laid) *l) {
    fc_free(l->rows);
    fc_free(l->off);
}

/* Where a vector of output pixels, all of one row, starts to read; pixels are counted through all rows of all images. */
static const T *NAME(laid_pixel)(const NAME(laid) *l, ptrdiff_t pixel) {
    const window *w = l->w;
    const ptrdiff_t row = pixel / w->out[2], image = row / w->out[1], h = row % w->out[1] * w->step[1];
    return l->rows + (image * w->c * l->height + h) * w->step[2] * l->pitch + pixel % w->out[2];
}
