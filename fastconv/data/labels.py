"""Names of classes: those of ImageNet and COCO, which come along, and files with one name a line.
It must never be used on a network whose order of classes is another one: Darknet's ImageNet is such."""

from pathlib import Path

from ..formats.errors import FormatError
from ..formats.files import PathType, read_text

_FOLDER = Path(__file__).parent / "names"
# "imagenet": the 1,000 names in torchvision's, timm's and Keras's order; "coco": the 80 in Darknet's.
LABELS = ("imagenet", "coco")
_MAX_BYTES = 10_000_000


def load_labels(name: PathType) -> tuple[str, ...]:
    """The names "imagenet" or "coco", or those of a text file with one a line; FormatError for an empty one."""
    path = _FOLDER / f"{name}.txt" if name in LABELS else name
    lines = [line.strip() for line in read_text(path, _MAX_BYTES).rstrip().split("\n")]
    if not lines or "" in lines:
        empty = lines.index("") + 1 if lines else 1
        raise FormatError(path, f"line {empty}", "an empty line", "the name of a class")
    return tuple(lines)
