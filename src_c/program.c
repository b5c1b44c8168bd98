/* Runs the steps of a program: places become pointers, a step becomes one call of a kernel, or one for each image where a kernel wants
   images one behind the other and they are not. */
#include "program.h"

#include <string.h>
#include <time.h>

#include "parallel.h"

static void *at(const fc_run *run, const fc_place *place, ptrdiff_t image) {
    if (place->array < 0) return NULL;
    const ptrdiff_t own = place->array - run->constant_count;
    char *base = own < 0 ? (char *)(size_t)run->constants[place->array] : run->arrays[own];
    return base + (place->offset + image * place->image) * run->kernels->element_size;
}

/* Whether images of so many elements lie one behind the other. */
static int dense(const fc_run *run, const fc_place *place, ptrdiff_t elements) {
    return run->n == 1 || place->array < 0 || place->image == elements;
}

static ptrdiff_t product(const ptrdiff_t size[3]) { return size[0] * size[1] * size[2]; }

static int run_conv(const fc_run *run, const fc_step *s) {
    fc_conv g = s->conv;
    const fc_epilogue end = {.bias = at(run, &s->at.bias, 0),
                             .add = at(run, &s->at.add, 0),
                             .entry = at(run, &s->at.entry, 0),
                             .activation = s->activation,
                             .slope = s->p[0],
                             .x_image = s->at.x.image,
                             .y_image = s->at.y.image};
    g.n = run->n;
    return run->kernels->conv_forward(&g, at(run, &s->at.x, 0), at(run, &s->at.weight, 0), at(run, &s->at.packed, 0),
                                      &end, at(run, &s->at.y, 0));
}

static int run_expand(const fc_run *run, const fc_step *s) {
    fc_conv first = s->first, second = s->conv;
    const fc_epilogue between = {.bias = at(run, &s->at.first, 0),
                                 .activation = s->first_activation,
                                 .slope = s->p[1],
                                 .x_image = s->at.x.image};
    const fc_epilogue end = {.bias = at(run, &s->at.bias, 0),
                             .add = at(run, &s->at.add, 0),
                             .activation = s->activation,
                             .slope = s->p[0],
                             .y_image = s->at.y.image};
    first.n = second.n = run->n;
    return run->kernels->conv_expand(&first, at(run, &s->at.x, 0), at(run, &s->at.packed, 0), &between, &second,
                                     at(run, &s->at.weight, 0), &end, at(run, &s->at.y, 0));
}

/* Of many rows a fully connected layer is a 1x1 convolution over one row of pixels, channels last. */
static int run_linear(const fc_run *run, const fc_step *s) {
    enum { FEW = 16 };
    const ptrdiff_t n = run->n, k = s->sizes[0], c = s->sizes[1];
    const void *x = at(run, &s->at.x, 0), *w = at(run, &s->at.weight, 0), *bias = at(run, &s->at.bias, 0);
    void *y = at(run, &s->at.y, 0);
    if (n <= FEW) return run->kernels->linear_few(n, k, c, x, w, bias, y);
    const fc_conv g = {1, c, k, 1, {1, 1, n}, {1, 1, 1}, {1, 1, n}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, 1, FC_AUTO};
    const fc_epilogue end = {.bias = bias};
    return run->kernels->conv_forward(&g, x, w, NULL, &end, y);
}

static int run_pool(const fc_run *run, const fc_step *s) {
    fc_pool g = s->pool;
    const int whole = dense(run, &s->at.x, g.c * product(g.in)) && dense(run, &s->at.y, g.c * product(g.out));
    int status = FC_OK;
    g.n = whole ? run->n : 1;
    for (ptrdiff_t i = 0; i < run->n && status == FC_OK; i += g.n) {
        const void *x = at(run, &s->at.x, i);
        void *y = at(run, &s->at.y, i);
        status = s->op == FC_STEP_MAX_POOL ? run->kernels->max_pool_forward(&g, x, y, NULL, NULL)
                                           : run->kernels->avg_pool_forward(&g, x, y);
    }
    return status;
}

static int run_batch_norm(const fc_run *run, const fc_step *s) {
    const ptrdiff_t c = s->sizes[0], inner = s->sizes[1], image = c * inner;
    const ptrdiff_t n = dense(run, &s->at.x, image) && dense(run, &s->at.y, image) ? run->n : 1;
    int status = FC_OK;
    for (ptrdiff_t i = 0; i < run->n && status == FC_OK; i += n)
        status = run->kernels->batch_norm(n, c, inner, at(run, &s->at.x, i), at(run, &s->at.packed, 0),
                                          at(run, &s->at.add, 0), at(run, &s->at.weight, 0), at(run, &s->at.bias, 0),
                                          s->p[0], s->sizes[2], at(run, &s->at.y, i));
    return status;
}

static int run_pointwise(const fc_run *run, const fc_step *s) {
    const ptrdiff_t count = s->sizes[1];
    const int whole = dense(run, &s->at.x, count) && dense(run, &s->at.y, count) && dense(run, &s->at.add, count);
    const ptrdiff_t n = whole ? run->n : 1;
    int status = FC_OK;
    for (ptrdiff_t i = 0; i < run->n && status == FC_OK; i += n)
        status = run->kernels->pointwise(s->sizes[0], n * count, s->p[0], at(run, &s->at.x, i), at(run, &s->at.add, i),
                                         at(run, &s->at.y, i));
    return status;
}

enum { COPY_RUN = 1 << 16 }; /* bytes a task */

typedef struct copy_job {
    const fc_run *run;
    const fc_step *step;
    size_t bytes; /* an image */
    ptrdiff_t pieces;
} copy_job;

static void copy_task(void *context, ptrdiff_t task, void *scratch) {
    const copy_job *job = context;
    const ptrdiff_t image = task / job->pieces;
    const size_t from = (size_t)(task % job->pieces) * COPY_RUN, left = job->bytes - from;
    (void)scratch;
    memcpy((char *)at(job->run, &job->step->at.y, image) + from,
           (const char *)at(job->run, &job->step->at.x, image) + from, left < COPY_RUN ? left : COPY_RUN);
}

static int run_copy(const fc_run *run, const fc_step *s) {
    copy_job job = {run, s, (size_t)(s->sizes[0] * run->kernels->element_size), 0};
    job.pieces = (ptrdiff_t)((job.bytes + COPY_RUN - 1) / COPY_RUN);
    return fc_parallel(run->n * job.pieces, (double)run->n * (double)s->sizes[0], 0, copy_task, &job);
}

static int run_images(const fc_run *run, const fc_step *s) {
    int status = FC_OK;
    for (ptrdiff_t i = 0; i < run->n && status == FC_OK; i++) {
        const void *x = at(run, &s->at.x, i);
        void *y = at(run, &s->at.y, i);
        status = s->op == FC_STEP_UPSAMPLE
                     ? run->kernels->upsample(s->sizes[0], s->sizes + 1, s->sizes + 3, x, y)
                     : run->kernels->response_norm(s->sizes[0], s->sizes[1], s->sizes[2], s->p, x, y);
    }
    return status;
}

static int run_step(const fc_run *run, const fc_step *s) {
    switch (s->op) {
    case FC_STEP_CONV:
        return run_conv(run, s);
    case FC_STEP_EXPAND:
        return run_expand(run, s);
    case FC_STEP_LINEAR:
        return run_linear(run, s);
    case FC_STEP_MAX_POOL:
    case FC_STEP_AVG_POOL:
        return run_pool(run, s);
    case FC_STEP_BATCH_NORM:
        return run_batch_norm(run, s);
    case FC_STEP_POINTWISE:
        return run_pointwise(run, s);
    case FC_STEP_COPY:
        return run_copy(run, s);
    default:
        return run_images(run, s);
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int fc_run_steps(const fc_run *run, const fc_step *steps, ptrdiff_t first, ptrdiff_t stop) {
    int status = FC_OK;
    for (ptrdiff_t i = first; i < stop && status == FC_OK; i++) {
        const double start = run->seconds ? now() : 0;
        status = run_step(run, &steps[i]);
        if (run->seconds) run->seconds[i] = now() - start;
    }
    return status;
}
