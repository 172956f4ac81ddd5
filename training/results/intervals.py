"""95 % intervals of figures that are no shares, by a seeded bootstrap over images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scanner.rates import rounded

FloatArray = npt.NDArray[np.floating[Any]]
Targets = npt.NDArray[np.int64]

_SEED = 0
_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Drawn:
    """Figures of resampled images: `f1` of each class (R, C), NaN where undefined.

    `macro` and `weighted` map precision, recall and f1 to their averages (R,) over the classes that
    have images.
    """

    f1: FloatArray
    macro: dict[str, FloatArray]
    weighted: dict[str, FloatArray]


def bootstrap(confusion: Targets, resamples: int) -> Drawn:
    """Return the figures of N images drawn again and again from those of a confusion matrix (C, C).

    Drawing images is drawing the cells of their confusion matrix from a multinomial.
    """
    images = confusion.sum()
    random = np.random.default_rng(_SEED)
    drawn = random.multinomial(images, confusion.ravel() / images, size=resamples)
    drawn = drawn.reshape(resamples, *confusion.shape)
    support, named = drawn.sum(axis=2), drawn.sum(axis=1)
    right = np.diagonal(drawn, axis1=1, axis2=2)
    with np.errstate(invalid="ignore"):
        f1 = 2 * right / (support + named)
        figures = {
            "precision": np.where(named > 0, right / named, 0.0),
            "recall": right / support,
            "f1": f1,
        }
    macro, weighted = {}, {}
    for name, values in figures.items():
        present = np.where(support > 0, values, np.nan)
        macro[name] = np.nanmean(present, axis=1)
        weighted[name] = np.nansum(present * support, axis=1) / images
    return Drawn(f1, macro, weighted)


def auc_interval(
    positive: npt.NDArray[np.bool_], scores: FloatArray, resamples: int
) -> list[float] | None:
    """Return the bootstrapped interval of the AUC of `scores` (N,) for `positive` (N,).

    The scores are ranked once; scikit-learn's own function would sort them for each resample.
    """
    _, rank = np.unique(scores, return_inverse=True)
    random = np.random.default_rng(_SEED)
    images = len(scores)
    drawn = np.full(resamples, np.nan)
    for number in range(resamples):
        times = np.bincount(random.integers(images, size=images), minlength=images)
        positives = np.bincount(rank, times * positive)
        negatives = np.bincount(rank, times * ~positive)
        pairs = positives.sum() * negatives.sum()
        if pairs:
            # Mann and Whitney: the share of pairs in which the positive ranks higher, ties half.
            drawn[number] = positives @ (np.cumsum(negatives) - negatives / 2) / pairs
    return percentiles(drawn)


def resampled(statistic: Callable[[Targets], float], images: int, resamples: int) -> FloatArray:
    """Return a statistic (R,) of indices (N,) of images that are drawn again and again, seeded."""
    random = np.random.default_rng(_SEED)
    return np.array([statistic(random.integers(images, size=images)) for _ in range(resamples)])


def percentiles(drawn: FloatArray) -> list[float] | None:
    """Return the middle 95 % of bootstrapped values (R,), or None if all are NaN (undefined)."""
    known = drawn[~np.isnan(drawn)]
    return [rounded(value) for value in np.percentile(known, _PERCENTILES)] if len(known) else None
