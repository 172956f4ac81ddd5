"""Pictures of other kinds, made from frontal radiographs: turned, inverted, several in one.

Of most pictures that a scan must not judge there is no collection to learn from, but they are
easily made. Every function takes and returns what a scan hands to the network: (S, S) uint8, as
`preprocess.model_input` makes it. The same `random` gives the same picture.
"""

import string
from collections.abc import Sequence

import cv2
import numpy as np

from scanner.preprocess import PreprocessSpec, model_input
from training import drawn
from training.augment import Image, augmented

# Where parts are cut out that show no whole lung: left edge, top and side, as shares of the
# picture. The middle is left alone: a tight crop around both lungs is still a frontal radiograph.
_PARTS = {
    "right shoulder": (0.0, 0.0, 0.30),
    "left shoulder": (0.70, 0.0, 0.30),
    "neck": (0.33, 0.0, 0.30),
    "abdomen": (0.30, 0.68, 0.32),
    "right flank": (0.05, 0.70, 0.30),
    "left flank": (0.65, 0.70, 0.30),
}
# No more of a chest than this share is cut away on a side while it counts as whole.
_TIGHT = 0.08
# A chest in a collimated or scanned field takes up at least this share of the picture's sides.
_FIELD = 0.7


def frontal(image: Image, random: np.random.Generator) -> Image:
    """Return a frontal radiograph as another hospital would hand it in; mirrored is frontal too.

    Letters, blanked corners, noise and small changes of geometry as in `augment`, so that they do
    not look like another kind; collimated or cropped a little; soft.
    """
    image = _changed(image, random)
    if random.random() < 0.4:
        image = _reframed(image, random)
    return scanned(worn(image, random))


def upside_down(image: Image, random: np.random.Generator) -> Image:
    """Return it turned by about 180 degrees or flipped vertically."""
    image = _changed(image, random)
    if random.random() < 0.5:
        image = np.ascontiguousarray(image[::-1])
    else:
        image = _rotated(image, 180 + random.uniform(-20, 20) * (random.random() < 0.5), random)
    return scanned(worn(image, random))


def turned(image: Image, random: np.random.Generator) -> Image:
    """Return it turned to a side: by 90 degrees, half of them by 60 to 120."""
    image = _changed(image, random)
    angle = 90.0 if random.random() < 0.5 else random.uniform(60, 120)
    side = 1 if random.random() < 0.5 else -1
    return scanned(worn(_rotated(image, side * angle, random), random))


def inverted(image: Image, random: np.random.Generator) -> Image:
    """Return it with air bright and bone dark."""
    image = np.asarray(255 - _changed(image, random), np.uint8)
    return scanned(worn(image, random))


def several_images(images: Sequence[Image], random: np.random.Generator) -> Image:
    """Return two to four pictures in one: side by side, one above the other, or in a square.

    As studies are exported, and as figures of articles are printed: with gaps and letters.
    """
    size = images[0].shape[0]
    rows, columns = [(1, 2), (1, 2), (2, 1), (2, 2), (1, 3)][random.integers(5)]
    paper = int(random.choice([0, 0, 255, 128]))
    gap = int(random.integers(0, max(size // 20, 1)))
    page = np.full((rows * (size + gap) - gap, columns * (size + gap) - gap), paper, np.uint8)
    lettered = random.random() < 0.4
    for number in range(rows * columns):
        picture = images[int(random.integers(len(images)))] if number else images[0]
        y, x = (size + gap) * (number // columns), (size + gap) * (number % columns)
        page[y : y + size, x : x + size] = _changed(picture, random)
        if lettered:
            letter = string.ascii_uppercase[number]
            place = (x + size // 20, y + size // 7)
            drawn.write(page, letter, place, size / 7, int(random.choice([0, 255])))
    small = np.asarray(cv2.resize(page, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    return scanned(worn(small, random))


def part_of_chest(image: Image, random: np.random.Generator) -> Image:
    """Return a shoulder, the neck or the abdomen, enlarged: no lung is whole in it.

    It stands in for radiographs of other parts of the body, of which few are at hand.
    """
    size = image.shape[0]
    left, top, side = list(_PARTS.values())[random.integers(len(_PARTS))]
    side *= random.uniform(0.85, 1.1)
    x, y = np.clip(np.array([left, top]) + random.uniform(-0.03, 0.03, 2), 0, 1 - side) * size
    cut = image[int(y) : int(y + side * size), int(x) : int(x + side * size)]
    enlarged = np.asarray(cv2.resize(cut, (size, size), interpolation=cv2.INTER_CUBIC), np.uint8)
    return scanned(worn(_changed(enlarged, random), random))


def no_radiograph(image: Image, random: np.random.Generator) -> Image:
    """Return noise, a page of text or the like (`drawn`), or the radiograph scrambled."""
    return scanned(drawn.no_radiograph(image, random))


def varied(image: Image, random: np.random.Generator) -> Image:
    """Return a variant of a picture of any kind that is upright or has no upside."""
    return scanned(worn(_changed(image, random), random))


def worn(image: Image, random: np.random.Generator) -> Image:
    """Return it as it is, or as soft as an enlarged thumbnail.

    Pictures of every kind are worn alike: were only the enlarged parts soft, a soft chest would be
    taken for a part.
    """
    if random.random() < 0.7:
        return image
    size = image.shape[0]
    small = int(size * random.uniform(0.2, 0.5))
    image = np.asarray(cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA))
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC), np.uint8)


def scanned(image: Image) -> Image:
    """Return what a scan would hand to the network, were this picture a file."""
    return model_input(
        image.astype(np.float32) / np.float32(255), PreprocessSpec(size=image.shape[0])
    )


def _changed(image: Image, random: np.random.Generator) -> Image:
    return augmented(image, None, random, flip=True).image


def _reframed(image: Image, random: np.random.Generator) -> Image:
    """Return the chest within a plain frame, or cut tight on each side."""
    size = image.shape[0]
    if random.random() < 0.5:
        top, bottom, left, right = (random.uniform(0, _TIGHT, 4) * size).astype(int)
        cut = image[top : size - bottom, left : size - right]
        return np.asarray(cv2.resize(cut, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
    height, width = (random.uniform(_FIELD, 1.0, 2) * size).astype(int)
    framed = np.full_like(image, random.choice([0, 0, 0, 30, 255]))
    y, x = random.integers(0, size - height + 1), random.integers(0, size - width + 1)
    small = cv2.resize(image, (int(width), int(height)), interpolation=cv2.INTER_AREA)
    framed[y : y + height, x : x + width] = small
    return framed


def _rotated(image: Image, angle: float, random: np.random.Generator) -> Image:
    if angle % 90 == 0:  # what a viewer or a wrong header does: nothing is lost
        return np.ascontiguousarray(np.rot90(image, round(angle / 90)))
    size = image.shape[0]
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), angle, random.uniform(0.75, 1.1))
    border = (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE)[random.integers(2)]
    return np.asarray(cv2.warpAffine(image, matrix, (size, size), borderMode=border), np.uint8)
