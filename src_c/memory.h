/* Memory for scratch and for large results: aligned, overflow-checked, recycled through a bounded pool so that a buffer used
   again costs no page faults. */
#ifndef FASTCONV_MEMORY_H
#define FASTCONV_MEMORY_H

#include <stddef.h>

/* `count` items of `size` bytes, 64-byte aligned, uninitialised; NULL if the product overflows or memory is short. */
void *fc_alloc(size_t size, size_t count);

/* Give memory back to the pool, or to the system when the pool is full. NULL is ignored. */
void fc_free(void *memory);

/* Return what the pool holds to the system; gives the number of bytes returned. */
size_t fc_free_pool(void);

/* Bytes that the pool holds now. */
size_t fc_pool_bytes(void);

/* Bytes asked for and not given back, results included; and the most that there were at once since the last reset. */
size_t fc_used_bytes(void);
size_t fc_peak_bytes(void);
void fc_reset_peak_bytes(void);

/* For tests: let the n-th call of fc_alloc from now fail (1 = the next); 0 switches it off. Gives what was left to count
   before: above 0 none has failed since. */
ptrdiff_t fc_fail_allocation(ptrdiff_t n);

#endif
