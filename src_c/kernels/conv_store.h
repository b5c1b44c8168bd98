/* Between a tile of sums (TILE_M rows of TILE_PITCH, lanes are the pixels of `runs`) and the places of its pixels in an array. */

/* A whole tile to an output whose channels are neighbours: TILE_M of them at once for each pixel. */
static void NAME(tile_to_channels_last)(const window *w, const run *runs, ptrdiff_t run_count, const T *tile, T *y) {
    T pixel[VBYTES / sizeof(T)][TILE_M];
    for (ptrdiff_t r = 0; r < run_count; r++) {
        const ptrdiff_t *at = runs[r].at, step = w->y_s[2];
        T *to = y + at[0] * w->y_n + at[1] * w->y_s[0] + at[2] * w->y_s[1] + at[3] * step;
        for (ptrdiff_t i = 0; i < runs[r].length; i += VL) {
            const ptrdiff_t lane = runs[r].lane + i;
            V v[TILE_M];
            UNROLL(8)
            for (int m = 0; m < TILE_M; m++) v[m] = NAME(vload)(tile + m * TILE_PITCH + lane);
            NAME(vtranspose)(TILE_M, v);
            memcpy(pixel, v, sizeof pixel);
            for (ptrdiff_t j = 0; j < smaller(VL, runs[r].length - i); j++)
                memcpy(to + (i + j) * step, pixel[j], sizeof pixel[j]);
        }
    }
}

/* Stores `count` elements side by side at every second place from `to` on. */
static void NAME(store_spread)(T *to, const T *from, ptrdiff_t count) {
    ptrdiff_t i = 0;
#if VBYTES == 64 /* elsewhere a masked store takes longer than its elements one by one */
    const MASK even = (MASK)0x5555;
    for (; i < count; i += VL) {
        const V v = NAME(vload)(from + i);
        const MASK used = NAME(mask_range)(0, 2 * (count - i)), more = NAME(mask_range)(0, 2 * (count - i) - VL);
        NAME(vstore_masked)(to + 2 * i, even & used, NAME(vinterleave_low)(v, v));
        NAME(vstore_masked)(to + 2 * i + VL, even & more, NAME(vinterleave_high)(v, v));
    }
#endif
    for (; i < count; i++) to[2 * i] = from[i];
}

/* Copy between a tile and the places of its pixels in an output-shaped array. */
static void NAME(tile_to_output)(const window *w, const run *runs, ptrdiff_t run_count, const T *tile, T *y,
                                 ptrdiff_t rows) {
    if (w->y_c == 1 && rows == TILE_M) {
        NAME(tile_to_channels_last)(w, runs, run_count, tile, y);
        return;
    }
    for (ptrdiff_t m = 0; m < rows; m++)
        for (ptrdiff_t r = 0; r < run_count; r++) {
            const ptrdiff_t *at = runs[r].at, step = w->y_s[2];
            T *to = y + m * w->y_c + at[0] * w->y_n + at[1] * w->y_s[0] + at[2] * w->y_s[1] + at[3] * step;
            const T *from = tile + m * TILE_PITCH + runs[r].lane;
            if (step == 1)
                memcpy(to, from, (size_t)runs[r].length * sizeof(T));
            else if (step == 2)
                NAME(store_spread)(to, from, runs[r].length);
            else
                for (ptrdiff_t i = 0; i < runs[r].length; i++) to[i * step] = from[i];
        }
}

static void NAME(output_to_tile)(const window *w, const run *runs, ptrdiff_t run_count, const T *y, T *tile,
                                 ptrdiff_t rows) {
    memset(tile, 0, TILE_M * TILE_PITCH * sizeof(T));
    for (ptrdiff_t m = 0; m < rows; m++)
        for (ptrdiff_t r = 0; r < run_count; r++) {
            const ptrdiff_t *at = runs[r].at, step = w->y_s[2];
            const T *from = y + m * w->y_c + at[0] * w->y_n + at[1] * w->y_s[0] + at[2] * w->y_s[1] + at[3] * step;
            T *to = tile + m * TILE_PITCH + runs[r].lane;
            for (ptrdiff_t i = 0; i < runs[r].length; i++) to[i] = from[i * step];
        }
}
