"""Convolutions of few pixels and many filters, whose pixels are read where they lie: plain, packed and optimized."""

import numpy as np
import pytest

import fastconv
from fastconv import layers as L


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("images", (1, 3))
@pytest.mark.parametrize("groups", (1, 2))
def test_every_number_of_pixels(groups, images, dtype):
    """None that fills a vector (behind global pooling), whole ones, a few more, part of one; channels in
    one block of the reduction and in three; filters that fill no tile; images whose pixels share a vector."""
    rng = np.random.default_rng(3)
    for pixels in (*range(1, 21), 32, 33, 47, 48, 49, 50, 63):
        for channels, filters in ((6, 200), (300, 208)):
            x = rng.standard_normal((images, channels, 1, pixels)).astype(dtype)
            conv = L.Conv2d(channels, filters, 1, groups=groups, generator=np.random.default_rng(2)).astype(dtype)
            weight, bias = conv.weight.data, conv.bias.data
            parts = zip(np.split(x, groups, 1), np.split(weight[..., 0, 0], groups), strict=True)
            exact = np.concatenate([np.einsum("ncop,kc->nkop", part, w, dtype=np.float64) for part, w in parts], 1)
            exact += bias[:, None, None]
            packed = fastconv.pack(weight, input_shape=x.shape, groups=groups)
            fast = fastconv.optimize(L.Sequential(conv), x.shape)
            calls = [fastconv.conv2d(x, w, bias, groups=groups) for w in (weight, packed)]
            for y in (*calls, fast(x)):
                limit = (2e-6 if dtype == np.float32 else 1e-14) * np.abs(exact).max()
                np.testing.assert_allclose(y, exact, rtol=0, atol=limit, err_msg=f"{pixels} pixels of {channels}")
