# cython: language_level=3, embedsignature=False, binding=False, freethreading_compatible=True
"""The binding: arrays become pointers, tuples become C structs, a status becomes an exception; the GIL is released around
every kernel. No checks beyond what keeps memory safe: fastconv._validate is the only place that judges arguments."""

from cpython.exc cimport PyErr_Occurred
from cpython.object cimport PyObject
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

cdef extern from "Python.h":
    int PyErr_CheckSignals()
    PyObject *PyTuple_GetItem(object, Py_ssize_t) except NULL
    Py_ssize_t PyLong_AsSsize_t(object) except? -1
    int PyObject_GetBuffer(object, Py_buffer *, int) except -1
    void PyBuffer_Release(Py_buffer *)
    int PyBuffer_FillInfo(Py_buffer *, object, void *, Py_ssize_t, int, int) except -1
    enum:
        PyBUF_SIMPLE
        PyBUF_WRITABLE

cdef extern from "parallel.h" nogil:
    int fc_num_threads()
    void fc_set_num_threads(int)
    void fc_cap_num_threads(int)
    void fc_set_interrupt_check(int (*)() noexcept)
    int fc_has_openmp()

cdef extern from "fastconv.h" nogil:
    enum:
        FC_OK
        FC_NO_MEMORY
        FC_INTERRUPTED
    ctypedef struct fc_conv:
        pass
    ctypedef struct fc_pool:
        pass
    enum:
        FC_POINT_RELU
        FC_POINT_RELU_GRAD
        FC_POINT_LEAKY_RELU
        FC_POINT_LEAKY_RELU_GRAD
        FC_POINT_RELU6
        FC_POINT_RELU6_GRAD
        FC_POINT_ADD
        FC_POINT_ADD_RELU
    ctypedef struct fc_sgd:
        double lr, momentum, dampening, weight_decay
        ptrdiff_t nesterov, first
    ctypedef struct fc_adam:
        double step_size, beta1, beta2, root, eps, keep, weight_decay
    ctypedef struct fc_epilogue:
        const void *bias
        const void *add
        const void *entry
        ptrdiff_t activation
        double slope
        ptrdiff_t x_image, y_image
    ctypedef struct fc_kernels:
        const char *target
        ptrdiff_t element_size
        ptrdiff_t lanes
        ptrdiff_t (*conv_algorithm)(const fc_conv *, ptrdiff_t weight) noexcept nogil
        ptrdiff_t (*conv_packed_size)(const fc_conv *) noexcept nogil
        int (*conv_pack)(const fc_conv *, const void *, void *) noexcept nogil
        int (*conv_forward)(const fc_conv *, const void *, const void *, const void *, const fc_epilogue *, void *) noexcept nogil
        int (*conv_expands)(const fc_conv *, const fc_conv *) noexcept nogil
        int (*conv_grad_input)(const fc_conv *, const void *, const void *, const void *, void *) noexcept nogil
        int (*conv_grad_weight)(const fc_conv *, const void *, const void *, void *) noexcept nogil
        int (*linear_few)(ptrdiff_t, ptrdiff_t, ptrdiff_t, const void *, const void *, const void *, void *) noexcept nogil
        int (*linear_few_backward)(ptrdiff_t, ptrdiff_t, ptrdiff_t, const void *, const void *, const void *, void *,
                                   void *) noexcept nogil
        int (*channel_sum)(ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t, const void *, void *) noexcept nogil
        int (*max_pool_forward)(const fc_pool *, const void *, void *, void *, int64_t *) noexcept nogil
        int (*max_pool_backward_taps)(const fc_pool *, const void *, const void *, void *) noexcept nogil
        int (*max_pool_backward)(const fc_pool *, const void *, const int64_t *, void *) noexcept nogil
        int (*avg_pool_forward)(const fc_pool *, const void *, void *) noexcept nogil
        int (*avg_pool_backward)(const fc_pool *, const void *, void *) noexcept nogil
        int (*batch_norm)(ptrdiff_t, ptrdiff_t, ptrdiff_t, const void *, const void *, const void *, const void *,
                          const void *, double, ptrdiff_t, void *) noexcept nogil
        int (*batch_norm_train)(ptrdiff_t, ptrdiff_t, ptrdiff_t, const void *, const void *, const void *, double,
                                ptrdiff_t, void *, void *, void *) noexcept nogil
        int (*batch_norm_backward)(ptrdiff_t, ptrdiff_t, ptrdiff_t, const void *, const void *, const void *,
                                   const void *, const void *, const void *, double, ptrdiff_t, ptrdiff_t, void *,
                                   void *, void *) noexcept nogil
        int (*pointwise)(ptrdiff_t, ptrdiff_t, double, const void *, const void *, void *) noexcept nogil
        int (*sgd)(ptrdiff_t, const fc_sgd *, const void *, void *, void *) noexcept nogil
        int (*adam)(ptrdiff_t, const fc_adam *, const void *, void *, void *, void *, void *) noexcept nogil
        int (*fma_peak)(ptrdiff_t, double *) noexcept nogil
    const char *const fc_target_names[]
    int fc_target_runs(const char *)
    const fc_kernels *fc_kernels_of(const char *, ptrdiff_t)


# ---- what the calls below share

cdef const fc_kernels *table32 = NULL
cdef const fc_kernels *table64 = NULL


cdef class Pins:
    """The arrays of one call, held (and so not resizable) until it returns. All have one element size, that of the kernels."""

    cdef Py_buffer views[10]
    cdef int count
    cdef Py_ssize_t element_size

    def __dealloc__(self):
        for i in range(self.count):
            PyBuffer_Release(&self.views[i])

    cdef void *pin(self, object array, int flags) except? NULL:
        if array is None:
            return NULL
        cdef Py_buffer *view = &self.views[self.count]
        PyObject_GetBuffer(array, view, flags)
        self.count += 1
        return view.buf

    cdef void *read(self, object array) except? NULL:
        cdef void *memory = self.pin(array, PyBUF_SIMPLE)
        if array is not None:
            self.element_size = self.views[self.count - 1].itemsize
        return memory

    cdef void *write(self, object array) except? NULL:
        return self.pin(array, PyBUF_WRITABLE)

    cdef const fc_kernels *kernels(self) noexcept nogil:
        return table32 if self.element_size == 4 else table64


cdef int fill(void *struct, size_t size, tuple fields) except -1:
    """Write a tuple of ints into a struct whose members are all ptrdiff_t."""
    cdef ptrdiff_t *members = <ptrdiff_t *>struct
    cdef Py_ssize_t i, count = len(fields)
    if <size_t>count * sizeof(ptrdiff_t) != size:
        raise AssertionError("geometry tuple does not match its C struct")
    for i in range(count):
        members[i] = PyLong_AsSsize_t(<object>PyTuple_GetItem(fields, i))
    return 0


cdef int check_signals() noexcept with gil:
    return PyErr_CheckSignals()


cdef int done(int status) except -1 nogil:
    """Raise what a status means; the GIL is taken for it alone."""
    if status == FC_OK:
        return 0
    with gil:
        if status == FC_NO_MEMORY:
            raise MemoryError("fastconv: not enough memory for the scratch of a kernel")
        if PyErr_Occurred() == NULL:
            raise KeyboardInterrupt
    return -1


# ---- configuration

def all_targets():
    """Names of the targets compiled in, best first."""
    names = []
    cdef int i = 0
    while fc_target_names[i] != NULL:
        names.append(fc_target_names[i].decode())
        i += 1
    return names


def target_runs(str name):
    return bool(fc_target_runs(name.encode()))


def use_target(str name):
    """Run on this target from now on; it must be one that target_runs()."""
    global table32, table64
    table32 = fc_kernels_of(name.encode(), 4)
    table64 = fc_kernels_of(name.encode(), 8)
    fc_set_interrupt_check(check_signals)


def current_target():
    return table32.target.decode()


def num_threads():
    return fc_num_threads()


def set_num_threads(int n):
    fc_set_num_threads(n)


def cap_num_threads(int n):
    fc_cap_num_threads(n)


def has_openmp():
    return bool(fc_has_openmp())


def fma_peak(Py_ssize_t rounds, Py_ssize_t element_size):
    """Floating-point operations of a register-only multiply-add loop on every thread (the caller times it)."""
    cdef double operations = 0
    cdef const fc_kernels *kernels = table32 if element_size == 4 else table64
    with nogil:
        done(kernels.fma_peak(rounds, &operations))
    return operations


include "_memory.pxi"
include "_loops.pxi"


# ---- convolution

def conv_algorithm(tuple geometry, Py_ssize_t element_size, Py_ssize_t weight):
    cdef fc_conv g
    fill(&g, sizeof(g), geometry)
    return (table32 if element_size == 4 else table64).conv_algorithm(&g, weight)


def conv_packed_size(tuple geometry, Py_ssize_t element_size):
    cdef fc_conv g
    fill(&g, sizeof(g), geometry)
    return (table32 if element_size == 4 else table64).conv_packed_size(&g)


def conv_expands(tuple first, tuple second, Py_ssize_t element_size):
    cdef fc_conv a, b
    fill(&a, sizeof(a), first)
    fill(&b, sizeof(b), second)
    return bool((table32 if element_size == 4 else table64).conv_expands(&a, &b))


def conv_pack(tuple geometry, weight, packed):
    cdef fc_conv g
    cdef Pins pins = Pins()
    fill(&g, sizeof(g), geometry)
    cdef const void *w = pins.read(weight)
    cdef void *to = pins.write(packed)
    with nogil:
        done(pins.kernels().conv_pack(&g, w, to))


def conv_forward(tuple geometry, x, weight, packed, bias, add, Py_ssize_t activation, double slope, y):
    cdef fc_conv g
    cdef fc_epilogue end
    cdef Pins pins = Pins()
    fill(&g, sizeof(g), geometry)
    cdef const void *px = pins.read(x)
    cdef const void *w = pins.read(weight)
    cdef const void *p = pins.read(packed)
    end.bias = pins.read(bias)
    end.add = pins.read(add)
    end.entry = NULL
    end.activation = activation
    end.slope = slope
    end.x_image = end.y_image = 0
    cdef void *py = pins.write(y)
    with nogil:
        done(pins.kernels().conv_forward(&g, px, w, p, &end, py))


def conv_grad_input(tuple geometry, dy, weight, bias, dx):
    """Also the transposed convolution, whose bias this adds."""
    cdef fc_conv g
    cdef Pins pins = Pins()
    fill(&g, sizeof(g), geometry)
    cdef const void *pdy = pins.read(dy)
    cdef const void *w = pins.read(weight)
    cdef const void *b = pins.read(bias)
    cdef void *pdx = pins.write(dx)
    with nogil:
        done(pins.kernels().conv_grad_input(&g, pdy, w, b, pdx))


def conv_grad_weight(tuple geometry, dy, x, dweight):
    cdef fc_conv g
    cdef Pins pins = Pins()
    fill(&g, sizeof(g), geometry)
    cdef const void *pdy = pins.read(dy)
    cdef const void *px = pins.read(x)
    cdef void *pdw = pins.write(dweight)
    with nogil:
        done(pins.kernels().conv_grad_weight(&g, pdy, px, pdw))


def channel_sum(Py_ssize_t n, Py_ssize_t c, Py_ssize_t inner, bint channels_last, x, out):
    cdef Pins pins = Pins()
    cdef const void *px = pins.read(x)
    cdef void *po = pins.write(out)
    with nogil:
        done(pins.kernels().channel_sum(n, c, inner, channels_last, px, po))


def linear_few_backward(Py_ssize_t n, Py_ssize_t k, Py_ssize_t c, dy, x, weight, dx, dweight):
    cdef Pins pins = Pins()
    cdef const void *pdy = pins.read(dy)
    cdef const void *px = pins.read(x)
    cdef const void *w = pins.read(weight)
    cdef void *pdx = pins.write(dx)
    cdef void *pdw = pins.write(dweight)
    with nogil:
        done(pins.kernels().linear_few_backward(n, k, c, pdy, px, w, pdx, pdw))


def linear_few(Py_ssize_t n, Py_ssize_t k, Py_ssize_t c, x, weight, bias, y):
    cdef Pins pins = Pins()
    cdef const void *px = pins.read(x)
    cdef const void *w = pins.read(weight)
    cdef const void *b = pins.read(bias)
    cdef void *py = pins.write(y)
    with nogil:
        done(pins.kernels().linear_few(n, k, c, px, w, b, py))


# ---- pooling

def max_pool_forward(tuple geometry, x, y, taps, indices):
    """`taps` (uint8 where a window has at most 256 taps, else int32) and `indices` (int64) may be None."""
    cdef fc_pool g
    cdef Pins pins = Pins()
    fill(&g, sizeof(g), geometry)
    cdef const void *px = pins.read(x)
    cdef void *py = pins.write(y)
    cdef void *t = pins.write(taps)
    cdef int64_t *i = <int64_t *>pins.write(indices)
    with nogil:
        done(pins.kernels().max_pool_forward(&g, px, py, t, i))


def max_pool_backward(tuple geometry, dy, taps, indices, dx):
    """From the taps, or with None for them from the indices."""
    cdef fc_pool g
    cdef Pins pins = Pins()
    fill(&g, sizeof(g), geometry)
    cdef const void *pdy = pins.read(dy)
    cdef const void *t = pins.pin(taps, PyBUF_SIMPLE)
    cdef const int64_t *i = <const int64_t *>pins.pin(indices, PyBUF_SIMPLE)
    cdef void *pdx = pins.write(dx)
    with nogil:
        if t != NULL:
            done(pins.kernels().max_pool_backward_taps(&g, pdy, t, pdx))
        else:
            done(pins.kernels().max_pool_backward(&g, pdy, i, pdx))


def avg_pool_forward(tuple geometry, x, y):
    cdef fc_pool g
    cdef Pins pins = Pins()
    fill(&g, sizeof(g), geometry)
    cdef const void *px = pins.read(x)
    cdef void *py = pins.write(y)
    with nogil:
        done(pins.kernels().avg_pool_forward(&g, px, py))


def avg_pool_backward(tuple geometry, dy, dx):
    cdef fc_pool g
    cdef Pins pins = Pins()
    fill(&g, sizeof(g), geometry)
    cdef const void *pdy = pins.read(dy)
    cdef void *pdx = pins.write(dx)
    with nogil:
        done(pins.kernels().avg_pool_backward(&g, pdy, pdx))


# ---- batch normalisation of (n, c, inner) arrays

def batch_norm(Py_ssize_t n, Py_ssize_t c, Py_ssize_t inner, x, mean, var, weight, bias, double eps, bint relu, y):
    cdef Pins pins = Pins()
    cdef const void *px = pins.read(x)
    cdef const void *m = pins.read(mean)
    cdef const void *v = pins.read(var)
    cdef const void *w = pins.read(weight)
    cdef const void *b = pins.read(bias)
    cdef void *py = pins.write(y)
    with nogil:
        done(pins.kernels().batch_norm(n, c, inner, px, m, v, w, b, eps, relu, py))


def batch_norm_train(Py_ssize_t n, Py_ssize_t c, Py_ssize_t inner, x, weight, bias, double eps, bint relu, y, mean, var):
    cdef Pins pins = Pins()
    cdef const void *px = pins.read(x)
    cdef const void *w = pins.read(weight)
    cdef const void *b = pins.read(bias)
    cdef void *py = pins.write(y)
    cdef void *m = pins.write(mean)
    cdef void *v = pins.write(var)
    with nogil:
        done(pins.kernels().batch_norm_train(n, c, inner, px, w, b, eps, relu, py, m, v))


def batch_norm_backward(Py_ssize_t n, Py_ssize_t c, Py_ssize_t inner, dy, x, mean, var, weight, bias, double eps,
                        bint training, bint relu, dx, dweight, dbias):
    cdef Pins pins = Pins()
    cdef const void *pdy = pins.read(dy)
    cdef const void *px = pins.read(x)
    cdef const void *m = pins.read(mean)
    cdef const void *v = pins.read(var)
    cdef const void *w = pins.read(weight)
    cdef const void *b = pins.read(bias)
    cdef void *pdx = pins.write(dx)
    cdef void *dw = pins.write(dweight)
    cdef void *db = pins.write(dbias)
    with nogil:
        done(pins.kernels().batch_norm_backward(n, c, inner, pdy, px, m, v, w, b, eps, training, relu, pdx, dw, db))


# ---- element by element

POINTWISE = {
    "relu": FC_POINT_RELU,
    "relu_backward": FC_POINT_RELU_GRAD,
    "leaky_relu": FC_POINT_LEAKY_RELU,
    "leaky_relu_backward": FC_POINT_LEAKY_RELU_GRAD,
    "relu6": FC_POINT_RELU6,
    "relu6_backward": FC_POINT_RELU6_GRAD,
    "add": FC_POINT_ADD,
    "add_relu": FC_POINT_ADD_RELU,
}


def pointwise(Py_ssize_t op, Py_ssize_t count, double p, a, b, y):
    """y = op(a, b) over `count` elements; op is a value of POINTWISE."""
    cdef Pins pins = Pins()
    cdef const void *pa = pins.read(a)
    cdef const void *pb = pins.read(b)
    cdef void *py = pins.write(y)
    with nogil:
        done(pins.kernels().pointwise(op, count, p, pa, pb, py))


include "_program.pxi"


# ---- optimizers, in place

def sgd(Py_ssize_t count, tuple settings, gradient, parameter, velocity):
    """settings: the members of struct fc_sgd."""
    cdef fc_sgd s
    cdef Pins pins = Pins()
    s.lr, s.momentum, s.dampening, s.weight_decay, s.nesterov, s.first = settings
    cdef const void *g = pins.read(gradient)
    cdef void *p = pins.write(parameter)
    cdef void *v = pins.write(velocity)
    with nogil:
        done(pins.kernels().sgd(count, &s, g, p, v))


def adam(Py_ssize_t count, tuple settings, gradient, parameter, m, v, largest):
    """settings: the members of struct fc_adam."""
    cdef fc_adam s
    cdef Pins pins = Pins()
    s.step_size, s.beta1, s.beta2, s.root, s.eps, s.keep, s.weight_decay = settings
    cdef const void *g = pins.read(gradient)
    cdef void *p = pins.write(parameter)
    cdef void *pm = pins.write(m)
    cdef void *pv = pins.write(v)
    cdef void *top = pins.write(largest)
    with nogil:
        done(pins.kernels().adam(count, &s, g, p, pm, pv, top))
