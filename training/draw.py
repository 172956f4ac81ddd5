"""Which images an epoch shows: every one, the rare classes more often, augmented or as they are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.augment import copies_of, lifts

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Draw:
    """The training images of one round, and their augmented copies.

    `images` (n,) are indices of originals, `targets` (N,) the class indices of all originals;
    `first_copy` and `copies` (N,) say at which row the copies of an original begin and how many
    there are. An image is shown as it is or augmented by the same odds whatever its class: were
    only the rare class augmented, what augmentation leaves behind would become its mark.
    """

    images: Indices
    targets: Indices
    first_copy: Indices
    copies: Indices
    copies_each: int
    classes: int
    lift: bool
    seed: int

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """How often each class (C,) is shown in an epoch, 1 for the most frequent."""
        if not self.lift:
            return np.ones(self.classes)
        return lifts(self.targets[self.images], self.classes)

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
        for number, times in enumerate(self.times):
            of_class = np.flatnonzero(self.targets[self.images] == number)
            wanted = round(times * len(of_class))
            random = np.random.default_rng([self.seed, epoch, 1 + number])
            more = random.permutation(of_class)[: wanted - int(times) * len(of_class)]
            repeats[of_class] = int(times)
            repeats[more] += 1
        return repeats

    def weights(self, targets: Indices) -> npt.NDArray[np.float64]:
        """Return each shown image's share of the loss: classes weigh alike, the mean is 1."""
        counts = np.bincount(targets, minlength=self.classes)
        present = np.count_nonzero(counts)
        return np.asarray(len(targets) / (present * counts[targets].astype(np.float64)))


def copies_needed(
    rounds: list[Indices], targets: Indices, classes: int, copies: int, lift: bool
) -> Indices:
    """Return how many augmented copies (N,) each image needs in whatever round teaches with it.

    `rounds` are the training images of each round; an image that never teaches needs none.
    """
    needed = np.zeros(len(targets), np.int64)
    for images in rounds:
        times = lifts(targets[images], classes) if lift else np.ones(classes)
        wanted = np.array([copies_of(each, copies) for each in times])
        needed[images] = np.maximum(needed[images], wanted[targets[images]])
    return needed
