/* The multiply-add peak of the machine, measured: what benchmarks divide by. */

static void NAME(fma_task)(void *context, ptrdiff_t task, void *scratch) {
    const ptrdiff_t rounds = *(const ptrdiff_t *)context;
    V s[12], a = NAME(vset)((T)0.5), b = NAME(vset)((T)(task + 1));
    (void)scratch;
    UNROLL(12)
    for (int i = 0; i < 12; i++) s[i] = NAME(vset)((T)i);
    for (ptrdiff_t r = 0; r < rounds; r++) {
        UNROLL(12)
        for (int i = 0; i < 12; i++) {
            s[i] = s[i] * a + b;
            __asm__ volatile("" : "+" VREG(s[i]));
        }
    }
    V sum = NAME(vzero)();
    UNROLL(12)
    for (int i = 0; i < 12; i++) sum += s[i];
    __asm__ volatile("" : : VREG(sum));
}

/* Every thread runs 12 independent multiply-add chains (enough to hide the latency of two units, few enough for 16 registers). */
static int NAME(fma_peak)(ptrdiff_t rounds, double *operations) {
    const ptrdiff_t threads = fc_num_threads();
    *operations = 2.0 * 12.0 * (double)VL * (double)rounds * (double)threads;
    return fc_parallel(threads, 1e12, 0, NAME(fma_task), &rounds);
}
