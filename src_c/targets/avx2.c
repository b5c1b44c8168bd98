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
#include "../kernels/instantiate.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
