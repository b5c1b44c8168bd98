/* Which schedule a dense convolution runs with, and what is packed for it (conv_dense.h). */

/* The bias of every output, in whole tiles: the micro-kernel reads TILE_M of them at once. */
static T *NAME(padded_bias)(const window *w, const T *bias) {
    const ptrdiff_t tiles = divide_up(w->k, TILE_M);
    T *padded = fc_alloc((size_t)w->groups * (size_t)tiles, TILE_M * sizeof(T));
    if (!padded) return NULL;
    for (ptrdiff_t g = 0; g < w->groups; g++)
        for (ptrdiff_t i = 0; i < tiles * TILE_M; i++)
            padded[g * tiles * TILE_M + i] = i < w->k ? bias[g * w->k + i] : 0;
    return padded;
}

/* The window with the weight of its filters k .. packed, a block of filters at a time where the whole would be large. */
static int NAME(pack_and_run)(const window *w, const T *x, const T *weight, const fc_epilogue *end, T *y);

/* y = epilogue(window of x times weight); the weight as the caller has it, and as dense_pack made it, or NULL. */
static int NAME(dense)(const window *w, const T *x, const T *weight, const T *packed, const fc_epilogue *end, T *y) {
    enum { LIMIT_BYTES = 32 << 20 };
    NAME(dense_job) job = {.w = w, .x = x, .weight = weight, .packed = packed, .y = y, .end = end};
    const ptrdiff_t pixels = w->n * window_pixels(w), rest = pixels % VL, blocks = NAME(reduction_blocks)(w);
    if (pixels == 0 || w->k == 0) return FC_OK;
    job.few = rest <= TILE_FEW ? rest : 0;
    job.vectors = divide_up(pixels - job.few, VL);
    job.panels = larger(1, divide_up(job.vectors, TILE_V));
    job.tiles = divide_up(w->k, TILE_M);
    job.far = pixels * w->groups * w->k * (ptrdiff_t)sizeof(T) > 4 * L2_BYTES;
    job.input_block =
        BLOCK_ROOM * (divide_up(job.vectors, job.panels) + (job.few > 0)) * VL + VL + job.few * COLUMN_PITCH;
    const double work = (double)pixels * (double)(w->groups * w->k) * (double)(w->c * w->taps + 1);
    const double input = (double)(w->groups * job.panels * blocks) * (double)job.input_block * sizeof(T);
    const int filters_stay = pixels < w->k && blocks > 0 && input < LIMIT_BYTES;
    if (!filters_stay && !packed) return NAME(pack_and_run)(w, x, weight, end, y);
    T *bias = NULL;
    if (end && end->bias) {
        job.bias = bias = NAME(padded_bias)(w, end->bias);
        if (!bias) return FC_NO_MEMORY;
    }
    NAME(laid) laid = {0};
    int status = FC_OK;
    if (!filters_stay && !(end && end->entry) && NAME(laying_pays)(w)) {
        status = NAME(lay_input)(&laid, w, x);
        job.laid = &laid;
        job.panels = laid.joined ? laid.panels : w->n * w->out[1] * laid.panels;
    }
    if (status == FC_OK) status = filters_stay ? NAME(filters_stay)(&job, work) : NAME(pixels_stay)(&job, work);
    NAME(free_laid)(&laid);
    fc_free(bias);
    return status;
}

static int NAME(pack_and_run)(const window *w, const T *x, const T *weight, const fc_epilogue *end, T *y) {
    enum { LIMIT_BYTES = 32 << 20 };
    window part = *w;
    if (w->groups == 1 && NAME(dense_packed_size)(w) > LIMIT_BYTES / (ptrdiff_t)sizeof(T)) {
        const ptrdiff_t tiles = LIMIT_BYTES / (TILE_M * w->c * w->taps * (ptrdiff_t)sizeof(T));
        part.k = smaller(w->k, larger(1, tiles) * TILE_M);
    }
    T *packed = fc_alloc((size_t)NAME(dense_packed_size)(&part) + 1, sizeof(T));
    int status = packed ? FC_OK : FC_NO_MEMORY;
    for (ptrdiff_t k = 0; k < w->k && status == FC_OK; k += part.k) {
        fc_epilogue here = end ? *end : (fc_epilogue){0};
        if (here.bias) here.bias = (const T *)here.bias + k;
        if (here.add) here.add = (const T *)here.add + k * w->y_c;
        part.k = smaller(part.k, w->k - k);
        status = NAME(dense_pack)(&part, weight + k * w->w_k, packed);
        if (status == FC_OK) status = NAME(dense)(&part, x, weight + k * w->w_k, packed, &here, y + k * w->y_c);
    }
    fc_free(packed);
    return status;
}
