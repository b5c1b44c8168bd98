"""How long an idle OpenMP thread spins before it sleeps; must be imported before the kernels, and never after.

GCC's runtime spins for milliseconds. On a machine with anything else to do that keeps a core from the very thread one
waits for: a network then trains five times slower on two threads than on one. A tenth of a millisecond still bridges
the gaps between the kernels of a network. Who sets OMP_WAIT_POLICY or GOMP_SPINCOUNT decides for himself.
"""

import os

_OWN = not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ)
if _OWN:
    os.environ["GOMP_SPINCOUNT"] = "10000"
try:
    from fastconv import _kernels  # noqa: F401  (loads the runtime, which reads its environment once)
finally:
    if _OWN:  # not the business of child processes
        del os.environ["GOMP_SPINCOUNT"]
