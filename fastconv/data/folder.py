"""Folders of pictures, one subfolder a class, decoded batch by batch.
Pillow is imported only here and only when a picture is read; no picture may make it do more than decode."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np

from ..formats.errors import FormatError
from ..formats.files import PathType, open_regular
from . import _arguments as check
from .dataset import ArrayDataset, scale_bytes
from .split import Split, stratified_split

if TYPE_CHECKING:
    from PIL import Image

# A closed list: Pillow knows formats that start other programs (EPS starts Ghostscript).
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_TEST_FOLDERS = ("test", "val")
_MODES = {1: "L", 3: "RGB"}
DEFAULT_SIZE = 64

Fit = Literal["crop", "stretch"]


class PictureFolder:
    """Pictures in files, decoded when a batch asks for them: `batch(indices) -> (x, y)`.

    `files` are paths, `labels` one integer each. Every picture is turned upright (EXIF), made grey
    (`channels` 1) or RGB (3; transparency is dropped), and brought to `size` pixels (int or (height, width))
    with bilinear filtering: fit "crop" keeps the proportions and cuts the middle, "stretch" takes the whole
    picture. x is float32 (N, channels, height, width) in 0..1, y int64 (N,). `transform(x, generator)` is
    applied to each batch. Reading a broken picture raises FormatError with its path.
    """

    def __init__(
        self,
        files: Sequence[PathType],
        labels: Any,
        *,
        size: int | tuple[int, int] = DEFAULT_SIZE,
        channels: int = 3,
        fit: Fit = "crop",
        transform: Callable | None = None,
    ) -> None:
        y = check.array("PictureFolder", "labels", labels)
        if y.ndim != 1 or len(y) != len(files) or (y.size and y.dtype.kind not in "iu"):
            raise ValueError(f"PictureFolder: labels must be {len(files)} integers, got {y.dtype} of shape {y.shape}")
        _check_form("PictureFolder", channels, fit)
        if transform is not None and not callable(transform):
            raise TypeError(f"PictureFolder: transform must be callable, got {transform!r}")
        self.files = tuple(files)
        self.y = y.astype(np.int64)
        self.size = check.pair("PictureFolder", "size", size, 1)
        self.channels = channels
        self.fit = fit
        self.transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __repr__(self) -> str:
        return f"PictureFolder({len(self)} pictures, {self.channels} x {self.size[0]} x {self.size[1]})"

    def batch(self, indices: Any, generator: np.random.Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
        """`(x, y)` of the pictures at `indices` (1-d integers from 0 to N-1), decoded now."""
        chosen = check.indices("PictureFolder.batch", indices, len(self))
        x = scale_bytes(self._pixels(chosen))
        if self.transform is not None:
            x = self.transform(x, generator)
        return x, self.y[chosen]

    def in_memory(self) -> ArrayDataset:
        """The same data set, equal batches, with every picture decoded now: one byte a pixel and channel."""
        return ArrayDataset(self._pixels(np.arange(len(self))), self.y, self.transform)

    def _pixels(self, chosen: np.ndarray) -> np.ndarray:
        """uint8 (N, channels, height, width) of the pictures at `chosen`."""
        x = np.empty((len(chosen), self.channels, *self.size), np.uint8)
        for row, index in enumerate(chosen.tolist()):
            picture = read_picture(self.files[index], size=self.size, channels=self.channels, fit=self.fit)
            x[row] = picture.transpose(2, 0, 1)
        return x


def read_picture(
    path: PathType, *, size: int | tuple[int, int] | None = None, channels: int = 3, fit: Fit = "crop"
) -> np.ndarray:
    """Decode one picture: uint8 (height, width, channels); `size=None` keeps its own size.

    BMP, GIF (first frame), JPEG, PNG, PPM/PGM, TIFF or WebP, told by content. 16-bit grey is scaled to 8
    bits. FormatError: not a regular file, not one of these formats, broken, or more pixels than Pillow's
    Image.MAX_IMAGE_PIXELS. ImportError where Pillow is missing.
    """
    _require_pillow()
    _check_form("read_picture", channels, fit)
    wanted = None if size is None else check.pair("read_picture", "size", size, 1)
    with open_regular(path) as (file, _):
        try:
            picture = _decode(file, path, wanted, _MODES[channels], fit)
            return np.asarray(picture).reshape(picture.height, picture.width, channels)
        except (FormatError, MemoryError):
            raise
        except Exception as error:
            # Pillow's decoders raise whatever the bytes lead them to. The system's own errors have a number;
            # EINVAL is the bytes' doing as well: an offset (TIFF) to where no file reaches.
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise
            raise FormatError(path, None, f"{type(error).__name__}: {error}", "a whole picture") from error


def load_picture_folder(
    path: PathType,
    *,
    size: int | tuple[int, int] = DEFAULT_SIZE,
    channels: int = 3,
    fit: Fit = "crop",
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Split:
    """A folder of pictures with one subfolder a class, or with train/ and test/ (or val/) of such subfolders.

    Classes are the names of the subfolders, sorted; pictures are found at any depth by their suffix, and
    names that begin with a dot are passed over. Without train/ and test/ a stratified split is drawn from
    `seed`. FormatError: fewer than two classes, a class without a picture, a test class that training lacks.
    """
    _require_pillow()
    root = Path(os.fsdecode(path))
    options = {"size": size, "channels": channels, "fit": fit}
    divided = _divided(root)
    files, labels, classes = _scan(divided[0] if divided else root)
    if len(classes) < 2:
        raise FormatError(root, None, f"{len(classes)} subfolders with pictures", "at least 2, one a class")
    if divided:
        test_files, test_labels, _ = _scan(divided[1], classes)
        train, test = (
            PictureFolder(files, labels, **options),
            PictureFolder(test_files, test_labels, **options),
        )
    else:
        parts = stratified_split(labels, test_fraction, seed)
        train, test = (PictureFolder([files[i] for i in part], labels[part], **options) for part in parts)
    return Split(train, test, classes, root.resolve().name, (channels, *train.size))


def has_class_folders(root: Path) -> bool:
    """Whether any subfolder of the folder holds a picture, itself or below."""
    return any(True for folder in _subfolders(root) for _ in _walk(folder))


def _decode(file: BinaryIO, path: PathType, size: tuple[int, int] | None, mode: str, fit: Fit) -> "Image.Image":
    from PIL import Image, ImageOps

    picture = Image.open(file, formats=_FORMATS)
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and picture.width * picture.height > limit:
        raise FormatError(path, None, f"{picture.width} x {picture.height} pixels", f"at most {limit} pixels")
    if size is not None:
        # JPEG can be decoded at 1/2, 1/4 or 1/8: never below twice what is needed, so that filtering still
        # counts.
        picture.draft(mode, (2 * max(size), 2 * max(size)))
    picture = _convert(ImageOps.exif_transpose(picture), path, mode)
    if size is None:
        return picture
    box = (size[1], size[0])
    if fit == "crop":
        return ImageOps.fit(picture, box, Image.Resampling.BILINEAR)
    return picture.resize(box, Image.Resampling.BILINEAR)


def _convert(picture: "Image.Image", path: PathType, mode: str) -> "Image.Image":
    """To grey or RGB of 8 bits. Pillow would clip 16-bit grey to white: that is scaled here."""
    from PIL import Image

    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise FormatError(path, None, f"pixels from {values.min()} to {values.max()}", "0 to 65535")
        picture = Image.fromarray(np.rint(values / 257).astype(np.uint8))
    elif picture.mode == "F":
        raise FormatError(path, None, "pixels of floating point", "pixels of 8 or 16 bits")
    elif picture.mode == "P":
        picture = picture.convert("RGBA")  # the palette's transparency, if any, is not lost on the way with a warning
    return picture if picture.mode == mode else picture.convert(mode)


def _check_form(op: str, channels: int, fit: Fit) -> None:
    if isinstance(channels, bool) or channels not in _MODES:
        raise ValueError(f"{op}: channels must be 1 (grey) or 3 (RGB), got {channels!r}")
    if fit not in ("crop", "stretch"):
        raise ValueError(f"{op}: fit must be 'crop' or 'stretch', got {fit!r}")


def _require_pillow() -> None:
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise ImportError('reading pictures needs Pillow: pip install "fastconv[train]"') from error


def _subfolders(root: Path) -> list[Path]:
    """Visible subfolders, sorted by name, so that labels do not depend on the file system."""
    return sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _walk(folder: Path) -> Iterator[Path]:
    """Picture files below `folder`, sorted; links to folders are not followed, so that it ends."""
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(_SUFFIXES) and not name.startswith("."):
                yield Path(parent, name)


def _raise(error: OSError) -> None:
    raise error


def _divided(root: Path) -> tuple[Path, Path] | None:
    """(train, test) folders; a train/ that has no subfolders is a class like any other."""
    folders = {folder.name: folder for folder in _subfolders(root)}
    test = next((folders[name] for name in _TEST_FOLDERS if name in folders), None)
    if test is None or "train" not in folders or not _subfolders(folders["train"]):
        return None
    return folders["train"], test


def _scan(root: Path, known: tuple[str, ...] | None = None) -> tuple[list[Path], np.ndarray, tuple[str, ...]]:
    """Files, labels (indices into `known`, or into the classes found) and class names, in sorted order."""
    folders = _subfolders(root)
    classes = tuple(folder.name for folder in folders) if known is None else known
    files: list[Path] = []
    labels: list[int] = []
    for folder in folders:
        if folder.name not in classes:
            raise FormatError(folder, None, f"class {folder.name!r}", f"a class of the training part {classes}")
        found = list(_walk(folder))
        if not found:
            raise FormatError(folder, None, "no pictures", f"at least one file of {', '.join(_SUFFIXES)}")
        files += found
        labels += [classes.index(folder.name)] * len(found)
    if not files:
        raise FormatError(root, None, "no subfolders", "one subfolder a class")
    return files, np.array(labels, np.int64), classes
