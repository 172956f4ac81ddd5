"""A PNG, JPEG, TIFF or BMP file's bytes become a radiograph."""

import warnings
from dataclasses import replace
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

from scanner import codecs, codestream
from scanner.errors import ReadError, Rejection, kind_of
from scanner.limits import STANDARD, Limits
from scanner.radiograph import FloatArray, Header, Radiograph

# Our own limit is checked from the header, with a message of ours.
Image.MAX_IMAGE_PIXELS = None

_FORMATS = {"png": ("PNG",), "jpeg": ("JPEG", "MPO"), "tiff": ("TIFF",), "bmp": ("BMP",)}
_DEEP_MODES = ("I;16", "I;16B", "I;16L", "I", "F")
_TIFF_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0
_TIFF_JPEG_TABLES = 347
# Offsets and lengths.
_TIFF_STRIPS, _TIFF_TILES = (273, 279), (324, 325)
# Mean difference between the brightest and the darkest channel, of 255. Photographs were measured
# at 29 and 72, a film tinted by a tenth at 18, our own heat maps at 4 to 16, coloured marks at 7.
_PHOTOGRAPH = 25.0
# Grey pictures saved as colour JPEG stay below this.
_COLOURED = 2.0


def read(data: bytes, kind: str, limits: Limits = STANDARD) -> Radiograph:
    """Return the radiograph in a raster file of `kind` (``png jpeg tiff bmp``).

    8-bit images keep their grey scale; deeper ones hold 10 to 16 significant bits nobody can tell
    from the file, so they are spread from their minimum to their maximum, as for DICOM without a
    window. Transparency is laid over black; EXIF orientation is applied, as viewers do.

    Raises `ReadError` (``too_large``, ``damaged_header``, ``truncated``, ``damaged_pixels``) or
    `Rejection` (``multi_frame``, ``colour_image``).
    """
    image = _open(data, kind)
    width, height = image.size
    limits.check_pixels(width, height)
    frames = _frame_count(image)
    if frames > 1 and image.format != "MPO":  # an MPO's further frames are previews
        raise Rejection("multi_frame", f"it has {frames} frames where one radiograph is expected")
    header = Header(format=kind, photometric=image.mode, rows=height, columns=width)
    limits.claim(2 * len(data) + width * height * _bytes_a_pixel(image))
    if kind == "png":
        _check_sums(data)
    if kind == "jpeg":
        codestream.frame_size(data)  # it may have too many scans
        codecs.check_jpeg(data, "CMYK" if image.mode == "CMYK" else "GRAY")
    if image.info.get("compression") == "tiff_jpeg":  # nobody could say whether it is whole
        raise ReadError("unsupported_format", "old-style JPEG in TIFF (compression 6) is not read")
    if image.info.get("compression") == "jpeg":
        _check_strips(image, data)
    _load(image)
    # Asked before the image is turned, which makes a copy without tags.
    white_is_zero = getattr(image, "tag_v2", {}).get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
    image = ImageOps.exif_transpose(image)
    if image.mode in _DEEP_MODES:
        return Radiograph(_deep_grey(image, white_is_zero), replace(header, voi="minmax"))
    pixels, flags = _grey(image)
    return Radiograph(pixels, replace(header, voi="full range"), flags)


def _open(data: bytes, kind: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(BytesIO(data), formats=_FORMATS[kind])
    except Exception as error:  # Pillow's format plugins raise many kinds over damaged headers
        raise ReadError("damaged_header", f"it is no readable {kind.upper()} file") from error


def _bytes_a_pixel(image: Image.Image) -> int:
    """Return what reading takes for each pixel in passing, measured."""
    if image.mode in ("1", "L") and not image.has_transparency_data:
        return 8
    return 14 if image.mode in _DEEP_MODES else 20


def _frame_count(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception as error:  # a TIFF's chain of pages may lead anywhere
        raise ReadError(
            "damaged_header", f"its pages cannot be counted ({kind_of(error)})"
        ) from error


def _check_sums(data: bytes) -> None:
    """Check the CRC of every chunk of a PNG, which Pillow leaves out for pixels when it loads."""
    try:
        Image.open(BytesIO(data), formats=_FORMATS["png"]).verify()
    except Exception as error:
        reason = "truncated" if "truncated" in str(error).lower() else "damaged_pixels"
        raise ReadError(reason, f"its check sums are wrong ({kind_of(error)})") from error


def _check_strips(image: Image.Image, data: bytes) -> None:
    """Check the JPEG strips or tiles of a TIFF, each with the tables they share (TechNote 2)."""
    tags = getattr(image, "tag_v2", {})
    tables = bytes(tags.get(_TIFF_JPEG_TABLES) or b"")[:-2]
    for offsets, lengths in (_TIFF_STRIPS, _TIFF_TILES):
        for offset, length in zip(tags.get(offsets) or (), tags.get(lengths) or (), strict=False):
            strip = data[offset : offset + length]
            codecs.check_jpeg(tables + strip[2:] if tables else strip)


def _load(image: Image.Image) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
    except MemoryError:
        raise
    except Exception as error:  # truncated and corrupt streams raise OSError, SyntaxError and more
        reason = "truncated" if "truncated" in str(error).lower() else "damaged_pixels"
        raise ReadError(reason, f"its pixels cannot be decoded ({kind_of(error)})") from error


def _deep_grey(image: Image.Image, white_is_zero: bool) -> FloatArray:
    grey = np.array(image, dtype=np.float32)
    if not np.isfinite(grey).all():
        raise ReadError("damaged_pixels", "some of its pixels are not finite numbers")
    low, high = float(grey.min()), float(grey.max())
    grey -= low
    grey /= high - low if high > low else 1.0
    # Pillow inverts 8-bit images by itself.
    return np.subtract(1.0, grey, out=grey) if white_is_zero else grey


def _grey(image: Image.Image) -> tuple[FloatArray, tuple[str, ...]]:
    """Return 0..1 and the flag ``coloured`` if there is colour in it, a mark or a heat map."""
    if image.mode in ("1", "L") and not image.has_transparency_data:
        return _unit_range(image), ()
    if image.has_transparency_data:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    image = image.convert("RGB")
    spread = float(np.ptp(np.asarray(image), axis=-1).mean())
    if spread > _PHOTOGRAPH:
        raise Rejection("colour_image", "it is a colour image, not a radiograph")
    return _unit_range(image), ("coloured",) if spread > _COLOURED else ()


def _unit_range(image: Image.Image) -> FloatArray:
    grey = np.array(image.convert("L"), dtype=np.float32)
    grey /= np.float32(255)  # in its place: a large image is there often enough
    return grey
