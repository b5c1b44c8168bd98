/* Where pooling windows lie: which taps of a window fall inside the input, which windows reach an input element, how rows are
   cut into tasks. Reads no array. */

#define SPAN NAME(span)
typedef struct SPAN {
    ptrdiff_t first, last; /* first <= i < last */
} SPAN;

INLINE ptrdiff_t NAME(smaller)(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
INLINE ptrdiff_t NAME(larger)(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
/* a / b of non-negative a: strides are mostly 1 and 2, and a division takes longer than the rest of finding a row. */
INLINE ptrdiff_t NAME(divide)(ptrdiff_t a, ptrdiff_t b) { return b == 1 ? a : b == 2 ? a >> 1 : a / b; }
INLINE ptrdiff_t NAME(ceil_div)(ptrdiff_t a, ptrdiff_t b) { return NAME(divide)(a + b - 1, b); }
INLINE ptrdiff_t NAME(whole_vectors)(ptrdiff_t n) { return (n + VL - 1) / VL * VL; }

/* Where the window of output o begins along an axis; negative inside the padding. */
INLINE ptrdiff_t NAME(window_start)(const fc_pool *g, int axis, ptrdiff_t o) {
    return o * g->stride[axis] - g->pad[axis];
}

/* The taps of output o that fall inside the input; validation has seen to it that there is at least one. */
INLINE SPAN NAME(taps_inside)(const fc_pool *g, int axis, ptrdiff_t o) {
    const ptrdiff_t start = NAME(window_start)(g, axis, o), d = g->dilation[axis];
    SPAN s = {start < 0 ? NAME(ceil_div)(-start, d) : 0, NAME(ceil_div)(g->in[axis] - start, d)};
    s.last = NAME(smaller)(s.last, g->kernel[axis]);
    return s;
}

/* The outputs whose window, first tap to last, reaches input element i (with a dilation it may step over it). */
INLINE SPAN NAME(windows_over)(const fc_pool *g, int axis, ptrdiff_t i) {
    const ptrdiff_t at = i + g->pad[axis], reach = at - (g->kernel[axis] - 1) * g->dilation[axis];
    SPAN s = {reach <= 0 ? 0 : NAME(ceil_div)(reach, g->stride[axis]), NAME(divide)(at, g->stride[axis]) + 1};
    s.last = NAME(smaller)(s.last, g->out[axis]);
    return s;
}

INLINE ptrdiff_t NAME(volume)(const ptrdiff_t size[3]) { return size[0] * size[1] * size[2]; }

/* One window that is the whole of each NCHW volume. */
INLINE int NAME(whole_plane)(const fc_pool *g) {
    int whole = !g->channels_last;
    for (int a = 0; a < 3; a++) whole &= g->out[a] == 1 && g->pad[a] == 0 && g->kernel[a] == g->in[a];
    return whole;
}

/* Rows (or pixels) a task: about 32 thousand elements read, by shape alone. */
INLINE ptrdiff_t NAME(rows_a_task)(ptrdiff_t elements_a_row) {
    return elements_a_row >= 32768 ? 1 : 32768 / NAME(larger)(elements_a_row, 1);
}

/* The place of a flat row number in an array of rows (plane, depth, height). */
#define PLACE NAME(place)
typedef struct PLACE {
    ptrdiff_t plane, depth, height;
} PLACE;
INLINE PLACE NAME(place_of)(ptrdiff_t row, const ptrdiff_t size[3]) {
    const ptrdiff_t rest = row / size[1];
    PLACE at = {rest / size[0], rest % size[0], row % size[1]};
    return at;
}
INLINE void NAME(next_place)(PLACE *at, const ptrdiff_t size[3]) {
    if (++at->height < size[1]) return;
    at->height = 0;
    if (++at->depth < size[0]) return;
    at->depth = 0;
    at->plane++;
}
