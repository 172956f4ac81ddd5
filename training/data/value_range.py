"""Which values are black and white in an array: told from a sample, or refused."""

from typing import Any

import numpy as np
import numpy.typing as npt

from scanner.errors import SetupError
from training.data.array_files import ArrayFile

_SAMPLE = 64
# Resizing and arithmetic carry values this far beyond their range, as a share of it.
_TOLERANCE = 1e-3
# (least maximum of the sample, white) by kind of number. Floats up to 3.7 are neither 0..1 nor,
# over a whole sample, 0..255; integers up to 1 are a mask, or floats that were cut off.
_RANGES = {
    "f": ((0.0, 1.0), (128.0, 255.0)),
    "i": ((2.0, 255.0), (256.0, 65535.0)),
}


def value_range(images: ArrayFile, stated: tuple[float, float] | None) -> tuple[float, float]:
    """Return (black, white) of an array of images, `stated` or told from a sample.

    Integers are 0..255 or 0..65535, floats 0..1 or 0..255. The sample is evenly spread; of a
    compressed array it is the first images, as nothing in it can be skipped. Raises `SetupError`
    where the values would fit another meaning as well.
    """
    if stated is not None:
        if not stated[0] < stated[1]:
            raise SetupError(f"--value-range {stated[0]:g},{stated[1]:g}: LOW must be below HIGH.")
        return stated
    lowest, highest = _extremes(images)
    for least, white in _RANGES["f" if images.dtype.kind == "f" else "i"]:
        slack = _TOLERANCE * white
        if lowest >= -slack and least <= highest + slack and highest <= white + slack:
            return 0.0, white
    raise SetupError(
        f"{images.name} is of {images.dtype} with values from {lowest:g} to {highest:g}"
        f"{_guess(lowest, highest)}: black and white cannot be told from that; --value-range "
        "LOW,HIGH says which values they are."
    )


def _guess(lowest: float, highest: float) -> str:
    if lowest < 0:
        return " (standardised?)"
    return " (a mask, or cut off when 0..1 became integer?)" if highest in (0, 1) else ""


def _extremes(images: ArrayFile) -> tuple[float, float]:
    count = images.shape[0]
    if images.compressed:
        positions = np.arange(min(count, _SAMPLE))
    else:
        positions = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(int))
    lowest, highest = np.inf, -np.inf
    for image in images.rows(map(int, positions)):
        finite = image[np.isfinite(image)]
        if finite.size:
            lowest = min(lowest, float(finite.min()))
            highest = max(highest, float(finite.max()))
    if lowest > highest:  # nothing in the whole sample is a number, in its first image neither
        raise _not_finite(images, 0)
    return lowest, highest


def check_within(
    image: npt.NDArray[Any], position: int, images: ArrayFile, limits: tuple[float, float]
) -> float:
    """Return the contrast (maximum minus minimum) of one image of an array.

    Raises `SetupError` naming the image if a value is not finite or beyond the limits.
    """
    low, high = limits
    lowest, highest = float(image.min()), float(image.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise _not_finite(images, position)
    slack = _TOLERANCE * (high - low)
    if lowest < low - slack or highest > high + slack:
        raise SetupError(
            f"{images.name}: image {position} has values from {lowest:g} to {highest:g} where all "
            f"are expected from {low:g} to {high:g}: --value-range LOW,HIGH says what black and "
            "white are."
        )
    return highest - lowest


def _not_finite(images: ArrayFile, position: int) -> SetupError:
    return SetupError(
        f"{images.name} holds NaN or infinity, first in image {position}: take such images out."
    )
