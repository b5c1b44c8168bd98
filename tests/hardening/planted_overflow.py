"""`python planted_overflow.py [ELEMENTS]`: a kernel that is told of so many more elements (4) than its array has, which
the binding believes: for checkers of memory. It must end at once, and write no further than what a checker keeps free
behind an array, for a torn heap can hang. AddressSanitizer stops before the write, and sees whole vectors alone."""

import os
import sys

import numpy as np

from fastconv import _kernels

size = 64 + (int(sys.argv[1]) if len(sys.argv) > 1 else 4)
_kernels.sgd(size, (0.1, 0.0, 0.0, 0.0, False, True), np.ones(size, np.float32), np.ones(64, np.float32), None)
os._exit(0)
