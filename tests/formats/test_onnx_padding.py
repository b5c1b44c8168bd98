"""auto_pad, by what ONNX says of it: ceil(size / stride) windows, the padding even but for an odd one at one end."""

import pytest

from fastconv.formats.onnx_padding import window_padding


@pytest.mark.parametrize("step", [1, 2, 3, 5])
@pytest.mark.parametrize("reach", [1, 2, 3, 4, 7])
def test_same(reach, step):
    for size in range(1, 12):
        ((before, after),) = window_padding("SAME_UPPER", (), (size,), (reach,), (step,))
        assert window_padding("SAME_LOWER", (), (size,), (reach,), (step,)) == ((after, before),)
        assert before <= after <= before + 1
        windows = -(-size // step)
        assert (size + before + after - reach) // step + 1 == windows
        # No more padding than those windows need.
        assert before + after == 0 or (windows - 1) * step + reach == size + before + after


def test_the_others():
    assert window_padding("NOTSET", (1, 2, 3, 4), (None, None), (3, 3), (2, 2)) == ((1, 3), (2, 4))
    assert window_padding("VALID", (1, 2, 3, 4), (None, None), (3, 3), (2, 2)) == ((0, 0), (0, 0))
    assert window_padding("SAME_LOWER", (), (None,), (4,), (1,)) == ((2, 1),), "at stride 1 the size has no say"
