"""Networks made of fastconv's layers."""

from .small import SMALL_MODELS, lenet5, normalised, small_cnn, small_vgg

__all__ = ["SMALL_MODELS", "lenet5", "normalised", "small_cnn", "small_vgg"]
