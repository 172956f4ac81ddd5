"""Augmented copies: small changes of geometry and grey, and markers that carry no class.

Hospitals burn letters into corners and blank borders in their own way, so a network can read the
class off the hospital. Here every class gets the same letters, words, boxes and blanked borders at
random, and loses the true ones as often (DeGrave et al. 2021 on shortcuts in these data sets).
"""

import math
import string
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

# Raised whenever `augmented` returns something else for the same numbers: caches are keyed by it.
VERSION = 1
# A class of a handful of images is not shown so often that the network learns them by heart.
MAX_LIFT = 8.0
_DEGREES, _SHIFT, _ZOOM = 8.0, 0.05, 0.08
_CONTRAST, _GAMMA = 0.2, 0.3
_MARKERS = (
    "R",
    "L",
    "B1",
    "PA",
    "AP",
    "SUPINE",
    "ERECT",
    "PORTABLE",
    "MOBILE",
    "ICU",
    "R PA",
    "LT",
)
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_PLAIN,
)
# Markers stand within this share of a side from a corner.
_CORNER = 0.3


@dataclass(frozen=True)
class Augmentation:
    """How many augmented copies are made of each image, and whether some are mirrored.

    `copies` is for the most frequent class; a rare class has as many more as it is shown more
    often. Mirroring moves the heart to the right (situs inversus), so it is off unless asked for.
    """

    copies: int
    flip: bool
    seed: int


def lifts(targets: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.float64]:
    """Return how often an image of each class (C,) is shown in an epoch, 1 for the most frequent.

    `targets` (N,) are the class indices of the training images; classes without any get 1.
    """
    counts = np.bincount(targets, minlength=classes)
    wanted = np.clip(counts.max() / np.maximum(counts, 1), 1.0, MAX_LIFT)
    return np.where(counts == 0, 1.0, wanted)


def copies_of(lift: float, copies: int) -> int:
    """Return how many augmented copies an image has whose class is shown `lift` times an epoch."""
    return max(round(copies * lift), 1) if copies else 0


def made(
    images: Iterator[tuple[int, Image]], counts: npt.NDArray[np.int64], settings: Augmentation
) -> Iterator[Image]:
    """Yield the copies of each (index, image), `counts[index]` of them, seeded by their number."""
    for index, image in images:
        for number in range(counts[index]):
            random = np.random.default_rng([settings.seed, index, number])
            yield augmented(image, random, settings.flip)


def augmented(image: Image, random: np.random.Generator, flip: bool) -> Image:
    """Return a changed copy of a model input (S, S) uint8; the same numbers, the same copy."""
    if flip and random.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
    image = _regraded(_moved(image, random), random)
    image = _blanked(image, random)
    for _ in range(random.integers(0, 4)):
        _stamp(image, random)
    return image


def _moved(image: Image, random: np.random.Generator) -> Image:
    side = image.shape[0]
    angle = random.uniform(-_DEGREES, _DEGREES)
    zoom = random.uniform(1 - _ZOOM, 1 + _ZOOM)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), angle, zoom)
    matrix[:, 2] += random.uniform(-_SHIFT, _SHIFT, 2) * side
    # What comes in from outside is black as often as a continuation of the image.
    border = (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE)[random.integers(2)]
    return np.asarray(cv2.warpAffine(image, matrix, (side, side), borderMode=border), np.uint8)


def _regraded(image: Image, random: np.random.Generator) -> Image:
    levels = np.linspace(0, 1, 256) ** math.exp(random.uniform(-_GAMMA, _GAMMA))
    levels = 0.5 + (levels - 0.5) * random.uniform(1 - _CONTRAST, 1 + _CONTRAST)
    table = np.clip(np.rint(255 * levels), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table), np.uint8)


def _blanked(image: Image, random: np.random.Generator) -> Image:
    """Return a copy without some of its border or corners, so without what was written there."""
    side = image.shape[0]
    image = image.copy()
    if random.random() < 0.4:
        top, bottom, left, right = (random.uniform(0, 0.1, 4) * side).astype(int)
        shade = _shade(random)
        image[:top], image[side - bottom :] = shade, shade
        image[:, :left], image[:, side - right :] = shade, shade
    for corner in range(4):
        if random.random() < 0.15:
            height, width = (random.uniform(0.08, _CORNER, 2) * side).astype(int)
            rows = slice(0, height) if corner < 2 else slice(side - height, side)
            columns = slice(0, width) if corner % 2 else slice(side - width, side)
            image[rows, columns] = _shade(random)
    return image


def _shade(random: np.random.Generator) -> int:
    """Return a grey level: mostly black as collimated borders are, else any."""
    return 0 if random.random() < 0.6 else int(random.integers(0, 256))


def _stamp(image: Image, random: np.random.Generator) -> None:
    """Write a letter, word, date or number near a corner, bright or dark, some in a box."""
    side = image.shape[0]
    text = _words(random)
    font = _FONTS[random.integers(len(_FONTS))]
    thickness = int(random.integers(1, 3))
    wanted = random.uniform(0.03, 0.12 if len(text) <= 2 else 0.06) * side
    scale = cv2.getFontScaleFromHeight(font, max(int(wanted), 6), thickness)
    (width, height), _ = cv2.getTextSize(text, font, scale, thickness)
    x = int(random.uniform(0, max(_CORNER * side - width / 2, 1)))
    y = int(random.uniform(0, max(_CORNER * side - height, 1)))
    x = x if random.random() < 0.5 else side - x - width
    y = y + height if random.random() < 0.5 else side - y
    grey = int(random.integers(190, 256) if random.random() < 0.8 else random.integers(0, 60))
    if random.random() < 0.25:
        box = 255 - grey if random.random() < 0.5 else 0
        cv2.rectangle(image, (x - 3, y - height - 3), (x + width + 3, y + 3), box, -1)
    cv2.putText(image, text, (x, y), font, scale, grey, thickness, cv2.LINE_AA)


def _words(random: np.random.Generator) -> str:
    kind = random.integers(5)
    if kind < 3:
        return _MARKERS[random.integers(len(_MARKERS))]
    if kind == 3:
        day, month, year = (
            random.integers(1, 29),
            random.integers(1, 13),
            random.integers(2001, 2026),
        )
        return f"{day:02}.{month:02}.{year}" if random.random() < 0.5 else f"{day:02}:{month:02}:19"
    letters = string.ascii_uppercase + (string.digits if random.random() < 0.5 else "")
    return "".join(letters[i] for i in random.integers(0, len(letters), random.integers(1, 9)))


def contact_sheet(originals: list[Image], settings: Augmentation, columns: int = 6) -> bytes:
    """Return a JPEG with one row for each original (S, S) uint8: itself, then augmented copies."""
    rows = []
    for index, image in enumerate(originals):
        copies = made(iter([(index, image)]), np.full(index + 1, columns - 1), settings)
        row = [
            cv2.resize(picture, (160, 160), interpolation=cv2.INTER_AREA)
            for picture in (image, *copies)
        ]
        rows.append(np.hstack([np.pad(picture, 2) for picture in row]))
    done, data = cv2.imencode(".jpg", np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert done  # an 8-bit picture of this size always encodes
    return data.tobytes()
