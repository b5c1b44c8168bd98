"""Networks made of fastconv's layers: the famous ones with the names of published weights, and small ones.
`models.resnet50(weights="resnet50-0676ba61.pth")`; what the keywords mean says `models.weights.Start`."""

from .alexnet import alexnet
from .darknet import darknet53
from .densenet import densenet121, densenet161, densenet169, densenet201
from .mobilenet import mobilenet_v2
from .resnet import (
    cifar_resnet18,
    cifar_resnet20,
    cifar_resnet56,
    cifar_resnet110,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
)
from .small import SMALL_MODELS, lenet5, normalised, small_cnn, small_vgg
from .squeezenet import squeezenet1_1
from .vgg import cifar_vgg11, cifar_vgg16, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn
from .yolo import yolov3, yolov3_tiny

__all__ = [
    "SMALL_MODELS",
    "alexnet",
    "cifar_resnet18",
    "cifar_resnet20",
    "cifar_resnet56",
    "cifar_resnet110",
    "cifar_vgg11",
    "cifar_vgg16",
    "darknet53",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "lenet5",
    "mobilenet_v2",
    "normalised",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "small_cnn",
    "small_vgg",
    "squeezenet1_1",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "yolov3",
    "yolov3_tiny",
]
