/* The whole contract between the binding and the kernels: geometry, status codes and the table of kernels of a target.
   No Python, no I/O, no process-wide state beyond what parallel.c and memory.c declare.

   Dimensions, one letter each, the same here, in the tests and in the documentation:
     N batch   C input channels   K output channels   G groups
     D H W input volume   T R S kernel   O P Q output volume (depth, height, width; 2-d has depth 1, 1-d has depth and height 1)
   All sizes are ptrdiff_t; strides are in elements. */
#ifndef FASTCONV_H
#define FASTCONV_H

#include <stddef.h>
#include <stdint.h>

enum fc_status { FC_OK = 0, FC_NO_MEMORY = 1, FC_INTERRUPTED = 2 };

/* A convolution as the caller states it. Only ptrdiff_t members: the binding fills them from a tuple in this order. */
typedef struct fc_conv {
    ptrdiff_t n, c, k, g;
    ptrdiff_t in[3], kernel[3], out[3];
    ptrdiff_t stride[3], pad[3],
        dilation[3]; /* pad: before the first element; what follows the last is implied by out */
    ptrdiff_t channels_last; /* 0: N C D H W arrays, 1: N D H W C arrays; weights are always K C/G T R S */
    ptrdiff_t algorithm; /* enum fc_algorithm */
} fc_conv;

/* How a convolution is computed, or in which form its weight was packed: FC_WINOGRAD is whichever of the
   four that follow is possible and cheaper: of 3x3 kernels tiles of 2 x 2 or 4 x 4 outputs at stride 1, of 2 x 2 at stride 2; of 5x5
   kernels of 2 x 2. For the last four (_FEW) a weight is packed as for FC_DIRECT and transformed in each call. */
enum fc_algorithm {
    FC_AUTO = 0,
    FC_DIRECT = 1,
    FC_WINOGRAD = 2,
    FC_WINOGRAD_2 = 3,
    FC_WINOGRAD_4 = 4,
    FC_WINOGRAD_STRIDED = 5,
    FC_WINOGRAD_5 = 6,
    FC_FEW = 4, /* a form for few tiles: so many after the one it is of */
    FC_WINOGRAD_2_FEW = 7,
    FC_WINOGRAD_4_FEW = 8,
    FC_WINOGRAD_STRIDED_FEW = 9,
    FC_WINOGRAD_5_FEW = 10
};

/* A weight as it is, one to be packed, and one to be packed that is far away in each call, one of many that no cache holds: there what
   reads the fewest bytes is chosen where tiles are few. */
enum fc_weight { FC_PLAIN = 0, FC_PACKED = 1, FC_PACKED_FAR = 2 };

/* Pooling over N*C volumes, or over N volumes of C interleaved channels (channels_last). Validation sees to it that every
   window has a tap inside the input, that a window has at most 2^31 - 1 taps, that pad, stride and the reach of a window are
   below 2^48, and that along an axis with one output the stride is 1, along one with one tap the dilation is 1. */
typedef struct fc_pool {
    ptrdiff_t n, c;
    ptrdiff_t in[3], kernel[3], out[3];
    ptrdiff_t stride[3], pad[3], dilation[3];
    ptrdiff_t pad_after[3]; /* average: counted by count_include_pad, as pad is; the ceil_mode overhang is not */
    ptrdiff_t count_include_pad; /* average */
    ptrdiff_t divisor; /* average: divisor_override, or 0 */
    ptrdiff_t channels_last;
} fc_pool;

enum fc_activation { FC_IDENTITY = 0, FC_RELU = 1, FC_LEAKY_RELU = 2, FC_RELU6 = 3 };

/* What happens to a convolution's sums on their way to memory: y = activation(sum + bias[k] + add[same place as y]); and to its
   input on the way in. */
typedef struct fc_epilogue {
    const void *bias; /* K elements, or NULL */
    const void *add; /* laid out as y, or NULL */
    ptrdiff_t activation;
    double slope; /* of FC_LEAKY_RELU */
    ptrdiff_t x_image, y_image; /* elements from one image to the next of x, of y and add; 0: one behind the other */
    /* Or NULL: C means, factors and shifts. x is then read as relu((x - mean[c]) * factor[c] + shift[c]), by a convolution of
       one group with one tap that never falls into the padding. */
    const void *entry;
} fc_epilogue;

/* What `pointwise` computes from a and b; p is the slope of the leaky ones. A gradient takes a = dy and b = the activation's
   result (RELU) or operand (the others). */
enum fc_pointwise_op {
    FC_POINT_RELU,
    FC_POINT_RELU_GRAD,
    FC_POINT_LEAKY_RELU,
    FC_POINT_LEAKY_RELU_GRAD,
    FC_POINT_RELU6,
    FC_POINT_RELU6_GRAD,
    FC_POINT_ADD,
    FC_POINT_ADD_RELU
};

/* One step of stochastic gradient descent: g = grad + weight_decay * p; v = g if `first`, else momentum * v + (1 - dampening) * g;
   p -= lr * v, with nesterov p -= lr * (g + momentum * v). Without momentum v is g and is not kept. */
typedef struct fc_sgd {
    double lr, momentum, dampening, weight_decay;
    ptrdiff_t nesterov, first;
} fc_sgd;

/* One step of Adam: p *= keep; g = grad + weight_decay * p; m += (1 - beta1) * (g - m); v = beta2 * v + (1 - beta2) * g * g;
   p -= step_size * m / (sqrt(v) / root + eps). Where the largest v so far is kept, it stands for v in the last line. */
typedef struct fc_adam {
    double step_size, beta1, beta2, root, eps, keep, weight_decay;
} fc_adam;

/* The kernels of one target for one element type. Pointers are to elements of that type, natively aligned, C-contiguous.
   Every function returns an fc_status; on anything but FC_OK its outputs are unspecified (but never written out of bounds). */
typedef struct fc_kernels {
    const char *target;
    ptrdiff_t element_size, lanes;

    /* The algorithm a forward convolution runs with, with such a weight (enum fc_weight): FC_DIRECT or a form of FC_WINOGRAD, where it is
       possible. */
    ptrdiff_t (*conv_algorithm)(const fc_conv *, ptrdiff_t weight);
    /* Elements of the packed form of a weight for the algorithm the geometry names, and the packing itself. */
    ptrdiff_t (*conv_packed_size)(const fc_conv *);
    int (*conv_pack)(const fc_conv *, const void *w, void *packed);
    /* `packed`, where not NULL, was made by conv_pack for the algorithm the geometry names. */
    int (*conv_forward)(const fc_conv *, const void *x, const void *w, const void *packed, const fc_epilogue *,
                        void *y);
    /* A 1x1 convolution and the depthwise one that alone reads its result, in one: whether that is possible and pays (the two then agree
       in their sizes), and the call, with the first's weight packed for FC_DIRECT. Of `between`, the first's epilogue, bias,
       activation, slope and x_image count. */
    int (*conv_expands)(const fc_conv *first, const fc_conv *second);
    int (*conv_expand)(const fc_conv *first, const void *x, const void *packed, const fc_epilogue *between,
                       const fc_conv *second, const void *w, const fc_epilogue *, void *y);
    int (*conv_grad_input)(const fc_conv *, const void *dy, const void *w, const void *bias_c, void *dx);
    int (*conv_grad_weight)(const fc_conv *, const void *dy, const void *x, void *dw);
    /* y[n][k] = bias[k] + x[n] . w[k], for a batch of a few rows (bias may be NULL) */
    int (*linear_few)(ptrdiff_t n, ptrdiff_t k, ptrdiff_t c, const void *x, const void *w, const void *bias, void *y);
    /* its gradients, each where not NULL: dx = dy w, dw = transposed dy times x */
    int (*linear_few_backward)(ptrdiff_t n, ptrdiff_t k, ptrdiff_t c, const void *dy, const void *x, const void *w,
                               void *dx, void *dw);
    /* out[c] = sum over n and inner of x[n][c][inner] (channels_last: x[n][inner][c]) */
    int (*channel_sum)(ptrdiff_t n, ptrdiff_t c, ptrdiff_t inner, ptrdiff_t channels_last, const void *x, void *out);

    /* Max pooling. `taps` (or NULL): which tap of its window each output is, uint8_t if a window has at most 256 taps, else
       int32_t; `indices` (or NULL): where it lies in its unpadded volume. Backward of `indices` reads n, c, in, out and
       channels_last alone, and leaves out an index that lies outside the volume. */
    int (*max_pool_forward)(const fc_pool *, const void *x, void *y, void *taps, int64_t *indices);
    int (*max_pool_backward_taps)(const fc_pool *, const void *dy, const void *taps, void *dx);
    int (*max_pool_backward)(const fc_pool *, const void *dy, const int64_t *indices, void *dx);
    int (*avg_pool_forward)(const fc_pool *, const void *x, void *y);
    int (*avg_pool_backward)(const fc_pool *, const void *dy, void *dx);

    /* Batch normalisation of (n, c, inner) arrays, with `relu` a ReLU behind it; weight and bias may be NULL. Training gives the
       mean and the biased variance. The gradient reads bias only behind a ReLU; y may be x, dx may be dy. */
    int (*batch_norm)(ptrdiff_t n, ptrdiff_t c, ptrdiff_t inner, const void *x, const void *mean, const void *var,
                      const void *weight, const void *bias, double eps, ptrdiff_t relu, void *y);
    int (*batch_norm_train)(ptrdiff_t n, ptrdiff_t c, ptrdiff_t inner, const void *x, const void *weight,
                            const void *bias, double eps, ptrdiff_t relu, void *y, void *mean, void *var);
    int (*batch_norm_backward)(ptrdiff_t n, ptrdiff_t c, ptrdiff_t inner, const void *dy, const void *x,
                               const void *mean, const void *var, const void *weight, const void *bias, double eps,
                               ptrdiff_t training, ptrdiff_t relu, void *dx, void *dweight, void *dbias);

    /* y[i] = op(a[i], b[i]), an fc_pointwise_op; b may be NULL for one that reads a alone; y may be a or b. */
    int (*pointwise)(ptrdiff_t op, ptrdiff_t count, double p, const void *a, const void *b, void *y);

    /* Of one image, for programs: nearest upsampling of planes by two factors; response normalisation (kernels/resize.h). */
    int (*upsample)(ptrdiff_t planes, const ptrdiff_t *size, const ptrdiff_t *factor, const void *x, void *y);
    int (*response_norm)(ptrdiff_t c, ptrdiff_t inner, ptrdiff_t size, const double *p, const void *x, void *y);

    /* Optimizers, in place over `count` elements, reading the gradient: velocity may be NULL without momentum, largest always. */
    int (*sgd)(ptrdiff_t count, const fc_sgd *, const void *gradient, void *parameter, void *velocity);
    int (*adam)(ptrdiff_t count, const fc_adam *, const void *gradient, void *parameter, void *m, void *v,
                void *largest);

    /* Floating-point operations done by a register-only multiply-add loop on every thread: the peak benchmarks divide by. */
    int (*fma_peak)(ptrdiff_t rounds, double *operations);
} fc_kernels;

/* Targets compiled in, best first, NULL at the end of the list; those this CPU can run have fc_target_runs() != 0. */
extern const char *const fc_target_names[];
int fc_target_runs(const char *name);

/* The table of a target for elements of 4 or 8 bytes; NULL for a target that is unknown or that this CPU cannot run. */
const fc_kernels *fc_kernels_of(const char *name, ptrdiff_t element_size);

#endif
