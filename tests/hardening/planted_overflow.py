"""A kernel that is told of four more elements than its array has, which the binding believes: for checkers of memory.
It must end at once, and write no further than what a checker keeps free behind an array: a torn heap can hang."""

import os

import numpy as np

from fastconv import _kernels

_kernels.sgd(68, (0.1, 0.0, 0.0, 0.0, False, True), np.ones(68, np.float32), np.ones(64, np.float32), None)
os._exit(0)
