"""Letters, words, dates and boxes as hospitals burn them into the corners of radiographs."""

import string

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

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
CORNER = 0.3


def stamp(image: Image, random: np.random.Generator) -> None:
    """Write a letter, word, date or number near a corner, bright or dark, some in a box."""
    side = image.shape[0]
    text = _words(random)
    font = _FONTS[random.integers(len(_FONTS))]
    thickness = int(random.integers(1, 3))
    wanted = random.uniform(0.03, 0.12 if len(text) <= 2 else 0.06) * side
    scale = cv2.getFontScaleFromHeight(font, max(int(wanted), 6), thickness)
    (width, height), _ = cv2.getTextSize(text, font, scale, thickness)
    x = int(random.uniform(0, max(CORNER * side - width / 2, 1)))
    y = int(random.uniform(0, max(CORNER * side - height, 1)))
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
