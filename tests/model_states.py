"""Weights and inputs that NumPy alone draws from names, the same for fastconv and for PyTorch, and what is noted of
gradients. It must never depend on the order of anything."""

import hashlib
import math
import zlib

import numpy as np

# name: (height and width of x, num_classes, dtype of the gradients; "" for none)
NETWORKS = {
    "alexnet": (63, 10, ""),
    "vgg16": (32, 10, "float32"),
    "resnet18": (64, 10, ""),
    "resnet50": (64, 10, "float64"),
    "densenet121": (64, 10, "float64"),
    "mobilenet_v2": (64, 10, "float64"),
    "squeezenet1_1": (65, 10, ""),
    "darknet53": (64, 10, ""),
}


def generator(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def seeded(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The entry `name` of a state dict."""
    g = generator(name)
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        return g.uniform(0.7, 1.3, shape).astype(np.float32)
    if len(shape) > 1:
        return g.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / math.prod(shape[1:])))
    return g.standard_normal(shape, np.float32) * np.float32(0.1)


def inputs(name: str) -> tuple[np.ndarray, np.ndarray]:
    """x and the gradient of the network's result, for a batch of 2."""
    side, classes, _ = NETWORKS[name]
    g = generator(name)
    return g.standard_normal((2, 3, side, side), np.float32), g.standard_normal((2, classes), np.float32)


def sampled(gradient: np.ndarray) -> list[float]:
    """Norm and three elements, by which a gradient is known again."""
    flat = gradient.astype(np.float64).ravel()
    return [float(np.linalg.norm(flat)), *(float(flat[place * (flat.size - 1) // 4]) for place in (1, 2, 4))]


def fingerprint(shapes: dict[str, tuple[int, ...]]) -> str:
    """A hash of the names and shapes of a state dict, in order."""
    lines = "".join(f"{name} {tuple(shape)}\n" for name, shape in shapes.items())
    return hashlib.sha256(lines.encode()).hexdigest()[:16]
