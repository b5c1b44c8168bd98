"""What `pads` and `auto_pad` of ONNX mean for windows, for the reader and for the drop-in operators alike.
It must never look at a node: it is arithmetic on sizes."""

from collections.abc import Sequence

Pairs = tuple[tuple[int, int], ...]


def window_padding(
    auto_pad: str, pads: Sequence[int], sizes: Sequence[int | None], reach: Sequence[int], stride: Sequence[int]
) -> Pairs:
    """(before, after) of each spatial axis, for windows that reach over so many positions of an axis of that size.

    `pads` counts where `auto_pad` is "NOTSET". The size of an axis may be None where it has no say, at stride 1.
    """
    axes = len(reach)
    if auto_pad == "NOTSET":
        return tuple(zip(pads[:axes], pads[axes:], strict=True))
    if auto_pad == "VALID":
        return ((0, 0),) * axes
    pairs = []
    for size, r, step in zip(sizes, reach, stride, strict=True):
        # ceil(size / step) windows, the last of which ends where the padding does.
        total = r - 1 if size is None else max(0, (-(-size // step) - 1) * step + r - size)
        less, more = total // 2, total - total // 2
        pairs.append((less, more) if auto_pad == "SAME_UPPER" else (more, less))
    return tuple(pairs)
