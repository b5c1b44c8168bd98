/* What a gradient to the weight of dense convolutions has to do (conv_grad_weight.h): its grid of sums, and the chunks of pixels it goes
   by. */

enum { NAME(RUN) = 256 }; /* pixels summed in registers before sums are added in memory: bounds the rounding error */

struct NAME(grad_kind);

typedef struct {
    const window *w;
    const struct NAME(grad_kind) *kind; /* winograd; NULL: blocked */
    window grid; /* what bands and pixels are counted on: the window, or for winograd the same with tiles for pixels */
    const T *x, *dy;
    T *dw;
    extent e;
    const NAME(taps_grid) *taps; /* winograd */
    int *not_finite; /* winograd: set where a sum is not finite */
    /* the grid of sums: [part][plane][tile][set][TILE_M][TILE_LANES] */
    ptrdiff_t planes; /* groups, times points for winograd */
    ptrdiff_t dy_planes; /* of packed dy: where points have the same, there is one */
    ptrdiff_t columns; /* vectors of columns a plane: blocks * taps, or blocks */
    ptrdiff_t blocks; /* blocks of VL channels a group */
    ptrdiff_t sets; /* of TILE_V vectors a plane */
    ptrdiff_t tiles; /* of TILE_M filters a group */
    ptrdiff_t pieces; /* into which they are cut, each with a task of its own for every set */
    ptrdiff_t size; /* elements of one part's sums */
    ptrdiff_t parts; /* of the batch, each summed privately; 1: all threads share each chunk */
    T *sums;
    int in_place; /* whole tiles of a single tap's weight are the sums themselves */
    /* bands: runs of output rows of one image and depth */
    ptrdiff_t band_rows, bands_a_plane, bands, bands_a_chunk;
    ptrdiff_t width, plane, volume; /* of a band's input in the blocked layout, in vectors */
    ptrdiff_t skip[3]; /* from what is laid out there to the next: along an axis with one tap nothing else is read */
    ptrdiff_t room; /* pixels a chunk has room for */
} NAME(grad_weight_job);

/* Consecutive bands in packed form. */
typedef struct {
    ptrdiff_t first_band, bands, pixels;
    T *packed; /* dy: [dy plane][tile][room][TILE_M] */
    T *input; /* [plane] of: blocked [block][bands_a_chunk * volume][VL]; winograd [block][room][VL] */
    ptrdiff_t *off; /* room: where a pixel reads */
    ptrdiff_t *pixel_of_band; /* bands_a_chunk: first pixel of each band */
    char *bench; /* winograd: what a thread needs while packing */
} NAME(chunk);

/* A kind of Winograd: along an axis a tile's outputs, the columns of input from one tile to the next, and how many it reads; its points,
   how many of them differ in dy and which of those each is; its transforms, of which the first two fill a chunk. */
typedef struct NAME(grad_kind) {
    ptrdiff_t out, space, in, points, distinct;
    ptrdiff_t (*distinct_of)(ptrdiff_t point);
    void (*transform_block)(const NAME(grad_weight_job) *, const NAME(chunk) *, ptrdiff_t g, ptrdiff_t block,
                            char *bench);
    void (*transform_dy)(const NAME(grad_weight_job) *, const NAME(chunk) *, ptrdiff_t g, ptrdiff_t block, char *bench);
    void (*transform_sums)(const NAME(grad_weight_job) *, ptrdiff_t g, ptrdiff_t tile, ptrdiff_t set, const T *sums,
                           ptrdiff_t step);
} NAME(grad_kind);

/* Where packed dy has what a plane of sums multiplies. */
static inline ptrdiff_t NAME(dy_plane)(const NAME(grad_weight_job) *job, ptrdiff_t plane) {
    const NAME(grad_kind) *kind = job->kind;
    return kind ? plane / kind->points * kind->distinct + kind->distinct_of(plane % kind->points) : plane;
}

/* A band's place: image, depth, first output row, and how many rows it has. */
static ptrdiff_t NAME(band_at)(const NAME(grad_weight_job) *job, ptrdiff_t band, ptrdiff_t *n, ptrdiff_t *depth,
                               ptrdiff_t *row) {
    const window *w = &job->grid;
    *row = band % job->bands_a_plane * job->band_rows;
    *depth = band / job->bands_a_plane % w->out[0];
    *n = band / job->bands_a_plane / w->out[0];
    return smaller(job->band_rows, w->out[1] - *row);
}

/* Rows or columns of the blocked layout from one output's to the next's. */
static ptrdiff_t NAME(laid_step)(const NAME(grad_weight_job) *job, int axis) {
    return job->w->step[axis] / job->skip[axis];
}

/* Start a chunk at `first`, ending before `stop` at the latest: its pixels, and where each reads in the input layout. */
static void NAME(place_chunk)(const NAME(grad_weight_job) *job, NAME(chunk) *chunk, ptrdiff_t first, ptrdiff_t stop) {
    const window *w = &job->grid;
    ptrdiff_t p = 0;
    chunk->first_band = first;
    chunk->bands = smaller(job->bands_a_chunk, stop - first);
    for (ptrdiff_t i = 0; i < chunk->bands; i++) {
        ptrdiff_t n, depth, row;
        const ptrdiff_t rows = NAME(band_at)(job, first + i, &n, &depth, &row);
        chunk->pixel_of_band[i] = p;
        for (ptrdiff_t h = 0; h < rows; h++)
            for (ptrdiff_t q = 0; q < w->out[2]; q++, p++)
                chunk->off[p] =
                    job->kind
                        ? p * VL
                        : (i * job->volume + h * NAME(laid_step)(job, 1) * job->width + q * NAME(laid_step)(job, 2)) *
                              VL;
    }
    chunk->pixels = p;
}
