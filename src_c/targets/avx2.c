/* AVX2 and FMA: 32-byte vectors, 16 registers: 4 x 3 accumulators, 3 vectors, 1 broadcast. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,bmi,bmi2")
#endif
#define TARGET avx2
#define VBYTES 32
#define TILE_M 4
#define TILE_V 3
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
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
