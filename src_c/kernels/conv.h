/* Convolution and its gradients as the table offers them: turns the caller's geometry into windows, chooses the family
   (depthwise or dense) and runs it. No arithmetic on array elements here. */

/* Room for the taps of a window: three offsets and one weight offset each. */
static ptrdiff_t *NAME(alloc_taps)(const fc_conv *s) {
    size_t taps;
    if (__builtin_mul_overflow((size_t)s->kernel[0], (size_t)s->kernel[1], &taps)) return NULL;
    if (__builtin_mul_overflow(taps, (size_t)s->kernel[2], &taps)) return NULL;
    return fc_alloc(4 * sizeof(ptrdiff_t), taps);
}

static void NAME(strides)(ptrdiff_t channels, const ptrdiff_t *size, ptrdiff_t channels_last, ptrdiff_t *n,
                          ptrdiff_t *c, ptrdiff_t *s) {
    const ptrdiff_t unit = channels_last ? channels : 1;
    s[2] = unit;
    s[1] = unit * size[2];
    s[0] = unit * size[2] * size[1];
    *c = channels_last ? 1 : s[0] * size[0];
    *n = channels * size[0] * size[1] * size[2];
}

/* The forward window: every tap of the kernel, the caller's stride. */
static void NAME(forward_window)(const fc_conv *s, ptrdiff_t *taps, window *w) {
    const ptrdiff_t *k = s->kernel;
    *w = (window){
        .n = s->n, .groups = s->g, .c = s->c / s->g, .k = s->k / s->g, .taps = k[0] * k[1] * k[2], .tap = taps};
    NAME(strides)(s->c, s->in, s->channels_last, &w->x_n, &w->x_c, w->x_s);
    NAME(strides)(s->k, s->out, s->channels_last, &w->y_n, &w->y_c, w->y_s);
    w->w_c = w->taps;
    w->w_k = w->w_c * w->c;
    w->w_g = w->w_k * w->k;
    for (int a = 0; a < 3; a++) {
        w->in[a] = s->in[a];
        w->out[a] = s->out[a];
        w->step[a] = s->stride[a];
    }
    ptrdiff_t *tap = taps, *w_tap = taps + 3 * w->taps;
    w->w_tap = w_tap;
    for (ptrdiff_t t = 0; t < w->taps; t++, tap += 3) {
        const ptrdiff_t at[3] = {t / (k[1] * k[2]), t / k[2] % k[1], t % k[2]};
        for (int a = 0; a < 3; a++) tap[a] = at[a] * s->dilation[a] - s->pad[a];
        w_tap[t] = t;
    }
}

/* ---- the choice of algorithm */

/* What an algorithm costs, in multiply-adds of one vector: those of the products themselves, and what the costs table of the target
   says for each vector gathered or transformed; a packed weight costs nothing more. The one that costs least is chosen. */
static double NAME(direct_cost)(const window *w, int packed) {
    const double pixels = (double)divide_up(w->n * window_pixels(w), VL);
    const double filters = (double)(divide_up(w->k, TILE_M) * TILE_M), depth = (double)w->c * (double)w->taps;
    return pixels * depth * (filters + GATHER_COST) + (packed ? 0 : filters * depth * PACK_COST);
}

static double NAME(winograd_cost)(const window *w, ptrdiff_t out, double points, double input, double output,
                                  double weight) {
    const ptrdiff_t tiles = w->n * divide_up(w->out[1], out) * divide_up(w->out[2], out);
    const double vectors = (double)divide_up(tiles, VL), filters = (double)(divide_up(w->k, TILE_M) * TILE_M);
    return vectors * ((double)w->c * (points * filters + input) + filters * output) +
           (double)w->c * filters / TILE_M * weight;
}

/* The kinds of Winograd, in the order of their forms. */
typedef struct {
    ptrdiff_t step, kernel; /* of the windows they are for */
    ptrdiff_t out, points; /* outputs of a tile along an axis, and its products */
    double input, output, weight; /* what its transforms cost */
    int (*few_tiles)(const window *);
    ptrdiff_t (*packed_size)(const window *);
    int (*pack)(const window *, const NAME(taps_grid) *, const T *weight, T *packed);
    NAME(winograd_convolve) *convolve;
} NAME(winograd_kind);

#define KIND(name) \
    NAME(wino_few_tiles_##name), NAME(wino_packed_size_##name), NAME(wino_pack_##name), NAME(wino_convolve_##name)
static const NAME(winograd_kind) NAME(winograd_kinds)[] = {
    {1, 3, 2, 16, INPUT2_COST, OUTPUT2_COST, WEIGHT2_COST, KIND(2)},
    {1, 3, 4, 36, INPUT4_COST, OUTPUT4_COST, WEIGHT4_COST, KIND(4)},
    {2, 3, 2, 25, STRIDED_INPUT_COST, STRIDED_OUTPUT_COST, STRIDED_WEIGHT_COST, KIND(strided)},
    {1, 5, 2, 36, INPUT4_COST, OUTPUT4_COST, WEIGHT4_COST * 25 / 9, KIND(5)},
};
#undef KIND

/* The kind of a form of FC_WINOGRAD, and whether the form is for few tiles; NULL for FC_DIRECT. */
static const NAME(winograd_kind) *NAME(winograd_form)(ptrdiff_t form, int *few) {
    *few = form >= FC_WINOGRAD_2_FEW;
    return form == FC_DIRECT ? NULL : &NAME(winograd_kinds)[form - FC_WINOGRAD_2 - (*few ? FC_FEW : 0)];
}

/* The algorithm for a window; taps: their grid, or that of its phases where it is dilated, where it goes by Winograd. */
static ptrdiff_t NAME(choose)(const window *w, ptrdiff_t algorithm, int packed, NAME(taps_grid) *taps) {
    enum { LEAST_CHANNELS = 16 }; /* below, sums are short and the direct method's exactness is worth more */
    NAME(dilated) dilated;
    int few;
    if (algorithm == FC_DIRECT) return FC_DIRECT;
    double moving = 0;
    if (NAME(undilate)(w, &dilated)) {
        w = &dilated.near;
        moving = NAME(dilated_cost)(&dilated) / (double)w->groups;
    }
    if (algorithm > FC_WINOGRAD) {
        const NAME(winograd_kind) *kind = NAME(winograd_form)(algorithm, &few);
        return NAME(winograd_taps)(w, kind->step, kind->kernel, taps) ? algorithm : FC_DIRECT;
    }
    if (algorithm == FC_AUTO && smaller(w->c, w->k) < LEAST_CHANNELS) return FC_DIRECT;
    const NAME(winograd_kind) *best = NULL, *kinds = NAME(winograd_kinds);
    double least = 0;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)(sizeof NAME(winograd_kinds) / sizeof *kinds); i++) {
        const NAME(winograd_kind) *kind = kinds + i;
        if ((best && best->step < kind->step) || !NAME(winograd_taps)(w, kind->step, kind->kernel, taps)) continue;
        const double cost = NAME(winograd_cost)(w, kind->out, (double)kind->points, kind->input, kind->output,
                                                packed ? 0 : kind->weight);
        if (best && cost > least) continue;
        best = kind;
        least = cost;
    }
    if (!best || (algorithm == FC_AUTO && NAME(direct_cost)(w, packed) <= least + moving)) return FC_DIRECT;
    (void)NAME(winograd_taps)(w, best->step, best->kernel, taps);
    return FC_WINOGRAD_2 + (best - kinds);
}

/* What a gradient to the weight costs by a kind of Winograd, in multiply-adds of a pixel of each filter and channel: transforms make
   its tiles a fifth dearer than their products, and the sums, up to four times the weight, cost as much as SUMS tiles more. */
static double NAME(gradient_cost)(const window *w, const NAME(grad_kind) *kind) {
    enum { SUMS = 12 };
    const double tiles = (double)w->n * (double)(divide_up(w->out[1], kind->out) * divide_up(w->out[2], kind->out));
    return (double)kind->points * (1.2 * tiles + SUMS);
}

/* The kind by which it goes, NULL where directly; at step 2, where less is saved, few channels do not repay the transforms. */
static const NAME(grad_kind) *NAME(choose_gradient)(const window *w, ptrdiff_t algorithm, NAME(taps_grid) *taps) {
    enum { LEAST_CHANNELS = 16, LEAST_AT_STEP_2 = 48 };
    const NAME(grad_kind) *two = &NAME(wino_grad_kind_2), *four = &NAME(wino_grad_kind_4);
    NAME(dilated) dilated;
    double moving = 0;
    if (algorithm == FC_DIRECT) return NULL;
    if (NAME(undilate)(w, &dilated)) { /* all images at once */
        const ptrdiff_t elements = dilated.near.n * (dilated.near.x_n + dilated.near.y_n);
        if (elements > NAME(DILATED_BYTES) / (ptrdiff_t)sizeof(T)) return NULL;
        w = &dilated.near;
        moving = NAME(dilated_cost)(&dilated) * VL / ((double)(w->groups * w->k) * (double)w->c);
    }
    ptrdiff_t least = LEAST_CHANNELS;
    const NAME(grad_kind) *kind = NULL;
    if (NAME(winograd_taps)(w, 1, 3, taps)) {
        kind = NAME(gradient_cost)(w, two) < NAME(gradient_cost)(w, four) ? two : four;
    } else if (NAME(winograd_taps)(w, 1, 5, taps)) {
        kind = &NAME(wino_grad_kind_5);
    } else if (NAME(winograd_taps)(w, 2, 3, taps)) {
        kind = &NAME(wino_grad_kind_strided);
        least = LEAST_AT_STEP_2;
    }
    if (!kind || algorithm >= FC_WINOGRAD) return kind;
    const double direct = (double)(w->n * window_pixels(w) * w->taps);
    return smaller(w->c, w->k) >= least && NAME(gradient_cost)(w, kind) + moving <= direct ? kind : NULL;
}

/* Run a window; `packed` may be NULL. */
static int NAME(run_window)(const window *w, ptrdiff_t algorithm, const T *x, const T *weight, const T *packed,
                            const fc_epilogue *end, T *y) {
    NAME(square) square;
    NAME(band) band;
    NAME(taps_grid) taps;
    int few;
    if (w->n == 0) return FC_OK;
    algorithm = NAME(choose)(w, algorithm, packed != NULL, &taps);
    const NAME(winograd_kind) *kind = NAME(winograd_form)(algorithm, &few);
    NAME(dilated) dilated;
    if (kind && NAME(undilate)(w, &dilated))
        return NAME(convolve_dilated)(w, &dilated, &taps, kind->convolve, x, weight, few ? packed : NULL,
                                      few ? NULL : packed, end, y);
    if (kind) return kind->convolve(w, &taps, x, weight, few ? packed : NULL, few ? NULL : packed, end, y);
    const int depthwise = NAME(is_depthwise)(w);
    if (depthwise && NAME(square_window)(w, &square)) return NAME(plane_forward)(&square, x, weight, end, y);
    if (depthwise && NAME(plan_band)(w, &band)) return NAME(depthwise)(w, &band, x, weight, end, y);
    if (NAME(is_small_group)(w) && NAME(plan_band)(w, &band))
        return NAME(small_groups)(w, &band, x, weight, packed, end, y);
    const window row = window_in_one_row(w);
    return NAME(dense)(&row, x, weight, depthwise ? NULL : packed, end, y);
}

/* ---- the table's entries */

static ptrdiff_t NAME(conv_algorithm)(const fc_conv *s, ptrdiff_t weight) {
    window w;
    NAME(taps_grid) grid;
    ptrdiff_t taps[4 * 25];
    int few;
    for (int a = 0; a < 3; a++)
        if (s->kernel[a] > 9) return FC_DIRECT;
    if (s->kernel[0] * s->kernel[1] * s->kernel[2] > 25) return FC_DIRECT;
    NAME(forward_window)(s, taps, &w);
    const ptrdiff_t form = NAME(choose)(&w, s->algorithm, weight != FC_PLAIN, &grid);
    const NAME(winograd_kind) *kind = NAME(winograd_form)(form, &few);
    if (!kind || few || weight != FC_PACKED_FAR) return form;
    NAME(dilated) dilated;
    return kind->few_tiles(NAME(undilate)(&w, &dilated) ? &dilated.near : &w) ? form + FC_FEW : form;
}

/* A depthwise weight has no packed form: it is read as it is. */
static ptrdiff_t NAME(conv_packed_size)(const fc_conv *s) {
    int few;
    const NAME(winograd_kind) *kind = NAME(winograd_form)(NAME(conv_algorithm)(s, FC_PACKED), &few);
    const window w = {
        .groups = s->g, .c = s->c / s->g, .k = s->k / s->g, .taps = s->kernel[0] * s->kernel[1] * s->kernel[2]};
    if (kind && !few) return kind->packed_size(&w);
    return NAME(is_depthwise)(&w) ? 0 : NAME(dense_packed_size)(&w);
}

static int NAME(conv_pack)(const fc_conv *s, const void *weight, void *packed) {
    window w;
    NAME(taps_grid) grid;
    ptrdiff_t *taps = NAME(alloc_taps)(s);
    int status = taps ? FC_OK : FC_NO_MEMORY, few;
    if (!taps) return FC_NO_MEMORY;
    NAME(forward_window)(s, taps, &w);
    const NAME(winograd_kind) *kind = NAME(winograd_form)(NAME(choose)(&w, s->algorithm, 1, &grid), &few);
    if (kind && !few)
        status = kind->pack(&w, &grid, weight, packed);
    else if (!NAME(is_depthwise)(&w))
        status = NAME(dense_pack)(&w, weight, packed);
    fc_free(taps);
    return status;
}

static int NAME(conv_forward)(const fc_conv *s, const void *x, const void *weight, const void *packed,
                              const fc_epilogue *end, void *y) {
    window w;
    ptrdiff_t *taps = NAME(alloc_taps)(s);
    if (!taps) return FC_NO_MEMORY;
    NAME(forward_window)(s, taps, &w);
    if (end && end->x_image) w.x_n = end->x_image;
    if (end && end->y_image) w.y_n = end->y_image;
    const int status = NAME(run_window)(&w, s->algorithm, x, weight, packed, end, y);
    fc_free(taps);
    return status;
}

static int NAME(conv_grad_weight)(const fc_conv *s, const void *dy, const void *x, void *dw) {
    window w;
    NAME(taps_grid) grid;
    NAME(square) square;
    NAME(band) band;
    NAME(dilated) dilated;
    ptrdiff_t *taps = NAME(alloc_taps)(s);
    if (!taps) return FC_NO_MEMORY;
    int status = FC_OK;
    NAME(forward_window)(s, taps, &w);
    if (w.n == 0)
        memset(dw, 0, (size_t)(w.w_g * w.groups) * sizeof(T));
    else if (NAME(is_depthwise)(&w) && NAME(square_window)(&w, &square))
        status = NAME(plane_grad_weight)(&square, dy, x, dw);
    else if (NAME(is_depthwise)(&w) && NAME(plan_band)(&w, &band))
        status = NAME(depthwise_grad_weight)(&band, dy, x, dw);
    else if (NAME(is_small_group)(&w) && NAME(plan_band)(&w, &band))
        status = NAME(small_groups_grad_weight)(&w, &band, dy, x, dw);
    else {
        const NAME(grad_kind) *kind = NAME(choose_gradient)(&w, s->algorithm, &grid);
        status = kind && NAME(undilate)(&w, &dilated) ? NAME(dilated_grad_weight)(&w, &dilated, kind, &grid, dy, x, dw)
                                                      : NAME(dense_grad_weight)(&w, kind, &grid, dy, x, dw);
    }
    fc_free(taps);
    return status;
}
