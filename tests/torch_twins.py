"""resnet50, densenet121 and vgg16 in PyTorch's own modules, written from the papers' tables with torchvision's names.
They must never be built from fastconv's: they are what fastconv's networks are compared with."""

from collections import OrderedDict

import torch
from torch import nn


class Bottleneck(nn.Module):
    """He et al. 2015, figure 5, right; the 3x3 convolution strides."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride > 1 or channels != 4 * width:
            projection = nn.Conv2d(channels, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(4 * width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(torch.relu(self.bn2(self.conv2(y)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


def resnet50(classes: int) -> nn.Module:
    """He et al. 2015, table 1, the column of 50 layers."""
    parts = OrderedDict(conv1=nn.Conv2d(3, 64, 7, 2, 3, bias=False), bn1=nn.BatchNorm2d(64), relu=nn.ReLU())
    parts["maxpool"] = nn.MaxPool2d(3, 2, 1)
    channels = 64
    for number, (width, depth) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 1):
        blocks = []
        for place in range(depth):
            blocks.append(Bottleneck(channels, width, 2 if place == 0 and number > 1 else 1))
            channels = 4 * width
        parts[f"layer{number}"] = nn.Sequential(*blocks)
    parts |= OrderedDict(avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(channels, classes))
    return nn.Sequential(parts)


class DenseLayer(nn.Module):
    """Huang et al. 2017, DenseNet-B: 32 new channels by way of 128."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, 128, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(128), nn.Conv2d(128, 32, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv1(torch.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(torch.relu(self.norm2(y)))], 1)


def densenet121(classes: int) -> nn.Module:
    """Huang et al. 2017, table 1, the column of 121 layers."""
    parts = OrderedDict(conv0=nn.Conv2d(3, 64, 7, 2, 3, bias=False), norm0=nn.BatchNorm2d(64), relu0=nn.ReLU())
    parts["pool0"] = nn.MaxPool2d(3, 2, 1)
    channels = 64
    for number, depth in enumerate((6, 12, 24, 16), 1):
        block = OrderedDict((f"denselayer{k + 1}", DenseLayer(channels + 32 * k)) for k in range(depth))
        parts[f"denseblock{number}"] = nn.Sequential(block)
        channels += 32 * depth
        if number < 4:
            halved = OrderedDict(norm=nn.BatchNorm2d(channels), relu=nn.ReLU())
            halved |= OrderedDict(conv=nn.Conv2d(channels, channels // 2, 1, bias=False), pool=nn.AvgPool2d(2))
            parts[f"transition{number}"] = nn.Sequential(halved)
            channels //= 2
    parts["norm5"] = nn.BatchNorm2d(channels)
    head = OrderedDict(relu=nn.ReLU(), pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    return nn.Sequential(
        OrderedDict(features=nn.Sequential(parts)) | head | {"classifier": nn.Linear(channels, classes)}
    )


def vgg16(classes: int) -> nn.Module:
    """Simonyan and Zisserman 2015, table 1, column D; without dropout, whose numbers nobody else draws."""
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    wide = nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Identity(), nn.Linear(4096, 4096), nn.ReLU(), nn.Identity()
    parts = OrderedDict(features=nn.Sequential(*layers), avgpool=nn.AdaptiveAvgPool2d(7), flatten=nn.Flatten())
    return nn.Sequential(parts | {"classifier": nn.Sequential(*wide, nn.Linear(4096, classes))})


TWINS = {"resnet50": resnet50, "densenet121": densenet121, "vgg16": vgg16}
