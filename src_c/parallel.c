/* Threads: the only OpenMP of the code base; how many threads a loop gets, where they run, and what a forked child may do. */
#ifdef __linux__
#define _GNU_SOURCE /* sched_getcpu, CPU_CLR */
#endif
#include "parallel.h"

#include <pthread.h>
#include <sched.h>
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
#ifdef _WIN32 /* where nothing forks */
static void watch_forks(void) {}
#else
static void after_fork_in_child(void) {
    if (atomic_load(&loops_ran)) atomic_store(&forked, 1);
}

static void register_fork_handler(void) { (void)pthread_atfork(NULL, NULL, after_fork_in_child); }

static void watch_forks(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_fork_handler);
}
#endif

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

/* A thread's part of the tasks, one run of neighbours, so that what a core wrote in one loop it finds in its own cache in the next.
   Others take from it when theirs is done. */
typedef struct share {
    atomic_ptrdiff_t next;
    ptrdiff_t end;
    ptrdiff_t emptied; /* shares that its thread has found empty, this one first */
} share;

enum { SHARE_ROOM = 64 }; /* bytes: a cache line of its own */

typedef struct loop {
    fc_task *run;
    void *context;
    atomic_int stop, finished; /* finished: threads that found no task left */
    int cpu; /* where the calling thread runs, or -1 */
    ptrdiff_t shares;
    char *memory; /* of each thread: its share, then its scratch */
    size_t stride;
    share alone; /* where there is no memory for others and the tasks need no scratch: in place of all that */
} loop;

static share *share_of(const loop *l, ptrdiff_t thread) {
    return (share *)(void *)(l->memory + (size_t)thread * l->stride);
}

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* The kernel may wake a thread on the CPU of the caller while others idle. The two then take turns, a scheduler's slice of some
   milliseconds each, and can stay together for long: every loop would wait for a slice. The thread moves away at once. */
#ifdef __linux__
static int current_cpu(void) { return sched_getcpu(); }

static void leave_cpu(int cpu) {
    cpu_set_t allowed, others;
    if (cpu < 0 || sched_getcpu() != cpu || sched_getaffinity(0, sizeof allowed, &allowed)) return;
    others = allowed;
    CPU_CLR((size_t)cpu, &others);
    if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof others, &others)) return;
    (void)sched_setaffinity(0, sizeof allowed, &allowed);
}
#else
static int current_cpu(void) { return -1; }
static void leave_cpu(int cpu) { (void)cpu; }
#endif

/* Before OpenMP's own barrier, which spins for milliseconds: a thread that has not begun may need this CPU to do so. */
static void wait_for_others(loop *l, int threads) {
    int spins = 0;
    while (atomic_load_explicit(&l->finished, memory_order_acquire) < threads)
        if (++spins > 4000) sched_yield();
}

static void look_for_interrupt(loop *l) {
    const long long now = now_ns();
    if (now - last_check_ns <= CHECK_INTERVAL_NS) return;
    last_check_ns = now;
    if (interrupt_check()) atomic_store(&l->stop, 1);
}

/* The next task of a thread: of its own share, then of those of the threads after it; -1 where none is left. */
static ptrdiff_t take_task(const loop *l, ptrdiff_t thread) {
    for (share *own = share_of(l, thread); own->emptied < l->shares; own->emptied++) {
        share *s = share_of(l, (thread + own->emptied) % l->shares);
        const ptrdiff_t task = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
        if (task < s->end) return task;
    }
    return -1;
}

static void work_through(loop *l, ptrdiff_t thread) {
    ptrdiff_t task;
    while (!atomic_load_explicit(&l->stop, memory_order_relaxed) && (task = take_task(l, thread)) >= 0) {
        l->run(l->context, task, (char *)share_of(l, thread) + SHARE_ROOM);
        if (thread == 0 && interrupt_check) look_for_interrupt(l);
    }
    atomic_fetch_add_explicit(&l->finished, 1, memory_order_release);
}

/* A share for each thread that gets work where there are `available`: how many, or 0 if there is no memory. Tasks without scratch
   always run, on one thread at least: a step of an optimizer, once begun, cannot fail. */
static ptrdiff_t divide(loop *l, ptrdiff_t tasks, double work, ptrdiff_t available, size_t scratch_bytes) {
    ptrdiff_t threads = work < SERIAL_WORK ? 1 : available < tasks ? available : tasks;
    l->stride = SHARE_ROOM + (scratch_bytes + 127) / 64 * 64;
    l->memory = fc_alloc(l->stride, (size_t)threads);
    if (!l->memory) {
        if (scratch_bytes) return 0;
        l->memory = (char *)&l->alone;
        threads = 1;
    }
    l->shares = threads;
    for (ptrdiff_t t = 0; t < threads; t++) {
        atomic_init(&share_of(l, t)->next, t * tasks / threads);
        share_of(l, t)->end = (t + 1) * tasks / threads;
        share_of(l, t)->emptied = 0;
    }
    return threads;
}

static void give_back(const loop *l) {
    if (l->memory != (const char *)&l->alone) fc_free(l->memory);
}

/* The watcher of this thread's loops, and whether they run nothing. */
static _Thread_local fc_watcher *watcher;
static _Thread_local int skipping;

void fc_skip_tasks(int skip) { skipping = skip; }

void fc_watch_loops(fc_watcher *function) { watcher = function; }

static void run_watched(loop *l, ptrdiff_t tasks, double work) {
    fc_watcher *const watch = watcher;
    ptrdiff_t task;
    while ((task = take_task(l, 0)) >= 0) {
        if (watch(tasks, task, work)) break;
        l->run(l->context, task, (char *)share_of(l, 0) + SHARE_ROOM);
    }
    if (task >= 0 || watch(tasks, tasks, work)) atomic_store(&l->stop, 1);
}

static void run_on(loop *l, ptrdiff_t threads) {
#ifdef _OPENMP
    if (threads > 1) {
        watch_forks();
        atomic_store(&loops_ran, 1);
        l->cpu = current_cpu();
#pragma omp parallel num_threads((int)threads)
        {
            const int thread = omp_get_thread_num();
            if (thread) leave_cpu(l->cpu);
            work_through(l, thread);
            if (!thread) wait_for_others(l, omp_get_num_threads());
        }
        return;
    }
#endif
    (void)threads;
    work_through(l, 0);
}

int fc_parallel(ptrdiff_t tasks, double work, size_t scratch_bytes, fc_task *run, void *context) {
    if (tasks <= 0) return FC_OK;
    loop l = {.run = run, .context = context};
    const ptrdiff_t threads = divide(&l, tasks, work, watcher ? 1 : fc_num_threads(), scratch_bytes);
    if (!threads) return FC_NO_MEMORY;
    if (watcher)
        run_watched(&l, tasks, work);
    else if (!skipping)
        run_on(&l, threads);
    give_back(&l);
    return atomic_load(&l.stop) ? FC_INTERRUPTED : FC_OK;
}

int fc_place_tasks(ptrdiff_t tasks, double work, ptrdiff_t threads, const double *cost, double *busy,
                   ptrdiff_t *thread_of) {
    loop l = {.run = NULL};
    threads = divide(&l, tasks, work, threads, 0);
    if (!threads) return FC_NO_MEMORY;
    for (ptrdiff_t left = tasks; left > 0; left--) {
        ptrdiff_t free = 0; /* the thread that asks next; as long as tasks are left it gets one */
        for (ptrdiff_t t = 1; t < threads; t++)
            if (busy[t] < busy[free]) free = t;
        const ptrdiff_t task = take_task(&l, free);
        busy[free] += cost[task];
        thread_of[task] = free;
    }
    give_back(&l);
    return FC_OK;
}
