"""Figures of a classifier on labelled images; scikit-learn and SciPy compute."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest
from sklearn.metrics import (
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

FloatArray = npt.NDArray[np.floating[Any]]


def figures(
    targets: npt.NDArray[np.int64], probabilities: FloatArray, classes: Sequence[str]
) -> dict[str, Any]:
    """Return accuracy with its 95 % Wilson interval, macro F1, figures per class, confusion matrix.

    `targets` (N,) class indices, `probabilities` (N, C). AUC is one against the rest, None where
    only one side has images.
    """
    predicted = probabilities.argmax(axis=1)
    indices = list(range(len(classes)))
    precision, recall, f1, support = precision_recall_fscore_support(
        targets, predicted, labels=indices, zero_division=0.0
    )
    right = int((predicted == targets).sum())
    interval = binomtest(right, len(targets)).proportion_ci(method="wilson")
    return {
        "images": len(targets),
        "accuracy": _rounded(right / len(targets)),
        "accuracy_95": [_rounded(interval.low), _rounded(interval.high)],
        "macro_f1": _rounded(f1[support > 0].mean()),
        "per_class": {
            name: {
                "precision": _rounded(precision[index]),
                "recall": _rounded(recall[index]),
                "f1": _rounded(f1[index]),
                "auc": _auc(targets == index, probabilities[:, index]),
                "support": int(support[index]),
            }
            for index, name in enumerate(classes)
        },
        "confusion": confusion_matrix(targets, predicted, labels=indices).tolist(),
    }


def _auc(positive: npt.NDArray[np.bool_], scores: FloatArray) -> float | None:
    if positive.all() or not positive.any():
        return None
    return _rounded(roc_auc_score(positive, scores))


def with_temperature(probabilities: FloatArray, temperature: float) -> FloatArray:
    """Return softmax(logits / T) (N, C) from probabilities (N, C) at T = 1.

    The logarithms of probabilities are logits up to a constant, which softmax ignores.
    """
    logits = np.log(np.clip(probabilities.astype(np.float64), 1e-12, 1)) / temperature
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def fit_temperature(targets: npt.NDArray[np.int64], probabilities: FloatArray) -> float:
    """Return the temperature that makes the targets (N,) most likely (Guo et al. 2017)."""
    labels = list(range(probabilities.shape[1]))

    def loss(log_temperature: float) -> float:
        scaled = with_temperature(probabilities, float(np.exp(log_temperature)))
        return float(log_loss(targets, scaled, labels=labels))

    return float(np.exp(minimize_scalar(loss, bounds=(-2.0, 3.0), method="bounded").x))


def calibration_error(targets: npt.NDArray[np.int64], probabilities: FloatArray) -> float:
    """Return the expected calibration error over 15 equal bins of confidence (Guo et al. 2017)."""
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    bins = np.minimum((confidence * 15).astype(int), 14)
    error = 0.0
    for number in np.unique(bins):
        inside = bins == number
        gap = abs((predicted == targets)[inside].mean() - confidence[inside].mean())
        error += gap * inside.mean()
    return _rounded(error)


def _rounded(value: Any) -> float:
    return round(float(value), 4)
