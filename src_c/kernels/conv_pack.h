/* The packed form of a dense weight, one for every algorithm: [group][tile of TILE_M filters][reduction][TILE_M], zeros past the last
   filter. The reduction runs in blocks of some KC terms: whole kernels of several channels, or part of one very large kernel. */

#ifndef FASTCONV_DENSE
#define FASTCONV_DENSE
#define KC ((ptrdiff_t)128)
#define BLOCK_ROOM ((ptrdiff_t)160) /* a reduction of so many terms is one block: a second would be short */
#define LONGEST_TASK 1e9 /* multiply-adds: some tens of milliseconds */
static inline ptrdiff_t divide_up(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }
static inline ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

/* Taps and channels a block of the reduction covers: whole kernels of several channels, or part of one very large kernel. */
static inline ptrdiff_t taps_a_block(const window *w) {
    return w->c * w->taps <= BLOCK_ROOM ? w->taps : smaller(w->taps, KC);
}
static inline ptrdiff_t channels_a_block(const window *w) {
    if (w->c * w->taps <= BLOCK_ROOM) return w->c;
    return divide_up(w->c, divide_up(w->c, larger(1, KC / w->taps)));
}
#endif

static ptrdiff_t NAME(dense_packed_size)(const window *w) {
    return w->groups * divide_up(w->k, TILE_M) * TILE_M * w->c * w->taps;
}

/* Whether a filter's taps lie one after another, in order: rows that pack_rows can transpose. */
static int NAME(taps_in_order)(const window *w) {
    for (ptrdiff_t t = 0; t < w->taps; t++)
        if (w->w_tap[t] != t) return 0;
    return 1;
}

/* `room` neighbours of each of TILE_M filters `w_k` apart, of which `filters` are real: [neighbour][TILE_M]. */
INLINE void NAME(turn_filters)(const T *from, ptrdiff_t w_k, ptrdiff_t filters, ptrdiff_t room, V *r) {
    const MASK first = NAME(mask_range)(0, room);
    UNROLL(8)
    for (int m = 0; m < TILE_M; m++) r[m] = m < filters ? NAME(vload_masked)(from + m * w_k, first) : NAME(vzero)();
    NAME(vtranspose)(TILE_M, r);
}

/* The weights of TILE_M filters from k0 on, channels c0 .. c0+count-1: [channel][tap][TILE_M], zeros past the last filter. Rows of
   the weight are transposed a block of vectors at a time. */
static void NAME(pack_rows)(const window *w, const T *weight, ptrdiff_t k0, ptrdiff_t c0, ptrdiff_t count, T *to) {
    const int merged = w->w_c == w->taps;
    const ptrdiff_t length = merged ? count * w->taps : w->taps, filters = smaller(TILE_M, w->k - k0);
    for (ptrdiff_t row = 0; row < (merged ? 1 : count); row++) {
        const T *from = weight + k0 * w->w_k + (c0 + row) * w->w_c;
        for (ptrdiff_t j = 0; j < length; j += VL) {
            const ptrdiff_t room = smaller(VL, length - j);
            V r[TILE_M];
            NAME(turn_filters)(from + j, w->w_k, filters, room, r);
            if (room == VL) {
                UNROLL(8)
                for (int m = 0; m < TILE_M; m++) NAME(vstore)(to + m * VL, r[m]);
            } else {
                memcpy(to, r, (size_t)(room * TILE_M) * sizeof(T));
            }
            to += room * TILE_M;
        }
    }
}

/* The weights of `tiles` whole tiles of neighbouring filters from k0 on, for one tap of channels c0 .. c1-1: tile i at to + i * pitch. Row
   by row, for the tiles share its cache lines; rows lie too far apart for a prefetcher, and often so that few stay in the cache. */
static void NAME(pack_neighbours)(const window *w, const T *weight, ptrdiff_t k0, ptrdiff_t tiles, ptrdiff_t t,
                                  ptrdiff_t c0, ptrdiff_t c1, T *to, ptrdiff_t pitch) {
    enum { AHEAD = 6 };
    const T *from = weight + k0 + c0 * w->w_c + w->w_tap[t];
    for (ptrdiff_t c = c0; c < c1; c++, from += w->w_c, to += TILE_M)
        for (ptrdiff_t i = 0; i < tiles; i++) {
            __builtin_prefetch(from + AHEAD * w->w_c + i * TILE_M);
            memcpy(to + i * pitch, from + i * TILE_M, TILE_M * sizeof(T));
        }
}

/* The weights of TILE_M filters from k0 on for one block of the reduction: channels c0 .. c1-1, taps t0 .. t1-1. */
static void NAME(pack_filters)(const window *w, const T *weight, ptrdiff_t k0, ptrdiff_t t0, ptrdiff_t t1, ptrdiff_t c0,
                               ptrdiff_t c1, T *to) {
    const ptrdiff_t filters = smaller(TILE_M, w->k - k0);
    if (w->w_k == 1 && t1 - t0 == 1 && filters == TILE_M) {
        NAME(pack_neighbours)(w, weight, k0, 1, t0, c0, c1, to, 0);
        return;
    }
    if (t1 - t0 == w->taps && (w->w_c == w->taps || w->taps >= VL / 2) && NAME(taps_in_order)(w)) {
        NAME(pack_rows)(w, weight, k0, c0, c1 - c0, to);
        return;
    }
    for (ptrdiff_t c = c0; c < c1; c++)
        for (ptrdiff_t t = t0; t < t1; t++, to += TILE_M) {
            const T *from = weight + k0 * w->w_k + c * w->w_c + w->w_tap[t];
            for (ptrdiff_t m = 0; m < filters; m++) to[m] = from[m * w->w_k];
            for (ptrdiff_t m = filters; m < TILE_M; m++) to[m] = 0;
        }
}

typedef struct {
    const window *w;
    const T *weight;
    T *packed;
} NAME(pack_job);

static void NAME(pack_tile)(void *context, ptrdiff_t task, void *scratch) {
    const NAME(pack_job) *job = context;
    const window *w = job->w;
    const ptrdiff_t tiles = divide_up(w->k, TILE_M), g = task / tiles, step = larger(1, taps_a_block(w));
    T *to = job->packed + task * TILE_M * w->c * w->taps;
    (void)scratch;
    for (ptrdiff_t t = 0; t < w->taps; t += step) {
        const ptrdiff_t stop = smaller(t + step, w->taps);
        NAME(pack_filters)(w, job->weight + g * w->w_g, task % tiles * TILE_M, t, stop, 0, w->c, to);
        to += (stop - t) * w->c * TILE_M;
    }
}

static int NAME(dense_pack)(const window *w, const T *weight, T *packed) {
    NAME(pack_job) job = {w, weight, packed};
    return fc_parallel(w->groups * divide_up(w->k, TILE_M), (double)NAME(dense_packed_size)(w), 0, NAME(pack_tile),
                       &job);
}
