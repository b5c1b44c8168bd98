# Part of _kernels.pyx. The parallel loops of a call, seen one task after the other, and where their tasks would go on more
# cores. No checks: benchmarks/loops.py hands over what it measured itself.

cdef extern from "parallel.h" nogil:
    void fc_watch_loops(int (*)(ptrdiff_t, ptrdiff_t, double) except -1)
    void fc_skip_tasks(int)
    int fc_place_tasks(ptrdiff_t, double, ptrdiff_t, const double *, double *, ptrdiff_t *)

cdef object watch = None


cdef int call_watch(ptrdiff_t tasks, ptrdiff_t task, double work) except -1 with gil:
    watch(tasks, task, work)
    return 0


def watch_loops(function):
    """Loops of this thread run on it alone from now on: function(tasks, task, work) is called before each task, and with
    task == tasks after the last. What it raises ends the loop. None ends the watch; one thread at a time may watch."""
    global watch
    watch = function
    if function is None:
        fc_watch_loops(NULL)
    else:
        fc_watch_loops(call_watch)


def skip_tasks(bint skip):
    """For tests: from now on the loops of this thread take their memory and run no task; False ends it."""
    fc_skip_tasks(skip)


def place_tasks(double work, Py_ssize_t threads, cost, busy, thread_of):
    """Into thread_of which thread would run each task, into busy what it costs each thread, both of zeros before."""
    cdef Pins pins = Pins()
    cdef const double *c = <const double *>pins.read(cost)
    cdef double *b = <double *>pins.write(busy)
    cdef ptrdiff_t *t = <ptrdiff_t *>pins.write(thread_of)
    done(fc_place_tasks(len(cost), work, threads, c, b, t))
