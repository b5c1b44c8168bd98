/* The target every CPU runs: 16-byte vectors (SSE2 on x86-64, NEON on aarch64). */
#define TARGET baseline
#define VBYTES 16
#if defined(__aarch64__) /* 32 vector registers */
#define TILE_M 8
#define TILE_V 3
#else /* 16 */
#define TILE_M 4
#define TILE_V 2
#endif
#define L2_BYTES ((ptrdiff_t)512 << 10)
/* Costs in multiply-adds of a vector: kernels/conv.h. */
#define GATHER_COST 8
#define PACK_COST 0.5
#define STRIDED_INPUT_COST 300
#define STRIDED_OUTPUT_COST 220
#define STRIDED_WEIGHT_COST 80
#define INPUT2_COST 200
#define OUTPUT2_COST 180
#define WEIGHT2_COST 60
#define INPUT4_COST 450
#define OUTPUT4_COST 450
#define WEIGHT4_COST 120
#include "../kernels/instantiate.h"
