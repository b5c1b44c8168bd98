"""ONNX's two ways to run a model on fastconv: `Backend`, the interface of onnx.backend, and `new_ops` for
onnx.reference.ReferenceEvaluator. What fastconv does not compute the evaluator's own operators do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

try:
    import onnx
    from onnx import helper, numpy_helper
    from onnx.backend import base
    from onnx.reference.ops import (
        op_average_pool,
        op_batch_normalization,
        op_conv,
        op_conv_transpose,
        op_global_average_pool,
        op_global_max_pool,
        op_lrn,
        op_max_pool,
        op_softmax,
    )
except ImportError as error:
    raise ImportError('fastconv.compat.onnx needs the onnx package: pip install "fastconv[onnx]"') from error

from fastconv import functional as F
from fastconv.formats.errors import FormatError
from fastconv.formats.onnx_padding import window_padding
from fastconv.formats.onnx_read import graph_of, is_read
from fastconv.layers import Graph

__all__ = ["Backend", "BackendRep", "new_ops"]

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


# ---- onnx.backend


class BackendRep(base.BackendRep):
    """A model that is ready to run. Where operands that fastconv keeps as weights are inputs of the model, it is read
    anew in each run, with all inputs but the first as its weights."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        known = {tensor.name for tensor in model.graph.initializer}
        self._names = [value.name for value in model.graph.input if value.name not in known]
        self._graph: Graph | None = None
        try:
            self._graph = graph_of(model)
        except FormatError:
            if len(self._names) <= 1 or not all(map(is_read, model.graph.node)):
                raise

    def run(self, inputs: Any, **kwargs: Any) -> tuple[np.ndarray, ...]:
        """The outputs for the inputs in order, or by name."""
        given = dict(inputs) if isinstance(inputs, Mapping) else dict(zip(self._names, inputs, strict=False))
        missing = [name for name in self._names if name not in given]
        if missing or len(given) != len(self._names):
            raise ValueError(f"the model has the inputs {self._names}, got {list(given)}")
        if self._graph is not None:
            results = self._graph(*(np.asarray(given[name]) for name in self._names))
        else:
            results = self._bound(given)(np.asarray(given[self._names[0]]))
        return results if isinstance(results, tuple) else (results,)

    def _bound(self, given: Mapping[str, Any]) -> Graph:
        """The network with all inputs but the first as its weights."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        first = self._names[0]
        for name in self._names[1:]:
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(given[name]), name))
        kept = [value for value in model.graph.input if value.name == first]
        del model.graph.input[:]
        model.graph.input.extend(kept)
        return graph_of(model)


class Backend(base.Backend):
    """Models of float32 or float64 on the CPU, of the operators that `fastconv.load` reads."""

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether `prepare` takes the model."""
        try:
            BackendRep(model)
        except (ValueError, TypeError):
            return False
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> BackendRep:
        """FormatError, a ValueError, for a model that fastconv cannot compute."""
        if not cls.supports_device(device):
            raise ValueError(f"fastconv runs on the CPU, not on {device!r}")
        super().prepare(model, device, **kwargs)
        return BackendRep(model)

    @classmethod
    def run_node(
        cls, node: onnx.NodeProto, inputs: Any, device: str = "CPU", outputs_info: Any = None, **kwargs: Any
    ) -> tuple[np.ndarray, ...]:
        """One node on arrays; `opset_version` among the keywords, else the newest."""
        super().run_node(node, inputs, device, outputs_info, **kwargs)
        names = [name for name in node.input if name]
        arrays = [np.asarray(x) for x in (inputs.values() if isinstance(inputs, Mapping) else inputs)]
        kinds = [helper.np_dtype_to_tensor_dtype(array.dtype) for array in arrays]
        given = [
            helper.make_tensor_value_info(name, kind, array.shape)
            for name, kind, array in zip(names, kinds, arrays, strict=True)
        ]
        gives = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
        opset = helper.make_opsetid("", kwargs.get("opset_version", onnx.defs.onnx_opset_version()))
        model = helper.make_model(helper.make_graph([node], "node", given, gives), opset_imports=[opset])
        model = onnx.shape_inference.infer_shapes(model)
        return cls.prepare(model, device).run(arrays)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return base.Device(device).type == base.DeviceType.CPU


# ---- onnx.reference


def _is_ours(*arrays: np.ndarray | None) -> bool:
    """Whether fastconv computes arrays of this dtype and number of axes."""
    given = [array for array in arrays if array is not None]
    return given[0].dtype in (np.float32, np.float64) and 3 <= given[0].ndim <= 5 and given[0].size > 0


def _axes(*values: Sequence[int] | None, axes: int) -> list[tuple[int, ...]]:
    return [(1,) * axes if value is None else tuple(value) for value in values]


def _pairs(auto_pad: str | None, pads: Any, shape: tuple[int, ...], reach: tuple[int, ...], stride: tuple[int, ...]):
    """(before, after) of each axis."""
    pads = (0,) * (2 * len(reach)) if pads is None else tuple(pads)
    return window_padding(auto_pad or "NOTSET", pads, shape[2:], reach, stride)


class Conv(op_conv.Conv):
    def _run(self, X, W, B=None, auto_pad=None, dilations=None, group=None, kernel_shape=None, pads=None, strides=None):
        settings = (auto_pad, dilations, group, kernel_shape, pads, strides)
        if not _is_ours(X) or W.dtype != X.dtype:
            return super()._run(X, W, B, *settings)
        axes = X.ndim - 2
        stride, dilation = _axes(strides, dilations, axes=axes)
        reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, W.shape[2:], strict=True))
        padding = _pairs(auto_pad, pads, X.shape, reach, stride)
        window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": group or 1}
        return (_CONV[axes](X, W, B, **window),)


class ConvTranspose(op_conv_transpose.ConvTranspose):
    def _run(
        self, X, W, B=None, auto_pad=None, dilations=None, group=None, kernel_shape=None, output_padding=None,
        output_shape=None, pads=None, strides=None,
    ):  # fmt: skip
        settings = (auto_pad, dilations, group, kernel_shape, output_padding, output_shape, pads, strides)
        if not _is_ours(X) or auto_pad not in (None, "", "NOTSET", "VALID") or output_shape is not None:
            return super()._run(X, W, B, *settings)
        axes = X.ndim - 2
        stride, dilation = _axes(strides, dilations, axes=axes)
        padding = _pairs(auto_pad, pads, X.shape, W.shape[2:], stride)
        extra = (0,) * axes if output_padding is None else tuple(output_padding)
        window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": group or 1}
        try:
            return (_TRANSPOSED[axes](X, W, B, output_padding=extra, **window),)
        except ValueError:  # output_padding beyond the stride
            return super()._run(X, W, B, *settings)


class MaxPool(op_max_pool.MaxPool):
    def _run(
        self, x, auto_pad=None, ceil_mode=None, dilations=None, kernel_shape=None, pads=None, storage_order=None,
        strides=None,
    ):  # fmt: skip
        settings = (auto_pad, ceil_mode, dilations, kernel_shape, pads, storage_order, strides)
        if not _is_ours(x) or storage_order:
            return super()._run(x, *settings)
        axes = x.ndim - 2
        stride, dilation = _axes(strides, dilations, axes=axes)
        reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel_shape, strict=True))
        padding = _pairs(auto_pad, pads, x.shape, reach, stride)
        window = (tuple(kernel_shape), stride, padding, dilation, bool(ceil_mode))
        try:
            if len(self.output) == 1:
                return (_MAX_POOL[axes](x, *window),)
            y, places = _MAX_POOL[axes](x, *window, return_indices=True)
        except ValueError:  # padding beyond half a window
            return super()._run(x, *settings)
        planes = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *(1,) * axes)
        return y, places + planes * int(np.prod(x.shape[2:]))


class AveragePool(op_average_pool.AveragePool_19):
    def _run(self, x, **settings):
        kernel, ceil = tuple(settings["kernel_shape"]), bool(settings.get("ceil_mode"))
        counted, dilations = bool(settings.get("count_include_pad")), settings.get("dilations")
        if not _is_ours(x) or ceil or (dilations is not None and any(d != 1 for d in dilations)):
            return super()._run(x, **settings)
        axes = x.ndim - 2
        (stride,) = _axes(settings.get("strides"), axes=axes)
        padding = _pairs(settings.get("auto_pad"), settings.get("pads"), x.shape, kernel, stride)
        try:
            return (_AVG_POOL[axes](x, kernel, stride, padding, count_include_pad=counted),)
        except ValueError:  # padding beyond half a window
            return super()._run(x, **settings)


class BatchNormalization(op_batch_normalization.BatchNormalization_14):
    def _run(self, x, scale, bias, mean, var, **settings):
        if settings.get("training_mode") or not _is_ours(x) or {a.dtype for a in (scale, bias, mean, var)} != {x.dtype}:
            return super()._run(x, scale, bias, mean, var, **settings)
        return (F.batch_norm(x, mean, var, scale, bias, eps=settings["epsilon"]),)


class GlobalAveragePool(op_global_average_pool.GlobalAveragePool):
    def _run(self, x):
        return (F.global_avg_pool2d(x),) if _is_ours(x) and x.ndim == 4 else super()._run(x)


class GlobalMaxPool(op_global_max_pool.GlobalMaxPool):
    def _run(self, x):
        return (F.adaptive_max_pool2d(x, 1),) if _is_ours(x) and x.ndim == 4 else super()._run(x)


class LRN(op_lrn.LRN):
    def _run(self, x, alpha=None, beta=None, bias=None, size=None):
        if not _is_ours(x) or size % 2 == 0:
            return super()._run(x, alpha, beta, bias, size)
        return (F.local_response_norm(x, size, alpha, beta, bias),)


class Softmax(op_softmax.Softmax):
    def _run(self, X, axis=None):
        if X.dtype not in (np.float32, np.float64) or axis is None:
            return super()._run(X, axis=axis)
        return (F.softmax(np.ascontiguousarray(X), axis),)


new_ops = [
    Conv,
    ConvTranspose,
    MaxPool,
    AveragePool,
    BatchNormalization,
    GlobalAveragePool,
    GlobalMaxPool,
    LRN,
    Softmax,
]
"""For `onnx.reference.ReferenceEvaluator(model, new_ops=new_ops)`: the evaluator's own operators, computed by fastconv
where it can."""
for _operator in new_ops:
    _operator.op_domain = ""
