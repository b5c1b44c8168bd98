"""Every reader of files, with valid files for the fuzzers to start from: one line a reader.
tests/formats/test_fuzzed_readers.py holds that no module which opens files is missing here."""

import gzip
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from checkpoint_runs import assert_same, run, trainer_and_callbacks

import fastconv
from fastconv import layers as L
from fastconv.checkpoint import _digest, load_checkpoint, save_checkpoint
from fastconv.data import IMAGENET, load_labels, read_cifar10, read_cifar100, read_idx, read_picture
from fastconv.data.cifar import cifar10_class_names
from fastconv.formats import FormatError
from fastconv.formats.tensors import read_tensors, write_tensors

TESTS = Path(__file__).parents[1]

Seeds = Callable[[Path], list[bytes]]


@dataclass(frozen=True)
class Reader:
    """`file`: the name of its files; `seeds(folder)`: valid ones; `read(path)`: how it is read; `refusal`: the error of
    a malformed one."""

    file: str
    seeds: Seeds
    read: Callable[[Path], object]
    refusal: type[Exception] | tuple[type[Exception], ...] = FormatError


def _idx(folder: Path) -> list[bytes]:
    pictures = struct.pack(">HBB3I", 0, 8, 3, 4, 5, 6) + bytes(range(120))
    return [pictures, struct.pack(">HBB1I", 0, 0x0D, 1, 2) + struct.pack(">2f", 1.5, -2)]


def _convolutional() -> L.Sequential:
    conv = L.Conv2d(2, 3, 3, generator=np.random.default_rng(0))
    return L.Sequential(conv, L.BatchNorm2d(3), L.ReLU6(), L.MaxPool2d(2), L.Flatten())


def _safetensors(folder: Path) -> list[bytes]:
    model = _convolutional()
    fastconv.save(model, folder / "plain.safetensors")
    model.preprocess, model.labels = IMAGENET, ("cat", "dog")
    fastconv.save(model, folder / "pictures.safetensors")
    return [(folder / name).read_bytes() for name in ("plain.safetensors", "pictures.safetensors")]


def _checkpoint(folder: Path) -> list[bytes]:
    save_checkpoint(folder / "seed.ckpt", {"n": 3, "name": "x", "list": [1.5, None, True], "a": np.arange(20.0)})
    return [(folder / "seed.ckpt").read_bytes()]


def _state(folder: Path) -> list[bytes]:
    """The text inside a training's checkpoint; beside it stays the whole file, whose arrays `_resume` takes."""
    trainer, callbacks = trainer_and_callbacks()
    run(trainer, callbacks, 1, batch_size=22)
    trainer.save(folder / "whole.safetensors")
    return [read_tensors(folder / "whole.safetensors")[1]["fastconv.state"].encode()]


def _resume(path: Path) -> None:
    """That text under a hash that is right; a training that refuses it is as it was."""
    tensors, metadata = read_tensors(path.with_name("whole.safetensors"))
    text = path.read_bytes().decode("utf-8", "replace")
    forged = path.with_name("forged.safetensors")
    write_tensors(forged, tensors, metadata | {"fastconv.state": text, "fastconv.sha256": _digest(text, tensors)})
    trainer, callbacks = trainer_and_callbacks()
    try:
        run(trainer, callbacks, 0, batch_size=22, resume=forged)
    except ValueError:
        fresh, callbacks = trainer_and_callbacks()
        run(fresh, callbacks, 0, batch_size=22)
        assert_same(trainer, fresh)
        raise


def _pth(folder: Path) -> list[bytes]:
    files = sorted((TESTS / "formats/pth_files").glob("*.pth"))
    return [path.read_bytes() for path in files if path.stem != "whole_model"]  # which is refused


def _cfg(folder: Path) -> list[bytes]:
    return [
        b"[net]\nwidth=32\nheight=32\nchannels=3\n[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\nstride=1\npad=1\n"
        b"activation=leaky\n[maxpool]\nsize=2\nstride=2\n[route]\nlayers=-1\n[upsample]\nstride=2\n[shortcut]\nfrom=-4\n"
        b"activation=linear\n[convolutional]\nfilters=12\nsize=1\nactivation=linear\n"
        b"[yolo]\nmask=0,1\nanchors=1,2, 3,4\nclasses=1\nnum=2\n",
        b"[net]\nwidth=8\nheight=8\nchannels=3\n[convolutional]\nfilters=4\nsize=3\nactivation=relu\n[avgpool]\n"
        b"[dropout]\nprobability=.5\n[connected]\noutput=3\nactivation=linear\n[softmax]\ngroups=1\n",
    ]


def _weights(folder: Path) -> list[bytes]:
    (folder / "net.cfg").write_text(
        "[net]\nwidth=8\nheight=8\nchannels=3\n[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\n"
    )
    return [struct.pack("<3iq", 0, 2, 0, 0) + np.arange(4 + 4 + 4 + 4 + 108, dtype="<f4").tobytes()]


def _onnx(folder: Path) -> list[bytes]:
    joined = L.Graph(
        [
            ("conv", L.Conv2d(2, 3, 3, padding=1, generator=np.random.default_rng(0)), "x"),
            ("half", L.Slice(0, 2), "conv"),
            ("cat", L.Cat(), ("x", "half")),
            ("pad", L.Pad(((1, 0), (2, 3)), mode="reflect"), "cat"),
            ("resize", L.Resize(scale_factor=(1.5, 0.75), mode="cubic"), "pad"),
            ("mean", L.Mean((2, 3)), "resize"),
            ("order", L.Reshape((0, 2, -1)), "mean"),
            ("softmax", L.Softmax(dim=1), "order"),
        ]
    )
    contents = []
    for model in (_convolutional(), joined):
        fastconv.save(model, folder / "seed.onnx", input_shape=(1, 2, 6, 6))
        contents.append((folder / "seed.onnx").read_bytes())
    return contents


def _external(folder: Path) -> list[bytes]:
    """A network whose weights lie in another file of the folder."""
    import onnx

    fastconv.save(_convolutional(), folder / "seed.onnx", input_shape=(1, 2, 6, 6))
    outside = {"save_as_external_data": True, "location": "a.data", "size_threshold": 0}
    onnx.save(onnx.load(folder / "seed.onnx"), folder / "seed.onnx", **outside)
    return [(folder / "seed.onnx").read_bytes()]


def _cifar(labels: bytes) -> Seeds:
    return lambda folder: [labels + bytes(k % 256 for k in range(3072))]


def _pictures(folder: Path) -> list[bytes]:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3)).astype(np.uint8)
    pictures = [(kind, Image.fromarray(pixels)) for kind in ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")]
    pictures += [
        ("PNG", Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257)),
        ("TIFF", pictures[0][1].convert("P")),
    ]
    contents = []
    for kind, picture in pictures:
        file = io.BytesIO()
        picture.save(file, kind)
        contents.append(file.getvalue())
    return contents


def _text(*lines: str) -> Seeds:
    return lambda folder: ["\n".join(lines).encode()]


_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

READERS: dict[str, Reader] = {
    "IDX": Reader("a-idx3-ubyte", _idx, read_idx),
    "IDX.gz": Reader("a-idx3-ubyte.gz", lambda f: [gzip.compress(c, mtime=0) for c in _idx(f)], read_idx),
    "CIFAR-10": Reader("a.bin", _cifar(b"\3"), read_cifar10),
    "CIFAR-100": Reader("a.bin", _cifar(b"\3\x42"), read_cifar100),
    "CIFAR names": Reader("batches.meta.txt", _text(*_CLASSES), lambda path: cifar10_class_names(path.parent)),
    "labels": Reader("a.txt", _text("cat", "dog", "caf\u00e9"), load_labels),
    "pictures": Reader("a.png", _pictures, lambda path: read_picture(path, size=8)),
    "safetensors": Reader("a.safetensors", _safetensors, fastconv.load),
    "weights": Reader("a.safetensors", _safetensors, fastconv.read_weights),
    "checkpoint": Reader("a.safetensors", _checkpoint, load_checkpoint),
    "training state": Reader("a.json", _state, _resume, ValueError),
    "pth": Reader("a.pth", _pth, fastconv.read_weights),
    "Darknet cfg": Reader("a.cfg", _cfg, fastconv.load),
    "Darknet weights": Reader(
        "a.weights", _weights, lambda path: fastconv.load(path.with_name("net.cfg"), weights=path)
    ),
    "ONNX": Reader("a.onnx", _onnx, fastconv.load),
    # Another name for the other file is that of a file which is not there.
    "ONNX external": Reader(
        "a.onnx",
        _external,
        lambda path: fastconv.load(path, external_data=True),
        (FormatError, FileNotFoundError),
    ),
}
