/* Winograd convolution of a window: its packed weight, and the images that are computed again directly. Written once, included for
   each WINO_KIND but spread, which is no window. */

/* The packed form of a weight: transformed. */
static ptrdiff_t WINO(packed_size)(const window *w) {
    WINO(job) job;
    WINO(lay_weight)(&job, w->c);
    return w->groups * divide_up(w->k, TILE_M) * job.tile_pitch;
}

static int WINO(pack)(const window *w, const NAME(taps_grid) *taps, const T *weight, T *packed) {
    WINO(job) job = {.w = w, .taps = taps, .weight = weight, .u = packed, .tiles = divide_up(w->k, TILE_M)};
    WINO(lay_weight)(&job, w->c);
    return WINO(weights)(&job);
}

/* Images with anything not finite, again, directly. */
static int WINO(redo)(const window *w, const unsigned char *not_finite, const T *x, const T *weight, const T *rows,
                      const fc_epilogue *of_all, T *y) {
    window one = *w;
    int status = FC_OK;
    one.n = 1;
    for (ptrdiff_t n = 0; n < w->n && status == FC_OK; n++) {
        if (!not_finite[n]) continue;
        fc_epilogue end = of_all ? *of_all : (fc_epilogue){0};
        if (end.add) end.add = (const T *)end.add + n * one.y_n;
        status = NAME(dense)(&one, x + n * one.x_n, weight, rows, &end, y + n * one.y_n);
    }
    return status;
}

/* y = epilogue(window of x); the weight as for WINO(run). */
static int WINO(convolve)(const window *w, const NAME(taps_grid) *taps, const T *x, const T *weight, const T *rows,
                          const T *packed, const fc_epilogue *end, T *y) {
    unsigned char *not_finite = fc_alloc((size_t)w->n, 1);
    if (!not_finite) return FC_NO_MEMORY;
    memset(not_finite, 0, (size_t)w->n);
    int status = WINO(run)(w, taps, x, weight, rows, packed, end, y, not_finite);
    if (status == FC_OK) status = WINO(redo)(w, not_finite, x, weight, rows, end, y);
    fc_free(not_finite);
    return status;
}
