"""Object detection with YOLOv3: boxes from the heads of a network, suppression, drawing, and the loss for training.
Nothing here reaches a kernel but through fastconv.functional and layers."""

from .boxes import iou, non_maximum_suppression
from .decode import Detection, decode, detect, heads_of
from .draw import save_boxes
from .loss import YoloLoss

__all__ = ["Detection", "YoloLoss", "decode", "detect", "heads_of", "iou", "non_maximum_suppression", "save_boxes"]
