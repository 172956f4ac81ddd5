"""Parts of an image taken away: corners and top, the lungs, or all but the border."""

import cv2
import numpy as np
import numpy.typing as npt

from training.audit.sample import Bools, Image

# Shares of a side. Names and dates stand in the top; markers in the corners.
TOP, CORNER = 0.08, 0.15
# The lungs are widened by so much of a side, for the outline of a field is not exact.
WIDENED = 0.03
# 16 pixels of 256.
FRAME = 1 / 16
# The frame is averaged over so many pixels, so that there are not more figures than images tell.
_CELL = 4


def without_corners(image: Image) -> Image:
    """Return a copy of (S, S) uint8 with its four corners and its top in black."""
    side = image.shape[0]
    top, corner = round(TOP * side), round(CORNER * side)
    image = image.copy()
    image[:top] = 0
    for rows in (slice(0, corner), slice(side - corner, side)):
        image[rows, :corner] = image[rows, side - corner :] = 0
    return image


def without_lungs(image: Image, inside: Bools) -> Image:
    """Return a copy of (S, S) uint8 with its lungs, widened, in the mean grey of the rest.

    `inside` (h, w) says where they are, edge to edge.
    """
    side = image.shape[0]
    field = cv2.resize(inside.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    width = 2 * round(WIDENED * side) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    lungs = cv2.dilate((field >= 0.5).astype(np.uint8), disc).astype(bool)
    rest = image if lungs.all() else image[~lungs]
    return np.where(lungs, np.uint8(round(float(rest.mean()))), image).astype(np.uint8)


def only_frame(image: Image) -> Image:
    """Return a copy of (S, S) uint8 with nothing but its border, 1/16 of a side wide."""
    width = round(FRAME * image.shape[0])
    image = image.copy()
    image[width:-width, width:-width] = 0
    return image


def frame_values(image: Image) -> npt.NDArray[np.float32]:
    """Return the grey levels of an image's border, averaged over cells of 4 x 4 pixels, 0..1."""
    side = image.shape[0]
    cells = side // _CELL
    small = cv2.resize(image.astype(np.float32), (cells, cells), interpolation=cv2.INTER_AREA)
    width = max(round(FRAME * cells), 1)
    border = np.ones(small.shape, bool)
    border[width:-width, width:-width] = False
    return np.asarray(small[border] / 255, np.float32)
