/* The pool: a fixed row of slots that threads empty and fill with atomic exchanges, so there is no lock a fork could leave held. */
#include "memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#if defined(__linux__)
#include <sys/mman.h>
#elif defined(_WIN32)
#include <malloc.h>
#endif

#define ALIGNMENT 64
#define HUGE_PAGE ((size_t)2 << 20)
#define LARGE ((size_t)64 << 10) /* bytes: whose pages are worth keeping, not only the call that gets them */
#define POOL_LIMIT ((size_t)512 << 20)

typedef struct block {
    size_t bytes; /* usable bytes after this header */
    size_t asked; /* of them, by who holds it now */
} block;

/* Slots of small blocks, of which a call needs a few at once, then those of large ones: a step of training frees as many as a deep
   network has arrays. */
enum { SMALL_SLOTS = 32, SLOTS = 512 };

static struct {
    _Atomic(block *) held;
    atomic_size_t bytes; /* a hint, read before the slot is taken */
} pool[SLOTS];

static int first_slot(size_t bytes) { return bytes < LARGE ? 0 : SMALL_SLOTS; }
static int stop_slot(size_t bytes) { return bytes < LARGE ? SMALL_SLOTS : SLOTS; }

static atomic_size_t pool_bytes;
static atomic_size_t used_bytes, peak_bytes;
static atomic_ptrdiff_t fail_countdown;

ptrdiff_t fc_fail_allocation(ptrdiff_t n) { return atomic_exchange(&fail_countdown, n); }
size_t fc_pool_bytes(void) { return atomic_load(&pool_bytes); }
size_t fc_used_bytes(void) { return atomic_load(&used_bytes); }
size_t fc_peak_bytes(void) { return atomic_load(&peak_bytes); }
void fc_reset_peak_bytes(void) { atomic_store(&peak_bytes, fc_used_bytes()); }

static void *after(block *b) { return (char *)b + ALIGNMENT; }

/* What a block holds from now on, counted as it was asked for: how much larger it is depends on what the pool had. */
static void *handed_out(block *b, size_t asked) {
    b->asked = asked;
    const size_t used = atomic_fetch_add(&used_bytes, asked) + asked;
    size_t peak = atomic_load_explicit(&peak_bytes, memory_order_relaxed);
    while (used > peak && !atomic_compare_exchange_weak(&peak_bytes, &peak, used)) continue;
    return after(b);
}

/* Windows frees what is aligned by a function of its own. */
#ifdef _WIN32
static block *from_system(size_t alignment, size_t bytes) { return _aligned_malloc(bytes, alignment); }
static void to_system(block *b) { _aligned_free(b); }
#else
static block *from_system(size_t alignment, size_t bytes) {
    void *memory;
    return posix_memalign(&memory, alignment, bytes) ? NULL : memory;
}
static void to_system(block *b) { free(b); }
#endif

/* To the pool, or to the system when the pool is full. */
static void put_back(block *b) {
    size_t held = atomic_fetch_add(&pool_bytes, b->bytes) + b->bytes;
    if (held <= POOL_LIMIT) {
        const int stop = stop_slot(b->bytes);
        for (int i = first_slot(b->bytes); i < stop; i++) {
            block *empty = NULL;
            if (atomic_load_explicit(&pool[i].held, memory_order_relaxed)) continue;
            size_t bytes = b->bytes; /* once it is in its slot the block may be another thread's */
            if (atomic_compare_exchange_strong(&pool[i].held, &empty, b)) {
                atomic_store_explicit(&pool[i].bytes, bytes, memory_order_relaxed);
                return;
            }
        }
    }
    atomic_fetch_sub(&pool_bytes, b->bytes);
    to_system(b);
}

/* A held block of at least `bytes`, but not wastefully larger. */
static block *take(size_t bytes) {
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; /* as blocks are: of the same size, of the same slots */
    const int stop = stop_slot(bytes);
    for (int i = first_slot(bytes); i < stop; i++) {
        size_t hint = atomic_load_explicit(&pool[i].bytes, memory_order_relaxed);
        if (hint < bytes || hint > bytes + bytes / 2 + (bytes < HUGE_PAGE ? 4096 : 2 * HUGE_PAGE)) continue;
        block *b = atomic_exchange(&pool[i].held, NULL);
        if (!b) continue;
        atomic_fetch_sub(&pool_bytes, b->bytes);
        if (b->bytes >= bytes) return b;
        put_back(b);
    }
    return NULL;
}

static int failure_is_due(void) {
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) <= 0) return 0;
    return atomic_fetch_sub(&fail_countdown, 1) == 1;
}

void *fc_alloc(size_t size, size_t count) {
    size_t bytes;
    if (failure_is_due() || __builtin_mul_overflow(size, count, &bytes)) return NULL;
    if (bytes > PTRDIFF_MAX - 4 * HUGE_PAGE) return NULL;
    block *b = take(bytes);
    if (b) return handed_out(b, bytes);
    /* Large blocks start on a huge page and ask for huge pages: one fault for 2 MB in place of 512. But what is little more than whole
       huge pages, as powers of two with their header are, ends in small ones. */
    size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : ALIGNMENT;
    size_t rest = (bytes + ALIGNMENT) % alignment, unit = rest <= LARGE ? ALIGNMENT : alignment;
    size_t whole = (bytes + ALIGNMENT + unit - 1) / unit * unit;
    b = from_system(alignment, whole);
    if (!b) return NULL;
#ifdef __linux__
    if (alignment == HUGE_PAGE) (void)madvise(b, whole, MADV_HUGEPAGE);
#endif
    b->bytes = whole - ALIGNMENT;
    return handed_out(b, bytes);
}

void fc_free(void *memory) {
    if (!memory) return;
    block *b = (block *)(void *)((char *)memory - ALIGNMENT);
    atomic_fetch_sub(&used_bytes, b->asked);
    put_back(b);
}

size_t fc_free_pool(void) {
    size_t freed = 0;
    for (int i = 0; i < SLOTS; i++) {
        block *b = atomic_exchange(&pool[i].held, NULL);
        if (!b) continue;
        atomic_fetch_sub(&pool_bytes, b->bytes);
        freed += b->bytes;
        to_system(b);
    }
    return freed;
}
