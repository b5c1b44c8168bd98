"""A kernel that is told of more elements than its array has, which the binding believes: for checkers of memory."""

import numpy as np

from fastconv import _kernels

_kernels.sgd(4096, (0.1, 0.0, 0.0, 0.0, False, True), np.ones(4096, np.float32), np.ones(64, np.float32), None)
