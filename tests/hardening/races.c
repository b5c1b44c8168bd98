#define _GNU_SOURCE /* usleep */
/* Calls kernels of every target this CPU has from several threads at once, on shared operands, for ThreadSanitizer:
   `races ROUNDS`, or `races planted`, whose tasks write to one number without any order. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fastconv.h"
#include "parallel.h"

enum { CALLERS = 3, ROOM = 1 << 16 };

static float x[ROOM], w[ROOM], dy[ROOM];
static int planted;

static void write_without_order(void *context, ptrdiff_t task, void *scratch) {
    (void)context, (void)scratch;
    usleep(1000); /* else one thread would have done all before another begins */
    planted += (int)task;
}

typedef struct geometry {
    ptrdiff_t n, c, k, g, size, kernel, stride, pad;
} geometry;

static const geometry GEOMETRIES[] = {
    {2, 16, 24, 1, 9, 3, 1, 1}, /* Winograd */
    {1, 16, 24, 1, 17, 3, 2, 1}, /* at stride 2 */
    {2, 16, 24, 1, 9, 5, 1, 2}, /* of 5x5 */
    {1, 16, 24, 1, 10, 4, 2, 1}, /* of 4x4, back to the input */
    {1, 3, 16, 1, 15, 5, 2, 2}, /* direct */
    {2, 24, 16, 1, 8, 1, 1, 0}, /* 1x1 */
    {1, 8, 8, 8, 12, 3, 1, 1}, /* depthwise */
    {1, 16, 16, 4, 10, 3, 1, 1}, /* small groups */
};

static fc_conv conv_of(const geometry *o, ptrdiff_t algorithm) {
    const ptrdiff_t out = (o->size + 2 * o->pad - o->kernel) / o->stride + 1;
    return (fc_conv){.n = o->n, .c = o->c, .k = o->k, .g = o->g, .in = {1, o->size, o->size},
                     .kernel = {1, o->kernel, o->kernel}, .out = {1, out, out}, .stride = {1, o->stride, o->stride},
                     .pad = {0, o->pad, o->pad}, .dilation = {1, 1, 1}, .algorithm = algorithm};
}

static void require(int status) {
    if (status != FC_OK) abort();
}

static long calls_of(const fc_kernels *kernels) {
    static const ptrdiff_t algorithms[] = {FC_AUTO, FC_DIRECT, FC_WINOGRAD};
    long calls = 0;
    float *y = malloc(sizeof(float) * ROOM), *packed = malloc(sizeof(float) * 4 * ROOM);
    int64_t *indices = malloc(sizeof(int64_t) * ROOM);
    for (size_t i = 0; i < sizeof GEOMETRIES / sizeof *GEOMETRIES; i++)
        for (int a = 0; a < 3; a++) {
            const fc_conv s = conv_of(&GEOMETRIES[i], algorithms[a]);
            fc_conv chosen = s;
            chosen.algorithm = kernels->conv_algorithm(&s, 1);
            require(kernels->conv_forward(&s, x, w, NULL, NULL, y));
            require(kernels->conv_pack(&chosen, w, packed));
            require(kernels->conv_forward(&chosen, x, w, packed, NULL, y));
            require(kernels->conv_grad_input(&s, dy, w, NULL, y));
            require(kernels->conv_grad_weight(&s, dy, x, y));
            calls += 5;
        }
    const geometry wide = {.n = 2, .c = 12, .k = 24, .g = 1, .size = 20, .kernel = 1, .stride = 1, .pad = 0};
    const geometry deep = {.n = 2, .c = 24, .k = 24, .g = 24, .size = 20, .kernel = 3, .stride = 2, .pad = 1};
    const fc_conv first = conv_of(&wide, FC_DIRECT), second = conv_of(&deep, FC_DIRECT);
    const fc_epilogue between = {.activation = FC_RELU}, end = {.activation = FC_RELU6};
    require(kernels->conv_pack(&first, w, packed));
    require(kernels->conv_expand(&first, x, packed, &between, &second, w, &end, y));
    const fc_pool pool = {.n = 2, .c = 6, .in = {1, 12, 12}, .kernel = {1, 3, 3}, .out = {1, 6, 6}, .stride = {1, 2, 2},
                          .pad = {0, 1, 1}, .dilation = {1, 1, 1}, .pad_after = {0, 0, 0}, .count_include_pad = 1};
    float mean[8], var[8];
    require(kernels->max_pool_forward(&pool, x, y, NULL, indices));
    require(kernels->max_pool_backward(&pool, dy, indices, y));
    require(kernels->avg_pool_forward(&pool, x, y));
    require(kernels->avg_pool_backward(&pool, dy, y));
    require(kernels->batch_norm_train(4, 8, 50, x, NULL, NULL, 1e-5, 1, y, mean, var));
    require(kernels->batch_norm_backward(4, 8, 50, dy, x, mean, var, NULL, NULL, 1e-5, 1, 0, y, mean, var));
    require(kernels->pointwise(FC_POINT_RELU, ROOM / 2, 0, x, NULL, y));
    free(indices);
    free(packed);
    free(y);
    return calls + 8;
}

static void *caller(void *argument) {
    long calls = 0, rounds = *(const long *)argument;
    for (long r = 0; r < rounds; r++)
        for (const char *const *name = fc_target_names; *name; name++)
            if (fc_target_runs(*name)) calls += calls_of(fc_kernels_of(*name, sizeof(float)));
    return (void *)calls;
}

int main(int count, char **arguments) {
    if (count == 2 && strcmp(arguments[1], "planted") == 0) {
        require(fc_parallel(64, 1e9, 0, write_without_order, NULL));
        printf("%d\n", planted);
        return 0;
    }
    long rounds = count == 2 ? strtol(arguments[1], NULL, 10) : 1, calls = 0;
    for (int i = 0; i < ROOM; i++) {
        x[i] = (float)(i % 17) - 8;
        w[i] = (float)(i % 13) - 6;
        dy[i] = (float)(i % 11) - 5;
    }
    pthread_t threads[CALLERS];
    for (int t = 0; t < CALLERS; t++) pthread_create(&threads[t], NULL, caller, &rounds);
    for (int t = 0; t < CALLERS; t++) {
        void *done;
        pthread_join(threads[t], &done);
        calls += (long)done;
    }
    printf("counts: %ld calls of kernels from %d threads, no race, a planted one found\n", calls, CALLERS);
    return 0;
}
