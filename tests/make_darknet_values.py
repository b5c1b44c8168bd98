"""Writes darknet_values.json: what OpenCV computes for Darknet's networks, for machines without OpenCV.

FASTCONV_TRAINED=... python tests/make_darknet_values.py      (needs opencv-python-headless)
"""

import json
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from darknet_files import SEEDED, published, resized_cfg, sampled, seed_weights, seeded_input  # noqa: E402

from fastconv.formats.darknet import load_darknet  # noqa: E402
from fastconv.formats.darknet_weights import write_darknet_weights  # noqa: E402


def results(net, x, names):
    net.setInput(x)
    found = net.forward(names) if names else [net.forward()]
    return [{"largest": float(np.abs(y).max()), "sampled": sampled(y).tolist()} for y in found]


def before_heads(net):
    """The convolutions whose results the [yolo] layers decode."""
    return [f"conv_{int(name.removeprefix('yolo_')) - 1}" for name in net.getLayerNames() if name.startswith("yolo_")]


def seeded(name, size):
    with tempfile.TemporaryDirectory() as folder:
        cfg, weights = Path(folder, "a.cfg"), Path(folder, "a.weights")
        cfg.write_text(resized_cfg(name, size))
        write_darknet_weights(seed_weights(load_darknet(cfg)), weights)
        net = cv2.dnn.readNetFromDarknet(str(cfg), str(weights))
        return results(net, seeded_input(size), before_heads(net))


def boxes(picture):
    """What OpenCV's own decoding gives for a picture, stretched: best class of each box, suppressed in its class."""
    net = cv2.dnn.readNetFromDarknet(str(published("cfg/yolov3-tiny.cfg")), str(published("yolov3-tiny.weights")))
    image = cv2.imread(str(published(f"data/{picture}.jpg")))
    height, width = image.shape[:2]
    blob = cv2.dnn.blobFromImage(image, 1 / 255, (416, 416), swapRB=True, crop=False)
    heads = results(net, blob, before_heads(net))
    rows = np.concatenate(net.forward(net.getUnconnectedOutLayersNames()))
    classes, scores = rows[:, 5:].argmax(1), rows[:, 5:].max(1)
    sizes = rows[:, 2:4] * (width, height)
    corners = rows[:, :2] * (width, height) - sizes / 2
    found = []
    for kind in np.unique(classes[scores > 0.25]):
        mine = np.flatnonzero((classes == kind) & (scores > 0.25))
        rectangles = np.concatenate([corners, sizes], 1)[mine]
        for kept in cv2.dnn.NMSBoxes(rectangles.tolist(), scores[mine].tolist(), 0.25, 0.45):
            found.append({"class": int(kind), "score": float(scores[mine][kept]), "box": rectangles[kept].tolist()})
    return {"heads": heads, "boxes": sorted(found, key=lambda one: -one["score"])}


if __name__ == "__main__":
    values = {
        "opencv": cv2.__version__,
        "tiny": {name: boxes(name) for name in ("dog", "person")},
        "seeded": {name: seeded(name, size) for name, size in SEEDED},
    }
    (HERE / "darknet_values.json").write_text(json.dumps(values) + "\n")
