"""What is taught: labelled images, their split, and augmented copies of those that teach."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from training import augment, split
from training.data.dataset import Dataset
from training.data.rows import Rows
from training.draw import Draw, copies_needed
from training.fit import Recipe
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

    def part(self, number: int, name: str) -> Indices:
        """Return the originals of one part in round `number`."""
        return np.flatnonzero(self.plan.rounds[number] == name)

    def draw(self, number: int, recipe: Recipe) -> Draw:
        """Return what the epochs of round `number` show."""
        before = np.concatenate([[0], np.cumsum(self.copies)[:-1]])
        return Draw(
            images=self.part(number, TRAIN),
            targets=self.targets,
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
    taught = [np.flatnonzero(parts == TRAIN) for parts in plan.rounds]
    copies = copies_needed(taught, targets, len(classes), recipe.copies, not recipe.class_weights)
    return Lesson(data, classes, targets, plan, copies)


def add_copies(lesson: Lesson, recipe: Recipe) -> None:
    """Append the augmented copies to the file of the model inputs."""
    inputs = lesson.data.inputs
    settings = augment.Augmentation(recipe.copies, recipe.flip, recipe.seed)
    originals = ((index, inputs[index]) for index in np.flatnonzero(lesson.copies).tolist())
    with inputs.path.open("r+b") as handle:
        handle.seek(len(inputs) * int(np.prod(inputs.shape[1:])))
        handle.truncate()
        for copy in augment.made(originals, lesson.copies, settings):
            handle.write(copy.tobytes())
