/* The gradient to the input of a 3x3 or 4x4 convolution of stride 2, which is also its transposed convolution, by Winograd's algorithm:
   4 x 4 inputs of all four phases from 25 products in place of 36, or from 36 in place of 64. Included by conv_grad_input.h. */

/* The window that such a gradient is to the kinds "spread", and its taps. */
static void NAME(spread_window)(const fc_conv *s, ptrdiff_t *taps, window *w, NAME(taps_grid) *grid) {
    NAME(gradient_window)(s, taps, w);
    const ptrdiff_t side = s->kernel[1];
    w->taps = side * side;
    for (ptrdiff_t t = 0; t < w->taps; t++) taps[3 * w->taps + t] = grid->grid[t] = t;
    for (int a = 0; a < 2; a++) grid->lo[a] = (s->pad[a + 1] - 1) / 2 - (side - 3);
}

/* Whether it is possible, for a tile begins with an input that the odd taps reach, and what costs least. */
static int NAME(spread_pays)(const fc_conv *s) {
    enum { LEAST_CHANNELS = 16 };
    const int plane = s->kernel[0] == 1 && s->in[0] == 1 && s->out[0] == 1 && !s->channels_last;
    const ptrdiff_t side = s->kernel[1];
    ptrdiff_t taps[4 * 16], phase[3] = {0};
    NAME(taps_grid) grid;
    window w;
    if ((side != 3 && side != 4) || !plane || s->algorithm == FC_DIRECT || s->n == 0) return 0;
    for (int a = 1; a < 3; a++)
        if (s->kernel[a] != side || s->stride[a] != 2 || s->dilation[a] != 1 || s->pad[a] % 2 == 0) return 0;
    if (s->algorithm != FC_AUTO) return 1;
    NAME(spread_window)(s, taps, &w, &grid);
    if (smaller(w.c, w.k) < LEAST_CHANNELS) return 0;
    /* Transforms of an input like F(2x2, 3x3), of an output like F(4x4, 3x3) and of the weight of the way there; against phases with
       few taps, each of which gathers the same input and stores every second pixel: so much dearer than one window. */
    const double spread =
                     NAME(winograd_cost)(&w, 4, side == 3 ? 25 : 36, INPUT2_COST, OUTPUT4_COST, STRIDED_WEIGHT_COST),
                 dearer = 1.2;
    double direct = 0;
    do {
        NAME(input_window)(s, phase, taps, &w);
        direct += NAME(direct_cost)(&w, 0);
    } while (NAME(next_phase)(s, phase));
    return spread < dearer * direct;
}

static int NAME(grad_input_spread)(const fc_conv *s, const T *dy, const T *weight, const T *bias, T *dx) {
    ptrdiff_t taps[4 * 16];
    NAME(taps_grid) grid;
    window w;
    const fc_epilogue end = {.bias = bias};
    unsigned char *not_finite = fc_alloc((size_t)s->n, 1);
    if (!not_finite) return FC_NO_MEMORY;
    memset(not_finite, 0, (size_t)s->n);
    NAME(spread_window)(s, taps, &w, &grid);
    int status = (s->kernel[1] == 3 ? NAME(wino_run_spread) : NAME(wino_run_spread_4))(&w, &grid, dy, weight, NULL,
                                                                                       NULL, &end, dx, not_finite);
    fc_conv one = *s;
    one.n = 1;
    for (ptrdiff_t n = 0; n < s->n && status == FC_OK; n++)
        if (not_finite[n]) status = NAME(grad_input_by_phases)(&one, dy + n * w.x_n, weight, bias, dx + n * w.y_n);
    fc_free(not_finite);
    return status;
}
