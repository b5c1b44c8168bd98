"""Small networks for small pictures; SMALL_MODELS names them for the command line.
They must be made of layers alone: what is trained here is saved as a file that carries its architecture."""

from collections.abc import Callable

import numpy as np

from ..layers import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential

Shape = tuple[int, int, int]


def small_cnn(shape: Shape, classes: int, *, generator: np.random.Generator | None = None) -> Sequential:
    """conv16 - pool - conv32 - pool - FC64 - FC, 3x3 filters and ReLU, for pictures `shape` (C, H, W) of at
    least 4x4.

    On Fashion-MNIST, Adam at a constant rate of 1e-3 and batches of 128 bring it to about 89 % in 3 epochs.
    """
    C, H, W = _checked("small_cnn", shape, classes, 4)
    return Sequential(
        Conv2d(C, 16, 3, padding=1, generator=generator),
        ReLU(),
        MaxPool2d(2),
        Conv2d(16, 32, 3, padding=1, generator=generator),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Linear(32 * (H // 4) * (W // 4), 64, generator=generator),
        ReLU(),
        Linear(64, classes, generator=generator),
    )


def lenet5(shape: Shape, classes: int, *, generator: np.random.Generator | None = None) -> Sequential:
    """LeNet-5 (LeCun et al. 1998) with ReLU and max pooling, for pictures `shape` (C, H, W) of at least
    12x12.

    The first convolution pads by 2, so that 28x28 pictures give the 400 features of the paper's 32x32.
    """
    C, H, W = _checked("lenet5", shape, classes, 12)
    return Sequential(
        Conv2d(C, 6, 5, padding=2, generator=generator),
        ReLU(),
        MaxPool2d(2),
        Conv2d(6, 16, 5, generator=generator),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Linear(16 * ((H // 2 - 4) // 2) * ((W // 2 - 4) // 2), 120, generator=generator),
        ReLU(),
        Linear(120, 84, generator=generator),
        ReLU(),
        Linear(84, classes, generator=generator),
    )


def small_vgg(shape: Shape, classes: int, *, generator: np.random.Generator | None = None) -> Sequential:
    """Pairs of 3x3 convolutions with batch norm, halved by pooling: 32, 64 and from 16x16 pictures on 128
    channels.

    For pictures `shape` (C, H, W) of at least 4x4; 99 % on the 8x8 digits in ten epochs.
    """
    C, H, W = _checked("small_vgg", shape, classes, 4)
    layers = []
    for width in (32, 64, 128) if min(H, W) >= 16 else (32, 64):
        for _ in range(2):
            layers += [
                Conv2d(C, width, 3, padding=1, bias=False, generator=generator),
                BatchNorm2d(width),
                ReLU(),
            ]
            C = width
        layers.append(MaxPool2d(2))
    return Sequential(*layers, AdaptiveAvgPool2d(2), Flatten(), Linear(4 * C, classes, generator=generator))


def normalised(model: Sequential, mean: np.ndarray, std: np.ndarray) -> Sequential:
    """`model` behind a frozen layer that takes pictures of `mean` and `std` (C,) to mean 0 and deviation 1.

    The model file then carries the normalisation: whoever loads it gives it pictures of 0..1, as in training. A channel
    that never varies (std 0) is only centred.
    """
    first = BatchNorm2d(len(mean), affine=False)
    state = first.state_dict()
    state["running_mean"] = np.asarray(mean, state["running_mean"].dtype)
    state["running_var"] = np.where(std > 0, np.square(std), 1).astype(state["running_var"].dtype)
    first.load_state_dict(state)
    first.eval()
    return Sequential(first, *model)


SMALL_MODELS: dict[str, Callable[..., Sequential]] = {"small": small_cnn, "lenet5": lenet5, "vgg": small_vgg}


def _checked(name: str, shape: Shape, classes: int, smallest: int) -> Shape:
    if len(shape) != 3 or min(shape) < 1 or min(shape[1:]) < smallest:
        raise ValueError(
            f"{name}: shape must be (C, H, W) of at least {smallest}x{smallest} pixels, got {tuple(shape)}"
        )
    if classes < 2:
        raise ValueError(f"{name}: classes must be at least 2, got {classes}")
    return shape
