"""Opens a Darknet .cfg as a Graph, with the weights of a .weights file or new ones.
It must never take memory for a network before all of the .cfg is checked and its size is known."""

import math

import numpy as np

from ..data.preprocess import Preprocess
from ..layers import Graph, Identity
from ..layers.initial import placeholders
from .darknet_cfg import Section, read_sections
from .darknet_layers import MAX_CHANNELS, SECTIONS, Wiring
from .darknet_weights import read_darknet_weights
from .files import PathType

# A picture of 16 megapixels, an array of 4 GB and weights of 1 GB in float32: what a .cfg alone may ask for.
_MAX_SIDE = 4096
_MAX_ELEMENTS = 1 << 30
_MAX_WEIGHTS = 1 << 28


def load_darknet(
    cfg: PathType, weights: PathType | None = None, *, generator: np.random.Generator | None = None
) -> Graph:
    """The network of a .cfg, with the weights of a .weights file or new ones, drawn from `generator`.

    x is (N, channels, height, width) as `model.preprocess` makes it of pictures. The outputs are the [yolo] heads as
    they come, in the order of the file (fastconv.detection decodes them), or without any the result of the last
    section. Node "7" is section 7, counted from 0 after [net]; its weights are `7.conv.weight`, `7.norm.weight` and so
    on. FormatError: what is malformed, unknown, or does not fit.
    """
    sections = read_sections(cfg)
    with placeholders():
        model = _build(sections, None)
    count = sum(parameter.data.size for parameter in model.parameters())
    if count > _MAX_WEIGHTS:
        raise sections[0].refuse(f"{count:,} weights", f"at most {_MAX_WEIGHTS:,}")
    if weights is None:
        return _build(sections, generator)
    read_darknet_weights(weights, model)
    return model


def _build(sections: list[Section], generator: np.random.Generator | None) -> Graph:
    net, *rest = sections
    height, width = (net.whole(name, None, 1, _MAX_SIDE) for name in ("height", "width"))
    channels = net.whole("channels", 3, 1, MAX_CHANNELS)
    wiring = Wiring((channels, height, width), generator)
    preprocess = Preprocess((height, width), "crop", channels="L" if channels == 1 else "RGB", antialias=False)
    if not rest:
        raise net.refuse("no section after it", "the layers of a network")
    for section in rest:
        if section.kind == "crop":
            preprocess = _crop(section, wiring, preprocess)
        else:
            SECTIONS[section.kind](section, wiring)
        if math.prod(wiring.shape) > _MAX_ELEMENTS:
            raise section.refuse(f"a result of {math.prod(wiring.shape):,} numbers", f"at most {_MAX_ELEMENTS:,}")
    model = Graph(wiring.nodes, outputs=wiring.heads or wiring.last)
    if channels in (1, 3):
        model.preprocess = preprocess.replace(fit="letterbox") if wiring.heads else preprocess
    return model


def _crop(section: Section, wiring: Wiring, preprocess: Preprocess) -> Preprocess:
    """Cuts the middle of the picture and takes it to -1..1: a matter of preprocessing, so only the first may."""
    if wiring.shapes:
        raise section.refuse("it behind other sections", "it in front of all")
    channels, H, W = wiring.picture(section)
    height = section.whole("crop_height", None, 1, H)
    width = section.whole("crop_width", None, 1, W)
    wiring.add(Identity(), (channels, height, width))
    cut = preprocess.replace(size=(height, width), shorter_side=min(H, W))
    if section.whole("noadjust", 0, 0, 1):
        return cut
    return cut.replace(mean=(0.5,) * channels, std=(0.5,) * channels)
