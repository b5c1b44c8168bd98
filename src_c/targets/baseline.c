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
#include "../kernels/instantiate.h"
