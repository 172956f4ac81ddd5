"""Teaching the head that tells kinds of pictures apart: what it is shown, and its fit.

The head (`scanner.heads`) is a multinomial logistic regression on an average-pooled feature map of
the frozen blocks, so a few thousand pictures and a convex fit are enough.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from scanner.heads import KINDS
from training import made_kinds
from training.augment import Image
from training.draw import evenly
from training.negatives import Negative

Indices = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

FRONTAL = KINDS.index("frontal")
# Parts of the cross-validation; all variants of an original are in one.
FOLDS = 3
# Strengths of the penalty tried (scikit-learn's C) on 8,192 standardised features; strong ones, for
# there are more features than pictures.
_PENALTIES = (1e-3, 1e-2, 1e-1)
_ITERATIONS = 300
# Added to the logit of a kind of which the lesson has no picture: it is never named.
_NEVER = -30.0
_MAKERS = {
    "upside_down": made_kinds.upside_down,
    "turned": made_kinds.turned,
    "inverted": made_kinds.inverted,
    "other_body_part": made_kinds.part_of_chest,
    "not_a_radiograph": made_kinds.no_radiograph,
}


class Images(Protocol):
    """Model inputs (N, S, S) uint8: an array, or `training.data.rows.Rows`."""

    def __getitem__(self, index: Any) -> npt.NDArray[Any]: ...


@dataclass(frozen=True)
class Counts:
    """How many pictures a lesson has at most: of frontal originals, of their variants, of a kind.

    `given` is how many pictures a kind of given negatives comes to with variants; there are more
    where more were given.
    """

    originals: int = 1200
    variants: int = 800
    made: int = 350
    given: int = 200


@dataclass(frozen=True)
class Lesson:
    """Pictures (M, S, S) uint8 and the index in `KINDS` (M,) of each.

    `folds` (M,) are parts 0 to FOLDS - 1 for a cross-validation: what was made of one original, or
    belongs to one patient of the given negatives, is in one of them.
    """

    images: Image
    kinds: Indices
    folds: Indices


def lesson(
    images: Images,
    rows: Sequence[int] | Indices,
    sources: Sequence[str],
    negatives: Sequence[Negative],
    seed: int,
    counts: Counts | None = None,
) -> Lesson:
    """Return what the head is taught.

    `images` are model inputs of frontal radiographs of which `rows` may be used; `sources` names
    where each of them (all, not only `rows`) comes from: hospitals and ages that are rarer are
    taken whole before the frequent ones fill up. `negatives` are real pictures of other kinds; what
    can be made is made of the radiographs (`made_kinds`). The same seed gives the same lesson.
    """
    counts = counts or Counts()
    random = np.random.default_rng(seed)
    chosen = evenly(np.asarray(rows, np.int64), sources, counts.originals, random)
    pictures = [
        *_of_frontals(images, chosen, counts, seed),
        *_of_negatives(negatives, counts, seed),
    ]
    return Lesson(
        np.stack([picture for picture, _, _ in pictures]),
        np.array([KINDS.index(kind) for _, kind, _ in pictures], np.int64),
        np.array([fold for _, _, fold in pictures], np.int64),
    )


_Picture = tuple[Image, str, int]


def _of_frontals(images: Images, chosen: Indices, counts: Counts, seed: int) -> Iterator[_Picture]:
    """Yield the originals, their variants, and what is made of them; the n-th is in fold n % 3."""

    def original(number: int) -> Image:
        return np.asarray(images[int(chosen[number])], np.uint8)

    total = len(chosen)
    for number in range(total):
        yield original(number), "frontal", number % FOLDS
    for turn in range(counts.variants):
        random, number = np.random.default_rng([seed, 0, turn]), turn % total
        yield made_kinds.frontal(original(number), random), "frontal", number % FOLDS
    for place, (kind, maker) in enumerate(_MAKERS.items(), start=1):
        for turn in range(counts.made):
            # Other originals for each kind, as far as there are enough.
            random, number = (
                np.random.default_rng([seed, place, turn]),
                (place * counts.made + turn) % total,
            )
            yield maker(original(number), random), kind, number % FOLDS
    for turn in range(counts.made):
        random, number = np.random.default_rng([seed, len(_MAKERS) + 1, turn]), turn % total
        fold = number % FOLDS
        together = range(fold, total, FOLDS)
        others = [original(int(random.choice(together))) for _ in range(3)]
        yield made_kinds.several_images([original(number), *others], random), "several_images", fold


def _of_negatives(negatives: Sequence[Negative], counts: Counts, seed: int) -> Iterator[_Picture]:
    """Yield the given negatives, and variants of those of a kind that is rare.

    Patients are dealt to the folds kind by kind, so that every fold has some of each.
    """
    folds: dict[str, int] = {}
    for kind in KINDS:
        given = [negative for negative in negatives if negative.kind == kind]
        for negative in given:
            fold = folds.setdefault(negative.origin, len(folds) % FOLDS)
            yield negative.image, kind, fold
        for turn in range(max(counts.given - len(given), 0) if given else 0):
            negative = given[turn % len(given)]
            random = np.random.default_rng([seed, 100 + KINDS.index(kind), turn])
            yield made_kinds.varied(negative.image, random), kind, folds[negative.origin]


def fit(
    features: FloatArray, kinds: Indices, folds: Indices
) -> tuple[dict[str, FloatArray], dict[str, Any]]:
    """Return the weights of the head and how well kinds were told in cross-validation.

    `features` (M, 8192) are those of the cut ``kinds_grid``, `kinds` and `folds` (M,) those of
    the `Lesson`. The weights are ``kinds/kernel`` (8192, K) and ``kinds/bias`` (K,) float32 for raw
    features: standardisation is folded in. Every kind weighs the same, whatever its count, and the
    penalty is the one with the least cross-validated log loss. A kind without pictures gets a
    probability of nearly 0.

    The figures, all out of fold, are ``penalty``, ``log_loss``, and ``recall`` by kind: the share
    of its ``n`` pictures for which it was the most probable.
    """
    found = [
        (_log_loss(probabilities, kinds), penalty, probabilities)
        for penalty in _PENALTIES
        for probabilities in [_out_of_fold(features, kinds, folds, penalty)]
    ]
    loss, penalty, probabilities = min(found, key=lambda one: one[0])
    kernel, bias = _fitted(features, kinds, penalty)
    right = probabilities.argmax(1) == kinds
    recall = {
        KINDS[kind]: {"recall": round(float(right[kinds == kind].mean()), 4), "n": int(count)}
        for kind, count in enumerate(np.bincount(kinds, minlength=len(KINDS)))
        if count
    }
    figures = {"penalty": penalty, "log_loss": round(loss, 4), "recall": recall}
    return {"kinds/kernel": kernel, "kinds/bias": bias}, figures


def _out_of_fold(
    features: FloatArray, kinds: Indices, folds: Indices, penalty: float
) -> npt.NDArray[np.float64]:
    """Return for every picture the probabilities (M, K) by a fit without its fold."""
    probabilities = np.zeros((len(kinds), len(KINDS)))
    for fold in np.unique(folds):
        here = folds == fold
        kernel, bias = _fitted(features[~here], kinds[~here], penalty)
        logits = (features[here] @ kernel + bias).astype(np.float64)
        odds = np.exp(logits - logits.max(1, keepdims=True))
        probabilities[here] = odds / odds.sum(1, keepdims=True)
    return probabilities


def _log_loss(probabilities: npt.NDArray[np.float64], kinds: Indices) -> float:
    """Return the mean over kinds of the mean log loss."""
    losses = -np.log(np.maximum(probabilities[np.arange(len(kinds)), kinds], 1e-12))
    return float(np.mean([losses[kinds == kind].mean() for kind in np.unique(kinds)]))


def _fitted(features: FloatArray, kinds: Indices, penalty: float) -> tuple[FloatArray, FloatArray]:
    """Return kernel (F, K) and bias (K,) for raw features."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean = features.mean(0, dtype=np.float64)
    spread = features.std(0, dtype=np.float64)
    # A channel that is nearly always silent must not shout when a strange picture wakes it.
    spread = np.maximum(spread, 0.1 * np.median(spread) + 1e-12)
    model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=_ITERATIONS, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # so near the end it is good enough
        model.fit((features - np.float32(mean)) / np.float32(spread), kinds)
    kernel = np.zeros((features.shape[1], len(KINDS)))
    bias = np.full(len(KINDS), _NEVER)
    kernel[:, model.classes_] = model.coef_.T / spread[:, None]
    bias[model.classes_] = model.intercept_ - mean @ kernel[:, model.classes_]
    return kernel.astype(np.float32), bias.astype(np.float32)
