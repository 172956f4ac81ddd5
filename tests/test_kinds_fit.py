"""The head of kinds as it is fitted: on raw features, for every kind alike, honestly measured."""

import numpy as np
import pytest

from scanner import heads
from scanner.heads import KINDS
from training import kinds

WIDTH = 120
PRESENT = (0, 2, 3, 8)
QUIET = 110


def shown(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of the kinds PRESENT, most of them frontal; ten channels tell of each kind.

    Channels are of different sizes, far from zero; one was heard once, and faintly.
    """
    random = np.random.default_rng(seed)
    truth = random.choice(PRESENT, count, p=(0.7, 0.1, 0.1, 0.1))
    features = random.uniform(0, 1, (count, WIDTH)).astype(np.float32)
    for kind in PRESENT:
        features[truth == kind, 10 * kind : 10 * kind + 10] += 1.5
    features = features * np.linspace(1, 3, WIDTH) + np.linspace(0, 40, WIDTH)
    features[:, QUIET] = 0
    features[0, QUIET] = 0.001
    return features.astype(np.float32), truth


def logits(weights: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
    return features @ weights["kinds/kernel"] + weights["kinds/bias"]


@pytest.fixture(scope="module")
def fitted() -> tuple[dict[str, np.ndarray], dict]:
    features, truth = shown(240, 1)
    return kinds.fit(features, truth, np.arange(240) % kinds.FOLDS)


def test_the_weights_are_those_of_the_head(fitted) -> None:
    weights, _ = fitted
    assert set(weights) == set(heads.kind_shapes())
    assert weights["kinds/kernel"].shape == (WIDTH, len(KINDS))
    assert weights["kinds/bias"].shape == (len(KINDS),)
    assert all(array.dtype == np.float32 for array in weights.values())


def test_kinds_are_told_from_raw_features(fitted) -> None:
    weights, _ = fitted
    features, truth = shown(120, 2)
    told = logits(weights, features).argmax(axis=1)
    for kind in PRESENT:  # the rare ones too
        assert (told[truth == kind] == kind).mean() > 0.85


def test_a_rare_kind_is_told_as_well_as_the_frequent_one() -> None:
    def alike(counts: tuple[int, int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
        truth = np.repeat([0, 3, 8], counts)
        features = np.random.default_rng(seed).normal(0, 1, (len(truth), 20)).astype(np.float32)
        features[truth == 3, 0] += 2
        features[truth == 8, 1] += 2
        return features, truth

    features, truth = alike((600, 40, 40), 1)
    folds = np.random.default_rng(0).integers(0, kinds.FOLDS, len(truth))
    weights, _ = kinds.fit(features, truth, folds)
    features, truth = alike((500, 500, 500), 2)
    right = logits(weights, features).argmax(axis=1) == truth
    assert abs(right[truth == 0].mean() - right[truth == 3].mean()) < 0.2


def test_a_kind_that_was_not_shown_is_never_named(fitted) -> None:
    weights, _ = fitted
    strange = shown(50, 3)[0] * np.float32(1.2)
    odds = np.exp(logits(weights, strange).astype(float))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    absent = [kind for kind in range(len(KINDS)) if kind not in PRESENT]
    assert probabilities[:, absent].max() < 1e-6


def test_a_channel_hardly_heard_in_training_does_not_shout(fitted) -> None:
    weights, _ = fitted
    features, _ = shown(50, 4)
    woken = features.copy()
    woken[:, QUIET] = 1
    assert np.abs(logits(weights, woken) - logits(weights, features)).max() < 3


def test_figures_are_of_pictures_whose_originals_were_not_shown() -> None:
    """Features that say who, not what: seen before, they would be known by heart."""
    random = np.random.default_rng(6)
    who = np.repeat(np.arange(60), 4)
    truth = np.array(PRESENT)[random.integers(0, 4, 60)][who]
    features = random.uniform(0, 1, (60, WIDTH)).astype(np.float32)[who]
    _, figures = kinds.fit(features, truth, who % kinds.FOLDS)
    recalls = [figures["recall"][KINDS[kind]]["recall"] for kind in PRESENT]
    assert np.mean(recalls) < 0.5
    _, leaky = kinds.fit(features, truth, np.arange(240) % kinds.FOLDS)
    assert np.mean([leaky["recall"][KINDS[kind]]["recall"] for kind in PRESENT]) > 0.9


def test_figures_name_the_kinds_and_their_counts(fitted) -> None:
    _, figures = fitted
    _, truth = shown(240, 1)
    assert list(figures["recall"]) == [KINDS[kind] for kind in PRESENT]
    assert figures["recall"]["frontal"]["n"] == (truth == 0).sum()
    assert figures["recall"]["frontal"]["recall"] > 0.85
