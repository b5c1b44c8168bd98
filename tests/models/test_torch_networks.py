"""With the weights of a network of PyTorch's, drawn there and saved as it saves them, fastconv's gives PyTorch's
results and gradients; saved and read again the same bits, and as an ONNX file what ONNX Runtime computes of it."""

import numpy as np
import pytest
from network_list import without_dropout

import fastconv
from fastconv import models

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: models/test_networks.py compares with its stored values"
)
from torch_twins import TWINS  # noqa: E402


def torchvisions(name, classes):
    """A network of torchvision's own, where it is installed."""
    zoo = pytest.importorskip("torchvision", reason="torchvision is not installed: its values are stored")
    return getattr(zoo.models, name)(weights=None, num_classes=classes)


@pytest.fixture(params=[*TWINS, "mobilenet_v2"])
def pair(request, tmp_path):
    """(name, PyTorch's network, fastconv's with its weights, read from its file)."""
    torch.manual_seed(0)
    name = request.param
    theirs = TWINS[name](10) if name in TWINS else torchvisions(name, 10)
    with torch.no_grad():  # not the first statistics, shifts and scales
        for key, value in theirs.state_dict().items():
            if key.endswith(("running_var", "running_mean", "bias")) or (value.dim() == 1 and "weight" in key):
                value += torch.rand_like(value) / 4
    for module in theirs.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    path = tmp_path / "theirs.pth"
    torch.save(theirs.state_dict(), path)
    ours = without_dropout(getattr(models, name)(10, weights=path))
    path.unlink()
    return name, theirs.eval(), ours


def pictures(side, dtype=np.float32):
    return np.random.default_rng(0).standard_normal((2, 3, side, side)).astype(dtype)


def largest_error(y, expected):
    return np.abs(y - expected).max() / np.abs(expected).max()


def test_results_files_and_gradients(tmp_path, pair):
    name, theirs, ours = pair
    x = pictures(64)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
    y = ours(x)
    assert largest_error(y, expected) < 1e-4
    fastconv.save(ours, tmp_path / "ours.safetensors")
    np.testing.assert_array_equal(fastconv.load(tmp_path / "ours.safetensors")(x), y)
    (tmp_path / "ours.safetensors").unlink()
    require_gradients(name, theirs, ours)


def require_gradients(name, theirs, ours):
    """PyTorch's gradients in training mode: vgg16's in float32 (it is large), the others' in float64, because batch
    norm over few values enlarges rounding."""
    dtype, tolerance = (np.float32, 1e-4) if name == "vgg16" else (np.float64, 1e-6)
    for layer in (ours, theirs):
        layer.train()
    theirs.to(getattr(torch, np.dtype(dtype).name))
    ours.astype(dtype)
    x = pictures(32 if name == "vgg16" else 64, dtype)
    given = torch.from_numpy(x).requires_grad_()
    theirs(given).square().sum().backward()
    y, back = ours.forward(x)
    dx = back(2 * y)
    assert np.linalg.norm(dx - given.grad.numpy()) < tolerance * np.linalg.norm(given.grad.numpy())
    wanted = {key: parameter.grad.numpy() for key, parameter in theirs.named_parameters()}
    # A bias in front of a batch norm has no gradient but rounding.
    smallest = 1e-6 * max(np.linalg.norm(gradient) for gradient in wanted.values())
    found = {key: parameter.grad for key, parameter in ours.named_parameters()}
    assert list(found) == list(wanted)
    for key, gradient in found.items():
        norm = max(np.linalg.norm(wanted[key]), smallest)
        assert np.linalg.norm(gradient - wanted[key]) < tolerance * norm, key
    for key, value in theirs.state_dict().items():
        if "running" in key:  # moved by the batch
            assert largest_error(ours.state_dict(copy=False)[key], value.numpy()) < 1e-6, key


def test_as_an_onnx_file(tmp_path, pair):
    pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    from onnx_results import run

    _, theirs, ours = pair
    x = pictures(64)
    fastconv.save(ours, tmp_path / "ours.onnx", input_shape=(1, 3, 64, 64))
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
    assert largest_error(run(tmp_path / "ours.onnx", x)[0], expected) < 1e-4
