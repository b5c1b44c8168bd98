# Part of _kernels.pyx. The memory of the kernels (src_c/memory.h): arrays over recycled memory, and how much there is of it.

cdef extern from "memory.h" nogil:
    void *fc_alloc(size_t size, size_t count)
    void fc_free(void *)
    size_t fc_free_pool()
    size_t fc_pool_bytes()
    size_t fc_used_bytes()
    size_t fc_peak_bytes()
    void fc_reset_peak_bytes()
    ptrdiff_t fc_fail_allocation(ptrdiff_t)

cdef class Memory:
    """Recycled memory as a writeable buffer; it goes back to the pool when the last array over it is gone."""

    cdef void *memory
    cdef Py_ssize_t size

    def __cinit__(self, Py_ssize_t size):
        self.size = size
        self.memory = fc_alloc(<size_t>size, 1)
        if self.memory == NULL:
            raise MemoryError(f"fastconv: cannot allocate {size} bytes")

    def __dealloc__(self):
        fc_free(self.memory)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.memory, self.size, 0, flags)


def free_pool():
    return fc_free_pool()


def pool_bytes():
    return fc_pool_bytes()


def used_bytes():
    """Bytes that kernels and the arrays of `Memory` hold."""
    return fc_used_bytes()


def peak_bytes():
    """The most of them at once since reset_peak_bytes()."""
    return fc_peak_bytes()


def reset_peak_bytes():
    fc_reset_peak_bytes()


def fail_allocation(Py_ssize_t n):
    """For tests: the n-th allocation of the kernels from now fails; 0 switches it off. Gives what was left to count
    before: above 0 none has failed since."""
    return fc_fail_allocation(n)
