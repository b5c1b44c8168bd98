/* Instantiates every kernel for float and for double on the target that includes this file (a file of targets/), and defines
   the target's two tables. The including file sets TARGET, VBYTES, TILE_M and TILE_V. Holds no loop itself. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../fastconv.h"
#include "../memory.h"
#include "../parallel.h"

#define INLINE static inline __attribute__((always_inline))
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define PRAGMA(x) _Pragma(#x)
/* UNROLL: all turns of the loop that follows, whose number is a literal and at most n. For clang it is not n: where n is larger than the
   number of turns, clang unrolls after it has decided what stays in registers, and arrays of sums lie in memory.
   SEPARATE: what is known of pointer p is forgotten. Clang would address memory that several pointers walk through by one of them and as
   many distances, which then lack registers or take an addition each; GCC does not. */
#if defined(__clang__)
#define UNROLL(n) PRAGMA(clang loop unroll(full))
#define SEPARATE(p) __asm__("" : "+r"(p))
#else
#define UNROLL_(n) PRAGMA(GCC unroll n)
#define UNROLL(n) UNROLL_(n)
#define SEPARATE(p) ((void)(p))
#endif
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

/* The register class of vectors in an asm constraint. */
#if defined(__x86_64__)
#define VREG "v"
#else
#define VREG "w"
#endif

#define T float
#define TI int32_t
#define T_BYTES 4
#define T_IS_FLOAT 1
#define NAME(x) JOIN(x, f32)
#include "every_kernel.h"
#undef T
#undef TI
#undef T_BYTES
#undef T_IS_FLOAT
#undef NAME

#define T double
#define TI int64_t
#define T_BYTES 8
#define T_IS_FLOAT 0
#define NAME(x) JOIN(x, f64)
#include "every_kernel.h"
