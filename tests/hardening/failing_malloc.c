/* Loaded before the C library: the n-th allocation of the calling thread fails, whoever asks for it, NumPy, Python or a kernel; and
   the bytes that are allocated are counted. For failing_malloc.py; glibc only. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static atomic_long live;
/* Static, so that reading it never allocates. */
static __thread long left __attribute__((tls_model("initial-exec")));
static __thread size_t least __attribute__((tls_model("initial-exec")));

/* The n-th allocation of at least `bytes` from now fails; 0 switches it off. Gives what was left to count before. */
long fail_malloc(long n, size_t bytes) {
    const long before = left;
    left = n;
    least = bytes;
    return before;
}

long live_bytes(void) { return atomic_load(&live); }

static int fails(size_t bytes) {
    if (left <= 0 || bytes < least || --left) return 0;
    errno = ENOMEM;
    return 1;
}

static void *counted(void *memory) {
    if (memory) atomic_fetch_add(&live, (long)malloc_usable_size(memory));
    return memory;
}

static void forget(void *memory) {
    if (memory) atomic_fetch_sub(&live, (long)malloc_usable_size(memory));
}

void *malloc(size_t bytes) { return fails(bytes) ? NULL : counted(__libc_malloc(bytes)); }
void *calloc(size_t count, size_t size) { return fails(count * size) ? NULL : counted(__libc_calloc(count, size)); }
void *memalign(size_t alignment, size_t bytes) {
    return fails(bytes) ? NULL : counted(__libc_memalign(alignment, bytes));
}
void *aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }

int posix_memalign(void **memory, size_t alignment, size_t bytes) {
    void *got = memalign(alignment, bytes);
    if (got) *memory = got;
    return got ? 0 : ENOMEM;
}

void *realloc(void *memory, size_t bytes) {
    if (fails(bytes)) return NULL;
    const long before = memory ? (long)malloc_usable_size(memory) : 0;
    void *got = __libc_realloc(memory, bytes);
    if (got || !bytes) atomic_fetch_add(&live, (got ? (long)malloc_usable_size(got) : 0) - before);
    return got;
}

void free(void *memory) {
    forget(memory);
    __libc_free(memory);
}
