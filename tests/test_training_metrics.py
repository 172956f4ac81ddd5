"""The figures of a training: what scikit-learn says, with intervals that mean what they say."""

import json

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import softmax
from sklearn.metrics import auc, classification_report, f1_score, roc_auc_score

from scanner.rates import at_threshold, wilson
from training.results import metrics

CLASSES = ("Covid-19", "Normal", "Pneumonia")
Sample = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


def _sample(images: int = 400, seed: int = 0, digits: int = 2) -> Sample:
    """Targets and probabilities of a fair classifier; rounded, so that some are tied."""
    random = np.random.default_rng(seed)
    targets = random.choice(3, size=images, p=(0.1, 0.5, 0.4))
    logits = random.normal(size=(images, 3))
    logits[np.arange(images), targets] += 1.5
    return targets, np.round(softmax(logits, axis=1), digits)


def test_the_table_is_the_one_scikit_learn_prints() -> None:
    targets, probabilities = _sample()
    text = metrics.as_text(metrics.figures(targets, probabilities, CLASSES), CLASSES)
    expected = classification_report(
        targets, probabilities.argmax(axis=1), target_names=CLASSES, digits=4
    )
    assert text.startswith(expected.rstrip())
    counts = metrics.figures(targets, probabilities, CLASSES)["confusion"]
    assert [int(word) for word in text.splitlines()[-1].split()[1:]] == counts[2]


def test_wilson_intervals_are_those_of_the_literature() -> None:
    assert wilson(81, 263) == [0.2553, 0.3662]  # Newcombe 1998, table I, method 3
    assert wilson(0, 0) is None


def test_the_interval_of_f1_is_that_of_images_drawn_again() -> None:
    targets, probabilities = _sample()
    predicted = probabilities.argmax(axis=1)
    random = np.random.default_rng(99)
    drawn = []
    for _ in range(500):
        again = random.integers(len(targets), size=len(targets))
        drawn.append(f1_score(targets[again], predicted[again], average=None))
    found = metrics.figures(targets, probabilities, CLASSES)
    for index, name in enumerate(CLASSES):
        expected = np.percentile([scores[index] for scores in drawn], (2.5, 97.5))
        assert found["per_class"][name]["f1_95"] == pytest.approx(expected, abs=0.02)
    expected = np.percentile(np.mean(drawn, axis=1), (2.5, 97.5))
    assert found["macro_f1_95"] == pytest.approx(expected, abs=0.01)


def test_the_interval_of_the_auc_is_that_of_images_drawn_again() -> None:
    targets, probabilities = _sample(digits=1)
    random = np.random.default_rng(99)
    drawn = []
    for _ in range(500):
        again = random.integers(len(targets), size=len(targets))
        drawn.append(roc_auc_score(targets[again] == 0, probabilities[again, 0]))
    row = metrics.figures(targets, probabilities, CLASSES)["per_class"]["Covid-19"]
    assert row["auc_95"] == pytest.approx(np.percentile(drawn, (2.5, 97.5)), abs=0.01)
    assert row["auc_95"][0] < row["auc"] < row["auc_95"][1]


def test_a_class_without_images_has_no_figures_and_no_part_in_the_averages() -> None:
    targets, probabilities = _sample()
    kept = targets != 0
    found = metrics.figures(targets[kept], probabilities[kept], CLASSES)
    assert found["per_class"]["Covid-19"] == {
        **dict.fromkeys(("precision", "recall", "f1", "auc")),
        **dict.fromkeys(("precision_95", "recall_95", "f1_95", "auc_95")),
        "support": 0,
    }
    rows = [found["per_class"][name] for name in CLASSES[1:]]
    assert found["macro"]["recall"] == pytest.approx(np.mean([r["recall"] for r in rows]), abs=1e-4)
    assert found["macro_f1"] == pytest.approx(np.mean([r["f1"] for r in rows]), abs=1e-4)
    assert "nan" not in metrics.as_text(found, CLASSES)


def test_a_class_that_is_never_predicted_has_precision_0_without_an_interval() -> None:
    probabilities = np.tile([0.1, 0.9], (4, 1))
    row = metrics.figures(np.array([0, 1, 1, 1]), probabilities, ("a", "b"))["per_class"]["a"]
    assert (row["precision"], row["precision_95"], row["recall"]) == (0.0, None, 0.0)


def test_one_class_alone_has_figures_but_no_auc() -> None:
    found = metrics.figures(np.zeros(3, int), np.tile([0.9, 0.1], (3, 1)), ("a", "b"))
    assert found["accuracy"] == 1
    assert found["per_class"]["a"]["auc"] is None
    assert metrics.roc_curves(np.zeros(3, int), np.tile([0.9, 0.1], (3, 1)), ("a", "b")) == {}


def test_the_same_images_give_the_same_figures_as_json() -> None:
    targets, probabilities = _sample()
    first, second = (metrics.figures(targets, probabilities, CLASSES) for _ in range(2))
    assert json.dumps(first, allow_nan=False) == json.dumps(second, allow_nan=False)


def test_a_roc_curve_keeps_its_area_in_200_points() -> None:
    targets, probabilities = _sample(images=5000, digits=9)
    curves = metrics.roc_curves(targets, probabilities, CLASSES)
    assert list(curves) == list(CLASSES)
    for index, curve in enumerate(curves.values()):
        across, up = curve["false_positive_rate"], curve["true_positive_rate"]
        assert 100 < len(across) <= 200
        assert (across[0], up[0], across[-1], up[-1]) == (0, 0, 1, 1)
        area = roc_auc_score(targets == index, probabilities[:, index])
        assert auc(across, up) == pytest.approx(area, abs=0.005)


def test_the_calibration_error_is_the_mean_gap_weighted_by_images() -> None:
    probabilities = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]] * 6)
    targets = np.array([0, 0, 1, 1, 0, 0, 0, 0, 0, 1])
    found = metrics.calibration(targets, probabilities)
    assert found["bins"] == [
        {"confidence": 0.6, "accuracy": 0.8333, "images": 6},
        {"confidence": 0.9, "accuracy": 0.5, "images": 4},
    ]
    assert found["ece"] == pytest.approx(0.6 * (5 / 6 - 0.6) + 0.4 * 0.4, abs=1e-4)


def test_bins_are_closed_above_as_guo_et_al_have_them() -> None:
    edge = float(np.linspace(0, 1, metrics.CALIBRATION_BINS + 1)[9])
    found = metrics.calibration(np.zeros(2, int), np.array([[edge, 1 - edge], [0.55, 0.45]]))
    assert [row["images"] for row in found["bins"]] == [2]


def test_the_fitted_temperature_undoes_overconfidence() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(scale=2, size=(4000, 3))
    honest = softmax(logits, axis=1)
    targets = np.array([random.choice(3, p=row) for row in honest])
    boastful = softmax(3 * logits, axis=1)
    temperature = metrics.fit_temperature(targets, boastful)
    assert temperature == pytest.approx(3, rel=0.1)
    calibrated = metrics.with_temperature(boastful, temperature)
    before, after = (metrics.calibration(targets, p)["ece"] for p in (boastful, calibrated))
    assert after < 0.03 < 0.1 < before


def test_operating_points_are_the_best_that_validation_has() -> None:
    targets, probabilities = _sample(seed=1)
    test_targets, test_probabilities = _sample(seed=2)
    points = metrics.operating_points(
        targets, probabilities, test_targets, test_probabilities, CLASSES, "Normal"
    )
    assert [(p["class"], p["rule"]) for p in points] == [
        (name, rule) for name in ("Covid-19", "Pneumonia") for rule in ("balanced", "sensitive")
    ]
    for index, balanced, sensitive in ((0, *points[:2]), (2, *points[2:])):
        positive, scores = targets == index, probabilities[:, index]
        possible = [
            ((scores >= t)[positive].mean(), (scores < t)[~positive].mean()) for t in set(scores)
        ]
        got = balanced["validation"]
        best = max(found + spared for found, spared in possible)
        assert got["sensitivity"] + got["specificity"] == pytest.approx(best, abs=2e-4)
        assert sensitive["validation"]["sensitivity"] >= 0.95
        best = max(spared for found, spared in possible if found >= 0.95)
        assert sensitive["validation"]["specificity"] == pytest.approx(best, abs=1e-4)
        here = at_threshold(
            test_targets == index, test_probabilities[:, index], balanced["threshold"]
        )
        assert balanced["test"] == here
        low, high = here["sensitivity_95"]
        assert low < here["sensitivity"] < high


def test_a_threshold_as_written_still_finds_the_image_that_gave_it() -> None:
    scores = np.array([0.1234567891, 0.01])
    probabilities = np.stack([scores, 1 - scores], axis=1)
    targets = np.array([0, 1])
    point = metrics.operating_points(
        targets, probabilities, targets, probabilities, ("ill", "well"), "well"
    )[0]
    assert point["validation"] == {"sensitivity": 1.0, "specificity": 1.0}


def test_an_operating_point_says_nothing_where_there_is_nothing_to_find() -> None:
    shown = at_threshold(np.array([False, False]), np.array([0.1, 0.9]), 0.5)
    assert (shown["sensitivity"], shown["sensitivity_95"]) == (None, None)
    assert shown["specificity"] == 0.5
    targets, probabilities = np.ones(4, int), np.full((4, 2), 0.5)
    assert not metrics.operating_points(
        targets, probabilities, targets, probabilities, ("ill", "well"), "well"
    )


def test_folds_are_summed_up_by_mean_and_sample_deviation() -> None:
    folds = [metrics.figures(*_sample(seed=seed), CLASSES, resamples=10) for seed in range(3)]
    pooled = metrics.figures(*_sample(seed=9), CLASSES, resamples=10)
    summary = metrics.fold_summary(folds, pooled)
    each = [fold["accuracy"] for fold in folds]
    assert summary["count"] == 3
    assert summary["accuracy"]["each"] == each
    assert summary["accuracy"]["mean"] == pytest.approx(np.mean(each), abs=1e-4)
    assert summary["accuracy"]["spread"] == pytest.approx(np.std(each, ddof=1), abs=1e-4)
    assert list(summary["recall"]) == list(CLASSES)
    assert summary["pooled"] == pooled
