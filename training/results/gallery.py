"""Which images the training report shows, and the pair of pictures of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from scanner import thumbnails
from scanner.predictor import Predictions

EACH = 3
MAX_FAILURES = 24
# Why an image is shown, in the order of the report.
RIGHT, WRONG, UNSURE = KINDS = ("right and most sure", "wrong and most sure", "least sure")


class Inputs(Protocol):
    """Model inputs: an integer gives the image of that number, (S, S) uint8."""

    def __getitem__(self, index: int, /) -> npt.NDArray[np.uint8]: ...


@dataclass(frozen=True)
class Example:
    """One judged image: two JPEGs of the model's input, bare and under its Grad-CAM map.

    `kind` is one of `KINDS`; `probability` is the predicted class's.
    """

    kind: str
    name: str
    target: str
    predicted: str
    probability: float
    radiograph: bytes
    overlay: bytes


@dataclass(frozen=True)
class Chosen:
    """The model inputs of some `rows` of a data set, by their place among them."""

    inputs: Inputs
    rows: npt.NDArray[np.int64]

    def __getitem__(self, index: int, /) -> npt.NDArray[np.uint8]:
        return np.asarray(self.inputs[int(self.rows[index])])


@dataclass(frozen=True)
class Judged:
    """Labelled images and what the network says of them.

    `names` (N,) are for people, `targets` (N,) class indices, `predictions` of the same N images;
    their embedding is not used.
    """

    inputs: Inputs
    names: Sequence[str]
    targets: npt.NDArray[np.int64]
    predictions: Predictions
    classes: Sequence[str]

    @property
    def confidence(self) -> npt.NDArray[np.float32]:
        return np.asarray(self.predictions.probabilities.max(axis=1))

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.predictions.probabilities.argmax(axis=1) == self.targets)


def examples(judged: Judged) -> list[Example]:
    """Return up to `EACH` images of every class and kind, in the order of classes and `KINDS`.

    Where a class has few images, one may be both the least sure and among the right or wrong.
    """
    everything = np.full(len(judged.targets), True)
    shown = []
    for index in range(len(judged.classes)):
        for kind, wanted, order in (
            (RIGHT, judged.right, -judged.confidence),
            (WRONG, ~judged.right, -judged.confidence),
            (UNSURE, everything, judged.confidence),
        ):
            members = np.flatnonzero(wanted & (judged.targets == index))
            ranked = members[np.argsort(order[members], kind="stable")]
            shown += [_example(judged, int(member), kind) for member in ranked[:EACH]]
    return shown


def failures(judged: Judged) -> list[Example]:
    """Return the wrong answers, the surest first, at most `MAX_FAILURES`."""
    wrong = np.flatnonzero(~judged.right)
    ranked = wrong[np.argsort(-judged.confidence[wrong], kind="stable")]
    return [_example(judged, int(member), WRONG) for member in ranked[:MAX_FAILURES]]


def _example(judged: Judged, index: int, kind: str) -> Example:
    probabilities = judged.predictions.probabilities[index]
    predicted = int(probabilities.argmax())
    pixels = np.asarray(judged.inputs[index], np.float32) / np.float32(255)
    radiograph = thumbnails.thumbnail(pixels)
    lungs = judged.predictions.lungs
    return Example(
        kind=kind,
        name=judged.names[index],
        target=judged.classes[judged.targets[index]],
        predicted=judged.classes[predicted],
        probability=float(probabilities[predicted]),
        radiograph=radiograph,
        overlay=thumbnails.overlay(
            radiograph, judged.predictions.cam[index], None if lungs is None else lungs[index]
        ),
    )
