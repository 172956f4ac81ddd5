"""PNG, JPEG, TIFF and BMP files become the grey picture a viewer shows, or fail with a reason."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from dicom_files import read_bytes, shown
from PIL import Image
from pydicom.dataset import Dataset

from scanner import raster
from scanner.errors import ReadError, Rejection
from scanner.walk import recognise

# 160 x 256, every grey level once in each row: dark left, bright right; the upper rows are darker.
GREY = np.tile(np.arange(256, dtype=np.uint8), (160, 1))
GREY[:40] //= 2
WHITE_IS_ZERO = b"\x06\x01\x03\x00\x01\x00\x00\x00\x00\x00"  # tag 262, SHORT, 1 value: 0
BLACK_IS_ZERO = b"\x06\x01\x03\x00\x01\x00\x00\x00\x01\x00"


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def read(data: bytes) -> npt.NDArray[np.float32]:
    pixels = raster.read(data, recognise(data[:4096], "")).pixels
    assert pixels.dtype == np.float32
    assert 0 <= pixels.min() <= pixels.max() <= 1
    return pixels


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
def test_8_bit_grey_keeps_its_scale(file_format: str) -> None:
    half = GREY // 2
    found = read(encoded(Image.fromarray(half), file_format))
    np.testing.assert_allclose(found, half / 255, atol=1e-6)


def test_8_bit_jpeg_keeps_its_scale() -> None:
    found = read(encoded(Image.fromarray(GREY), "JPEG", quality=100))
    np.testing.assert_allclose(found, GREY / 255, atol=0.02)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_bit_grey_is_spread_from_least_to_greatest(file_format: str) -> None:
    deep = GREY.astype(np.uint16) * 7 + 300  # 11 bits of 16, as detectors give
    found = read(encoded(Image.fromarray(deep), file_format))
    np.testing.assert_allclose(found, GREY / 255, atol=1e-6)
    assert len(np.unique(found)) == 256


def test_float_tiff_is_spread_from_least_to_greatest() -> None:
    values = GREY.astype(np.float32) * 0.01 - 1
    found = read(encoded(Image.fromarray(values), "TIFF"))
    np.testing.assert_allclose(found, GREY / 255, atol=1e-5)


def test_a_float_tiff_with_holes_is_damaged() -> None:
    values = GREY.astype(np.float32)
    values[3, 3] = np.nan
    with pytest.raises(ReadError) as caught:
        read(encoded(Image.fromarray(values), "TIFF"))
    assert caught.value.reason == "damaged_pixels"


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("orientation", [None, 6])
def test_a_tiff_whose_white_is_zero_is_turned_to_display_polarity(
    deep: bool, orientation: int | None
) -> None:
    stored = GREY.astype(np.uint16) * 257 if deep else GREY
    extra = {"tiffinfo": {274: orientation}} if orientation else {}
    data = encoded(Image.fromarray(stored), "TIFF", **extra)
    assert data.count(BLACK_IS_ZERO) == 1
    expected = 1 - GREY / 255
    if orientation:
        expected = np.rot90(expected, -1)
    found = read(data.replace(BLACK_IS_ZERO, WHITE_IS_ZERO))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def with_alpha(mode: str) -> Image.Image:
    """GREY, its left half wholly transparent."""
    alpha = np.where(np.arange(256) < 128, 0, 255).astype(np.uint8) * np.ones_like(GREY)
    return Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)]).convert(mode)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_is_laid_over_black(mode: str) -> None:
    expected = np.where(np.arange(256) < 128, 0, GREY / 255)
    np.testing.assert_allclose(read(encoded(with_alpha(mode), "PNG")), expected, atol=1e-6)


def test_half_transparency_is_laid_over_black() -> None:
    alpha = Image.new("L", GREY.shape[::-1], 128)
    image = Image.merge("LA", [Image.fromarray(GREY), alpha])
    found = read(encoded(image, "PNG"))
    np.testing.assert_allclose(found, GREY / 255 * 128 / 255, atol=1 / 255)


@pytest.mark.parametrize("mode", ["L", "P"])
def test_one_transparent_level_is_laid_over_black(mode: str) -> None:
    image = Image.fromarray(GREY)
    if mode == "P":
        image.putpalette([level for level in range(256) for _ in "rgb"])
    found = read(encoded(image, "PNG", transparency=255))
    np.testing.assert_allclose(found, np.where(GREY == 255, 0, GREY / 255), atol=1e-6)


def test_a_palette_of_greys_is_looked_up() -> None:
    image = Image.fromarray(GREY)
    image.putpalette([255 - level for level in range(256) for _ in "rgb"])
    np.testing.assert_allclose(read(encoded(image, "PNG")), 1 - GREY / 255, atol=1e-6)


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
def test_1_bit_images_are_black_and_white(file_format: str) -> None:
    found = read(encoded(Image.fromarray(GREY > 100), file_format))
    np.testing.assert_array_equal(found, GREY > 100)


def test_rgb_with_equal_channels_is_grey() -> None:
    image = Image.fromarray(GREY).convert("RGB")
    np.testing.assert_allclose(read(encoded(image, "PNG")), GREY / 255, atol=1e-6)
    found = read(encoded(image, "JPEG", quality=95))
    np.testing.assert_allclose(found, GREY / 255, atol=0.03)


def test_a_grey_radiograph_with_a_coloured_mark_is_read_and_flagged() -> None:
    rgb = np.repeat(GREY[..., None], 3, axis=-1)
    for file_format in ("PNG", "JPEG"):
        plain = raster.read(encoded(Image.fromarray(rgb), file_format), file_format.lower())
        assert plain.flags == ()
    rgb[5:35, 5:35] = (255, 0, 0)
    marked = raster.read(encoded(Image.fromarray(rgb), "PNG"), "png")
    assert marked.flags == ("coloured",)
    np.testing.assert_array_equal(marked.pixels[40:], plain_grey()[40:])


def plain_grey() -> npt.NDArray[np.float32]:
    return GREY.astype(np.float32) / np.float32(255)


def test_a_colour_photograph_is_rejected() -> None:
    rgb = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)
    for file_format in ("PNG", "JPEG", "BMP", "TIFF"):
        with pytest.raises(Rejection) as caught:
            read(encoded(Image.fromarray(rgb), file_format))
        assert caught.value.reason == "colour_image"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    # TIFF 6.0, Orientation: where row 0 and column 0 of the stored image lie on the shown one.
    turned = {
        1: GREY,
        2: GREY[:, ::-1],
        3: GREY[::-1, ::-1],
        4: GREY[::-1],
        5: GREY.T,
        6: np.rot90(GREY, -1),
        7: GREY[::-1, ::-1].T,
        8: np.rot90(GREY),
    }
    exif = Image.Exif()
    exif[274] = orientation
    data = encoded(Image.fromarray(GREY), "JPEG", quality=100, exif=exif)
    radiograph = raster.read(data, "jpeg")
    np.testing.assert_allclose(radiograph.pixels, turned[orientation] / 255, atol=0.02)
    assert (radiograph.header.rows, radiograph.header.columns) == GREY.shape


def test_a_tiff_of_several_pages_is_rejected() -> None:
    page = Image.fromarray(GREY)
    with pytest.raises(Rejection) as caught:
        read(encoded(page, "TIFF", save_all=True, append_images=[page]))
    assert caught.value.reason == "multi_frame"


KNOWN = {"truncated", "damaged_header", "damaged_pixels", "empty_file"}


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("PNG", {}),
        ("JPEG", {"quality": 90}),
        ("JPEG", {"quality": 90, "progressive": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("BMP", {}),
    ],
    ids=str,
)
def test_a_truncated_picture_fails_and_is_never_half_grey(
    file_format: str, options: dict[str, Any], radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    grey = np.rint(shown(radiograph_dataset)[::2, ::2] * 255).astype(np.uint8)
    data = encoded(Image.fromarray(grey), file_format, **options)
    extension = file_format.lower()
    whole = read_bytes(data, tmp_path / f"whole.{extension}")
    assert whole.status == "", whole.detail
    for end in [*range(0, 600, 23), *range(600, len(data), len(data) // 60), len(data) - 1]:
        reading = read_bytes(data[:end], tmp_path / f"x.{extension}")
        if reading.status == "" and end > len(data) - 32:
            # Only a check sum or the end marker is missing: every pixel is there.
            np.testing.assert_array_equal(reading.model_input, whole.model_input)
        else:
            assert reading.status == "failed", end
            assert reading.reason in KNOWN, (end, reading.detail)
            assert reading.model_input is None


def test_a_flipped_bit_in_a_png_is_noticed(tmp_path: Path) -> None:
    data = bytearray(encoded(Image.fromarray(GREY), "PNG"))
    data[data.index(b"IDAT") + 50] ^= 1
    reading = read_bytes(bytes(data), tmp_path / "x.png")
    assert (reading.status, reading.reason) == ("failed", "damaged_pixels")


def test_a_tiff_whose_next_page_is_missing_fails_with_a_known_reason(tmp_path: Path) -> None:
    data = bytearray(encoded(Image.fromarray(GREY), "TIFF"))
    (directory,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, directory)
    struct.pack_into("<I", data, directory + 2 + 12 * entries, len(data) + 1000)
    reading = read_bytes(bytes(data), tmp_path / "x.tif")
    assert reading.reason in {"", *KNOWN}, reading.detail


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    return start + struct.pack(">I", zlib.crc32(chunk)) + struct.pack(">I", 1 << 20) + b"IDAT"


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (2_000_000, 1000)])
def test_a_pixel_bomb_is_too_large_before_it_is_decoded(
    width: int, height: int, tmp_path: Path
) -> None:
    reading = read_bytes(png_header(width, height), tmp_path / "x.png")
    assert (reading.status, reading.reason) == ("failed", "too_large")
    assert f"{width} x {height}" in reading.detail


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "JPEG2000"])
def test_formats_that_are_not_read_are_said(file_format: str, tmp_path: Path) -> None:
    data = encoded(Image.fromarray(GREY), file_format)
    reading = read_bytes(data, tmp_path / "x.dcm")
    assert (reading.status, reading.reason) == ("failed", "unsupported_format")


def test_a_picture_is_read_whatever_its_name(tmp_path: Path) -> None:
    reading = read_bytes(encoded(Image.fromarray(GREY), "PNG"), tmp_path / "x.dcm")
    assert (reading.kind, reading.status, reading.header.format) == ("png", "", "png")
