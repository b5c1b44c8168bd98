"""Pictures with labelled boxes, by Pillow (the extra [train]).
It must never write into the picture that it is given."""

import colorsys
import os
from collections.abc import Sequence

import numpy as np

from .decode import Detection


def save_boxes(picture: np.ndarray, detections: Sequence[Detection], path: str | os.PathLike) -> None:
    """Write `picture` (height, width, 3), uint8, with a box, name and score for each detection, as PNG."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise ImportError('drawing boxes needs Pillow: pip install "fastconv[train]"') from error
    image = Image.fromarray(picture).convert("RGB")
    drawn = ImageDraw.Draw(image)
    line = max(2, round(min(image.size) / 200))
    font = ImageFont.load_default(max(12, round(min(image.size) / 28)))
    for found in reversed(detections):  # the best ones on top
        x, y, width, height = found.box
        colour = _colour(found.index)
        drawn.rectangle((x, y, x + width, y + height), outline=colour, width=line)
        text = f"{found.label} {found.score:.2f}"
        left, top, right, bottom = drawn.textbbox((0, 0), text, font=font)
        # Above the box, or inside where there is no room; never beyond the right edge.
        w, h = right - left + 2 * line, bottom - top + 2 * line
        tag_x, tag_y = max(0, min(x, image.width - w)), y - h if y >= h else y
        drawn.rectangle((tag_x, tag_y, tag_x + w, tag_y + h), fill=colour)
        drawn.text((tag_x + line - left, tag_y + line - top), text, fill="black", font=font)
    image.save(path, format="PNG")


def _colour(index: int) -> tuple[int, int, int]:
    """One for each class, light enough for black text; neighbours differ by the golden angle."""
    red, green, blue = colorsys.hls_to_rgb(index * 0.618034 % 1, 0.65, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)
