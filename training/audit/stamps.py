"""Letters for the audit: other fonts, words and places than those that training draws.

Training stamps OpenCV's stroke fonts anywhere near a corner (`training.markers`); a model may have
learnt to pass over just those. These are DejaVu's filled letters in the corner itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from training.audit.sample import Image

WORDS = ("R", "L", "B1", "14 MAR 2020", "ST MARY HOSPITAL")
CORNERS = ("top left", "top right", "bottom left", "bottom right")
# Height of a capital, as a share of the image's side.
HEIGHTS = (0.05, 0.08, 0.12)
BRIGHT, DARK = SHADES = ("bright", "dark on a light plate")
# Of the 120 stamps each image gets so many; thirty images see them all.
EACH = 4
_FONTS = ("DejaVuSerif-Bold.ttf", "DejaVuSansMono.ttf", "DejaVuSans-Bold.ttf")
_CAPITAL = 0.73  # height of DejaVu's capitals in ems
_LONGEST, _INSET, _PAD = 0.45, 0.02, 0.012  # shares of a side


@dataclass(frozen=True)
class Stamp:
    """A word of `WORDS` in a corner; `height` is one of `HEIGHTS`, `shade` one of `SHADES`."""

    word: str
    corner: str
    height: float
    shade: str


def stamps(images: int, seed: int) -> Iterator[tuple[int, Stamp]]:
    """Yield `EACH` stamps for each of some images, with its number; all stamps equally often."""
    every = [Stamp(*parts) for parts in product(WORDS, CORNERS, HEIGHTS, SHADES)]
    order = np.random.default_rng(seed).permutation(len(every))
    for number in range(images * EACH):
        yield number // EACH, every[order[number % len(every)]]


def stamped(image: Image, stamp: Stamp) -> Image:
    """Return a copy of a model input (S, S) uint8 with a word in one corner."""
    side = image.shape[0]
    font = _font(WORDS.index(stamp.word) % len(_FONTS), round(stamp.height * side / _CAPITAL))
    left, top, right, bottom = font.getbbox(stamp.word)
    if (longest := _LONGEST * side) < right - left:
        font = _font(WORDS.index(stamp.word) % len(_FONTS), int(font.size * longest / right))
        left, top, right, bottom = font.getbbox(stamp.word)
    width, height, inset = right - left, bottom - top, _INSET * side
    x = inset if "left" in stamp.corner else side - inset - width
    y = inset if "top" in stamp.corner else side - inset - height
    picture = Pillow.fromarray(image)
    draw = ImageDraw.Draw(picture)
    if stamp.shade == DARK:
        pad = max(_PAD * side, 2)
        draw.rectangle((x - pad, y - pad, x + width + pad, y + height + pad), fill=215)
    draw.text((x - left, y - top), stamp.word, fill=245 if stamp.shade == BRIGHT else 15, font=font)
    return np.asarray(picture, np.uint8)


@cache
def _font(number: int, size: int) -> ImageFont.FreeTypeFont:
    """Return one of the fonts that matplotlib brings along, `size` pixels high."""
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / _FONTS[number]), max(size, 6))
