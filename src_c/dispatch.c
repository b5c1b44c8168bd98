/* Which targets were compiled in, which of them this CPU can run, and their tables. */
#include <string.h>

#include "fastconv.h"

#define DECLARE(target) extern const fc_kernels fc_kernels_f32_##target, fc_kernels_f64_##target;

#if defined(__x86_64__)
#define TARGETS(X) X(avx512) X(avx2) X(baseline)
#else
#define TARGETS(X) X(baseline)
#endif

TARGETS(DECLARE)

#define NAME_OF(target) #target,
const char *const fc_target_names[] = {TARGETS(NAME_OF) NULL};

int fc_target_runs(const char *name) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!strcmp(name, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("fma");
    if (!strcmp(name, "avx2")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return !strcmp(name, "baseline");
}

const fc_kernels *fc_kernels_of(const char *name, ptrdiff_t element_size) {
    if (!fc_target_runs(name)) return NULL;
#define CHOOSE(target) \
    if (!strcmp(name, #target)) return element_size == 4 ? &fc_kernels_f32_##target : &fc_kernels_f64_##target;
    TARGETS(CHOOSE)
    return NULL;
}
