"""Wrong arguments and shapes: which error, and that it names the layer."""

import numpy as np
import pytest

from fastconv import layers as L


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda: L.Conv2d(0, 1, 1), "Conv2d: in_channels must be at least 1, got 0"),
        (lambda: L.Conv2d(1.0, 1, 1), "Conv2d: in_channels must be an integer, got 1.0"),
        (lambda: L.Conv2d(True, 1, 1), "Conv2d: in_channels must be an integer"),
        (lambda: L.Conv2d(1, 1, 0), "kernel_size"),
        (lambda: L.Conv2d(1, 1, (1, 2, 3)), "kernel_size must be one integer or 2"),
        (lambda: L.Conv2d(1, 1, 1, stride=0), "stride"),
        (lambda: L.Conv2d(1, 1, 1, padding=-1), "padding"),
        (lambda: L.Conv2d(1, 1, 1, padding="full"), 'padding must be integers, "same" or "valid"'),
        (lambda: L.Conv2d(1, 1, 3, stride=2, padding="same"), "needs stride 1"),
        (lambda: L.Conv2d(1, 1, 1, padding=((1, 2),)), "pairs"),
        (lambda: L.Conv2d(1, 1, 1, dilation=0), "dilation"),
        (lambda: L.Conv2d(3, 4, 1, groups=2), "groups=2 does not divide in_channels=3"),
        (lambda: L.Conv2d(4, 3, 1, groups=2), "groups=2 does not divide out_channels=3"),
        (lambda: L.Conv2d(1, 1, 1, bias=1), "bias must be True or False"),
        (lambda: L.Conv2d(1, 1, 1, generator=3), "generator"),
        (lambda: L.ConvTranspose2d(1, 1, 3, output_padding=1), "output_padding must be smaller"),
        (lambda: L.ConvTranspose2d(1, 1, 3, padding="same"), "padding must be integers"),
        (lambda: L.MaxPool2d(0), "kernel_size"),
        (lambda: L.MaxPool2d(2, return_indices=True), "fastconv.functional"),
        (lambda: L.AvgPool2d(2, divisor_override=0), "divisor_override"),
        (lambda: L.AdaptiveAvgPool2d((1, 2, 3)), "output_size"),
        (lambda: L.BatchNorm2d(0), "num_features"),
        (lambda: L.BatchNorm2d(3, eps=-1), "eps"),
        (lambda: L.BatchNorm2d(3, momentum=2), "momentum must be from 0 to 1"),
        (lambda: L.Linear(3, 0), "out_features"),
        (lambda: L.LeakyReLU("x"), "negative_slope must be a number"),
        (lambda: L.Dropout(1.0), "p must be less than 1"),
        (lambda: L.Dropout(-0.1), "p must be from 0 to 1"),
        (lambda: L.Upsample(), "either size or scale_factor"),
        (lambda: L.Upsample(scale_factor=1.5), "scale_factor must be an integer"),
        (lambda: L.Upsample(scale_factor=2, mode="cubic"), "mode"),
        (lambda: L.Upsample(scale_factor=2, align_corners=True), "align_corners"),
        (lambda: L.Sequential(3), "Sequential: expected layers, got 3"),
        (lambda: L.Sequential({"a.b": L.ReLU()}), "without a dot"),
        (lambda: L.Residual(None), "Residual: expected layers"),
        (lambda: L.Concat([]), "at least one branch"),
        (lambda: L.LocalResponseNorm(0), "size"),
        (lambda: L.CELU(0), "CELU: alpha must be above 0"),
        (lambda: L.GELU("erf"), "GELU: approximate must be 'none' or 'tanh', got 'erf'"),
        (lambda: L.Pad(((1, 1),), mode="mirror"), "Pad: mode must be"),
        (lambda: L.LpPool(0, (2,)), "LpPool: norm_type must be at least 1"),
        (lambda: L.LpPool(2, 3), "LpPool: kernel_size must be 1 to 3 sizes, got 3"),
        (lambda: L.LpPool(2, (3,), 0), "LpPool: stride must be at least 1"),
        (lambda: L.Resize(), "Resize: size or scale_factor"),
        (lambda: L.Resize((2,), (1.0, 2.0)), "as many axes"),
        (lambda: L.Resize((0,)), "Resize: size must be at least 1"),
        (lambda: L.Resize(scale_factor=(0,)), "Resize: scale_factor must be above 0"),
        (lambda: L.Resize(scale_factor=(1e9,)), "Resize: scale_factor must be from 0 to"),
        (lambda: L.Resize((2,), mode="area"), "Resize: mode must be"),
        (lambda: L.Resize((2,), antialias=True), "antialias goes with mode linear or cubic"),
        (lambda: L.Resize((2,), coordinates="tf_crop_and_resize"), "region goes with"),
        (lambda: L.Resize((2,), region=((0, 1),)), "region goes with"),
        (lambda: L.Resize((2,), coordinates="tf_crop_and_resize", region=(1,)), r"pairs \(start, end\), got 1"),
    ],
)
def test_wrong_constructor_arguments(build, error):
    with pytest.raises((TypeError, ValueError), match=error):
        build()


def nested():
    return L.Sequential({"stem": L.Conv2d(1, 4, 3), "stage": L.Sequential(L.Residual(L.Conv2d(5, 5, 1)), L.ReLU())})


@pytest.mark.parametrize("run", [lambda m, x: m(x), lambda m, x: m.forward(x)])
def test_a_shape_error_names_the_layer(run):
    x = np.ones((1, 1, 5, 5), np.float32)
    with pytest.raises(ValueError, match=r"^layer stage\.0\.body, Conv2d\(5, 5, kernel_size=\(1, 1\).*\): "):
        run(nested(), x)
    with pytest.raises(TypeError, match=r"^layer stem, Conv2d\(1, 4.*float64"):
        run(nested(), x.astype(np.float64))


def test_branches_that_do_not_fit():
    x = np.ones((1, 2, 4, 4), np.float32)
    with pytest.raises(ValueError, match=r"Concat: branches do not fit.*\(1, 2, 4, 4\), \(1, 2, 2, 2\)"):
        L.Concat([L.Identity(), L.MaxPool2d(2)])(x)
    with pytest.raises(ValueError, match=r"Residual: body gives shape \(1, 2, 2, 2\), shortcut \(1, 2, 4, 4\)"):
        L.Residual(L.MaxPool2d(2))(x)


def test_shapes_that_a_layer_alone_refuses():
    with pytest.raises(ValueError, match="BatchNorm2d: x must have 4 dimensions and 3 channels"):
        L.BatchNorm2d(3)(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="Flatten: axes 1 to -1 do not fit"):
        L.Flatten()(np.ones(3, np.float32))
    with pytest.raises(ValueError, match="Upsample: size"):
        L.Upsample(size=5)(np.ones((1, 1, 2, 2), np.float32))
    with pytest.raises(ValueError, match=r"Resize: .* does not fit x of shape"):
        L.Resize((5, 5))(np.ones(2, np.float32))
    with pytest.raises(ValueError, match="Resize: nothing of x"):
        L.Resize(scale_factor=(0.3,))(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="Amax: axes"):
        L.Amax(3)(np.ones((2, 3), np.float32))
