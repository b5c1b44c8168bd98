# Part of _kernels.pyx. A program of steps (src_c/program.h): filled once from tuples, run with the arrays of a call.
# No checks: fastconv._program hands over nothing but what it planned itself.

cdef extern from "program.h" nogil:
    enum:
        FC_STEP_CONV
        FC_STEP_EXPAND
        FC_STEP_LINEAR
        FC_STEP_MAX_POOL
        FC_STEP_AVG_POOL
        FC_STEP_BATCH_NORM
        FC_STEP_POINTWISE
        FC_STEP_COPY
        FC_STEP_UPSAMPLE
        FC_STEP_RESPONSE_NORM
        FC_STEP_SIZES
    ctypedef struct fc_places:
        pass
    ctypedef struct fc_step:
        ptrdiff_t op, activation, first_activation
        double p[3]
        fc_places at
        fc_conv conv, first
        fc_pool pool
        ptrdiff_t sizes[5]
    ctypedef struct fc_run:
        const fc_kernels *kernels
        const void **constants
        ptrdiff_t constant_count
        void **arrays
        ptrdiff_t n
        double *seconds
    int fc_run_steps(const fc_run *, const fc_step *, ptrdiff_t, ptrdiff_t)

STEPS = {
    "conv": FC_STEP_CONV,
    "expand": FC_STEP_EXPAND,
    "linear": FC_STEP_LINEAR,
    "max_pool": FC_STEP_MAX_POOL,
    "avg_pool": FC_STEP_AVG_POOL,
    "batch_norm": FC_STEP_BATCH_NORM,
    "pointwise": FC_STEP_POINTWISE,
    "copy": FC_STEP_COPY,
    "upsample": FC_STEP_UPSAMPLE,
    "response_norm": FC_STEP_RESPONSE_NORM,
}


cdef class Program:
    """Steps (op, activation, activation before, three numbers, places, geometry) over constants and the arrays of each
    run; the geometry of an expand is a pair."""

    cdef fc_step *steps
    cdef const void **constants
    cdef Py_ssize_t step_count, constant_count, element_size
    cdef list held

    def __cinit__(self, list steps, list constants, Py_ssize_t element_size):
        cdef Py_ssize_t i
        cdef Pins pins
        cdef fc_step *s
        self.held = []
        self.element_size = element_size
        self.constant_count, self.step_count = len(constants), len(steps)
        self.constants = <const void **>fc_alloc(<size_t>self.constant_count + 1, sizeof(void *))
        self.steps = <fc_step *>fc_alloc(<size_t>self.step_count + 1, sizeof(fc_step))
        if self.constants == NULL or self.steps == NULL:
            raise MemoryError("fastconv: not enough memory for a program")
        for i in range(self.constant_count):
            pins = Pins()
            self.constants[i] = pins.read(constants[i])
            self.held.append(pins)
        for i in range(self.step_count):
            op, activation, first_activation, numbers, places, geometry = steps[i]
            s = &self.steps[i]
            s.op, s.activation, s.first_activation = op, activation, first_activation
            s.p[0], s.p[1], s.p[2] = numbers
            fill(&s.at, sizeof(fc_places), places)
            if op == FC_STEP_CONV:
                fill(&s.conv, sizeof(fc_conv), geometry)
            elif op == FC_STEP_EXPAND:
                fill(&s.first, sizeof(fc_conv), geometry[0])
                fill(&s.conv, sizeof(fc_conv), geometry[1])
            elif op == FC_STEP_MAX_POOL or op == FC_STEP_AVG_POOL:
                fill(&s.pool, sizeof(fc_pool), geometry)
            else:
                fill(&s.sizes, sizeof(ptrdiff_t) * FC_STEP_SIZES, geometry)

    def __dealloc__(self):
        fc_free(self.steps)
        fc_free(<void *>self.constants)

    def run(self, Py_ssize_t first, Py_ssize_t stop, Py_ssize_t n, tuple arrays, seconds):
        """Steps first .. stop-1 for a batch of n; `seconds`, an array of float64 or None, takes the time of each."""
        cdef fc_run run
        cdef Pins pins = Pins()
        cdef list held = [pins]
        cdef void *places[64]
        cdef Py_ssize_t i, count = len(arrays)
        if count > 64 or first < 0 or stop > self.step_count:
            raise AssertionError("a program has at most 64 arrays, and runs its own steps")
        for i in range(count):
            if pins.count == 10:
                pins = Pins()
                held.append(pins)
            places[i] = pins.pin(arrays[i], PyBUF_SIMPLE)
        pins = Pins()
        run.kernels = table32 if self.element_size == 4 else table64
        run.constants, run.constant_count = self.constants, self.constant_count
        run.arrays, run.n = places, n
        run.seconds = <double *>pins.write(seconds)
        with nogil:
            done(fc_run_steps(&run, self.steps, first, stop))
