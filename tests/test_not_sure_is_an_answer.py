"""Prediction sets keep the coverage they promise, and say so where they cannot promise any."""

import numpy as np
import pytest
from scipy.special import softmax

from scanner.conformal import prediction_sets
from training.results.trust import class_thresholds


def _answers(images: int, seed: int, pull: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Classes (n,), the third rare, and probabilities (n, 3) of a classifier that often errs."""
    random = np.random.default_rng(seed)
    targets = random.choice(3, images, p=(0.6, 0.3, 0.1))
    logits = random.normal(scale=1.2, size=(images, 3))
    logits[np.arange(images), targets] += pull
    logits[:, 2] -= 1
    return targets, softmax(logits, axis=1)


def test_a_class_is_in_the_set_from_its_threshold_and_the_most_probable_always() -> None:
    probabilities = np.array([[0.90, 0.08, 0.02], [0.30, 0.30, 0.40], [0.05, 0.05, 0.90]])
    sets = prediction_sets(probabilities, [0.3, 0.05, 0.95])
    assert sets.tolist() == [[True, True, False], [True, True, True], [False, True, True]]


def test_no_image_is_an_empty_answer() -> None:
    assert prediction_sets(np.zeros((0, 3), np.float32), [0.1, 0.1, 0.1]).shape == (0, 3)


@pytest.mark.parametrize("promised", [0.8, 0.95])
def test_every_class_is_covered_as_promised_though_one_is_rare_and_often_missed(
    promised: float,
) -> None:
    covered = []
    for seed in range(40):
        thresholds = class_thresholds(*_answers(600, 2 * seed), promised)
        targets, probabilities = _answers(4000, 2 * seed + 1)
        right = prediction_sets(probabilities, thresholds)[np.arange(4000), targets]
        covered.append([right[targets == number].mean() for number in range(3)])
    missed = (probabilities.argmax(axis=1) != targets)[targets == 2].mean()
    assert missed > 1 - promised  # the most probable class alone would not keep the promise
    assert np.mean(covered, axis=0).min() >= promised - 0.004


def test_sets_are_no_larger_than_the_promise_takes() -> None:
    targets, probabilities = _answers(5000, 0)
    found = probabilities[targets == 2, 2]
    threshold = class_thresholds(targets, probabilities, 0.8)[2]
    assert (found >= threshold).mean() == pytest.approx(0.8, abs=0.003)


def test_one_class_with_too_few_images_gets_threshold_0_and_is_always_in() -> None:
    targets = np.repeat([0, 1, 2], [19, 100, 18])
    probabilities = np.full((137, 3), 0.1)
    probabilities[np.arange(137), targets] = 0.8
    thresholds = class_thresholds(targets, probabilities, 0.95)
    assert thresholds == [0.2, 0.2, 0.0]
    assert prediction_sets(np.array([[0.99, 0.01, 0.0]]), thresholds)[0].tolist() == [1, 0, 1]


def test_a_good_network_is_still_not_sure_where_it_wavers() -> None:
    targets, probabilities = _answers(3000, 1, pull=9.0)
    assert (probabilities.argmax(axis=1) == targets).mean() > 0.99
    thresholds = class_thresholds(targets, probabilities, 0.95)
    assert thresholds == [0.2, 0.2, 0.2]
    wavering, sure = prediction_sets(np.array([[0.6, 0.38, 0.02], [0.84, 0.15, 0.01]]), thresholds)
    assert (wavering.sum(), sure.sum()) == (2, 1)


def test_the_image_that_gave_the_threshold_reaches_it_in_float32() -> None:
    targets = np.repeat([0, 1], 19)
    probabilities = np.full((38, 2), 0.5, np.float32)
    probabilities[3] = (0.0333337, 0.9666663)
    probabilities[22] = (0.9777774, 0.0222226)
    thresholds = class_thresholds(targets, probabilities, 0.95)
    assert prediction_sets(probabilities, thresholds)[[3, 22], [0, 1]].all()
    assert thresholds == pytest.approx([0.0333337, 0.0222226], abs=2e-6)
