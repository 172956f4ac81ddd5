"""Pictures that are no radiographs: noise, gradients, pages, drawings, radiographs scrambled."""

import string
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from training.augment import Image

_Floats = npt.NDArray[np.float64]


def no_radiograph(image: Image, random: np.random.Generator) -> Image:
    """Return a picture (S, S) uint8 of one of these sorts; the same `random`, the same picture.

    A scrambled radiograph keeps the grey levels or the smoothness of `image` (S, S) uint8 but shows
    nothing.
    """
    made = _MAKERS[random.integers(len(_MAKERS))](image, random)
    return np.asarray(np.clip(np.rint(made), 0, 255), np.uint8)


def write(
    page: Image, text: str, place: tuple[int, int], height: float, grey: int, font: int = 0
) -> None:
    """Write a text on a page (H, W) uint8 from `place` (x, y), letters `height` pixels high."""
    scale = cv2.getFontScaleFromHeight(font, max(int(height), 4), 1)
    cv2.putText(page, text, place, font, scale, grey, 1, cv2.LINE_AA)


def _noise(image: Image, random: np.random.Generator) -> _Floats:
    """Return grain of one size, or clouds."""
    size = image.shape[0]
    cells = int(2 ** random.uniform(1, np.log2(size)))
    grain = random.normal(128, random.uniform(15, 80), (cells, cells))
    way = (cv2.INTER_NEAREST, cv2.INTER_CUBIC)[random.integers(2)]
    return np.asarray(cv2.resize(grain, (size, size), interpolation=way), np.float64)


def _gradient(image: Image, random: np.random.Generator) -> _Floats:
    """Return grey rising along a line, around a point, or in waves."""
    size = image.shape[0]
    y, x = np.mgrid[0:size, 0:size] / size
    angle, centre = random.uniform(0, 2 * np.pi), random.uniform(0, 1, 2)
    along = x * np.cos(angle) + y * np.sin(angle)
    around = np.hypot(x - centre[0], y - centre[1])
    rise = (along, around, np.sin(along * random.uniform(6, 80)))[random.integers(3)]
    return np.asarray(255 * (rise - rise.min()) / np.ptp(rise) + random.normal(0, 3, rise.shape))


def _text_page(image: Image, random: np.random.Generator) -> _Floats:
    """Return a written page, dark on bright or bright on dark, perhaps with lines of a table."""
    size = image.shape[0]
    page = np.full((2 * size, 2 * size), 255, np.uint8)
    height = int(random.integers(8, 26))
    letters = list(string.ascii_letters + string.digits + "     .,")
    left = int(random.integers(4, size // 3))
    for y in range(int(random.integers(height, size // 2)), 2 * size, int(height * 1.9)):
        if random.random() < 0.85:
            text = "".join(random.choice(letters, random.integers(5, 4 * size // height)))
            write(page, text, (left, y), height, 0, int(random.integers(5)))
        if random.random() < 0.1:
            cv2.line(page, (left, y + 4), (2 * size - left, y + 4), 0, 1)
    small = np.asarray(cv2.resize(page, (size, size), interpolation=cv2.INTER_AREA), np.float64)
    return small if random.random() < 0.7 else 255 - small


def _drawing(image: Image, random: np.random.Generator) -> _Floats:
    """Return lines, boxes, ellipses and polygons on plain ground, filled or not."""
    size = image.shape[0]
    page = np.full((size, size), random.integers(256), np.uint8)
    for _ in range(random.integers(2, 16)):
        grey, thickness = int(random.integers(256)), int(random.choice([-1, 1, 2, 4]))
        points = random.integers(0, size, (int(random.integers(3, 7)), 2)).astype(np.int32)
        (x, y), shape = points[0].tolist(), random.integers(4)
        if shape == 0:
            cv2.rectangle(page, (x, y), points[1].tolist(), grey, thickness)
        elif shape == 1:
            axes = random.integers(size // 20, size // 2, 2).tolist()
            cv2.ellipse(page, (x, y), axes, float(random.uniform(0, 180)), 0, 360, grey, thickness)
        elif shape == 2 and thickness < 0:
            cv2.fillPoly(page, [points], grey)
        else:
            cv2.polylines(page, [points], isClosed=False, color=grey, thickness=abs(thickness))
    return page.astype(np.float64)


def _patches(image: Image, random: np.random.Generator) -> _Floats:
    """Return a board of plain fields, as test patterns and screenshots have."""
    size = image.shape[0]
    rows, columns = random.integers(1, 9, 2)
    board = random.integers(0, 256, (int(rows), int(columns) + 1)).astype(np.float64)
    return np.asarray(cv2.resize(board, (size, size), interpolation=cv2.INTER_NEAREST))


def _shuffled(image: Image, random: np.random.Generator) -> _Floats:
    """Return the picture cut into tiles that are laid in any order."""
    size, tiles = image.shape[0], int(random.integers(4, 9))
    side = size // tiles
    cut = [
        image[y : y + side, x : x + side]
        for y in range(0, side * tiles, side)
        for x in range(0, side * tiles, side)
    ]
    order = random.permutation(len(cut))
    rows = [np.hstack([cut[i] for i in order[n : n + tiles]]) for n in range(0, len(cut), tiles)]
    laid = cv2.resize(np.vstack(rows), (size, size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(laid, np.float64)


def _phases_lost(image: Image, random: np.random.Generator) -> _Floats:
    """Return noise as smooth as the picture: its spectrum with phases at random."""
    noise = np.fft.rfft2(random.normal(size=image.shape))
    made = np.fft.irfft2(np.abs(np.fft.rfft2(image)) * noise / np.abs(noise), image.shape)
    return np.asarray(255 * (made - made.min()) / np.ptp(made))


_MAKERS: tuple[Callable[[Image, np.random.Generator], _Floats], ...] = (
    _noise,
    _gradient,
    _text_page,
    _drawing,
    _patches,
    _shuffled,
    _phases_lost,
)
