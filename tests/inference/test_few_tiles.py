"""Optimized 3x3 convolutions of few pixels: Winograd with a weight that is transformed in each call."""

import numpy as np
import pytest

import fastconv
from fastconv import layers as L


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize(
    ("channels", "filters", "side", "stride", "groups"),
    ((70, 64, 7, 1, 1), (33, 51, 13, 1, 1), (300, 130, 4, 1, 1), (64, 96, 14, 2, 1), (96, 128, 9, 1, 2)),
    ids=str,
)
def test_winograd_of_few_tiles(channels, filters, side, stride, groups, dtype):
    """Weights packed plainly and transformed in each call: channels in one pass and in several, filters that fill no
    vector, every batch up to the planned one, and an image that is not finite beside others."""
    more = {"stride": stride, "padding": 1, "groups": groups, "generator": np.random.default_rng(1)}
    conv = L.Conv2d(channels, filters, 3, **more)
    model = L.Sequential(conv, L.ReLU()).astype(dtype)
    x = np.random.default_rng(4).standard_normal((2, channels, side, side)).astype(dtype)
    fast = fastconv.optimize(model, x.shape)
    settings = {"stride": stride, "padding": 1, "groups": groups, "algorithm": "direct"}
    direct = fastconv.relu(fastconv.conv2d(x, conv.weight.data, conv.bias.data, **settings))
    limit = (4e-6 if dtype == np.float32 else 1e-13) * np.abs(direct).max()
    for batch in (2, 1):
        np.testing.assert_allclose(fast(x[:batch]), direct[:batch], rtol=0, atol=limit)
    x[1, -1, 2, 3] = np.nan
    y = fast(x)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(model(x)))
    np.testing.assert_allclose(y[0], direct[0], rtol=0, atol=limit)


def test_one_copy_of_the_weight():
    """Transformed it would be 16 or 36 numbers for 9, beside the plain 9."""
    conv = L.Conv2d(64, 96, 3, padding=1, generator=np.random.default_rng(0))
    fast = fastconv.optimize(L.Sequential(conv, L.ReLU()), (1, 64, 7, 7))
    kibibytes = float(fast.summary().splitlines()[-1].split("weights ")[1].split()[0])
    assert kibibytes == pytest.approx(4 * 96 * (64 * 9 + 1) / 1024, abs=1)
