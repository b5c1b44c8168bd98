"""The registry of ops: one row each, in OPS. Tests run over it; a public op without a row fails
test_house."""

from . import adaptive, convolution, dense, pointwise, pooling
from .row import Bad, Case, Op, widened

OPS = [*convolution.OPS, *pooling.OPS, *adaptive.OPS, *pointwise.OPS, *dense.OPS]
BY_NAME = {op.name: op for op in OPS}

__all__ = ["BY_NAME", "OPS", "Bad", "Case", "Op", "widened"]
