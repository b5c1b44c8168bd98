"""A small network with two heads of YOLOv3, made of layers, and objects for it."""

import numpy as np

from fastconv import layers as L

ANCHORS = ((6, 8), (14, 10), (12, 30), (30, 40))
SIZE = (32, 48)
CLASSES = 3


def two_heads(dtype=np.float64, ignore=0.4) -> L.Graph:
    """8x8 and 4x4 pixels a cell; the larger priors belong to the coarser head."""
    g = np.random.default_rng(0)

    def convolution(channels, width, stride):
        return L.Sequential(L.Conv2d(channels, width, 3, stride, 1, generator=g), L.LeakyReLU(0.1))

    nodes = [
        ("stem", convolution(3, 16, 2), "x"),
        ("fine", convolution(16, 32, 2), "stem"),
        # with these a cell sees 47 pixels: whole objects
        ("coarse", L.Sequential(convolution(32, 32, 2), convolution(32, 32, 1), convolution(32, 32, 1)), "fine"),
        ("conv1", L.Conv2d(32, 2 * (5 + CLASSES), 1, generator=g), "coarse"),
        ("yolo1", L.YoloHead(ANCHORS, CLASSES, (3, 2), ignore), "conv1"),
        ("up", L.Upsample(scale_factor=2), "coarse"),
        ("cat", L.Cat(), ("up", "fine")),
        ("mixed", convolution(64, 32, 1), "cat"),
        ("conv2", L.Conv2d(32, 2 * (5 + CLASSES), 1, generator=g), "mixed"),
        ("yolo2", L.YoloHead(ANCHORS, CLASSES, (0, 1), ignore), "conv2"),
    ]
    return L.Graph(nodes, outputs=("yolo1", "yolo2")).astype(dtype)


# (class, x, y, width, height); two objects of the first picture share a cell and a prior
TARGET = np.array(
    [
        [[2, 0.30, 0.55, 0.14, 0.25], [0, 0.52, 0.40, 0.60, 0.95], [1, 0.31, 0.56, 0.12, 0.24]],
        [[1, 1.00, 0.00, 0.30, 0.35], [-1, 0, 0, 0, 0], [-1, 0, 0, 0, 0]],
    ]
)
