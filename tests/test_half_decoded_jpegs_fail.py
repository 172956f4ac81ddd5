"""A JPEG that is truncated or damaged fails: libjpeg makes up what is missing, and only warns."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from dicom_files import as_bytes, read_bytes, set_frame, set_pixels
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

from scanner import codecs

END = b"\xff\xd9"
# What happens to frames: the end marker is in its place, so only the decoder can tell.
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut in half": lambda frame: frame[: len(frame) // 2],
    "half of it and an end": lambda frame: frame[: len(frame) // 2] + END,
    "all but its last rows": lambda frame: frame[: len(frame) * 9 // 10] + END,
    "a block of zeros": lambda frame: (
        frame[: len(frame) // 2] + bytes(2048) + frame[len(frame) // 2 + 2048 :]
    ),
    "a block is missing": lambda frame: frame[: len(frame) // 2] + frame[len(frame) // 2 + 2048 :],
}


def as_jpeg(pixels: np.ndarray, **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def eight_bits(dataset: Dataset) -> np.ndarray:
    return (dataset.pixel_array >> 7).astype("u1")


RASTERS: dict[str, Callable[[np.ndarray], bytes]] = {
    "baseline": as_jpeg,
    "progressive": lambda pixels: as_jpeg(pixels, progressive=True),
    "restarted": lambda pixels: as_jpeg(pixels, restart_marker_rows=4),
    "colour": lambda pixels: as_jpeg(np.dstack([pixels] * 3)),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("form", RASTERS)
def test_a_damaged_jpeg_file_fails(
    form: str, damage: str, radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    whole = RASTERS[form](eight_bits(radiograph_dataset))
    assert read_bytes(whole, tmp_path / "whole.jpg").status == ""
    reading = read_bytes(DAMAGE[damage](whole), tmp_path / "damaged.jpg")
    assert (reading.status, reading.model_input) == ("failed", None)
    assert reading.reason in ("damaged_pixels", "truncated")


def _at(data: bytes, place: int, byte: int) -> bytes:
    return data[:place] + bytes([byte]) + data[place + 1 :]


# What libjpeg warns of before it comes to the pixels, and then no more; each harmless by itself.
CARELESS_HEADERS: dict[str, Callable[[bytes], bytes]] = {
    "JFIF 2": lambda data: _at(data, data.find(b"JFIF\0") + 5, 2),
    "a scan that ends early": lambda data: _at(data, data.find(b"\xff\xda") + 8, 62),
    "a scan of an approximation": lambda data: _at(data, data.find(b"\xff\xda") + 9, 0x11),
    "an unknown transform": lambda data: (
        data[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x07" + data[2:]
    ),
}


@pytest.mark.parametrize("header", CARELESS_HEADERS)
def test_a_careless_header_hides_no_damage(
    header: str, radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    whole = CARELESS_HEADERS[header](as_jpeg(eight_bits(radiograph_dataset)))
    assert read_bytes(whole, tmp_path / "whole.jpg").status == ""
    half = whole[: len(whole) // 2] + END
    reading = read_bytes(half, tmp_path / "half.jpg")
    assert (reading.status, reading.reason) == ("failed", "damaged_pixels")


def test_zeros_before_the_end_cost_nothing(radiograph_dataset: Dataset, tmp_path: Path) -> None:
    whole = as_jpeg(eight_bits(radiograph_dataset))
    padded = whole[: -len(END)] + bytes(3) + END
    assert read_bytes(padded, tmp_path / "padded.jpg").status == ""


@pytest.mark.parametrize("damage", ["half of it and an end", "a block of zeros"])
def test_a_damaged_jpeg_in_a_tiff_fails(
    damage: str, radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    buffer = BytesIO()
    image = Image.fromarray(eight_bits(radiograph_dataset))
    image.save(buffer, "TIFF", compression="jpeg")
    whole = buffer.getvalue()
    assert read_bytes(whole, tmp_path / "whole.tif").status == ""
    with Image.open(BytesIO(whole)) as opened:
        starts, sizes = opened.tag_v2[273], opened.tag_v2[279]
    start, size = starts[-1], sizes[-1]
    strip = DAMAGE[damage](whole[start : start + size]).ljust(size, b"\0")[:size]
    reading = read_bytes(whole[:start] + strip + whole[start + size :], tmp_path / "damaged.tif")
    assert (reading.status, reading.reason) == ("failed", "damaged_pixels")


FRAMES: dict[str, tuple[int, object, Callable[[np.ndarray], bytes]]] = {
    "baseline": (8, JPEGBaseline8Bit, as_jpeg),
    "12 bits": (
        12,
        JPEGExtended12Bit,
        lambda pixels: imagecodecs.jpeg_encode(pixels, level=90, bitspersample=12),
    ),
    "lossless": (
        15,
        JPEGLosslessSV1,
        lambda pixels: imagecodecs.jpeg_encode(
            pixels, lossless=True, predictor=1, bitspersample=15
        ),
    ),
    "lossless, predictor 7": (
        15,
        JPEGLossless,
        lambda pixels: imagecodecs.jpeg_encode(
            pixels, lossless=True, predictor=7, bitspersample=15
        ),
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("form", FRAMES)
def test_a_damaged_jpeg_frame_fails(
    form: str, damage: str, radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    bits, syntax, encode = FRAMES[form]
    pixels = radiograph_dataset.pixel_array >> (15 - bits)
    set_pixels(radiograph_dataset, pixels.astype("u1" if bits == 8 else "<u2"), bits)
    frame = bytes(encode(radiograph_dataset.pixel_array))
    set_frame(radiograph_dataset, frame, syntax)
    assert read_bytes(as_bytes(radiograph_dataset), tmp_path / "whole.dcm").status == ""
    set_frame(radiograph_dataset, DAMAGE[damage](frame), syntax)
    reading = read_bytes(as_bytes(radiograph_dataset), tmp_path / "damaged.dcm")
    assert (reading.status, reading.reason) == ("failed", "damaged_pixels")


@pytest.mark.parametrize("corner", [0, 4095])
def test_a_whole_frame_with_a_plain_corner_is_no_damaged_one(
    corner: int, radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    """Collimated radiographs end black, and the last bytes of their frames hold many pixels."""
    pixels = (radiograph_dataset.pixel_array >> 3).copy()
    pixels[-100:] = corner
    set_pixels(radiograph_dataset, pixels, 12)
    for syntax, options in ((JPEGLosslessSV1, {"lossless": True}), (JPEGExtended12Bit, {})):
        frame = bytes(imagecodecs.jpeg_encode(pixels, bitspersample=12, **options))
        set_frame(radiograph_dataset, frame, syntax)
        reading = read_bytes(as_bytes(radiograph_dataset), tmp_path / "x.dcm")
        assert reading.status == "", (syntax, reading.detail)


def test_whole_frames_of_any_bytes_are_no_damaged_ones(radiograph_dataset: Dataset) -> None:
    """Where a frame is cut to try another ending, there may be an escaped 0xFF."""
    noise = np.random.default_rng(7)
    for number in range(60):
        pixels = radiograph_dataset.pixel_array[:, number : number + 200] // 8
        pixels = (pixels + noise.integers(0, 40, pixels.shape)).astype("<u2")
        for options in ({"lossless": True, "predictor": number % 7 + 1}, {"level": 50 + number}):
            frame = bytes(imagecodecs.jpeg_encode(pixels, bitspersample=12, **options))
            codecs.check_whole(frame, imagecodecs.jpeg_decode(frame))
