"""What is taught: labelled images, their split, and augmented copies of those that teach."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from training import augment, split
from training.data.dataset import Dataset
from training.data.rows import Rows
from training.draw import Draw, Shown, copies_needed
from training.fit import Recipe
from training.lungs import on_cells, read_mask
from training.parts import TRAIN

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lesson:
    """Labelled images with their split and copies, as the rounds of a training see them.

    `targets` (N,) are class indices, `copies` (N,) how many augmented copies an image has. Rows 0
    to N - 1 of `images` are the originals, then the copies, those of the first original first.
    """

    data: Dataset
    classes: list[str]
    targets: Indices
    plan: split.Plan
    copies: Indices

    @property
    def images(self) -> Rows:
        """All model inputs (N + copies, size, size) uint8; complete once `add_copies` has run."""
        inputs = self.data.inputs
        return Rows(inputs.path, inputs.dtype, inputs.shape[1:], len(self.row_targets))

    @cached_property
    def row_targets(self) -> Indices:
        """The class index of every row of `images`."""
        return np.concatenate([self.targets, np.repeat(self.targets, self.copies)])

    @cached_property
    def sources(self) -> Indices:
        """The number of each original's source."""
        return numbered(self.data.sources)

    def part(self, number: int, name: str) -> Indices:
        """Return the originals of one part in round `number`."""
        return np.flatnonzero(self.plan.rounds[number] == name)

    def draw(self, number: int, recipe: Recipe) -> Draw:
        """Return what the epochs of round `number` show."""
        before = np.concatenate([[0], np.cumsum(self.copies)[:-1]])
        return Draw(
            images=self.part(number, TRAIN),
            targets=self.targets,
            sources=self.sources,
            first_copy=(len(self.data) + before).astype(np.int64),
            copies=self.copies,
            copies_each=recipe.copies,
            classes=len(self.classes),
            lift=not recipe.class_weights,
            seed=recipe.seed,
        )


def prepare(data: Dataset, classes: list[str], plan: split.Plan, recipe: Recipe) -> Lesson:
    """Return the lesson, its augmented copies counted but not yet made."""
    targets = np.array([classes.index(label) for label in data.labels], np.int64)
    sources = numbered(data.sources)
    taught = [np.flatnonzero(parts == TRAIN) for parts in plan.rounds]
    copies = copies_needed(taught, targets, sources, recipe.copies, not recipe.class_weights)
    return Lesson(data, classes, targets, plan, copies)


def numbered(names: list[str]) -> Indices:
    """Return a number for each name, the same for the same name."""
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def originals_of(lesson: Lesson) -> Rows:
    """Return the originals' model inputs, without copies."""
    inputs = lesson.data.inputs
    return Rows(inputs.path, inputs.dtype, inputs.shape[1:], len(lesson.data))


def add_copies(lesson: Lesson, recipe: Recipe, seen: npt.NDArray[np.uint8] | None) -> Shown:
    """Append the augmented copies to the file of the model inputs; return what all rows show.

    `seen` (N, h, w), 0..255, is where the lung head sees the originals' lungs; an image's own mask
    stands instead.
    """
    inputs, size, cells = lesson.data.inputs, recipe.size, recipe.size // 16
    settings = augment.Augmentation(recipe.copies, recipe.flip, recipe.seed)
    silent = np.zeros(len(lesson.row_targets), np.bool_)
    fields = None if seen is None else np.zeros((len(silent), cells, cells), np.uint8)

    def originals() -> Iterator[tuple[int, augment.Image, augment.Image | None]]:
        for index in range(len(lesson.data)):
            field = None
            if seen is not None and fields is not None:
                field = field_of(lesson.data.masks[index], seen[index], size)
                fields[index] = on_cells(field, cells)
            if lesson.copies[index]:
                yield index, inputs[index], field

    with inputs.path.open("r+b") as handle:
        handle.seek(len(inputs) * int(np.prod(inputs.shape[1:])))
        handle.truncate()
        copies = augment.made(originals(), lesson.copies, settings)
        for row, copy in enumerate(copies, start=len(lesson.data)):
            handle.write(copy.image.tobytes())
            silent[row] = copy.says_nothing
            if fields is not None and copy.field is not None:
                # Without lungs there is no right place for evidence, nor a wrong one.
                fields[row] = 255 if copy.says_nothing else on_cells(copy.field, cells)
    return Shown(fields, silent)


def field_of(mask: str, seen: npt.NDArray[np.uint8], size: int) -> augment.Image:
    """Return the lung field (size, size), 0..255: the image's mask, else what was `seen`."""
    if mask:
        return read_mask(mask, size)
    return np.asarray(cv2.resize(seen, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
