"""ONNX files of other makers: PyTorch's two exporters, graphs in the manner of tf2onnx, trained weights."""

import warnings

import numpy as np
import pytest

import fastconv

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx_results import run  # noqa: E402


def near(got, want, limit=1e-5):
    assert got.shape == want.shape and got.dtype == want.dtype
    assert np.abs(got - want).max() <= limit * np.abs(want).max()


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
@pytest.mark.parametrize("opset", [9, 13, 18])
def test_pytorch(tmp_path, dynamo, opset):
    """Reshapes by the size of the batch, adaptive pooling, split, upsampling, clipping; the names of the state dict."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    if dynamo:
        pytest.importorskip("onnxscript", reason="onnxscript, PyTorch's exporter, is not installed")
        if opset != 18:
            pytest.skip("that exporter writes opset 18")
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
            self.depth = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8)
            self.slope = nn.PReLU(8)
            self.up = nn.Upsample(scale_factor=2)
            self.pool = nn.MaxPool2d(3, 2, 1)
            self.head = nn.Linear(8 * 2 * 2, 5)

        def forward(self, x):
            x = self.stem(x)
            first, second = (self.slope(self.depth(x)) + x).chunk(2, dim=1)
            x = torch.cat([torch.sigmoid(first) * second, nn.functional.leaky_relu(second, 0.2)], 1)
            x = self.pool(self.up(x))
            x = nn.functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
            x = nn.functional.adaptive_avg_pool2d(nn.functional.pad(x, (0, 1, 1, 0)), 1) + x[:, :, :2, :2] / 3
            x = x.view(x.size(0), 2, 4, 4).transpose(1, 2).reshape(x.shape[0], -1)
            return nn.functional.log_softmax(self.head(x.clamp(min=-2)), 1)

    torch.manual_seed(0)
    net = Net().eval()
    x = torch.randn(2, 3, 20, 20)
    options = {"opset_version": opset, "input_names": ["x"], "dynamo": dynamo}
    if dynamo:
        options["dynamic_shapes"] = {"x": {0: torch.export.Dim("n")}}
        options["external_data"] = False
    else:
        options["dynamic_axes"] = {"x": {0: "n"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (x,), tmp_path / "a.onnx", verbose=False, **options)
    model = fastconv.load(tmp_path / "a.onnx")
    for n in (1, 3):
        x = torch.randn(n, 3, 20, 20)
        near(model(x.numpy()), net(x).detach().numpy())
    names = set(model.state_dict())
    assert {"depth.weight", "depth.bias", "head.weight", "head.bias"} <= names


def graph(nodes, weights, x_shape, y_shape, opset=13):
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, x_shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, y_shape)]
    made = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def test_channels_last_in_the_manner_of_tf2onnx(tmp_path):
    """Pictures as TensorFlow has them, a Transpose on both sides of each operator, SAME padding, Dense at the end."""
    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.standard_normal((6, 3, 3, 3), np.float32), "b1": rng.standard_normal(6, np.float32),
        "w2": rng.standard_normal((6, 1, 3, 3), np.float32), "scale": rng.uniform(0.5, 2, 6).astype(np.float32),
        "dense": rng.standard_normal((6, 4), np.float32), "bias": rng.standard_normal(4, np.float32),
        "shape": np.array([-1, 6]),
    }  # fmt: skip
    node = helper.make_node
    nodes = [
        node("Transpose", ["x"], ["t1"], perm=[0, 3, 1, 2]),
        node("Conv", ["t1", "w1", "b1"], ["c1"], auto_pad="SAME_UPPER", strides=[2, 2], kernel_shape=[3, 3]),
        node("Transpose", ["c1"], ["t2"], perm=[0, 2, 3, 1]),
        node("Relu", ["t2"], ["r"]),
        node("Transpose", ["r"], ["t3"], perm=[0, 3, 1, 2]),
        node("Conv", ["t3", "w2"], ["c2"], auto_pad="SAME_LOWER", group=6),
        node("MaxPool", ["c2"], ["m"], auto_pad="SAME_UPPER", kernel_shape=[2, 2], strides=[2, 2]),
        node("Transpose", ["m"], ["t4"], perm=[0, 2, 3, 1]),
        node("Mul", ["t4", "scale"], ["s"]),
        node("ReduceMean", ["s"], ["mean"], axes=[1, 2], keepdims=0),
        node("Reshape", ["mean", "shape"], ["flat"]),
        node("MatMul", ["flat", "dense"], ["d"]),
        node("Add", ["d", "bias"], ["a"]),
        node("Softmax", ["a"], ["y"], axis=-1),
    ]
    onnx.save(graph(nodes, weights, ["n", 9, 11, 3], ["n", 4]), tmp_path / "a.onnx")
    x = rng.standard_normal((3, 9, 11, 3), np.float32)
    near(fastconv.load(tmp_path / "a.onnx")(x), run(tmp_path / "a.onnx", x)[0])


def test_trained_weights_in_a_file_of_others(tmp_path):
    """The convolutions of VGG16 as trained on ImageNet, with a head for something else."""
    from trained_files import VGG16, installed

    path = installed(VGG16)
    model = fastconv.load(path)
    (given,) = onnx.load(path, load_external_data=False).graph.input[:1]
    sizes = [dim.dim_value or 1 for dim in given.type.tensor_type.shape.dim]
    x = np.random.default_rng(0).uniform(0, 1, sizes).astype(np.float32)
    near(model(x), run(path, x)[0], 1e-4)


def test_the_trunk_of_a_file_takes_a_new_head(tmp_path):
    """What `load` gives is a Graph as any other: it trains, and its head can be replaced."""
    trunk = fastconv.models.cifar_resnet20(num_classes=10, seed=0)
    fastconv.save(trunk, tmp_path / "a.onnx", input_shape=(1, 3, 32, 32))
    model = fastconv.transfer.replace_head(fastconv.load(tmp_path / "a.onnx"), ["a", "b", "c"], seed=0)
    x = np.random.default_rng(0).standard_normal((4, 3, 32, 32), np.float32)
    y, back = model.forward(x)
    assert y.shape == (4, 3)
    assert back(np.ones_like(y)).shape == x.shape
    assert all(parameter.grad is not None for parameter in model.parameters())
