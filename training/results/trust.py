"""Operating points of trust, chosen on validation images: what the card's ``trust`` holds."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from scanner import ood
from scanner.architecture import Weights
from scanner.focus import lung_focus
from scanner.heads import KINDS
from scanner.rates import rounded
from training.results.intervals import FloatArray
from training.results.measure import Judgement

# Share of validation images whose right class is in the prediction set, at least.
PROMISED = 0.9
# A class with this chance is never ruled out, whatever the promise takes: one in five is doubt.
NEVER_RULED_OUT = 0.2
# Share of the rightly judged validation images whose lung focus lies below the threshold.
FOCUS_QUANTILE = 0.02
# Share of validation images whose distance from the training images is within the threshold.
OOD_QUANTILE = 0.99
# Shares of validation images, all frontal, that the thresholds on p(frontal) would lose; the gate
# never rejects what is more likely frontal than not, and never doubts what is surely so.
_REJECTED_QUANTILE, _FLAGGED_QUANTILE = 0.005, 0.02
_MOST_REJECTED_BELOW, _MOST_FLAGGED_BELOW = 0.5, 0.9
# Training images that the statistics of the embedding are made of: three for each of VGG19's
# dimensions, and a minute or two on two cores.
_OOD_IMAGES = 1500

Trust = dict[str, Any]


def images_for_statistics(
    rows: npt.NDArray[np.int64], targets: npt.NDArray[np.int64], seed: int
) -> npt.NDArray[np.int64]:
    """Return at most 1500 of the training images `rows` (n,), as many of each class as there are.

    `targets` (N,) are those of all rows. Drawn at random, the same for the same seed.
    """
    order = np.random.default_rng(seed).permutation(rows)
    # The first of every class, then the second of every class, and so on.
    place = np.zeros(len(order), np.int64)
    for number in np.unique(targets[order]):
        inside = targets[order] == number
        place[inside] = np.arange(inside.sum())
    return np.sort(order[np.argsort(place, kind="stable")[:_OOD_IMAGES]])


def choose(validation: Judgement, classes: Sequence[str], weights: Weights) -> Trust:
    """Return the operating points that validation images, calibrated, give for a model.

    ``conformal``, ``lung_focus``, ``ood`` and ``gate`` as far as the model has the heads and the
    images suffice, each with a ``text`` about how it was chosen; ``left_out`` has a sentence about
    each that the images do not suffice for. `weights` hold what `ood.fit` made of training images.
    """
    answers = validation.predictions
    points: Trust = {}
    left_out = []
    scarce = _too_few(validation.targets, classes)
    if scarce:
        left_out.append(scarce)
    else:
        points["conformal"] = _conformal(validation.targets, answers.probabilities, classes)
    if answers.lungs is not None:
        right = answers.probabilities.argmax(axis=1) == validation.targets
        share = lung_focus(answers.cam[right], answers.lungs[right]).share
        known = share[~np.isnan(share)]
        if len(known):
            points["lung_focus"] = _focus(known)
        else:
            left_out.append("No lung focus: no validation image was judged rightly.")
    if ood.has_statistics(weights):
        points["ood"] = _ood(ood.score(answers.embedding, weights))
    if answers.kinds is not None:
        points["gate"] = _gate(answers.kinds[:, KINDS.index("frontal")])
    return {**points, "left_out": left_out}


def class_thresholds(
    targets: npt.NDArray[np.int64], probabilities: FloatArray, promised: float
) -> list[float]:
    """Return each class's threshold (C,) on its probability for a promised coverage.

    Split conformal prediction, class by class (Vovk 2003; Sadinle, Lei and Wasserman 2019): of the
    n images (N in all, `targets` (N,), `probabilities` (N, C)) of a class, the threshold is the
    k-th smallest probability of that class, k = floor((n + 1) * (1 - promised)). Then the class of
    a new image like these is in its set with a chance of at least `promised`. Where k is 0 so is
    the threshold: n must be at least promised / (1 - promised), 19 for 0.95.

    A threshold is at most `NEVER_RULED_OUT`. A good network keeps the promise with sets of one
    class even where it wavers between two; lower thresholds keep it too, and let it say so.
    """
    thresholds = []
    for number in range(probabilities.shape[1]):
        found = np.sort(probabilities[targets == number, number])
        # 20 * (1 - 0.95) is 1, not a little less.
        place = math.floor((len(found) + 1) * (1 - promised) + 1e-9)
        reached = float(found[place - 1]) if place else 0.0
        # Rounded down, so that the image that gave the threshold still reaches it.
        thresholds.append(math.floor(min(reached, NEVER_RULED_OUT) * 1e6) / 1e6)
    return thresholds


def _too_few(targets: npt.NDArray[np.int64], classes: Sequence[str]) -> str:
    """Return why no coverage can be promised, or an empty text."""
    needed = math.ceil(PROMISED / (1 - PROMISED) - 1e-9)
    images = [int((targets == number).sum()) for number in range(len(classes))]
    scarce = int(np.argmin(images))
    if images[scarce] >= needed:
        return ""
    return (
        f"No prediction sets: a coverage of {100 * PROMISED:g} % takes {needed} validation images "
        f"of each class, and {classes[scarce]} has {images[scarce]}."
    )


def _conformal(
    targets: npt.NDArray[np.int64], probabilities: FloatArray, classes: Sequence[str]
) -> Trust:
    thresholds = class_thresholds(targets, probabilities, PROMISED)
    return {
        "promised": PROMISED,
        "thresholds": dict(zip(classes, thresholds, strict=True)),
        "text": (
            f"Chosen on {len(targets)} validation images by class-conditional split conformal "
            f"prediction: of the images of each class, at least {100 * PROMISED:g} % have it in "
            "their prediction set. The promise holds for images like these only, from the same "
            f"sources. No class with a chance of {100 * NEVER_RULED_OUT:g} % or more is ruled out, "
            "and where more than one is left the answer is uncertain."
        ),
    }


def _focus(share: FloatArray) -> Trust:
    return {
        "threshold": rounded(np.quantile(share, FOCUS_QUANTILE, method="lower")),
        "quantile": FOCUS_QUANTILE,
        "text": (
            f"Of {len(share)} validation images that were judged rightly, at most "
            f"{100 * FOCUS_QUANTILE:g} % have less of their evidence inside the lungs."
        ),
    }


def _ood(score: FloatArray) -> Trust:
    return {
        "threshold": rounded(np.quantile(score, OOD_QUANTILE, method="higher")),
        "quantile": OOD_QUANTILE,
        "text": (
            "Distance of an image's features from those of the nearest class of training images "
            "(Mahalanobis's, of the square roots of the channels' shares, covariance shrunk after "
            "Ledoit and Wolf), 1 being usual. "
            f"At most {100 * (1 - OOD_QUANTILE):g} % of {len(score)} validation images lie further "
            "away."
        ),
    }


def _gate(frontal: FloatArray) -> Trust:
    rejected = float(np.quantile(frontal, _REJECTED_QUANTILE))
    flagged = float(np.quantile(frontal, _FLAGGED_QUANTILE))
    reject_below = min(rejected, _MOST_REJECTED_BELOW)
    return {
        "reject_below": round(reject_below, 6),
        "flag_below": round(min(max(flagged, reject_below), _MOST_FLAGGED_BELOW), 6),
        "text": (
            f"On the chance that a picture is a frontal radiograph, from {len(frontal)} validation "
            f"images: rejected below what {100 * _REJECTED_QUANTILE:g} % of them do not reach, at "
            f"most {_MOST_REJECTED_BELOW:g}; flagged below what {100 * _FLAGGED_QUANTILE:g} % do "
            f"not reach, at most {_MOST_FLAGGED_BELOW:g}."
        ),
    }
