"""Transfer learning: a trained network's head replaced, its trunk frozen, its features computed once.
Nothing here copies a weight: the parts of a network share its layers, so that what trains a part trains the network."""

from .cut import join, split
from .features import extract_features, freeze, unfreeze
from .head import replace_head

__all__ = ["extract_features", "freeze", "join", "replace_head", "split", "unfreeze"]
