"""The one picture of each test: images side by side, in one JPEG."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from scanner import thumbnails
from scanner.radiograph import FloatArray
from training.audit.sample import Bools, Image

_TILE, _GAP = 192, 4
_JPEG_QUALITY = 85
# As --link in report.css, in OpenCV's order: it stands out of grey and of the heat map.
_OUTLINE = (255, 203, 158)


def side_by_side(rows: Sequence[Sequence[npt.NDArray[np.uint8]]]) -> bytes:
    """Return a JPEG of rows of equally many pictures, grey (S, S) or colour (S, S, 3)."""
    drawn = [np.hstack([_tile(picture) for picture in row]) for row in rows]
    done, data = cv2.imencode(".jpg", np.vstack(drawn), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert done  # an 8-bit picture of this size always encodes
    return data.tobytes()


def heat(image: Image, cam: FloatArray, inside: Bools | None = None) -> npt.NDArray[np.uint8]:
    """Return (S, S, 3) uint8: an image under its heat map, with the outline of its lungs."""
    plain = thumbnails.thumbnail(image.astype(np.float32) / np.float32(255))
    encoded = np.frombuffer(thumbnails.overlay(plain, cam), np.uint8)
    colour = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    if inside is not None:
        side = colour.shape[0]
        field = cv2.resize(inside.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
        outlines, _ = cv2.findContours(
            (field >= 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(colour, outlines, -1, _OUTLINE, 2)
    return colour


def _tile(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    colour = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture
    small = cv2.resize(colour, (_TILE, _TILE), interpolation=cv2.INTER_AREA)
    return np.pad(small, ((_GAP, _GAP), (_GAP, _GAP), (0, 0)))
