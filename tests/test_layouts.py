"""Every memory layout NumPy can make gives the bits of the plain array; inputs are never changed (cases 61 to
68, 71, 74)."""

import checks
import compare
import numpy as np
import pytest
from ops import OPS


class Sub(np.ndarray):
    """A subclass that would notice being handed out (case 60)."""


def fortran(a):
    return np.asfortranarray(a)


def reversed_axes(a):
    return a[(slice(None, None, -1),) * a.ndim].copy()[(slice(None, None, -1),) * a.ndim]


def every_second(a):
    wide = np.full([2 * n for n in a.shape], 77, a.dtype)
    view = wide[(slice(None, None, 2),) * a.ndim]
    view[...] = a
    return view


def channels_last_view(a):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1) if a.ndim > 1 else a


def unaligned(a):
    memory = np.zeros(a.nbytes + 1, np.uint8)
    view = memory[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def read_only(a):
    copy = a.copy()
    copy.flags.writeable = False
    return copy


def swapped(a):
    return a.astype(a.dtype.newbyteorder())


def subclass(a):
    return a.view(Sub)


def from_bytes(a):
    return np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape)


def odd_strides(a):
    """Any stride is legal along an axis of length 1 (case 17)."""
    strides = [1 << 40 if n == 1 else s for n, s in zip(a.shape, a.strides, strict=True)]
    return np.lib.stride_tricks.as_strided(a, a.shape, strides)


LAYOUTS = [fortran, reversed_axes, every_second, channels_last_view, unaligned, read_only, swapped]
LAYOUTS += [subclass, from_bytes, odd_strides]


def chosen(op):
    """A few small cases of each kind: the first, some in between and every channels-last one."""
    small = [case for case in op.cases if not case.large]
    last = [case for case in small if case.settings.get("layout") == "NHWC"][:2]
    return [*small[:: max(1, len(small) // 6)], *last]


def hostile(layout, array):
    if array.dtype.kind != "f" and layout is swapped:
        return array
    view = layout(array)
    assert np.array_equal(view, array)
    return view


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_layouts(op, layout):
    for case in chosen(op):
        arrays = op.arrays(case, "normal", 0, np.float32)
        wanted, repro = checks.called(op, case, arrays), op.repro(case, "normal", 0, "float32")
        for names in [*((name,) for name in arrays), tuple(arrays)]:
            views = {name: hostile(layout, a) if name in names else a for name, a in arrays.items()}
            before = {name: v.tobytes() for name, v in views.items()}
            for got, want in zip(checks.called(op, case, views), wanted, strict=True):
                compare.same_bits(got, want, f"{repro} with {names} {layout.__name__}")
            assert before == {name: v.tobytes() for name, v in views.items()}, f"{repro}: an input changed"


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_broadcast_views_and_memory_maps(op, tmp_path):
    for case in chosen(op)[:3]:
        arrays = op.arrays(case, "integers", 0, np.float64)
        for name, array in arrays.items():
            if not array.size or array.dtype.kind != "f":
                continue
            views = [np.broadcast_to(array[:1], array.shape), np.broadcast_to(array.flat[0], array.shape)]
            file = np.memmap(tmp_path / "array", array.dtype, "w+", shape=array.shape)
            file[...] = array
            file.flush()
            views += [np.memmap(tmp_path / "array", array.dtype, "r", shape=array.shape), array.tolist()]
            for view in views:
                plain = checks.called(op, case, {**arrays, name: np.array(view)})
                value = op.function(**{**arrays, name: view}, **case.settings)
                for got, want in zip(compare.results(value), plain, strict=True):
                    compare.same_bits(got, want, op.repro(case, "integers", 0, "float64"))
            del file, views, view


def test_one_array_as_both_operands():
    """Case 71."""
    import fastconv

    x = np.random.default_rng(0).integers(-3, 4, (3, 3, 3, 3)).astype(np.float32)
    assert np.array_equal(fastconv.conv2d(x, x, padding=1), fastconv.reference.conv2d(x, x, padding=1))
    assert np.array_equal(fastconv.add(x, x), x + x)


def test_overlapping_windows_as_input():
    """Case 65."""
    import fastconv

    row = np.arange(20, dtype=np.float32)
    x = np.lib.stride_tricks.sliding_window_view(row, 8)[None, :4]
    w = np.ones((2, 4, 3), np.float32)
    assert np.array_equal(fastconv.conv1d(x, w), fastconv.conv1d(x.copy(), w))
