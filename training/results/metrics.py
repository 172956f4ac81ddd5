"""Figures of a classifier on labelled images; scikit-learn and SciPy compute."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from sklearn.metrics import (
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)

from scanner.rates import at_threshold, rounded, wilson
from training.results.intervals import (
    FloatArray,
    Targets,
    auc_interval,
    bootstrap,
    percentiles,
    resampled,
)

Figures = dict[str, Any]

# The share of positives that the rule "sensitive" must find on the validation images.
SENSITIVE = 0.95
CALIBRATION_BINS = 15
CALIBRATION_RESAMPLES = 1000
_MAX_ROC_POINTS = 200


def figures(
    targets: Targets, probabilities: FloatArray, classes: Sequence[str], resamples: int = 1000
) -> Figures:
    """Return accuracy, macro and weighted averages, figures per class and the confusion matrix.

    `targets` (N,) class indices, N > 0; `probabilities` (N, C). Keys that end in ``_95`` are 95 %
    intervals [low, high]: Wilson (1927) for accuracy, precision and recall, percentiles of a seeded
    bootstrap over images for F1, macro F1 and AUC (one against the rest).

    Averages are over the classes that have images. A class that has none gets None instead of
    figures; precision of a class that was never predicted is 0, as scikit-learn prints it, with no
    interval. AUC is None where only one side has images. Confusion: rows are truth.
    """
    predicted = probabilities.argmax(axis=1)
    indices = np.arange(len(classes))
    confusion = confusion_matrix(targets, predicted, labels=indices)
    right, support = confusion.diagonal(), confusion.sum(axis=1)
    drawn = bootstrap(confusion, resamples)
    macro = _average(targets, predicted, indices[support > 0], "macro")
    return {
        "images": len(targets),
        "accuracy": rounded(right.sum() / len(targets)),
        "accuracy_95": wilson(int(right.sum()), len(targets)),
        "macro_f1": macro["f1"],
        "macro_f1_95": percentiles(drawn.macro["f1"]),
        "macro": {**macro, **_intervals(drawn.macro)},
        "weighted": {
            **_average(targets, predicted, indices[support > 0], "weighted"),
            **_intervals(drawn.weighted),
        },
        "per_class": {
            name: _one_class(
                targets == index, predicted == index, probabilities[:, index], drawn.f1[:, index]
            )
            for index, name in enumerate(classes)
        },
        "confusion": confusion.tolist(),
    }


def as_text(figures: Figures, classes: Sequence[str]) -> str:
    """Return the table of scikit-learn's ``classification_report``, and the confusion matrix."""
    columns = ("precision", "recall", "f1-score", "support")
    wide = max(len(name) for name in (*classes, "weighted avg"))
    lines = [" " * wide + " " + "".join(f" {column:>9}" for column in columns), ""]

    def line(title: str, values: list[float | None], support: int) -> str:
        cells = "".join(" " * 10 if value is None else f" {value:9.4f}" for value in values)
        return f"{title:>{wide}} {cells} {support:9}"

    for name in classes:
        row = figures["per_class"][name]
        lines.append(line(name, [row["precision"], row["recall"], row["f1"]], row["support"]))
    lines += ["", line("accuracy", [None, None, figures["accuracy"]], figures["images"])]
    for average in ("macro", "weighted"):
        values = figures[average]
        shown = [values["precision"], values["recall"], values["f1"]]
        lines.append(line(f"{average} avg", shown, figures["images"]))
    cell = max(7, len(str(figures["images"])))
    lines += ["", "confusion matrix (rows: truth, columns: prediction, in the order of the rows)"]
    for name, counts in zip(classes, figures["confusion"], strict=True):
        lines.append(f"{name:>{wide}} " + "".join(f" {count:{cell}}" for count in counts))
    return "\n".join(lines)


def roc_curves(
    targets: Targets, probabilities: FloatArray, classes: Sequence[str]
) -> dict[str, dict[str, list[float]]]:
    """Return each class's ROC curve, one against the rest, of at most 200 points.

    Classes without images, or without any of the others, are left out.
    """
    curves = {}
    for index, name in enumerate(classes):
        positive = targets == index
        if positive.any() and not positive.all():
            false_positives, true_positives, _ = roc_curve(positive, probabilities[:, index])
            last = len(false_positives) - 1
            kept = np.unique(np.linspace(0, last, min(last + 1, _MAX_ROC_POINTS)).astype(int))
            curves[name] = {
                "false_positive_rate": [rounded(rate) for rate in false_positives[kept]],
                "true_positive_rate": [rounded(rate) for rate in true_positives[kept]],
            }
    return curves


def calibration(targets: Targets, probabilities: FloatArray) -> Figures:
    """Return the expected calibration error over 15 equal bins of confidence (Guo et al. 2017).

    ``ece`` with its bootstrapped interval ``ece_95``, and ``bins`` with mean ``confidence``,
    ``accuracy`` and number of ``images`` of every bin that is not empty.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    bins = np.digitize(confidence, edges[1:-1], right=True)
    rows = []
    for number in np.unique(bins):
        inside = bins == number
        rows.append(
            {
                "confidence": rounded(confidence[inside].mean()),
                "accuracy": rounded(right[inside].mean()),
                "images": int(inside.sum()),
            }
        )

    def error(images: npt.NDArray[np.int64]) -> float:
        gaps = np.bincount(bins[images], (right - confidence)[images])
        return float(np.abs(gaps).sum() / len(images))

    everything = np.arange(len(targets))
    drawn = resampled(error, len(targets), CALIBRATION_RESAMPLES)
    return {"ece": rounded(error(everything)), "ece_95": percentiles(drawn), "bins": rows}


def with_temperature(probabilities: FloatArray, temperature: float) -> FloatArray:
    """Return softmax(logits / T) (N, C) from probabilities (N, C) at T = 1.

    The logarithms of probabilities are logits up to a constant, which softmax ignores.
    """
    logits = np.log(np.clip(probabilities.astype(np.float64), 1e-12, 1)) / temperature
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def fit_temperature(targets: Targets, probabilities: FloatArray) -> float:
    """Return the temperature that makes the targets (N,) most likely (Guo et al. 2017)."""
    if (probabilities.argmax(axis=1) == targets).all():
        return 1.0  # the surer the likelier: nothing in such images says how sure to be
    labels = list(range(probabilities.shape[1]))

    def loss(log_temperature: float) -> float:
        scaled = with_temperature(probabilities, float(np.exp(log_temperature)))
        return float(log_loss(targets, scaled, labels=labels))

    return float(np.exp(minimize_scalar(loss, bounds=(-2.0, 3.0), method="bounded").x))


def operating_points(
    validation_targets: Targets,
    validation_probabilities: FloatArray,
    test_targets: Targets,
    test_probabilities: FloatArray,
    classes: Sequence[str],
    negative: str,
) -> list[Figures]:
    """Return two thresholds for every class but `negative`, chosen on validation images.

    A class is found where its probability is at least ``threshold``. The rule ``balanced`` takes
    the largest sensitivity + specificity (Youden 1950), ``sensitive`` the highest specificity that
    leaves a sensitivity of at least 0.95. Classes that validation cannot show are left out.
    """
    points = []
    for index, name in enumerate(classes):
        positive = validation_targets == index
        if name == negative or positive.all() or not positive.any():
            continue
        scores = validation_probabilities[:, index]
        for rule, threshold in _thresholds(positive, scores).items():
            chosen_on = at_threshold(positive, scores, threshold)
            points.append(
                {
                    "class": name,
                    "rule": rule,
                    "threshold": threshold,
                    "validation": {k: chosen_on[k] for k in ("sensitivity", "specificity")},
                    "test": at_threshold(
                        test_targets == index, test_probabilities[:, index], threshold
                    ),
                }
            )
    return points


def fold_summary(folds: Sequence[Figures], pooled: Figures) -> Figures:
    """Return mean, spread (sample standard deviation) and each fold's value of the main figures.

    `folds` are `figures` of each fold's test images, `pooled` those of all of them together.
    """
    return {
        "count": len(folds),
        "accuracy": _spread([fold["accuracy"] for fold in folds]),
        "macro_f1": _spread([fold["macro_f1"] for fold in folds]),
        "recall": {
            name: _spread([fold["per_class"][name]["recall"] for fold in folds])
            for name in pooled["per_class"]
        },
        "pooled": pooled,
    }


def _one_class(
    positive: npt.NDArray[np.bool_],
    predicted: npt.NDArray[np.bool_],
    scores: FloatArray,
    drawn_f1: FloatArray,
) -> Figures:
    support, named = int(positive.sum()), int(predicted.sum())
    right = int((positive & predicted).sum())
    shown = support > 0
    precision, recall, f1, _ = precision_recall_fscore_support(
        positive, predicted, average="binary", zero_division=0.0
    )
    both_sides = 0 < support < len(positive)
    return {
        "precision": rounded(precision) if shown else None,
        "precision_95": wilson(right, named) if shown else None,
        "recall": rounded(recall) if shown else None,
        "recall_95": wilson(right, support),
        "f1": rounded(f1) if shown else None,
        "f1_95": percentiles(drawn_f1) if shown else None,
        "auc": rounded(roc_auc_score(positive, scores)) if both_sides else None,
        "auc_95": auc_interval(positive, scores, len(drawn_f1)) if both_sides else None,
        "support": support,
    }


def _average(
    targets: Targets, predicted: Targets, present: Targets, kind: str
) -> dict[str, float | None]:
    averaged = precision_recall_fscore_support(
        targets, predicted, labels=present, average=kind, zero_division=0.0
    )
    return {
        name: rounded(v) for name, v in zip(("precision", "recall", "f1"), averaged, strict=False)
    }


def _intervals(drawn: dict[str, FloatArray]) -> dict[str, list[float] | None]:
    return {f"{name}_95": percentiles(values) for name, values in drawn.items()}


def _thresholds(positive: npt.NDArray[np.bool_], scores: FloatArray) -> dict[str, float]:
    false_positives, sensitivity, thresholds = roc_curve(positive, scores, drop_intermediate=False)
    # The curve begins at a threshold of infinity, which finds nothing.
    places = range(1, len(thresholds))
    rules = {
        "balanced": max(places, key=lambda i: (sensitivity[i] - false_positives[i], -i)),
        "sensitive": max(
            (i for i in places if sensitivity[i] >= SENSITIVE),
            key=lambda i: (-false_positives[i], sensitivity[i]),
        ),
    }
    # Rounded down, so that the image that gave the threshold still reaches it.
    return {rule: math.floor(thresholds[i] * 1e6) / 1e6 for rule, i in rules.items()}


def _spread(values: list[float | None]) -> Figures:
    known = [value for value in values if value is not None]
    return {
        "mean": rounded(np.mean(known)) if known else None,
        "spread": rounded(np.std(known, ddof=1)) if len(known) > 1 else None,
        "each": values,
    }
