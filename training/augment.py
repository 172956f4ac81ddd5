"""Augmented copies: small changes of geometry and grey, and markers that carry no class.

Hospitals burn letters into corners and blank borders in their own way, so a network can read the
class off the hospital. Here every class gets the same letters, words, boxes and blanked borders at
random, and loses the true ones as often (DeGrave et al. 2021 on shortcuts in these data sets).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from scanner.image_gate import MIN_LUNG_AREA
from training import counterfactual
from training.markers import CORNER, stamp

Image = npt.NDArray[np.uint8]

# Raised whenever `augmented` returns something else for the same numbers: caches are keyed by it.
VERSION = 3
_DEGREES, _SHIFT, _ZOOM = 8.0, 0.05, 0.08
_CONTRAST, _GAMMA = 0.25, 0.4
# Shares of the copies that lose what is around the lungs, or the lungs.
_WITHOUT_SURROUNDINGS, _WITHOUT_LUNGS = 0.2, 0.1


@dataclass(frozen=True)
class Augmentation:
    """How many augmented copies are made of each image, and whether some are mirrored.

    `copies` is for the most frequent class; a rare class has as many more as it is shown more
    often. Mirroring moves the heart to the right (situs inversus), so it is off unless asked for.
    """

    copies: int
    flip: bool
    seed: int


@dataclass(frozen=True)
class Copy:
    """An augmented copy: model input (S, S) uint8, its lung field alike (0..255) if it is known.

    `says_nothing` is true where the lungs were taken out: no class can be told from what is left.
    """

    image: Image
    field: Image | None
    says_nothing: bool


def made(
    images: Iterator[tuple[int, Image, Image | None]],
    counts: npt.NDArray[np.int64],
    settings: Augmentation,
) -> Iterator[Copy]:
    """Yield the copies of each (index, image, field), `counts[index]` of them, seeded by number."""
    for index, image, field in images:
        for number in range(counts[index]):
            random = np.random.default_rng([settings.seed, index, number])
            yield augmented(image, field, random, settings.flip)


def augmented(image: Image, field: Image | None, random: np.random.Generator, flip: bool) -> Copy:
    """Return a changed copy of a model input (S, S) uint8; the same numbers, the same copy.

    With a lung `field` (S, S) of 0..255 some copies lose what is around the lungs and keep their
    label, and some lose the lungs and with them what they say (`counterfactual`).
    """
    known = np.zeros_like(image) if field is None else field
    if flip and random.random() < 0.5:
        image, known = np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(known[:, ::-1])
    image, known = moved(image, known, random)
    image = _degraded(_regraded(image, random), random)
    seen = field is not None and float((known >= 128).mean()) >= MIN_LUNG_AREA
    way = random.random() if seen else 1.0
    if way < _WITHOUT_SURROUNDINGS:
        image = counterfactual.without_surroundings(image, known, random)
    elif way < _WITHOUT_SURROUNDINGS + _WITHOUT_LUNGS:
        image = counterfactual.without_lungs(image, known, random)
    image = _blanked(image, random)
    for _ in range(random.integers(0, 4)):
        stamp(image, random)
    says_nothing = _WITHOUT_SURROUNDINGS <= way < _WITHOUT_SURROUNDINGS + _WITHOUT_LUNGS
    return Copy(image, None if field is None else known, says_nothing)


def moved(image: Image, field: Image, random: np.random.Generator) -> tuple[Image, Image]:
    """Return image and lung field, both (S, S) uint8, turned, zoomed and shifted a little alike."""
    side = image.shape[0]
    angle = random.uniform(-_DEGREES, _DEGREES)
    zoom = random.uniform(1 - _ZOOM, 1 + _ZOOM)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), angle, zoom)
    matrix[:, 2] += random.uniform(-_SHIFT, _SHIFT, 2) * side
    # What comes in from outside is black as often as a continuation of the image.
    border = (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE)[random.integers(2)]
    size = (side, side)
    return (
        np.asarray(cv2.warpAffine(image, matrix, size, borderMode=border), np.uint8),
        np.asarray(cv2.warpAffine(field, matrix, size), np.uint8),
    )


def _regraded(image: Image, random: np.random.Generator) -> Image:
    levels = np.linspace(0, 1, 256) ** math.exp(random.uniform(-_GAMMA, _GAMMA))
    levels = 0.5 + (levels - 0.5) * random.uniform(1 - _CONTRAST, 1 + _CONTRAST)
    table = np.clip(np.rint(255 * levels), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table), np.uint8)


def _degraded(image: Image, random: np.random.Generator) -> Image:
    """Return an image with other sharpness, noise and compression: each hospital has its own."""
    side = image.shape[0]
    if random.random() < 0.4:
        small = max(int(side * random.uniform(0.4, 0.95)), 1)
        way = (cv2.INTER_AREA, cv2.INTER_LINEAR)[random.integers(2)]
        image = cv2.resize(cv2.resize(image, (small, small), interpolation=way), (side, side))
    if random.random() < 0.25:
        soft = cv2.GaussianBlur(image, (0, 0), 1.5)
        image = cv2.addWeighted(image, 1 + (amount := random.uniform(0.2, 1.2)), soft, -amount, 0)
    if random.random() < 0.3:
        noise = random.normal(0, random.uniform(1, 8), image.shape)
        image = np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
    if random.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(30, 95))]
        data = cv2.imencode(".jpg", image, quality)[1]
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
    return np.asarray(image, np.uint8)


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
            height, width = (random.uniform(0.08, CORNER, 2) * side).astype(int)
            rows = slice(0, height) if corner < 2 else slice(side - height, side)
            columns = slice(0, width) if corner % 2 else slice(side - width, side)
            image[rows, columns] = _shade(random)
    return image


def _shade(random: np.random.Generator) -> int:
    """Return a grey level: mostly black as collimated borders are, else any."""
    return 0 if random.random() < 0.6 else int(random.integers(0, 256))


def contact_sheet(
    originals: list[tuple[Image, Image | None]], settings: Augmentation, columns: int = 6
) -> bytes:
    """Return a JPEG with one row for each original and its field: itself, then augmented copies."""
    rows = []
    for index, (image, field) in enumerate(originals):
        copies = made(iter([(index, image, field)]), np.full(index + 1, columns - 1), settings)
        row = [
            cv2.resize(picture, (160, 160), interpolation=cv2.INTER_AREA)
            for picture in (image, *(copy.image for copy in copies))
        ]
        rows.append(np.hstack([np.pad(picture, 2) for picture in row]))
    done, data = cv2.imencode(".jpg", np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert done  # an 8-bit picture of this size always encodes
    return data.tobytes()
