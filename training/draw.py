"""Which images an epoch shows: every one, the rare kinds more often, augmented or as they are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

# A class of a handful of images is not shown so often that the network learns them by heart.
MAX_LIFT = 8.0


@dataclass(frozen=True)
class Draw:
    """The training images of one round, and their augmented copies.

    `images` (n,) are indices of originals; `targets` (N,) are the class indices of all originals,
    `sources` (N,) numbers of where they come from; `first_copy` and `copies` (N,) say at which row
    the copies of an original begin and how many there are. An image is shown as it is or augmented
    by the same odds whatever its class: were only the rare class augmented, what augmentation
    leaves behind would become its mark.
    """

    images: Indices
    targets: Indices
    sources: Indices
    first_copy: Indices
    copies: Indices
    copies_each: int
    classes: int
    lift: bool
    seed: int

    @property
    def size(self) -> int:
        """The number of images in an epoch, the same in each."""
        return int(self._repeats(0).sum())

    def rows(self, epoch: int) -> Indices:
        """Return the rows an epoch shows in their order; the same seed and epoch, the same rows."""
        random = np.random.default_rng([self.seed, epoch])
        shown = np.repeat(self.images, self._repeats(epoch))
        original = random.random(len(shown)) < 1 / (1 + self.copies_each)
        copy = (random.random(len(shown)) * self.copies[shown]).astype(np.int64)
        as_it_is = original | (self.copies[shown] == 0)
        rows = np.where(as_it_is, shown, self.first_copy[shown] + copy)
        return np.asarray(random.permutation(rows))

    def _repeats(self, epoch: int) -> Indices:
        """Return how often each image (n,) is shown: a lift of 2.4 is 2, and 3 for four in ten."""
        repeats = np.ones(len(self.images), np.int64)
        if not self.lift:
            return repeats
        targets, sources = self.targets[self.images], self.sources[self.images]
        times = lifts(targets, sources)
        for number, alike in enumerate(_kinds(targets, sources)):
            each = times[alike[0]]
            wanted = round(each * len(alike))
            random = np.random.default_rng([self.seed, epoch, 1 + number])
            more = random.permutation(alike)[: wanted - int(each) * len(alike)]
            repeats[alike] = int(each)
            repeats[more] += 1
        return repeats

    def weights(self, targets: Indices) -> npt.NDArray[np.float64]:
        """Return each shown image's share of the loss: classes weigh alike, the mean is 1."""
        counts = np.bincount(targets, minlength=self.classes)
        present = np.count_nonzero(counts)
        return np.asarray(len(targets) / (present * counts[targets].astype(np.float64)))


@dataclass(frozen=True)
class Shown:
    """What the rows of `Lesson.images` show beside their class.

    `fields` (R, size/16, size/16) is the share of lung, 0..255, in each cell of VGG19's last map,
    None if unknown. `silent` (R,) are copies without lungs, from which no class can be told.
    """

    fields: npt.NDArray[np.uint8] | None
    silent: npt.NDArray[np.bool_]


def lifts(targets: Indices, sources: Indices) -> npt.NDArray[np.float64]:
    """Return how often each image (n,) is shown in an epoch, between 1 and `MAX_LIFT`.

    `targets` and `sources` (n,) are numbers. Within a class a source is lifted by the square root
    of how much rarer it is than the most frequent one: enough that a class is not one hospital,
    without showing few images over and over (Mahajan et al. 2018). Then every class is shown as
    often as the largest.
    """
    times = np.ones(len(targets))
    for kind in _kinds(targets, sources):
        of_class = sources[targets == targets[kind[0]]]
        times[kind] = np.sqrt(np.bincount(of_class).max() / len(kind))
    shown = np.bincount(targets, weights=times)
    return np.asarray(np.clip(times * shown.max() / shown[targets], 1.0, MAX_LIFT))


def _kinds(targets: Indices, sources: Indices) -> list[Indices]:
    """Return the positions of each class of each source, in order."""
    pairs = np.stack([targets, sources], axis=1)
    return [np.flatnonzero((pairs == pair).all(1)) for pair in np.unique(pairs, axis=0)]


def copies_needed(
    rounds: list[Indices], targets: Indices, sources: Indices, copies: int, lift: bool
) -> Indices:
    """Return how many augmented copies (N,) each image needs in whatever round teaches with it.

    `rounds` are the training images of each round; an image that never teaches needs none.
    """
    needed = np.zeros(len(targets), np.int64)
    if not copies:
        return needed
    for images in rounds:
        times = lifts(targets[images], sources[images]) if lift else np.ones(len(images))
        wanted = np.maximum(np.rint(copies * times), 1).astype(np.int64)
        needed[images] = np.maximum(needed[images], wanted)
    return needed


def evenly(
    rows: Indices, sources: Sequence[str], count: int, random: np.random.Generator
) -> Indices:
    """Return at most `count` rows in random order, as many of each source as there are."""
    rows = random.permutation(rows)
    seen: Counter[str] = Counter()
    turns = []  # in which round a row would be taken, were one of each source taken in each
    for row in rows.tolist():
        turns.append(seen[sources[row]])
        seen[sources[row]] += 1
    return random.permutation(rows[np.argsort(turns, kind="stable")[:count]])
