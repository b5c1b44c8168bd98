"""Data sets and augmentation: digits that come along, MNIST, CIFAR, folders of pictures, batches, transforms.
Nothing here reaches a kernel or a layer; `batch(indices) -> (x, y)` is all that the trainer asks."""

from .cifar import load_cifar10, load_cifar100, read_cifar10, read_cifar100
from .dataset import ArrayDataset, Dataset, batches
from .digits import load_digits
from .folder import PictureFolder, load_picture_folder, read_picture
from .idx import load_idx_folder, read_idx
from .labels import LABELS, load_labels
from .preprocess import CAFFE, IMAGENET, Preprocess
from .preprocessed import Preprocessed
from .recognise import load
from .split import Split, stratified_split
from .transforms import CenterCrop, Compose, Normalize, RandomCrop, RandomHorizontalFlip, channel_mean_std

__all__ = [
    "CAFFE",
    "IMAGENET",
    "LABELS",
    "ArrayDataset",
    "CenterCrop",
    "Compose",
    "Dataset",
    "Normalize",
    "PictureFolder",
    "Preprocess",
    "Preprocessed",
    "RandomCrop",
    "RandomHorizontalFlip",
    "Split",
    "batches",
    "channel_mean_std",
    "load",
    "load_cifar10",
    "load_cifar100",
    "load_digits",
    "load_idx_folder",
    "load_labels",
    "load_picture_folder",
    "read_cifar10",
    "read_cifar100",
    "read_idx",
    "read_picture",
    "stratified_split",
]
