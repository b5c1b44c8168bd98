"""`python fuzz.py --seconds N`: every reader of files, N seconds each, on valid files that were damaged at random.
A reader may give a result or raise FormatError, within bounds of time and memory; whatever else it does ends this, with
the file's content kept. With --atheris READER the damage follows what code it reaches; that needs atheris."""

import argparse
import gzip
import resource
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

import fastconv
from fastconv import layers as L
from fastconv.checkpoint import load_checkpoint, save_checkpoint
from fastconv.data import read_idx
from fastconv.formats import FormatError

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds only its own folder
from damage import damaged

SECONDS, BYTES = 5.0, 1 << 30


def _idx(folder: Path) -> bytes:
    return struct.pack(">HBB3I", 0, 8, 3, 4, 5, 6) + bytes(range(120))


def _safetensors(folder: Path) -> bytes:
    model = L.Sequential(L.Conv2d(2, 3, 3, generator=np.random.default_rng(0)), L.BatchNorm2d(3), L.ReLU())
    fastconv.save(model, folder / "seed.safetensors")
    return (folder / "seed.safetensors").read_bytes()


def _checkpoint(folder: Path) -> bytes:
    save_checkpoint(folder / "seed.ckpt", {"n": 3, "name": "x", "list": [1.5, None, True], "a": np.arange(20.0)})
    return (folder / "seed.ckpt").read_bytes()


def _pth(folder: Path) -> bytes:
    return next(iter(sorted((Path(__file__).parents[1] / "formats/pth_files").glob("*.pt*")))).read_bytes()


def _cfg(folder: Path) -> bytes:
    return (
        b"[net]\nwidth=32\nheight=32\nchannels=3\n[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\nstride=1\npad=1\n"
        b"activation=leaky\n[maxpool]\nsize=2\nstride=2\n[route]\nlayers=-1\n[upsample]\nstride=2\n[shortcut]\nfrom=-4\n"
        b"activation=linear\n[convolutional]\nfilters=12\nsize=1\nactivation=linear\n"
        b"[yolo]\nmask=0,1\nanchors=1,2, 3,4\nclasses=1\nnum=2\n"
    )


def _weights(folder: Path) -> bytes:
    return struct.pack("<3iq", 0, 2, 0, 0) + np.arange(4 + 4 + 4 + 4 + 108, dtype="<f4").tobytes()


def _onnx(folder: Path) -> bytes:
    model = L.Sequential(L.Conv2d(2, 3, 3, generator=np.random.default_rng(0)), L.ReLU6(), L.MaxPool2d(2), L.Flatten())
    fastconv.save(model, folder / "seed.onnx", input_shape=(1, 2, 6, 6))
    return (folder / "seed.onnx").read_bytes()


def _load_weights(path: Path) -> None:
    cfg = path.with_name("net.cfg")
    cfg.write_text("[net]\nwidth=8\nheight=8\nchannels=3\n[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\n")
    fastconv.load(cfg, weights=path)


# One line a reader: (name of its files, a valid file, how it is read).
READERS: dict[str, tuple[str, Callable[[Path], bytes], Callable[[Path], object]]] = {
    "IDX": ("a-idx3-ubyte", _idx, read_idx),
    "IDX.gz": ("a-idx3-ubyte.gz", lambda folder: gzip.compress(_idx(folder), mtime=0), read_idx),
    "safetensors": ("a.safetensors", _safetensors, fastconv.load),
    "checkpoint": ("a.safetensors", _checkpoint, load_checkpoint),
    "pth": ("a.pth", _pth, fastconv.read_weights),
    "Darknet cfg": ("a.cfg", _cfg, fastconv.load),
    "Darknet weights": ("a.weights", _weights, _load_weights),
    "ONNX": ("a.onnx", _onnx, fastconv.load),
}


def tried(name: str, read: Callable[[Path], object], path: Path, content: bytes) -> bool:
    """Whether it opened; any other end than FormatError leaves the file behind and goes on as it is."""
    path.write_bytes(content)
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that are not finite
            read(path)
        opened = True
    except FormatError:
        opened = False
    except BaseException:
        Path(f"fuzz-{name}.bin").write_bytes(content)
        print(f"{name}: see fuzz-{name}.bin", file=sys.stderr)
        raise
    assert time.monotonic() - began < SECONDS, f"{name}: took {time.monotonic() - began:.1f} s"
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < BYTES, f"{name}: took too much memory"
    return opened


def mutate(name: str, folder: Path, seconds: float) -> str:
    file, make, read = READERS[name]
    content, generator, path = make(folder), np.random.default_rng(list(name.encode())), folder / file
    assert tried(name, read, path, content), f"{name}: the valid file does not open"
    cases = size = opened = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        changed = damaged(content, generator)
        opened += tried(name, read, path, changed)
        cases, size = cases + 1, size + len(changed)
    return f"{name:<16} {cases:7,} files, {size:12,} bytes, {opened:6,} opened"


def guided(name: str, folder: Path, seconds: float) -> None:
    """In a process of its own: atheris ends it."""
    import atheris

    file, make, read = READERS[name]
    seed = folder / "corpus"
    seed.mkdir()
    (seed / "valid").write_bytes(make(folder))
    atheris.instrument_all()
    atheris.Setup(
        [
            sys.argv[0],
            str(seed),
            f"-max_total_time={int(seconds)}",
            "-rss_limit_mb=4096",
            "-timeout=10",
            "-verbosity=0",
        ],
        lambda data: tried(name, read, folder / file, data),
    )
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--atheris", metavar="READER", choices=tuple(READERS))
    args = parser.parse_args()
    if args.atheris:
        with tempfile.TemporaryDirectory() as folder:
            return guided(args.atheris, Path(folder), args.seconds)
    for name in READERS:
        with tempfile.TemporaryDirectory() as folder:
            print(mutate(name, Path(folder), args.seconds), flush=True)
    return None


if __name__ == "__main__":
    main()
