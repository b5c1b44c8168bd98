"""Decoding of pictures: formats, modes, sizes, and pictures that are broken or hostile."""

import errno
import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from damage import mutations

from fastconv.data import read_picture
from fastconv.formats import FormatError

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def png(width, height, rows=b""):
    """A PNG that announces any size, with a right checksum."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "ppm", "tif", "webp"])
def test_lossless_formats(tmp_path, save_picture, picture, suffix):
    path = save_picture(tmp_path / f"p.{suffix}", picture, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(read_picture(path), picture)


def test_jpeg_is_near(tmp_path, save_picture):
    smooth = np.broadcast_to(np.linspace(0, 255, 64, dtype=np.uint8)[:, None, None], (64, 64, 3))
    path = save_picture(tmp_path / "p.jpg", np.ascontiguousarray(smooth), quality=95)
    assert abs(read_picture(path).astype(int) - smooth).max() < 8


def test_grey(tmp_path, save_picture, picture):
    path = save_picture(tmp_path / "p.png", picture[:, :, 0])
    np.testing.assert_array_equal(read_picture(path, channels=1), picture[:, :, :1])
    np.testing.assert_array_equal(read_picture(path), np.repeat(picture[:, :, :1], 3, axis=2))
    luma = read_picture(save_picture(tmp_path / "q.png", picture), channels=1)
    expected = picture @ np.array([0.299, 0.587, 0.114])  # ITU-R 601-2
    assert abs(luma[:, :, 0] - expected).max() <= 1


def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path, save_picture):
    values = np.array([[0, 257, 25700], [32896, 65278, 65535]], np.uint16)
    path = save_picture(tmp_path / "p.png", values)
    assert read_picture(path, channels=1)[:, :, 0].tolist() == [[0, 1, 100], [128, 254, 255]]


def test_floating_point_pixels_are_refused(tmp_path, save_picture):
    path = save_picture(tmp_path / "p.tif", np.zeros((3, 3), np.float32))
    with pytest.raises(FormatError, match="pixels of floating point"):
        read_picture(path)


def test_other_modes(tmp_path, picture):
    rgb = Image.fromarray(picture)
    transparent = rgb.convert("P")
    for i, (mode, options) in enumerate(
        [("1", {}), ("P", {}), ("P", {"transparency": bytes(range(200))}), ("RGBA", {}), ("LA", {})]
    ):
        source = transparent if mode == "P" else rgb.convert(mode)
        source.save(tmp_path / f"{i}.png", **options)
        read = read_picture(tmp_path / f"{i}.png")
        np.testing.assert_array_equal(read, np.asarray(source.convert("RGBA").convert("RGB")))
    rgb.convert("CMYK").save(tmp_path / "c.jpg", quality=95)
    assert read_picture(tmp_path / "c.jpg").shape == (9, 7, 3)


def test_turned_upright(tmp_path, picture):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held turned: shown after a quarter turn clockwise
    Image.fromarray(picture).save(tmp_path / "p.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "p.png"), np.rot90(picture, -1))


def test_size_by_cropping_the_middle(tmp_path, save_picture):
    striped = np.zeros((10, 30, 3), np.uint8)
    striped[:, 10:20, 1] = 255
    path = save_picture(tmp_path / "p.png", striped)
    cropped = read_picture(path, size=10)
    assert (cropped == (0, 255, 0)).all()
    stretched = read_picture(path, size=(10, 15), fit="stretch")
    assert stretched.shape == (10, 15, 3)
    assert (stretched[:, 7] == (0, 255, 0)).all()
    assert (stretched[:, [0, 14]] == 0).all()


def test_jpeg_is_never_decoded_smaller_than_needed(tmp_path, save_picture):
    blocks = np.random.default_rng(0).integers(0, 2, (20, 20, 1), np.uint8) * np.full(3, 255, np.uint8)
    detailed = blocks.repeat(8, axis=0).repeat(8, axis=1)
    jpg = read_picture(save_picture(tmp_path / "p.jpg", detailed, quality=95), size=80)
    png_ = read_picture(save_picture(tmp_path / "p.png", detailed), size=80)
    assert abs(jpg.astype(int) - png_).mean() < 3


@pytest.mark.parametrize("fit", ["crop", "stretch"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (5, 5), (200, 301)])
def test_any_picture_comes_to_size(tmp_path, save_picture, shape, fit):
    path = save_picture(tmp_path / "p.jpg", np.full((*shape, 3), 128, np.uint8))
    read = read_picture(path, size=(6, 8), fit=fit)
    assert read.shape == (6, 8, 3)
    assert abs(read.astype(int) - 128).max() <= 2


def test_large_jpeg_is_decoded_smaller_and_looks_the_same(tmp_path, save_picture):
    rows, columns = np.mgrid[:800, :800]
    smooth = np.stack([rows * 255 // 800, columns * 255 // 800, rows * 0], axis=2).astype(np.uint8)
    jpg = read_picture(save_picture(tmp_path / "p.jpg", smooth, quality=95), size=20)
    png_ = read_picture(save_picture(tmp_path / "p.png", smooth), size=20)
    assert abs(jpg.astype(int) - png_).max() < 8


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "PPM", "WEBP"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_every_truncation_is_an_error_or_harmless(tmp_path, picture, kind):
    """Without its end mark a file may still hold every pixel; a picture that differs must never come out."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind)
    content, path, accepted = buffer.getvalue(), tmp_path / "p", 0
    path.write_bytes(content)
    whole = read_picture(path)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        try:
            read = read_picture(path)
        except FormatError:
            continue
        np.testing.assert_array_equal(read, whole)
        accepted += 1
    assert accepted <= 20


def test_mutations_give_a_picture_or_a_format_error(tmp_path, picture):
    path, accepted = tmp_path / "p", 0
    for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "PPM", "WEBP"):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, kind)
        for mutated in mutations(buffer.getvalue(), 150):
            path.write_bytes(mutated)
            try:
                accepted += read_picture(path, size=4).shape == (4, 4, 3)
            except FormatError as error:
                assert error.path == str(path)
    assert accepted > 0


def test_tiff_offset_to_nowhere(tmp_path):
    path = tmp_path / "p.tif"
    for offset in (0, 7, 2**31, 2**63, 2**64 - 1):
        path.write_bytes(struct.pack("<2sHHHQ", b"II", 43, 8, 0, offset) + bytes(100))  # BigTIFF: 8-byte offsets
        with pytest.raises(FormatError):
            read_picture(path)


def test_failing_disk_is_not_the_fault_of_the_picture(tmp_path, save_picture, picture, monkeypatch):
    path = save_picture(tmp_path / "p.png", picture)

    def fail(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(OSError, match="Input/output error"):
        read_picture(path)


@pytest.mark.parametrize("side", [9_500, 13_500, 60_000, 2**31 - 1])
def test_decompression_bombs(tmp_path, side):
    path = tmp_path / "p.png"
    path.write_bytes(png(side, side))
    for action in ("error", "ignore"):  # Pillow only warns up to twice its limit
        with warnings.catch_warnings():
            warnings.simplefilter(action)
            with pytest.raises(FormatError, match="pixels"):
                read_picture(path, size=4)


def test_formats_that_start_programs_are_refused(tmp_path, picture):
    Image.fromarray(picture).save(tmp_path / "p.eps")
    (tmp_path / "p.eps").rename(tmp_path / "p.png")
    with pytest.raises(FormatError, match="cannot identify"):
        read_picture(tmp_path / "p.png")


def test_not_a_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path, tmp_path / "pipe.png", "/dev/zero"):
        with pytest.raises(FormatError, match="a regular file"):
            read_picture(path)
