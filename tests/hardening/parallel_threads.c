/* parallel.c with POSIX threads in place of OpenMP's, which ThreadSanitizer does not know: for the check of races. Tasks are taken in
   relaxed order, so that no task is ordered behind another by the way they are handed out. */
#include "parallel.h"

#include <pthread.h>
#include <stdatomic.h>

#include "fastconv.h"
#include "memory.h"

enum { THREADS = 3 };

typedef struct loop {
    ptrdiff_t tasks;
    atomic_ptrdiff_t next;
    fc_task *run;
    void *context;
    char *memory;
    size_t stride;
} loop;

typedef struct part {
    loop *of;
    int thread;
} part;

static void *work(void *argument) {
    const part *p = argument;
    for (ptrdiff_t task; (task = atomic_fetch_add_explicit(&p->of->next, 1, memory_order_relaxed)) < p->of->tasks;)
        p->of->run(p->of->context, task, p->of->memory + (size_t)p->thread * p->of->stride);
    return NULL;
}

int fc_parallel(ptrdiff_t tasks, double work_size, size_t scratch_bytes, fc_task *run, void *context) {
    (void)work_size;
    if (tasks <= 0) return FC_OK;
    loop l = {.tasks = tasks, .run = run, .context = context, .stride = (scratch_bytes + 127) / 64 * 64};
    l.memory = fc_alloc(l.stride, THREADS);
    if (!l.memory) return FC_NO_MEMORY;
    pthread_t threads[THREADS];
    part parts[THREADS];
    for (int t = 0; t < THREADS; t++) {
        parts[t] = (part){&l, t};
        if (pthread_create(&threads[t], NULL, work, &parts[t])) return FC_NO_MEMORY;
    }
    for (int t = 0; t < THREADS; t++) pthread_join(threads[t], NULL);
    fc_free(l.memory);
    return FC_OK;
}

int fc_num_threads(void) { return THREADS; }
int fc_has_openmp(void) { return 1; }
void fc_set_num_threads(int n) { (void)n; }
void fc_cap_num_threads(int n) { (void)n; }
void fc_set_interrupt_check(int (*check)(void)) { (void)check; }
