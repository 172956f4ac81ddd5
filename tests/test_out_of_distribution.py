"""The distance from training images: small for images like them, large for others."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from scanner import ood

_SIZE = 24


def _embeddings(count: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Averages after a ReLU of three classes: skewed, correlated, never negative."""
    random, fixed = np.random.default_rng(seed), np.random.default_rng(99)
    targets = np.arange(count) % 3
    mixed = random.normal(size=(count, _SIZE)) @ fixed.normal(size=(_SIZE, _SIZE)) / 10
    mixed += fixed.normal(scale=0.7, size=(3, _SIZE))[targets]
    mixed += shift * np.random.default_rng(98).normal(size=_SIZE)
    return np.exp(mixed).astype(np.float32), targets


def _weights(count: int = 600) -> dict[str, np.ndarray]:
    return ood.fit(*_embeddings(count, 1))


def test_images_like_those_of_training_lie_at_about_1() -> None:
    score = ood.score(_embeddings(500, 2)[0], _weights())
    assert score.mean() == pytest.approx(1, abs=0.1)


def test_other_images_lie_further_away_the_more_the_less_alike() -> None:
    weights = _weights()
    usual = ood.score(_embeddings(500, 2)[0], weights)
    near = ood.score(_embeddings(500, 3, shift=0.3)[0], weights)
    far = ood.score(np.random.default_rng(4).random((500, _SIZE)).astype(np.float32), weights)
    truth = np.repeat([0, 1], 500)
    assert roc_auc_score(truth, np.concatenate([usual, near])) > 0.8
    assert (far > np.quantile(usual, 0.99)).mean() > 0.99


def test_the_nearest_class_counts() -> None:
    embedding, targets = _embeddings(600, 1)
    apart, together = (ood.fit(embedding, t) for t in (targets, np.zeros_like(targets)))
    middle = np.exp(np.log(embedding).mean(axis=0, keepdims=True))
    # What lies between the classes is like none of them, though their common mean is there.
    assert ood.score(middle, together) < 0.5 * ood.score(middle, apart)


def test_how_strongly_an_image_speaks_does_not_count() -> None:
    weights, (embedding, _) = _weights(), _embeddings(50, 5)
    np.testing.assert_allclose(
        ood.score(embedding, weights), ood.score(7 * embedding, weights), rtol=1e-5
    )


def test_few_images_equal_images_and_silent_channels_give_finite_distances() -> None:
    embedding, targets = _embeddings(9, 1)
    embedding[:, 3] = 0
    for some in (embedding, np.repeat(embedding[:1], 9, axis=0), np.zeros_like(embedding)):
        weights = ood.fit(some, targets)
        assert np.isfinite(ood.score(_embeddings(5, 2)[0], weights)).all()
        assert np.isfinite(ood.score(np.zeros((2, _SIZE), np.float32), weights)).all()


def test_a_class_without_images_has_no_place_and_statistics_are_small_float32() -> None:
    embedding, targets = _embeddings(30, 1)
    weights = ood.fit(embedding, np.where(targets == 1, 4, targets))
    assert {name: (a.shape, a.dtype) for name, a in weights.items()} == {
        "ood/mean": ((3, _SIZE), np.float32),
        "ood/whitening": ((_SIZE, _SIZE), np.float32),
    }
    assert ood.has_statistics(weights)
    assert not ood.has_statistics({"head/bias": np.zeros(3, np.float32)})
    assert ood.score(np.zeros((0, _SIZE), np.float32), weights).shape == (0,)
