/* A network as a list of steps, each one call of a kernel on places in memory that are planned beforehand: a whole inference is one call.
   Holds no memory of its own; one program may run in several threads at once, each with arrays of its own. */
#ifndef FASTCONV_PROGRAM_H
#define FASTCONV_PROGRAM_H

#include "fastconv.h"

enum fc_step_op {
    FC_STEP_CONV, /* y = activation(conv(x) + bias + add), x through the entry of fc_epilogue where there is one */
    FC_STEP_EXPAND, /* the same of a depthwise conv behind a 1x1, `first`, with an activation and a slope, p[1], of its own */
    FC_STEP_LINEAR, /* y = x w' + bias; sizes: features out, in */
    FC_STEP_MAX_POOL,
    FC_STEP_AVG_POOL,
    FC_STEP_BATCH_NORM, /* sizes: channels, elements a plane; 1 for a ReLU behind it */
    FC_STEP_POINTWISE, /* sizes: an fc_pointwise_op, elements an image */
    FC_STEP_COPY, /* sizes: elements an image */
    FC_STEP_UPSAMPLE, /* sizes: planes an image, height, width, factor down, factor across */
    FC_STEP_RESPONSE_NORM /* sizes: channels, elements a plane, channels a window */
};

enum { FC_STEP_SIZES = 5 };

/* Where an operand lies: `array` counts the program's constants first, then the arrays of a run; -1 for none. `image`: elements from
   one image to the next. */
typedef struct fc_place {
    ptrdiff_t array, offset, image;
} fc_place;

/* `first` is the bias of the first of two convolutions, of which `packed` is the weight. `add` is the second operand of
   FC_STEP_POINTWISE too; of FC_STEP_BATCH_NORM weight, packed, bias and add are weight, mean, bias
   and variance. */
typedef struct fc_places {
    fc_place x, y, weight, packed, bias, add, entry, first;
} fc_places;

typedef struct fc_step {
    ptrdiff_t op, activation, first_activation;
    double p[3]; /* slope; eps of FC_STEP_BATCH_NORM; alpha / size, beta and k of FC_STEP_RESPONSE_NORM */
    fc_places at;
    union {
        struct {
            fc_conv conv, first;
        };
        fc_pool pool;
        ptrdiff_t sizes[FC_STEP_SIZES];
    };
} fc_step;

/* The arrays of one run. Batch sizes of geometries are those of the run, `n`. */
typedef struct fc_run {
    const fc_kernels *kernels;
    const void *const *constants;
    ptrdiff_t constant_count;
    void *const *arrays;
    ptrdiff_t n;
    double *seconds; /* a step each, or NULL */
} fc_run;

/* Steps first .. stop-1. An fc_status: on anything but FC_OK outputs are unspecified. */
int fc_run_steps(const fc_run *, const fc_step *steps, ptrdiff_t first, ptrdiff_t stop);

#endif
