/* How a convolution reads its input: any list of taps, any step, any element strides. Forward convolution is one window; the
   gradient to the input is one window for each phase of the stride. Gathering builds packed panels [taps x channels][pixels]
   of a few dozen pixels, in cache, with zeros where a tap falls into the padding. */

#ifndef FASTCONV_WINDOW
#define FASTCONV_WINDOW
typedef struct window {
    ptrdiff_t n, groups, c, k; /* c and k: input and output channels a group */
    ptrdiff_t taps;
    const ptrdiff_t
        *tap; /* taps x 3: the input position read for output position 0; may be negative or beyond the end (padding) */
    ptrdiff_t in[3], out[3], step[3]; /* input position = output position * step + tap */
    ptrdiff_t x_n, x_c, x_s[3]; /* element strides of the input ... */
    ptrdiff_t y_n, y_c, y_s[3]; /* ... and of the output */
    ptrdiff_t w_g, w_k, w_c; /* element strides of the weight between groups, outputs and inputs */
    const ptrdiff_t *w_tap; /* taps: offset of a tap's element in the weight */
} window;

/* A run of pixels along one output row: `lane` and `length` in the panel, its place (image, depth, height, width). */
typedef struct run {
    ptrdiff_t lane, length, at[4];
} run;

static inline ptrdiff_t window_pixels(const window *w) { return w->out[0] * w->out[1] * w->out[2]; }

/* Rows of output that the pixels first .. first+count-1 (flat over images and output positions) touch. Returns their number. */
static inline ptrdiff_t window_runs(const window *w, ptrdiff_t first, ptrdiff_t count, run *runs) {
    ptrdiff_t row = first / w->out[2], col = first % w->out[2], lane = 0, used = 0;
    while (lane < count) {
        run *r = &runs[used++];
        r->lane = lane;
        r->length = w->out[2] - col < count - lane ? w->out[2] - col : count - lane;
        r->at[3] = col;
        r->at[2] = row % w->out[1];
        r->at[1] = row / w->out[1] % w->out[0];
        r->at[0] = row / w->out[1] / w->out[0];
        lane += r->length;
        row++;
        col = 0;
    }
    return used;
}

/* A window of one tap that reads every input position in turn sees one long row of pixels in place of rows and planes of them. */
static inline window window_in_one_row(const window *w) {
    window row = *w;
    const ptrdiff_t pixels = window_pixels(w);
    int plain = w->taps == 1;
    for (int a = 0; a < 3; a++) plain &= w->step[a] == 1 && w->in[a] == w->out[a] && (w->taps != 1 || w->tap[a] == 0);
    for (int a = 0; a < 2; a++)
        plain &= w->x_s[a] == w->x_s[a + 1] * w->in[a + 1] && w->y_s[a] == w->y_s[a + 1] * w->out[a + 1];
    if (!plain) return row;
    for (int a = 0; a < 2; a++) {
        row.in[a] = row.out[a] = 1;
        row.x_s[a] = w->x_s[2] * pixels;
        row.y_s[a] = w->y_s[2] * pixels;
    }
    row.in[2] = row.out[2] = pixels;
    return row;
}

/* The output positions i, 0 <= i < length, whose input position start + i * step lies inside 0 .. size-1: lo <= i < hi. */
static inline void inside(ptrdiff_t start, ptrdiff_t step, ptrdiff_t size, ptrdiff_t length, ptrdiff_t *lo,
                          ptrdiff_t *hi) {
    /* Divisions only at the borders: this runs for every tap of every row of a panel. */
    *lo = start >= 0 ? 0 : (-start - 1) / step + 1;
    *hi = start + (length - 1) * step < size ? length : start >= size ? 0 : (size - 1 - start) / step + 1;
    if (*lo >= *hi) *lo = *hi = 0;
}

/* The box of input that a band of output rows reads: tap offsets lie in lo .. lo+span-1 on each axis. */
typedef struct extent {
    ptrdiff_t lo[3], span[3];
} extent;

static inline extent window_extent(const window *w) {
    extent e;
    for (int a = 0; a < 3; a++) {
        ptrdiff_t lo = w->tap[a], hi = lo;
        for (ptrdiff_t t = 1; t < w->taps; t++) {
            const ptrdiff_t at = w->tap[3 * t + a];
            if (at < lo) lo = at;
            if (at > hi) hi = at;
        }
        e.lo[a] = lo;
        e.span[a] = hi - lo + 1;
    }
    return e;
}

/* a * b, or PTRDIFF_MAX where that does not fit: for sizes that are only compared with a limit. */
static inline ptrdiff_t capped_product(ptrdiff_t a, ptrdiff_t b) {
    ptrdiff_t product;
    return __builtin_mul_overflow(a, b, &product) ? PTRDIFF_MAX : product;
}
#endif

/* One vector store of a gather: lanes lo..hi-1 come from x + source (+ i * step), the others are zero. */
typedef struct {
    ptrdiff_t lane, source, lo, hi;
    MASK first, second;
} NAME(load);

/* Which way the lanes of a vector are read: neighbours, every second element, or one by one. */
enum NAME(stride_kind) { NAME(UNIT), NAME(PAIR), NAME(ANY) };

INLINE ptrdiff_t NAME(window_step)(const window *w) { return w->step[2] * w->x_s[2]; }

INLINE enum NAME(stride_kind) NAME(window_kind)(const window *w) {
    const ptrdiff_t step = NAME(window_step)(w);
    return step == 1 ? NAME(UNIT) : step == 2 ? NAME(PAIR) : NAME(ANY);
}

/* The loads for taps t0 .. t1-1 of a panel of `vectors` vectors. Returns loads a tap; table needs room for
   (runs + vectors + 1) of them a tap. */
static ptrdiff_t NAME(plan_gather)(const window *w, const run *runs, ptrdiff_t run_count, ptrdiff_t vectors,
                                   ptrdiff_t t0, ptrdiff_t t1, NAME(load) *table) {
    const ptrdiff_t step = NAME(window_step)(w);
    NAME(load) *next = table;
    for (ptrdiff_t t = t0; t < t1; t++) {
        const ptrdiff_t *tap = w->tap + 3 * t;
        ptrdiff_t covered = 0;
        for (ptrdiff_t r = 0; r < run_count; r++) {
            const ptrdiff_t *at = runs[r].at, length = runs[r].length;
            const ptrdiff_t d = at[1] * w->step[0] + tap[0], h = at[2] * w->step[1] + tap[1],
                            s = at[3] * w->step[2] + tap[2];
            ptrdiff_t lo = 0, hi = 0, source = 0;
            if (d >= 0 && d < w->in[0] && h >= 0 && h < w->in[1]) {
                inside(s, w->step[2], w->in[2], length, &lo, &hi);
                source = at[0] * w->x_n + d * w->x_s[0] + h * w->x_s[1] + s * w->x_s[2];
            }
            for (ptrdiff_t i = 0; i < length; i += VL) {
                next->lane = runs[r].lane + i;
                next->lo = lo - i < 0 ? 0 : lo - i;
                next->hi = hi - i > VL ? VL : hi - i;
                next->source = source + i * step;
                if (next->hi <= next->lo) next->lo = next->hi = next->source = 0;
                if (step == 2) {
                    next->first = NAME(mask_range)(2 * next->lo, 2 * next->hi - 1);
                    next->second = NAME(mask_range)(2 * next->lo - VL, 2 * next->hi - 1 - VL);
                } else {
                    next->first = NAME(mask_range)(next->lo, next->hi);
                }
                covered = next->lane + VL;
                next++;
            }
        }
        for (; covered < vectors * VL; covered += VL) { /* lanes past the last pixel: zeros */
            memset(next, 0, sizeof *next);
            next->lane = covered;
            next->first = next->second = NAME(mask_range)(0, 0);
            next++;
        }
    }
    return t1 > t0 ? (next - table) / (t1 - t0) : 0;
}

/* The same panel from an input whose channels are neighbours: VL pixels of VL channels at a time, transposed. */
static void NAME(gather_channels_last)(const window *w, const T *x, ptrdiff_t c0, ptrdiff_t c1, ptrdiff_t taps,
                                       const NAME(load) *table, ptrdiff_t loads, ptrdiff_t pitch, T *panel) {
    const ptrdiff_t step = NAME(window_step)(w);
    for (ptrdiff_t t = 0; t < taps; t++)
        for (const NAME(load) *l = table + t * loads; l < table + (t + 1) * loads; l++)
            for (ptrdiff_t c = c0; c < c1; c += VL) {
                const ptrdiff_t channels = c1 - c < VL ? c1 - c : VL,
                                room = pitch - l->lane < VL ? pitch - l->lane : VL;
                V r[VBYTES / sizeof(T)];
                for (ptrdiff_t i = 0; i < VL; i++)
                    r[i] = i >= l->lo && i < l->hi ? NAME(vload_first)(x + l->source + i * step + c, channels)
                                                   : NAME(vzero)();
                NAME(vtranspose)(VBYTES / sizeof(T), r);
                T *to = panel + ((c - c0) * taps + t) * pitch + l->lane;
                for (ptrdiff_t i = 0; i < channels; i++) NAME(vstore_first)(to + i * taps * pitch, room, r[i]);
            }
}

/* One load of a tap for every channel: its masks and places stay in registers. `to`: its lanes in the row of the first channel, of
   which the first `room` are the row's own. */
INLINE void NAME(gather_load)(const enum NAME(stride_kind) kind, const NAME(load) *load, const T *from, ptrdiff_t x_c,
                              ptrdiff_t channels, T *to, ptrdiff_t row, ptrdiff_t room) {
    const MASK first = load->first, second = load->second, own = NAME(mask_range)(0, room);
    const int whole = room >= VL;
    for (ptrdiff_t c = 0; c < channels; c++, from += x_c, to += row) {
        V v = NAME(vload_masked)(from, first);
        if (kind == NAME(PAIR)) v = NAME(veven)(v, NAME(vload_masked)(from + VL, second));
        if (whole)
            NAME(vstore)(to, v);
        else
            NAME(vstore_masked)(to, own, v);
    }
}

/* Fill panel rows (channel major, then tap) for channels c0 .. c1-1 from `x`, the first channel of the group. Row j starts at
   panel + j * pitch. */
static void NAME(gather)(const window *w, const T *x, ptrdiff_t c0, ptrdiff_t c1, ptrdiff_t taps,
                         const NAME(load) *table, ptrdiff_t loads, ptrdiff_t pitch, T *panel) {
    const enum NAME(stride_kind) kind = NAME(window_kind)(w);
    const ptrdiff_t step = NAME(window_step)(w);
    if (kind == NAME(ANY) &&w->x_c == 1) {
        NAME(gather_channels_last)(w, x, c0, c1, taps, table, loads, pitch, panel);
        return;
    }
    for (ptrdiff_t t = 0; t < taps; t++)
        for (const NAME(load) *l = table + t * loads; l < table + (t + 1) * loads; l++) {
            const T *from = x + c0 * w->x_c + l->source;
            T *to = panel + t * pitch + l->lane;
            const ptrdiff_t room = pitch - l->lane;
            if (kind == NAME(UNIT))
                NAME(gather_load)(NAME(UNIT), l, from, w->x_c, c1 - c0, to, taps * pitch, room);
            else if (kind == NAME(PAIR))
                NAME(gather_load)(NAME(PAIR), l, from, w->x_c, c1 - c0, to, taps * pitch, room);
            else
                for (ptrdiff_t c = c0; c < c1; c++, from += w->x_c, to += taps * pitch)
                    for (ptrdiff_t i = 0; i < (room < VL ? room : VL); i++)
                        to[i] = i >= l->lo && i < l->hi ? from[i * step] : 0;
        }
}
