/* All that is written once for every kind of Winograd, for the one that the WINO_ macros of winograd.h describe, which end here. A kind
   with WINO_DISTINCT is one of windows: those have packed weights and gradients to the weight too. */
#include "winograd_transform.h"
#include "conv_winograd.h"
#include "conv_winograd_few.h"
#include "conv_winograd_run.h"
#ifdef WINO_DISTINCT
#include "conv_winograd_convolve.h"
#include "conv_winograd_grad.h"
#endif
#undef WINO_KIND
#undef WINO_INPUT_COST
#undef WINO_KERNEL
#undef WINO_OUT
#undef WINO_SPACE
#undef WINO_IN
#undef WINO_SIDE
#undef WINO_DISTINCT
