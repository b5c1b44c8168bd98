/* The two-dimensional transforms of F(WINO_OUT x WINO_OUT, WINO_KERNEL x WINO_KERNEL) between arrays and the tiles of a block. Written
   once, included for each WINO_KIND; WINO(name) is a name of that kind. Lanes are tiles (input and output) or filters (weight). */

/* A run of tiles, with the masks that keep its loads inside the rows, and what of it lies in the output: rows, and columns as whole
   vectors and the rest of one. */
typedef struct {
    run r;
    MASK load[WINO_SHIFTS * WINO_SPACE]; /* of the vectors of a row, and of those one tile and two further on */
    ptrdiff_t loaded; /* how many vectors of a row have columns of the run's tiles */
    ptrdiff_t rows, whole, rest;
    MASK last;
} WINO(tile_run);

/* Runs of the tiles first .. first+count-1 of `grid` (the window with tiles for pixels), cut at vectors so that none crosses one. */
static ptrdiff_t WINO(plan_tiles)(const window *w, const window *grid, const NAME(taps_grid) *taps, ptrdiff_t first,
                                  ptrdiff_t count, WINO(tile_run) *runs) {
    ptrdiff_t used = 0;
    for (ptrdiff_t lane = 0; lane < count; lane += VL) {
        run part[VBYTES / sizeof(T)];
        const ptrdiff_t parts = window_runs(grid, first + lane, smaller(VL, count - lane), part);
        for (ptrdiff_t i = 0; i < parts; i++) {
            WINO(tile_run) *to = &runs[used++];
            to->r = part[i];
            to->r.lane += lane;
            const ptrdiff_t columns = smaller(WINO_OUT * part[i].length, w->out[2] - WINO_OUT * part[i].at[3]);
            to->loaded = divide_up(WINO_SPACE * part[i].length, VL);
            to->rows = smaller(WINO_OUT, w->out[1] - WINO_OUT * part[i].at[2]);
            to->whole = columns / VL;
            to->rest = columns % VL;
            to->last = NAME(mask_range)(0, to->rest);
            const ptrdiff_t column = WINO_SPACE * part[i].at[3] + taps->lo[1];
            const ptrdiff_t stop = smaller(w->in[2], column + WINO_SPACE * (part[i].length - 1) + WINO_IN);
            for (ptrdiff_t l = 0; l < WINO_SHIFTS * WINO_SPACE; l++) {
                const ptrdiff_t at = column + l / WINO_SPACE * WINO_SPACE + l % WINO_SPACE * VL;
                to->load[l] = NAME(mask_range)(-at, stop - at);
            }
        }
    }
    return used;
}

/* One input row of a run, from the first tile's column on: the columns of every tile, lanes are tiles. Only the first `loaded` (a
   literal) of the row's vectors hold any of the run's columns. */
INLINE void WINO(split_columns)(const int loaded, const T *row, const MASK *masks, V *column) {
    UNROLL(3)
    for (int shift = 0; shift < WINO_SHIFTS; shift++) {
        const int first = shift * WINO_SPACE;
        V l[WINO_SPACE];
        UNROLL(4)
        for (int i = 0; i < WINO_SPACE; i++)
            l[i] = i < loaded ? NAME(vload_masked)(row + first + i * VL, masks[first + i]) : NAME(vzero)();
#if WINO_SPACE == 4
        V e[2], o[2];
        UNROLL(2)
        for (int i = 0; i < 2; i++) {
            const int none = 2 * i >= loaded;
            e[i] = none ? NAME(vzero)() : NAME(veven)(l[2 * i], l[2 * i + 1]);
            o[i] = none ? NAME(vzero)() : NAME(vodd)(l[2 * i], l[2 * i + 1]);
        }
        column[first] = NAME(veven)(e[0], e[1]);
        if (first + 1 < WINO_IN) column[first + 1] = NAME(veven)(o[0], o[1]);
        if (first + 2 < WINO_IN) column[first + 2] = NAME(vodd)(e[0], e[1]);
        if (first + 3 < WINO_IN) column[first + 3] = NAME(vodd)(o[0], o[1]);
#else
        column[first] = NAME(veven)(l[0], l[1]);
        if (first + 1 < WINO_IN) column[first + 1] = NAME(vodd)(l[0], l[1]);
#endif
    }
}

/* Bt d B of channels c0 .. c1-1 of a group that starts at x: to[point * pitch + channel * vectors * VL + lane]. A row is transformed
   along its columns as it is read and then waits in `patch` (WINO_POINTS x WINO_PATCH) for the others. */
static void WINO(transform_input)(const window *w, const NAME(taps_grid) *taps, const WINO(tile_run) *runs,
                                  ptrdiff_t run_count, ptrdiff_t vectors, const T *x, ptrdiff_t c0, ptrdiff_t c1,
                                  T *patch, T *to, ptrdiff_t pitch) {
    for (ptrdiff_t c = c0; c < c1; c++) {
        const T *plane = x + c * w->x_c;
        for (ptrdiff_t i = 0; i < run_count; i++) {
            const WINO(tile_run) *t = &runs[i];
            const T *from = plane + t->r.at[0] * w->x_n + WINO_SPACE * t->r.at[3] + taps->lo[1];
            for (ptrdiff_t h = 0; h < WINO_IN; h++) {
                const ptrdiff_t row = WINO_SPACE * t->r.at[2] + taps->lo[0] + h;
                T *here = patch + h * WINO_SIDE * WINO_PATCH + t->r.lane;
                V column[WINO_SIDE];
                if (row >= 0 && row < w->in[1]) {
                    const T *at = from + row * w->x_s[1];
                    /* Rows of two channels on: short stretches far apart, which no hardware prefetcher follows. */
                    for (ptrdiff_t l = 0; l < t->loaded; l++) __builtin_prefetch(at + 2 * w->x_c + l * VL);
                    if (t->loaded == 1)
                        WINO(split_columns)(1, at, t->load, column);
                    else if (t->loaded == 2)
                        WINO(split_columns)(2, at, t->load, column);
                    else
                        WINO(split_columns)(WINO_SPACE, at, t->load, column);
                    WINO(input)(column);
                } else {
                    UNROLL(6)
                    for (int j = 0; j < WINO_SIDE; j++) column[j] = NAME(vzero)();
                }
                UNROLL(6)
                for (int j = 0; j < WINO_SIDE; j++) NAME(vstore)(here + j * WINO_PATCH, column[j]);
            }
        }
        for (ptrdiff_t v = 0; v < vectors; v++) {
            T *out = to + (c * vectors + v) * VL;
            for (ptrdiff_t j = 0; j < WINO_SIDE; j++) {
                const T *in = patch + j * WINO_PATCH + v * VL;
                V d[WINO_SIDE];
                UNROLL(6)
                for (int h = 0; h < WINO_IN; h++) d[h] = NAME(vload)(in + h * WINO_SIDE * WINO_PATCH);
                WINO(input)(d);
                UNROLL(6)
                for (int h = 0; h < WINO_SIDE; h++) NAME(vstore)(out + (h * WINO_SIDE + j) * pitch, d[h]);
            }
        }
    }
}

/* G g Gt of `count` vectors of filters: vector i from the TILE_M weights at rows + i * from + tap * TILE_M and, where a vector has room for
   them, as many `apart` elements further on; to u[point * pitch + i * step]. */
static void WINO(transform_weight)(const NAME(taps_grid) *taps, const T *rows, ptrdiff_t apart, ptrdiff_t from,
                                   ptrdiff_t count, T *u, ptrdiff_t pitch, ptrdiff_t step) {
    for (ptrdiff_t i = 0; i < count; i++, rows += from, u += step) {
        V half[WINO_KERNEL * WINO_SIDE];
        /* What is read some channels on: short stretches of several rows. */
        for (ptrdiff_t l = 0; l < WINO_TAPS * TILE_M; l += 64 / (ptrdiff_t)sizeof(T)) {
            __builtin_prefetch(rows + WINO_ROWS * WINO_TAPS * TILE_M + l);
            __builtin_prefetch(rows + apart + WINO_ROWS * WINO_TAPS * TILE_M + l);
        }
        UNROLL(5)
        for (int j = 0; j < WINO_KERNEL; j++) {
            V g[WINO_KERNEL];
            UNROLL(5)
            for (int h = 0; h < WINO_KERNEL; h++) {
                const T *at = rows + taps->grid[WINO_KERNEL * h + j] * TILE_M;
                g[h] = NAME(vjoin)(at, at + apart);
            }
            WINO(weight)(g, 1, half + j, WINO_KERNEL);
        }
        UNROLL(6)
        for (int h = 0; h < WINO_SIDE; h++) {
            V row[WINO_SIDE];
            WINO(weight)(half + WINO_KERNEL * h, 1, row, 1);
            UNROLL(6)
            for (int j = 0; j < WINO_SIDE; j++) NAME(vstore)(u + (h * WINO_SIDE + j) * pitch, row[j]);
        }
    }
}

/* The pixels of one run of output channel k to y, through the end of the epilogue. pixels: WINO_OUT rows of WINO_OUT * VL from the
   vector's first lane on. */
INLINE void WINO(store_run)(const window *w, const fc_epilogue *end, const WINO(tile_run) *t, const T *pixels,
                            ptrdiff_t k, T *y) {
    const run *r = &t->r;
    const ptrdiff_t place = r->at[0] * w->y_n + k * w->y_c + WINO_OUT * r->at[2] * w->y_s[1] + WINO_OUT * r->at[3];
    const T *from = pixels + r->lane % VL * WINO_OUT, *add = end && end->add ? (const T *)end->add + place : NULL;
    const ptrdiff_t activation = end ? end->activation : 0, pitch = w->y_s[1];
    T *to = y + place;
    for (ptrdiff_t h = 0; h < t->rows; h++, to += pitch, from += WINO_OUT * VL) {
        /* The lines of the next channel, far away: no prefetcher would have them. */
        for (ptrdiff_t i = 0; i <= t->whole; i++) __builtin_prefetch(to + w->y_c + i * VL, 1);
        for (ptrdiff_t i = 0; i < t->whole; i++) {
            V s = NAME(vload)(from + i * VL);
            if (add) s += NAME(vload)(add + h * pitch + i * VL);
            if (activation) s = NAME(activate)(s, activation, (T)end->slope);
            NAME(vstore)(to + i * VL, s);
        }
        if (t->rest) {
            V s = NAME(vload)(from + t->whole * VL);
            if (add) s += NAME(vload_masked)(add + h * pitch + t->whole * VL, t->last);
            if (activation) s = NAME(activate)(s, activation, (T)end->slope);
            NAME(vstore_masked)(to + t->whole * VL, t->last, s);
        }
    }
}

/* At m A of output channels k .. k+count-1 (of all groups), stored: m at product[point * pitch + channel * lanes + lane].
   Returns whether all was finite. */
static int WINO(transform_output)(const window *w, const fc_epilogue *end, const WINO(tile_run) *runs,
                                  ptrdiff_t run_count, ptrdiff_t vectors, const T *product, ptrdiff_t pitch,
                                  ptrdiff_t lanes, ptrdiff_t k, ptrdiff_t count, T *y) {
    T pixels[WINO_OUT * WINO_OUT * VBYTES / sizeof(T) + VBYTES / sizeof(T)];
    const T *bias = end ? end->bias : NULL;
    V check = NAME(vzero)();
    for (ptrdiff_t i = 0; i < count; i++) {
        const V shift = bias ? NAME(vset)(bias[k + i]) : NAME(vzero)();
        const WINO(tile_run) *t = runs, *stop = runs + run_count;
        for (ptrdiff_t v = 0; v < vectors; v++) {
            const T *from = product + i * lanes + v * VL;
            V half[WINO_OUT][WINO_SIDE];
            UNROLL(6)
            for (int j = 0; j < WINO_SIDE; j++) {
                V m[WINO_SIDE];
                UNROLL(6)
                for (int h = 0; h < WINO_SIDE; h++) m[h] = NAME(vload)(from + (h * WINO_SIDE + j) * pitch);
                WINO(output)(m);
                UNROLL(4)
                for (int h = 0; h < WINO_OUT; h++) half[h][j] = m[h];
            }
            UNROLL(4)
            for (int h = 0; h < WINO_OUT; h++) {
                V *row = half[h];
                WINO(output)(row);
                UNROLL(4)
                for (int q = 0; q < WINO_OUT; q++) {
                    check += row[q];
                    row[q] += shift;
                }
                NAME(vtranspose)(WINO_OUT, row);
                UNROLL(4)
                for (int q = 0; q < WINO_OUT; q++) NAME(vstore)(pixels + (h * WINO_OUT + q) * VL, row[q]);
            }
            for (; t < stop && t->r.lane < (v + 1) * VL; t++) WINO(store_run)(w, end, t, pixels, k + i, y);
        }
    }
    const T sum = NAME(vsum)(check);
    return sum - sum == 0;
}
