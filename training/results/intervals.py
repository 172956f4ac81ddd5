"""95 % intervals of the figures: Wilson's for shares, a seeded bootstrap over images for others."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

FloatArray = npt.NDArray[np.floating[Any]]
Targets = npt.NDArray[np.int64]

_SEED = 0
_PERCENTILES = (2.5, 97.5)


def wilson(successes: int, trials: int) -> list[float] | None:
    """Return the 95 % interval of a share after Wilson (1927), or None without trials."""
    if trials == 0:
        return None
    interval = binomtest(successes, trials).proportion_ci(method="wilson")
    return [rounded(interval.low), rounded(interval.high)]


def bootstrap_f1(confusion: Targets, resamples: int) -> tuple[FloatArray, FloatArray]:
    """Return F1 of each class (R, C), NaN where undefined, and macro F1 (R,) of resampled images.

    Drawing N images again is drawing the cells of their confusion matrix from a multinomial.
    """
    images = confusion.sum()
    random = np.random.default_rng(_SEED)
    drawn = random.multinomial(images, confusion.ravel() / images, size=resamples)
    drawn = drawn.reshape(resamples, *confusion.shape)
    support, named = drawn.sum(axis=2), drawn.sum(axis=1)
    right = np.diagonal(drawn, axis1=1, axis2=2)
    with np.errstate(invalid="ignore"):
        f1 = 2 * right / (support + named)
    return f1, np.nanmean(np.where(support > 0, f1, np.nan), axis=1)


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


def percentiles(drawn: FloatArray) -> list[float] | None:
    """Return the middle 95 % of bootstrapped values (R,), or None if all are NaN (undefined)."""
    known = drawn[~np.isnan(drawn)]
    return [rounded(value) for value in np.percentile(known, _PERCENTILES)] if len(known) else None


def rounded(value: Any) -> float:
    """Return a figure as it is written: four digits, more than a thousand images can show."""
    return round(float(value), 4)
