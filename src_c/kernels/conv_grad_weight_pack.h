/* Packing for the weight gradient, into its chunks: dy by tiles of filters, the input by vectors of channels (blocked). */

static void NAME(pack_dy)(const NAME(grad_weight_job) *job, const NAME(chunk) *chunk, ptrdiff_t g, ptrdiff_t tile) {
    const window *w = job->w;
    const ptrdiff_t k0 = tile * TILE_M, rows = smaller(TILE_M, w->k - k0);
    T *to = chunk->packed + (g * job->tiles + tile) * job->room * TILE_M;
    for (ptrdiff_t i = 0; i < chunk->bands; i++) {
        ptrdiff_t n, depth, row;
        ptrdiff_t height = NAME(band_at)(job, chunk->first_band + i, &n, &depth, &row), pixels = w->out[2];
        if (w->y_s[1] == pixels * w->y_s[2]) { /* rows without gaps are one row */
            pixels *= height;
            height = 1;
        }
        for (ptrdiff_t h = 0; h < height; h++) {
            const T *from = job->dy + n * w->y_n + (g * w->k + k0) * w->y_c + depth * w->y_s[0] + (row + h) * w->y_s[1];
            ptrdiff_t q = 0;
            if (w->y_s[2] == 1 && rows == TILE_M)
                for (ptrdiff_t room; q < pixels; q += room, to += room * TILE_M) {
                    room = smaller(VL, pixels - q);
                    const MASK first = NAME(mask_range)(0, room);
                    V r[TILE_M];
                    UNROLL(8)
                    for (int m = 0; m < TILE_M; m++) r[m] = NAME(vload_masked)(from + m * w->y_c + q, first);
                    NAME(vtranspose)(TILE_M, r);
                    memcpy(to, r, (size_t)(room * TILE_M) * sizeof(T));
                }
            if (w->y_c == 1 && rows == TILE_M)
                for (; q < pixels; q++, to += TILE_M) memcpy(to, from + q * w->y_s[2], TILE_M * sizeof(T));
            for (; q < pixels; q++, to += TILE_M) {
                for (ptrdiff_t m = 0; m < rows; m++) to[m] = from[m * w->y_c + q * w->y_s[2]];
                for (ptrdiff_t m = rows; m < TILE_M; m++) to[m] = 0;
            }
        }
    }
}

/* A row of `size` pixels of VL channels (`channels` of them real, element strides x_c and x_s), padded with zeros and transposed to
   [column][VL]: `width` columns, every step-th from `first` on. */
static void NAME(transpose_row)(const T *x, ptrdiff_t x_c, ptrdiff_t x_s, ptrdiff_t size, ptrdiff_t channels,
                                ptrdiff_t first, ptrdiff_t step, ptrdiff_t width, T *to) {
    enum { AHEAD = 2 }; /* rows: they are short stretches, many channels at a time */
    ptrdiff_t lo, hi;
    inside(first, step, size, width, &lo, &hi);
    memset(to, 0, (size_t)(lo * VL) * sizeof(T));
    memset(to + hi * VL, 0, (size_t)((width - hi) * VL) * sizeof(T));
    x += first * x_s;
    x_s *= step;
    if (x_c == 1) {
        for (ptrdiff_t i = lo; i < hi; i++) NAME(vstore)(to + i * VL, NAME(vload_first)(x + i * x_s, channels));
    } else if (x_s <= 2) {
        for (ptrdiff_t i = lo; i < hi; i += VL) {
            const ptrdiff_t count = smaller(VL, hi - i), elements = (count - 1) * x_s + 1;
            const MASK first_half = NAME(mask_range)(0, elements), second_half = NAME(mask_range)(0, elements - VL);
            V r[VBYTES / sizeof(T)];
            for (ptrdiff_t c = 0; c < VL; c++) {
                const T *from = x + c * x_c + i * x_s;
                __builtin_prefetch(from + AHEAD * size);
                r[c] = c < channels ? NAME(vload_masked)(from, first_half) : NAME(vzero)();
                if (c < channels && x_s == 2) r[c] = NAME(veven)(r[c], NAME(vload_masked)(from + VL, second_half));
            }
            NAME(vtranspose)(VBYTES / sizeof(T), r);
            for (ptrdiff_t j = 0; j < count; j++) NAME(vstore)(to + (i + j) * VL, r[j]);
        }
    } else {
        for (ptrdiff_t i = lo; i < hi; i++)
            for (ptrdiff_t c = 0; c < VL; c++) to[i * VL + c] = c < channels ? x[c * x_c + i * x_s] : 0;
    }
}

static void NAME(pack_block)(const NAME(grad_weight_job) *job, const NAME(chunk) *chunk, ptrdiff_t g, ptrdiff_t block) {
    const window *w = job->w;
    const ptrdiff_t c0 = block * VL, channels = smaller(VL, w->c - c0);
    T *to = chunk->input + (g * job->blocks + block) * job->bands_a_chunk * job->volume * VL;
    for (ptrdiff_t i = 0; i < chunk->bands; i++, to += job->volume * VL) {
        ptrdiff_t n, depth, row;
        const ptrdiff_t rows = NAME(band_at)(job, chunk->first_band + i, &n, &depth, &row);
        const T *x = job->x + n * w->x_n + (g * w->c + c0) * w->x_c;
        for (ptrdiff_t d = 0; d < job->e.span[0]; d++)
            for (ptrdiff_t h = 0; h < (rows - 1) * NAME(laid_step)(job, 1) + job->e.span[1]; h++) {
                const ptrdiff_t at_d = depth * w->step[0] + job->e.lo[0] + d,
                                at_h = row * w->step[1] + job->e.lo[1] + h * job->skip[1];
                T *line = to + (d * job->plane + h * job->width) * VL;
                if (at_d < 0 || at_d >= w->in[0] || at_h < 0 || at_h >= w->in[1])
                    memset(line, 0, (size_t)(job->width * VL) * sizeof(T));
                else
                    NAME(transpose_row)(x + at_d * w->x_s[0] + at_h * w->x_s[1], w->x_c, w->x_s[2], w->in[2], channels,
                                        job->e.lo[2], job->skip[2], job->width, line);
            }
    }
}

/* Blocks of VL filters that cover every tile of TILE_M of them. */
static ptrdiff_t NAME(filter_blocks)(const NAME(grad_weight_job) *job) { return divide_up(job->tiles * TILE_M, VL); }

/* Rows `row` .. row+count-1 of a plane, transposed to [row][column][VL]; zeros outside the plane. */
static void NAME(transpose_rows)(const T *x, ptrdiff_t x_c, const ptrdiff_t *x_s, const ptrdiff_t *size,
                                 ptrdiff_t channels, ptrdiff_t row, ptrdiff_t count, ptrdiff_t first, ptrdiff_t width,
                                 T *to) {
    for (ptrdiff_t h = row; h < row + count; h++, to += width * VL) {
        if (h < 0 || h >= size[1] || channels <= 0)
            memset(to, 0, (size_t)(width * VL) * sizeof(T));
        else
            NAME(transpose_row)(x + h * x_s[1], x_c, x_s[2], size[2], channels, first, 1, width, to);
    }
}
