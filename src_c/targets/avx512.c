/* AVX-512 (F, DQ, BW, VL): 64-byte vectors, 32 registers: 8 x 3 accumulators, 3 vectors, 1 broadcast. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,bmi,bmi2"))), \
                             apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,bmi,bmi2")
#endif
#define TARGET avx512
#define VBYTES 64
#define TILE_M 8
#define TILE_V 3
#define L2_BYTES ((ptrdiff_t)1 << 20)
/* Costs in multiply-adds of a vector: kernels/conv.h. */
#define GATHER_COST 6.3
#define PACK_COST 0.44
#define STRIDED_INPUT_COST 550
#define STRIDED_OUTPUT_COST 130
#define STRIDED_WEIGHT_COST 130
#define INPUT2_COST 230
#define OUTPUT2_COST 72
#define WEIGHT2_COST 99
#define INPUT4_COST 850
#define OUTPUT4_COST 470
#define WEIGHT4_COST 150
#include "../kernels/instantiate.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
