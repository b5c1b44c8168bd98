/* Threads: the only OpenMP of the code base; how many threads a loop gets, and what a forked child may do. */
#include "parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "fastconv.h"
#include "memory.h"

/* Below this many multiply-adds a second thread costs more (waking it: some microseconds) than it saves. */
#define SERIAL_WORK 2e5
#define CHECK_INTERVAL_NS 50000000LL

static atomic_int fixed_threads, thread_cap;
static int (*interrupt_check)(void);

/* When this thread last looked for an interrupt: kept between loops, for a kernel may run many short ones. */
static _Thread_local long long last_check_ns;

/* OpenMP's worker threads do not exist in a forked child, and libgomp waits for them for ever: a child of a process that
   has run a parallel loop works on one thread. */
static atomic_int loops_ran, forked;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void after_fork_in_child(void) {
    if (atomic_load(&loops_ran)) atomic_store(&forked, 1);
}

static void watch_forks(void) { (void)pthread_atfork(NULL, NULL, after_fork_in_child); }

void fc_set_num_threads(int n) { atomic_store(&fixed_threads, n); }
void fc_cap_num_threads(int n) { atomic_store(&thread_cap, n); }
void fc_set_interrupt_check(int (*check)(void)) { interrupt_check = check; }

int fc_has_openmp(void) {
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

int fc_num_threads(void) {
#ifdef _OPENMP
    if (atomic_load(&forked) || omp_in_parallel()) return 1;
    int fixed = atomic_load(&fixed_threads), cap = atomic_load(&thread_cap);
    if (fixed > 0) return fixed;
    int n = omp_get_max_threads();
    return cap > 0 && n > cap ? cap : n;
#else
    return 1;
#endif
}

typedef struct loop {
    fc_task *run;
    void *context;
    ptrdiff_t tasks;
    atomic_ptrdiff_t next;
    atomic_int stop;
    char *scratch;
    size_t stride;
} loop;

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void work_through(loop *l, int thread) {
    void *scratch = l->scratch ? l->scratch + (size_t)thread * l->stride : NULL;
    for (;;) {
        ptrdiff_t task = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);
        if (task >= l->tasks || atomic_load_explicit(&l->stop, memory_order_relaxed)) return;
        l->run(l->context, task, scratch);
        if (thread == 0 && interrupt_check) {
            const long long now = now_ns();
            if (now - last_check_ns > CHECK_INTERVAL_NS) {
                last_check_ns = now;
                if (interrupt_check()) atomic_store(&l->stop, 1);
            }
        }
    }
}

int fc_parallel(ptrdiff_t tasks, double work, size_t scratch_bytes, fc_task *run, void *context) {
    if (tasks <= 0) return FC_OK;
    ptrdiff_t threads = work < SERIAL_WORK ? 1 : fc_num_threads();
    if (threads > tasks) threads = tasks;
    loop l = {.run = run, .context = context, .tasks = tasks, .stride = (scratch_bytes + 127) / 64 * 64};
    if (scratch_bytes) {
        l.scratch = fc_alloc(l.stride, (size_t)threads);
        if (!l.scratch) return FC_NO_MEMORY;
    }
#ifdef _OPENMP
    if (threads > 1) {
        pthread_once(&fork_once, watch_forks);
        atomic_store(&loops_ran, 1);
#pragma omp parallel num_threads((int)threads)
        work_through(&l, omp_get_thread_num());
    } else
#endif
        work_through(&l, 0);
    fc_free(l.scratch);
    return atomic_load(&l.stop) ? FC_INTERRUPTED : FC_OK;
}
