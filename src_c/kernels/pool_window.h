/* Where pooling windows lie: which taps of a window fall inside the input, which windows reach an input element, how rows are
   cut into tasks, what a call of a kernel reads. */

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

/* Windows of 2 x 2 or 3 x 3 at stride 1 or 2 on NCHW planes: nearly every network's, with loops of their own. */
INLINE int NAME(fixed_windows)(const fc_pool *g) {
    enum { WIDEST = 4096 }; /* columns: those loops keep some hundred bytes of scratch for each vector of them */
    const ptrdiff_t size = g->kernel[2], stride = g->stride[2];
    return !g->channels_last && g->kernel[0] == 1 && g->in[0] == g->out[0] && (size == 2 || size == 3) && stride <= 2 &&
           g->kernel[1] == size && g->stride[1] == stride && g->dilation[1] == 1 && g->dilation[2] == 1 &&
           g->out[2] <= WIDEST;
}

/* Windows of 2 x 2 that tile NCHW planes. */
INLINE int NAME(tiles)(const fc_pool *g) {
    int yes = !g->channels_last && g->kernel[0] == 1 && g->in[0] == g->out[0];
    for (int a = 1; a < 3; a++)
        yes &= g->kernel[a] == 2 && g->pad[a] == 0 && g->in[a] == 2 * g->out[a] &&
               (g->stride[a] == 2 || g->out[a] == 1) && g->dilation[a] == 1;
    return yes;
}

/* How many elements the window of output o counts along an axis: those inside, or also those in the explicit padding. */
INLINE ptrdiff_t NAME(counted)(const fc_pool *g, int axis, ptrdiff_t o) {
    if (!g->count_include_pad) {
        const SPAN s = NAME(taps_inside)(g, axis, o);
        return s.last - s.first;
    }
    return NAME(smaller)(g->kernel[axis], g->in[axis] + g->pad_after[axis] - NAME(window_start)(g, axis, o));
}

INLINE T NAME(row_divisor)(const fc_pool *g, ptrdiff_t depth, ptrdiff_t height) {
    return g->divisor ? (T)g->divisor : (T)(NAME(counted)(g, 0, depth) * NAME(counted)(g, 1, height));
}

/* The largest of a window, that and its tap, or the mean. */
enum NAME(pool_kind) { NAME(LARGEST), NAME(TAP), NAME(MEAN) };

/* Forward. Of the maximum one of taps8, taps32 and indices is set, or none. */
typedef struct NAME(pool_call) {
    const fc_pool *g;
    const T *x;
    T *y;
    uint8_t *taps8;
    int32_t *taps32;
    int64_t *indices;
    const TI *first_s; /* NCHW, per output column: its first tap inside the input; whole vectors, zeros behind */
    /* The mean: elements of a window along the columns, per output column (whole vectors, 1 behind); 1 under divisor_override. */
    const T *columns;
    ptrdiff_t rows, a_task; /* NCHW: output rows; channels last: output pixels */
    ptrdiff_t offset[256]; /* of tap number i from the window's first tap in a plane, if the window has <= 256 taps */
    ptrdiff_t margin, length; /* the mean, of the scratch row: zeros before, elements in all */
} NAME(pool_call);

/* Backward. Of the maximum one of taps8, taps32 and indices is set. */
typedef struct NAME(pool_grad) {
    const fc_pool *g;
    const T *dy;
    T *dx;
    const uint8_t *taps8;
    const int32_t *taps32;
    const int64_t *indices;
    const T *columns;
    ptrdiff_t rows, a_task;
    ptrdiff_t offset[256];
    ptrdiff_t margin, length;
} NAME(pool_grad);
