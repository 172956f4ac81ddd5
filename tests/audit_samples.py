"""Made images and a network whose answers can be worked out: it looks at brightness alone."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from scanner.architecture import backbone_shapes
from scanner.bundle import Bundle
from scanner.predictor import Predictions, Predictor
from scanner.preprocess import PreprocessSpec
from training.audit.sample import Sample

CLASSES = ("Covid-19", "Normal")
SIDE = 128
# Of rows and columns: two lungs in the middle, far from every corner and the border.
LUNGS = ((slice(40, 96), slice(28, 56)), (slice(40, 96), slice(72, 100)))
Image = npt.NDArray[np.uint8]


def looks_at_brightness(threshold: float, gain: float = 400.0) -> Bundle:
    """A cnn10 that calls an image Covid-19 if it is bright.

    Its convolutions pass the image on, so its map has the brightest pixel of each 16 x 16, over
    255; the mean of these is compared with `threshold`.
    """
    weights = {
        name: np.zeros(shape, np.float32) for name, shape in backbone_shapes("cnn10").items()
    }
    for name in weights:
        if name.endswith("kernel"):
            weights[name][1, 1, 0, 0] = 1
    head = np.zeros((256, 2), np.float32)
    head[0] = gain, 0
    weights |= {"head/kernel": head, "head/bias": np.array([-gain * threshold, 0], np.float32)}
    spec = PreprocessSpec(size=SIDE)
    card = {"negative_class": "Normal", "name": "brightness"}
    return Bundle("0" * 12, CLASSES, spec, 1.0, weights, card, "cnn10")


def asked(threshold: float, images: Sample) -> tuple[Predictor, Predictions]:
    """The network of `looks_at_brightness`, and what it says of a sample."""
    predictor = Predictor(looks_at_brightness(threshold), 8, "float32")
    return predictor, predictor.predict(list(images.images))


def chest(lungs: int, rest: int = 30) -> Image:
    """A picture with lungs of one grey level in another."""
    image = np.full((SIDE, SIDE), rest, np.uint8)
    for place in LUNGS:
        image[place] = lungs
    return image


def mask(folder: Path) -> str:
    """Write the mask of the lungs of `chest` and return its path."""
    path = folder / "mask.png"
    if not path.exists():
        cv2.imwrite(str(path), chest(255, 0))
    return str(path)


def sample(
    count: int,
    draw: Callable[[int, bool], Image],
    masks: str = "",
    source: Callable[[int], str] = lambda number: "",
) -> Sample:
    """`count` images, every second of them Covid-19; `draw(number, sick)` makes each."""
    return Sample(
        np.stack([draw(number, number % 2 == 0) for number in range(count)]),
        np.arange(count) % 2,
        [source(number) for number in range(count)],
        [masks] * count,
        CLASSES,
        "Normal",
    )
