"""Stored DICOM values become what a viewer shows: Modality LUT, VOI LUT, polarity, square pixels.

The order is that of DICOM PS3.4 N.2 (softcopy presentation state) and PS3.3 C.11.
"""

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from scanner.errors import ReadError, kind_of
from scanner.limits import STANDARD, Limits
from scanner.radiograph import FloatArray

Float64Array = npt.NDArray[np.float64]

# A lookup over all values present is exact and far cheaper than arithmetic on every pixel; images
# of more than 16 bits (never seen in radiography) are computed directly.
_TABLE_LIMIT = 1 << 17
_ROWS_AT_ONCE = 256
# Beyond this, a pixel aspect ratio is a typing error and no geometry.
_MAX_ASPECT = 4.0


def to_display(
    stored: npt.NDArray[np.integer], header: Dataset, limits: Limits = STANDARD
) -> tuple[FloatArray, str, tuple[str, ...]]:
    """Return pixels, the VOI that was applied, and flags.

    `stored` is (H, W) of any integer type as decoded. The pixels are (H', W') float32 in 0..1, air
    dark and bone bright, with square pixels. The VOI text is ``lut``, ``window C/W`` (with the
    function's name unless LINEAR) or ``minmax``. Pixels said to be more than four times as high as
    wide, or the reverse, are shown as they are, with the flag ``odd_pixel_aspect``.

    PhotometricInterpretation alone decides the polarity; a PresentationLUTShape that contradicts it
    (PS3.3 C.8.11.3.1.2) raises the flag ``polarity_conflict``.
    """
    low, high = int(stored.min()), int(stored.max())
    table_is_small = high - low < _TABLE_LIMIT
    values = np.arange(low, high + 1) if table_is_small else stored
    modality = _apply_modality(values, header)
    shown, voi = _apply_voi(values, modality, stored, header)
    if header.PhotometricInterpretation == "MONOCHROME1":
        shown = 1.0 - shown
    pixels = shown.astype(np.float32)
    if table_is_small:
        pixels = _look_up_by_rows(pixels, stored, low)
    aspect = _pixel_aspect(header)
    flags = _polarity_flags(header)
    if not 1 / _MAX_ASPECT <= aspect <= _MAX_ASPECT:
        return pixels, voi, (*flags, "odd_pixel_aspect")
    return _with_square_pixels(pixels, aspect, limits), voi, flags


def _look_up_by_rows(table: FloatArray, stored: npt.NDArray[np.integer], first: int) -> FloatArray:
    """Map `stored` through `table`; a few rows at a time, as indices take 8 bytes a pixel."""
    pixels = np.empty(stored.shape, np.float32)
    for row in range(0, len(stored), _ROWS_AT_ONCE):
        index = stored[row : row + _ROWS_AT_ONCE].astype(np.int64) - first
        np.take(table, index, out=pixels[row : row + _ROWS_AT_ONCE], mode="clip")
    return pixels


def _apply_voi(
    values: npt.NDArray[np.integer],
    modality: Float64Array,
    stored: npt.NDArray[np.integer],
    header: Dataset,
) -> tuple[Float64Array, str]:
    """Return 0..1 before polarity: VOI LUT sequence, else first window, else min-max.

    `values` may be a table of all values between the extremes; min-max asks which occur.
    """
    if header.get("VOILUTSequence"):
        return _apply_voi_lut(modality, header), "lut"
    window = _first_window(header)
    if window is not None:
        centre, width, function = window
        suffix = "" if function == "LINEAR" else f" {function}"
        return _apply_window(modality, *window), f"window {centre:g}/{width:g}{suffix}"
    occurs = np.ones(values.shape, dtype=bool)
    if values is not stored:
        occurs = np.zeros(values.shape, dtype=bool)
        for row in stored:
            occurs[row.astype(np.int64) - int(values[0])] = True
    kept = modality[occurs & ~_is_padding(values, header)]
    if not kept.size:
        kept = modality.ravel()
    low, high = kept.min(), kept.max()
    scale = high - low if high > low else 1.0
    return np.clip((modality - low) / scale, 0.0, 1.0), "minmax"


def _apply_modality(values: npt.NDArray[np.integer], header: Dataset) -> Float64Array:
    """Modality LUT sequence, else rescale slope and intercept (PS3.3 C.11.1.1.2)."""
    if header.get("ModalityLUTSequence"):
        return _look_up(values, header.ModalityLUTSequence[0])[0]
    slope = _first_number(header, "RescaleSlope") or 1.0  # 0 would leave nothing to see
    return values.astype(np.float64) * slope + (_first_number(header, "RescaleIntercept") or 0.0)


def _apply_voi_lut(modality: Float64Array, header: Dataset) -> Float64Array:
    """PS3.3 C.11.2.1.1; scaled by the nominal range of the LUT, not by the values that occur."""
    mapped, top = _look_up(np.rint(modality), header.VOILUTSequence[0])
    return mapped / top


def _look_up(values: npt.NDArray[Any], item: Dataset) -> tuple[Float64Array, int]:
    """Map values through one LUT item; return the entries and the greatest possible (C.11.1.1.1).

    pydicom's own functions refuse descriptors of 12 bits, which occur in radiography.
    """
    try:
        count, first, bits = (int(number) for number in item.LUTDescriptor)
        count = count & 0xFFFF or 1 << 16
        if not 1 <= bits <= 16:
            raise ValueError(f"its entries have {bits} bits")
        data = item.LUTData
        if isinstance(data, bytes):
            # pydicom leaves VR OW and UN as bytes, in the byte order of the file.
            words = ">u2" if item.original_encoding[1] is False else "<u2"
            data = np.frombuffer(data, np.uint8 if len(data) < 2 * count else words)
        entries = np.asarray(data, dtype=np.int64)[:count] & 0xFFFF
        if not entries.size:
            raise ValueError("it has no entries")
    except (AttributeError, TypeError, ValueError) as error:
        raise ReadError(
            "damaged_header", f"a lookup table in it is damaged ({kind_of(error)})"
        ) from error
    index = np.clip(values - first, 0, len(entries) - 1).astype(np.int64)
    # Some files state fewer bits than their entries have.
    top = max((1 << bits) - 1, (1 << int(entries.max()).bit_length()) - 1, 1)
    return entries[index].astype(np.float64), top


def _first_window(header: Dataset) -> tuple[float, float, str] | None:
    """Return centre, width and function of the first window, if usable (PS3.3 C.11.2.1.2)."""
    centre, width = _first_number(header, "WindowCenter"), _first_number(header, "WindowWidth")
    function = str(header.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        function = "LINEAR"
    if centre is None or width is None or width <= 0 or (function == "LINEAR" and width < 1):
        return None
    return centre, width, function


def _apply_window(values: Float64Array, centre: float, width: float, function: str) -> Float64Array:
    if function == "SIGMOID":  # C.11.2.1.3.1
        exponent = np.clip(-4.0 * (values - centre) / width, -700, 700)
        return np.asarray(1.0 / (1.0 + np.exp(exponent)))
    if function == "LINEAR_EXACT":  # C.11.2.1.3.2
        return np.clip((values - centre) / width + 0.5, 0.0, 1.0)
    if width == 1:  # C.11.2.1.2.1: LINEAR of width 1 is a threshold
        return (values > centre - 0.5).astype(np.float64)
    return np.clip((values - (centre - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def _is_padding(values: npt.NDArray[np.integer], header: Dataset) -> npt.NDArray[np.bool_]:
    """Mark Pixel Padding Value, or the range to Pixel Padding Range Limit (PS3.3 C.7.5.1.1.2)."""
    first = _first_number(header, "PixelPaddingValue")
    if first is None:
        return np.zeros(values.shape, dtype=bool)
    last = _first_number(header, "PixelPaddingRangeLimit")
    last = first if last is None else last
    return (values >= min(first, last)) & (values <= max(first, last))


def _first_number(header: Dataset, keyword: str) -> float | None:
    """Return the first value of an optional numeric element, or None if it is absent or useless."""
    try:
        value = header.get(keyword)
        if isinstance(value, MultiValue):
            value = value[0] if len(value) else None
        number = None if value in (None, "") else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number is not None and math.isfinite(number) else None


def _polarity_flags(header: Dataset) -> tuple[str, ...]:
    shape = str(header.get("PresentationLUTShape") or "").strip().upper()
    contradiction = {"MONOCHROME1": "IDENTITY", "MONOCHROME2": "INVERSE"}
    if shape and contradiction.get(header.PhotometricInterpretation) == shape:
        return ("polarity_conflict",)
    return ()


def _with_square_pixels(pixels: FloatArray, aspect: float, limits: Limits) -> FloatArray:
    """Enlarge the coarser direction until pixels are square (PS3.3 C.7.6.3.1.7 and 10.7.1.3)."""
    if 0.99 < aspect < 1.01:
        return pixels
    height, width = pixels.shape
    size = (width, round(height * aspect)) if aspect > 1 else (round(width / aspect), height)
    limits.check_pixels(*size, " once they are square")
    limits.claim(4 * (pixels.size + size[0] * size[1]))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _pixel_aspect(header: Dataset) -> float:
    """Return a pixel's height over its width, 1 if the header does not say."""
    for keyword in ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"):
        value = header.get(keyword)
        try:
            vertical, horizontal = (float(number) for number in value)
        except (TypeError, ValueError):
            continue
        if vertical > 0 and horizontal > 0 and math.isfinite(vertical + horizontal):
            return vertical / horizontal
    return 1.0
