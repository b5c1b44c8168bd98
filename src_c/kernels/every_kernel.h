/* The list of kernel families, in order of dependence, and the table they fill. One place to add a family. */
#include "../simd.h"
#include "lanes.h"

#include "tile.h"
#include "dot_tile.h"
#include "window.h"
#include "conv_pack.h"
#include "conv_store.h"
#include "conv_laid.h"
#include "conv_dense.h"
#include "conv_dense_filters.h"
#include "conv_dense_run.h"
#include "winograd.h"
#include "conv_grad_weight_job.h"
#include "conv_grad_weight_pack.h"
#define WINO_KIND strided
#define WINO_INPUT_COST STRIDED_INPUT_COST
#define WINO_KERNEL 3
#define WINO_OUT 2
#define WINO_SPACE 4
#define WINO_IN 5
#define WINO_SIDE 5
#define WINO_DISTINCT 3
#include "winograd_kind.h"
#undef WINO_INPUT_COST
#undef WINO_KERNEL
#undef WINO_OUT
#undef WINO_SPACE
#undef WINO_IN
#undef WINO_SIDE
#define WINO_KIND spread
#define WINO_INPUT_COST STRIDED_INPUT_COST
#define WINO_KERNEL 3
#define WINO_OUT 4
#define WINO_SPACE 2
#define WINO_IN 3
#define WINO_SIDE 5
#include "winograd_kind.h"
#undef WINO_INPUT_COST
#undef WINO_KERNEL
#undef WINO_OUT
#undef WINO_SPACE
#undef WINO_IN
#undef WINO_SIDE
#define WINO_KIND spread_4
#define WINO_INPUT_COST STRIDED_INPUT_COST
#define WINO_KERNEL 4
#define WINO_OUT 4
#define WINO_SPACE 2
#define WINO_IN 4
#define WINO_SIDE 6
#include "winograd_kind.h"
#undef WINO_INPUT_COST
#undef WINO_KERNEL
#undef WINO_OUT
#undef WINO_SPACE
#undef WINO_IN
#undef WINO_SIDE
#define WINO_KIND 2
#define WINO_INPUT_COST INPUT2_COST
#define WINO_KERNEL 3
#define WINO_OUT 2
#define WINO_SPACE 2
#define WINO_IN 4
#define WINO_SIDE 4
#define WINO_DISTINCT 4
#include "winograd_kind.h"
#undef WINO_INPUT_COST
#undef WINO_KERNEL
#undef WINO_OUT
#undef WINO_SPACE
#undef WINO_IN
#undef WINO_SIDE
#define WINO_KIND 5
#define WINO_INPUT_COST INPUT4_COST
#define WINO_KERNEL 5
#define WINO_OUT 2
#define WINO_SPACE 2
#define WINO_IN 6
#define WINO_SIDE 6
#define WINO_DISTINCT 6
#include "winograd_kind.h"
#undef WINO_INPUT_COST
#undef WINO_KERNEL
#undef WINO_OUT
#undef WINO_SPACE
#undef WINO_IN
#undef WINO_SIDE
#define WINO_KIND 4
#define WINO_INPUT_COST INPUT4_COST
#define WINO_KERNEL 3
#define WINO_OUT 4
#define WINO_SPACE 4
#define WINO_IN 6
#define WINO_SIDE 6
#define WINO_DISTINCT 6
#include "winograd_kind.h"
#undef WINO_INPUT_COST
#undef WINO_KERNEL
#undef WINO_OUT
#undef WINO_SPACE
#undef WINO_IN
#undef WINO_SIDE
#include "conv_plane.h"
#include "conv_plane_sum.h"
#include "conv_plane_spread.h"
#include "conv_plane_weight.h"
#include "conv_depthwise.h"
#include "conv_small_groups.h"
#include "conv_grad_weight_rows.h"
#include "conv_grad_weight_point.h"
#include "conv_grad_weight.h"
#include "conv_dilated.h"
#include "conv.h"
#include "conv_expand.h"
#include "conv_grad_input.h"
#include "linear.h"
#include "reduce.h"
#include "peak.h"
#include "pool_window.h"
#include "max_pool_rows.h"
#include "pool_fixed.h"
#include "pool_gather.h"
#include "pool_whole.h"
#include "max_pool.h"
#include "max_pool_grad.h"
#include "avg_pool.h"
#include "avg_pool_grad.h"
#include "pointwise.h"
#include "batch_norm.h"
#include "batch_norm_columns.h"
#include "resize.h"
#include "optimizer.h"

const fc_kernels JOIN(NAME(fc_kernels), TARGET) = {
    .target = TEXT(TARGET),
    .element_size = sizeof(T),
    .lanes = VL,
    .conv_algorithm = NAME(conv_algorithm),
    .conv_packed_size = NAME(conv_packed_size),
    .conv_pack = NAME(conv_pack),
    .conv_forward = NAME(conv_forward),
    .conv_expands = NAME(conv_expands),
    .conv_expand = NAME(conv_expand),
    .conv_grad_input = NAME(conv_grad_input),
    .conv_grad_weight = NAME(conv_grad_weight),
    .linear_few = NAME(linear_few),
    .linear_few_backward = NAME(linear_few_backward),
    .channel_sum = NAME(channel_sum),
    .max_pool_forward = NAME(max_pool_forward),
    .max_pool_backward_taps = NAME(max_pool_backward_taps),
    .max_pool_backward = NAME(max_pool_backward),
    .avg_pool_forward = NAME(avg_pool_forward),
    .avg_pool_backward = NAME(avg_pool_backward),
    .batch_norm = NAME(batch_norm),
    .batch_norm_train = NAME(batch_norm_train),
    .batch_norm_backward = NAME(batch_norm_backward),
    .pointwise = NAME(pointwise),
    .upsample = NAME(upsample),
    .response_norm = NAME(response_norm),
    .sgd = NAME(sgd),
    .adam = NAME(adam),
    .fma_peak = NAME(fma_peak),
};
