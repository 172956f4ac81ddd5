"""Radiographs as they are not: lungs without their surroundings, surroundings without the lungs.

What a network makes of the first must be what it makes of the whole; from the second it must not
tell a class, or it has learnt the hospital (DeGrave et al. 2021).
"""

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


def without_surroundings(image: Image, field: Image, random: np.random.Generator) -> Image:
    """Return an image (S, S) uint8 that is blurred, blank or noise but for lungs and their rim."""
    rim = int(random.integers(4, 20))
    return _mixed(image, _filling(image, random), _grown(field, rim), random)


def without_lungs(image: Image, field: Image, random: np.random.Generator) -> Image:
    """Return an image (S, S) uint8 whose lungs, with a rim, are blurred, blank or noise."""
    rim = int(random.integers(4, 14))
    return _mixed(_filling(image, random), image, _grown(field, rim), random)


def _grown(field: Image, by: int) -> npt.NDArray[np.float32]:
    """Return the field (S, S) of 0..255 grown by so many pixels, as shares 0..1."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by + 1, 2 * by + 1))
    return np.asarray(cv2.dilate(np.where(field >= 128, 255, 0).astype(np.uint8), disc) / 255)


def _mixed(
    inside: Image, outside: Image, share: npt.NDArray[np.float32], random: np.random.Generator
) -> Image:
    """Return one image within the share and another without, over an edge hard or soft."""
    soft = cv2.GaussianBlur(share, (0, 0), random.uniform(0.5, 5))
    return np.asarray(np.rint(inside * soft + outside * (1 - soft)), np.uint8)


def _filling(image: Image, random: np.random.Generator) -> Image:
    """Return what an image is replaced by: itself far out of focus, one grey, or noise."""
    way = random.integers(4)
    if way < 2:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(12, 40)), np.uint8)
    shade = 0 if random.random() < 0.4 else int(random.integers(0, 256))
    flat = np.full_like(image, shade)
    if way == 2:
        return flat
    noise = flat + random.normal(0, random.uniform(5, 40), image.shape)
    return np.asarray(np.clip(np.rint(noise), 0, 255), np.uint8)
