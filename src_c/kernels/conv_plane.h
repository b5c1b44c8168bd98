/* Depthwise convolution where the kernel is 3 x 3, 5 x 5 or 7 x 7 at stride 1 or 2 and rows lie densely (NCHW): what the forward
   pass and the gradients (conv_plane_sum.h, conv_plane_spread.h, conv_plane_weight.h) share. They read planes in place: a column
   of vectors at a time runs down the plane, and a mask says which lanes of a load lie inside a row. No sums here. */

/* A window whose taps fill a square. */
typedef struct {
    const window *w;
    ptrdiff_t size, step, lo[2]; /* size x size taps; position 0 reads from row lo[0], column lo[1] on */
    ptrdiff_t place[49]; /* where the weight of a place of the square lies in a filter */
    int in_order; /* one after another */
} NAME(square);

/* 0 where the window is none, or lies in memory another way. */
static int NAME(square_window)(const window *w, NAME(square) *square) {
    if (w->taps != 9 && w->taps != 25 && w->taps != 49) return 0;
    if (w->in[0] != 1 || w->out[0] != 1 || w->x_s[2] != 1 || w->y_s[2] != 1) return 0;
    if (w->step[1] != w->step[2] || w->step[1] > 2) return 0;
    const extent e = window_extent(w);
    if (e.lo[0] != 0 || e.span[0] != 1 || e.span[1] != e.span[2] || e.span[1] * e.span[2] != w->taps) return 0;
    *square = (NAME(square)){.w = w, .size = e.span[1], .step = w->step[1], .lo = {e.lo[1], e.lo[2]}};
    for (ptrdiff_t t = 0; t < w->taps; t++) square->place[t] = -1;
    for (ptrdiff_t t = 0; t < w->taps; t++) {
        const ptrdiff_t *tap = w->tap + 3 * t;
        square->place[(tap[1] - e.lo[1]) * e.span[2] + tap[2] - e.lo[2]] = w->w_tap[t];
    }
    square->in_order = 1;
    for (ptrdiff_t t = 0; t < w->taps; t++) {
        if (square->place[t] < 0) return 0;
        square->in_order &= square->place[t] == t;
    }
    return 1;
}

/* The weights of one input and one output channel, row by row of the square: the filter itself, or a copy in `room`. */
INLINE const T *NAME(square_weights)(const NAME(square) *square, const T *filter, T *room) {
    if (square->in_order) return filter;
    for (ptrdiff_t t = 0; t < square->w->taps; t++) room[t] = filter[square->place[t]];
    return room;
}

/* A column: one or two vectors of outputs from column q on. `inside`: the lanes of each load that lie in the row and belong to
   an output; at stride 1 one load a column of taps, at stride 2 two a pair of them. */
enum { NAME(COLUMN_VECTORS) = VBYTES == 64 ? 2 : 1, NAME(COLUMN_LOADS) = 8 };
typedef struct {
    ptrdiff_t q, at; /* at: the input column its first tap reads */
    int vectors, edge, partial; /* edge: loads need masks; partial: stores do */
    MASK inside[NAME(COLUMN_VECTORS)][NAME(COLUMN_LOADS)], out[NAME(COLUMN_VECTORS)];
} NAME(column);

static ptrdiff_t NAME(columns_across)(ptrdiff_t width) { return divide_up(width, NAME(COLUMN_VECTORS) *VL); }

/* overlap: the last column may repeat outputs of the one before rather than being partial. */
static void NAME(place_columns)(const NAME(square) *square, int overlap, NAME(column) *column) {
    const window *w = square->w;
    const ptrdiff_t Q = w->out[2], W = w->in[2], step = square->step;
    for (ptrdiff_t i = 0; i < NAME(columns_across)(Q); i++, column++) {
        const ptrdiff_t first = i * NAME(COLUMN_VECTORS) *VL;
        column->vectors = (int)smaller(NAME(COLUMN_VECTORS), divide_up(Q - first, VL));
        const ptrdiff_t lanes = column->vectors * VL;
        column->q = overlap && lanes <= Q ? smaller(first, Q - lanes) : first;
        column->at = column->q * step + square->lo[1];
        column->edge = column->at < 0 || column->at + step * lanes + square->size - 1 > W;
        column->partial = column->q + lanes > Q;
        column->edge |= column->partial;
        for (ptrdiff_t v = 0; v < column->vectors; v++) {
            const ptrdiff_t outputs = Q - column->q - v * VL;
            column->out[v] = NAME(mask_range)(0, outputs);
            for (ptrdiff_t s = 0; s < square->size + step - 1; s++) {
                /* at stride 2, loads s and s + 1 are the two halves of what columns s and s + 1 of taps read */
                const ptrdiff_t shift = step == 2 ? s / 2 * 2 : s, half = step == 2 ? s % 2 * VL : 0;
                const ptrdiff_t from = column->at + shift + step * v * VL + half;
                column->inside[v][s] = NAME(mask_range)(-from, smaller(W - from, outputs * step - half));
            }
        }
    }
}

/* What columns s and, at stride 2, s + 1 of taps read of the row for vector v. step and edge are literals. */
INLINE void NAME(load_column)(const T *row, const NAME(column) *column, const int v, const int s, const int step,
                              const int edge, V *x) {
    const T *from = row + s + step * v * VL;
    if (step == 1) {
        x[0] = edge ? NAME(vload_masked)(from, column->inside[v][s]) : NAME(vload)(from);
        return;
    }
    const V low = edge ? NAME(vload_masked)(from, column->inside[v][s]) : NAME(vload)(from);
    const V high = edge ? NAME(vload_masked)(from + VL, column->inside[v][s + 1]) : NAME(vload)(from + VL);
    x[0] = NAME(veven)(low, high);
    x[1] = NAME(vodd)(low, high);
}

/* How planes are shared out: tasks are runs of whole planes, or bands of rows of one plane. By shape alone. */
typedef struct {
    ptrdiff_t planes, rows; /* a task: planes of which each has all rows, or rows of one plane */
    ptrdiff_t bands, tasks;
} NAME(plane_tasks);

static NAME(plane_tasks) NAME(share_planes)(ptrdiff_t planes, ptrdiff_t rows, double work_a_row) {
    enum { TASK_WORK = 1 << 17, LEAST_ROWS = 16 }; /* multiply-adds */
    NAME(plane_tasks) t = {.planes = 1, .rows = rows};
    const double a_plane = work_a_row * (double)rows;
    if (a_plane < TASK_WORK)
        t.planes = (ptrdiff_t)(TASK_WORK / a_plane);
    else
        t.rows = smaller(rows, larger(LEAST_ROWS, (ptrdiff_t)(2 * TASK_WORK / work_a_row)));
    t.bands = divide_up(rows, t.rows);
    t.tasks = divide_up(planes, t.planes) * t.bands;
    return t;
}
