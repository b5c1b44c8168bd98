/* Gradient to the input, which is also the transposed convolution: one window over dy for each phase of the stride, or where the stride is
   2 and the kernel 3 x 3 all of them at once by Winograd. */

/* What all phases have in common: dy for the input, the input for the output. */
static void NAME(gradient_window)(const fc_conv *s, ptrdiff_t *taps, window *w) {
    const ptrdiff_t *k = s->kernel, all = k[0] * k[1] * k[2];
    *w = (window){.n = s->n, .groups = s->g, .c = s->k / s->g, .k = s->c / s->g, .tap = taps, .w_tap = taps + 3 * all};
    NAME(strides)(s->k, s->out, s->channels_last, &w->x_n, &w->x_c, w->x_s);
    NAME(strides)(s->c, s->in, s->channels_last, &w->y_n, &w->y_c, w->y_s);
    w->w_k = all;
    w->w_c = all * w->k;
    w->w_g = w->w_c * w->c;
    for (int a = 0; a < 3; a++) {
        w->in[a] = s->out[a];
        w->out[a] = s->in[a];
        w->step[a] = 1;
    }
}

/* One phase of the gradient to the input: the input positions phase, phase + stride, ... on each axis. Input position i receives
   from output position p through tap r where p * stride - pad + r * dilation = i; with i = phase + stride * j that is
   p = j + (phase + pad - r * dilation) / stride for the taps r where the division is exact: a window of step 1 over dy. */
static void NAME(input_window)(const fc_conv *s, const ptrdiff_t *phase, ptrdiff_t *taps, window *w) {
    const ptrdiff_t *k = s->kernel, all = k[0] * k[1] * k[2];
    NAME(gradient_window)(s, taps, w);
    for (int a = 0; a < 3; a++) {
        w->out[a] = (s->in[a] - phase[a] + s->stride[a] - 1) / s->stride[a];
        w->y_s[a] *= s->stride[a];
    }
    ptrdiff_t *tap = taps, *w_tap = taps + 3 * all;
    for (ptrdiff_t t = 0; t < all; t++) {
        const ptrdiff_t at[3] = {t / (k[1] * k[2]), t / k[2] % k[1], t % k[2]};
        int exact = 1;
        for (int a = 0; a < 3; a++) {
            const ptrdiff_t from = phase[a] + s->pad[a] - at[a] * s->dilation[a];
            exact &= from % s->stride[a] == 0;
            tap[a] = from / s->stride[a];
        }
        if (exact) {
            w_tap[w->taps++] = t;
            tap += 3;
        }
    }
}

/* ---- the weight, packed for all phases in one pass: each alone would read all of it, for its taps lie between those of the others */

/* Where a tap is packed: its phase's weights have the form of conv_pack.h, and those of the phases follow one another. */
typedef struct {
    ptrdiff_t at; /* of channel 0 of tile 0 */
    ptrdiff_t step; /* from a channel to the next; 0: the input is so small that no phase has the tap */
} NAME(tap_place);

typedef struct {
    window w; /* of all taps */
    const T *weight;
    T *packed;
    const NAME(tap_place) *places;
} NAME(phases_job);

static void NAME(pack_phases_task)(void *context, ptrdiff_t task, void *scratch) {
    enum { AHEAD = 4 }; /* channels lie too far apart for a prefetcher */
    const NAME(phases_job) *job = context;
    const window *w = &job->w;
    const ptrdiff_t tiles = divide_up(w->k, TILE_M), k0 = task % tiles * TILE_M;
    const T *from = job->weight + task / tiles * w->w_g + k0 * w->w_k;
    T *of_taps = scratch;
    for (ptrdiff_t c = 0; c < w->c; c++, from += w->w_c) {
        for (ptrdiff_t i = 0; i < TILE_M * w->taps; i += 64 / (ptrdiff_t)sizeof(T))
            __builtin_prefetch(from + AHEAD * w->w_c + i);
        for (ptrdiff_t t = 0; t < w->taps; t += VL) {
            V r[TILE_M];
            NAME(turn_filters)(from + t, w->w_k, smaller(TILE_M, w->k - k0), smaller(VL, w->taps - t), r);
            UNROLL(8)
            for (int m = 0; m < TILE_M; m++) NAME(vstore)(of_taps + t * TILE_M + m * VL, r[m]);
        }
        for (ptrdiff_t t = 0; t < w->taps; t++) {
            const NAME(tap_place) *place = job->places + t;
            T *to = job->packed + place->at + (task * w->c + c) * place->step;
            if (place->step) memcpy(to, of_taps + t * TILE_M, TILE_M * sizeof(T));
        }
    }
}

static int NAME(next_phase)(const fc_conv *s, ptrdiff_t *phase) {
    for (int a = 2; a >= 0; a--) {
        if (++phase[a] < smaller(s->stride[a], s->in[a])) return 1;
        phase[a] = 0;
    }
    return 0;
}

/* Packs the weight for all phases. *packed stays NULL where that is not the way: a single phase has all taps, or the weight is large. */
static int NAME(pack_phases)(const fc_conv *s, const T *weight, ptrdiff_t *taps, T **packed) {
    enum { LIMIT_BYTES = 32 << 20 };
    const ptrdiff_t *k = s->kernel, all = k[0] * k[1] * k[2];
    ptrdiff_t phase[3] = {0}, base = 0, most = 0;
    NAME(phases_job) job = {.weight = weight};
    window *w = &job.w;
    if (s->n == 0 || all > KC || s->stride[0] * s->stride[1] * s->stride[2] == 1) return FC_OK;
    NAME(tap_place) places[KC] = {{0}};
    do {
        NAME(input_window)(s, phase, taps, w);
        for (ptrdiff_t t = 0; t < w->taps; t++)
            places[w->w_tap[t]] = (NAME(tap_place)){base + t * TILE_M, w->taps * TILE_M};
        base += NAME(dense_packed_size)(w);
        most = larger(most, w->taps);
    } while (NAME(next_phase)(s, phase));
    if (NAME(is_depthwise)(w) || most == all || base > LIMIT_BYTES / (ptrdiff_t)sizeof(T)) return FC_OK;
    w->taps = all;
    for (ptrdiff_t t = 0; t < all; t++) taps[3 * all + t] = t;
    job.packed = *packed = fc_alloc((size_t)base, sizeof(T));
    job.places = places;
    if (!*packed) return FC_NO_MEMORY;
    return fc_parallel(w->groups * divide_up(w->k, TILE_M), (double)base, (size_t)(all + VL) * TILE_M * sizeof(T),
                       NAME(pack_phases_task), &job);
}

/* ---- the gradient */

/* Input positions that no tap reaches (a stride larger than the kernel leaves gaps): zero, or a transposed convolution's bias. */
static void NAME(fill_input)(const fc_conv *s, const T *bias, T *dx) {
    const ptrdiff_t pixels = s->in[0] * s->in[1] * s->in[2], planes = s->n * s->c;
    if (!bias)
        memset(dx, 0, (size_t)(planes * pixels) * sizeof(T));
    else if (s->channels_last)
        for (ptrdiff_t p = 0; p < s->n * pixels; p++) memcpy(dx + p * s->c, bias, (size_t)s->c * sizeof(T));
    else
        for (ptrdiff_t p = 0; p < planes; p++)
            for (ptrdiff_t i = 0; i < pixels; i++) dx[p * pixels + i] = bias[p % s->c];
}

static int NAME(grad_input_by_phases)(const fc_conv *s, const T *dy, const T *weight, const T *bias, T *dx) {
    ptrdiff_t *taps = NAME(alloc_taps)(s), phase[3] = {0};
    T *packed = NULL;
    if (!taps) return FC_NO_MEMORY;
    int status = NAME(pack_phases)(s, weight, taps, &packed), gaps = 0;
    const fc_epilogue end = {.bias = bias};
    const T *of_phase = packed;
    for (int a = 0; a < 3; a++) gaps |= s->stride[a] > 1 && (s->stride[a] > s->kernel[a] || s->dilation[a] > 1);
    if (gaps) NAME(fill_input)(s, bias, dx);
    do {
        window w;
        NAME(taps_grid) grid;
        NAME(input_window)(s, phase, taps, &w);
        if (status != FC_OK || (gaps && w.taps == 0)) continue;
        const ptrdiff_t *stride = s->stride;
        T *to = dx + phase[0] * (w.y_s[0] / stride[0]) + phase[1] * (w.y_s[1] / stride[1]) +
                phase[2] * (w.y_s[2] / stride[2]);
        const int direct = NAME(choose)(&w, s->algorithm, 0, &grid) == FC_DIRECT;
        status =
            NAME(run_window)(&w, direct ? FC_DIRECT : s->algorithm, dy, weight, direct ? of_phase : NULL, &end, to);
        if (packed) of_phase += NAME(dense_packed_size)(&w);
    } while (NAME(next_phase)(s, phase));
    fc_free(packed);
    fc_free(taps);
    return status;
}

#include "conv_winograd_spread.h"

static int NAME(conv_grad_input)(const fc_conv *s, const void *dy, const void *weight, const void *bias, void *dx) {
    const window channels = {.groups = s->g, .c = s->k / s->g, .k = s->c / s->g};
    if (NAME(is_depthwise)(&channels) && NAME(spreads)(s)) return NAME(plane_spread)(s, dy, weight, bias, dx);
    if (NAME(spread_pays)(s)) return NAME(grad_input_spread)(s, dy, weight, bias, dx);
    return NAME(grad_input_by_phases)(s, dy, weight, bias, dx);
}
