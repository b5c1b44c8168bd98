/* Threads: the only door to OpenMP. A parallel loop is cut into tasks by the caller, by shape alone, so that results never
   depend on the number of threads. */
#ifndef FASTCONV_PARALLEL_H
#define FASTCONV_PARALLEL_H

#include <stddef.h>

/* One task. `scratch` is private to the thread for the length of the loop, 64-byte aligned, uninitialised. */
typedef void fc_task(void *context, ptrdiff_t task, void *scratch);

/* Run tasks 0 .. tasks-1 in any order on the available threads. `work` is the loop's whole cost in multiply-adds (or elements
   moved): small loops stay on the calling thread. Returns FC_OK, FC_NO_MEMORY (nothing ran) or FC_INTERRUPTED (some ran). */
int fc_parallel(ptrdiff_t tasks, double work, size_t scratch_bytes, fc_task *run, void *context);

/* The number of threads a large loop would use now. */
int fc_num_threads(void);

/* Fix the number of threads (n >= 1), or follow OpenMP's own setting again (n = 0). */
void fc_set_num_threads(int n);

/* Upper bound on the number of threads when it is not fixed (the CPUs this process may use); 0 for none. */
void fc_cap_num_threads(int n);

/* Called from the calling thread about every 50 ms during a loop; non-zero stops the loop (FC_INTERRUPTED). */
void fc_set_interrupt_check(int (*check)(void));

/* For benchmarks. While a watcher is set, the calling thread runs its loops alone and in order, and calls it before each task, and
   with task == tasks after the last; non-zero stops the loop (FC_INTERRUPTED). NULL ends it; other threads' loops are not watched. */
typedef int fc_watcher(ptrdiff_t tasks, ptrdiff_t task, double work);
void fc_watch_loops(fc_watcher *function);

/* For tests: with skip != 0 the calling thread's loops take the memory they would work in and run no task, so that what a kernel
   needs shows at once; its results are then nothing. 0 ends it. */
void fc_skip_tasks(int skip);

/* Which of `threads` threads would run each task of such a loop on as many cores, each task taking its `cost`: busy, zero before,
   is what each thread would work for. It takes tasks as a loop itself does. FC_OK or FC_NO_MEMORY. */
int fc_place_tasks(ptrdiff_t tasks, double work, ptrdiff_t threads, const double *cost, double *busy,
                   ptrdiff_t *thread_of);

/* 1 if the build has OpenMP, else 0 (everything then runs on the calling thread). */
int fc_has_openmp(void);

#endif
