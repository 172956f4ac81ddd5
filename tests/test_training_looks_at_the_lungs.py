"""Evidence outside the lungs is punished; copies without lungs, or with nothing else, are made."""

from pathlib import Path

import numpy as np

from training.augment import Augmentation, Copy, made
from training.counterfactual import without_lungs, without_surroundings
from training.data.rows import Rows
from training.draw import Draw, Shown
from training.fit import Recipe, fit

_SIDE = 256


def _chest() -> tuple[np.ndarray, np.ndarray]:
    """A striped picture, and the field of two lungs."""
    image = np.tile(np.arange(_SIDE, dtype=np.uint8) % 8 * 30, (_SIDE, 1))
    field = np.zeros((_SIDE, _SIDE), np.uint8)
    field[64:192, 40:104] = field[64:192, 152:216] = 255
    return image, field


def test_surroundings_go_and_lungs_stay() -> None:
    image, field = _chest()
    for seed in range(20):
        left = without_surroundings(image, field, np.random.default_rng(seed)).astype(int)
        inside, far = np.s_[88:168, 56:88], np.s_[0:16, :]
        assert np.abs(left[inside] - image[inside]).mean() < 12
        assert np.abs(left[far] - image[far]).mean() > 25


def test_lungs_go_and_surroundings_stay() -> None:
    image, field = _chest()
    for seed in range(20):
        left = without_lungs(image, field, np.random.default_rng(seed)).astype(int)
        inside, far = np.s_[88:168, 56:88], np.s_[0:16, :]
        assert np.abs(left[inside] - image[inside]).mean() > 25
        assert np.abs(left[far] - image[far]).mean() < 12


def _copies(field: np.ndarray | None) -> list[Copy]:
    settings = Augmentation(1, False, 0)
    return list(made(iter([(0, _chest()[0], field)]), np.array([300]), settings))


def test_some_copies_say_nothing_and_only_where_the_lungs_are_known() -> None:
    silent = sum(copy.says_nothing for copy in _copies(_chest()[1]))
    assert 20 < silent < 80  # 15 % of 300
    assert not any(copy.says_nothing for copy in _copies(None))


def test_the_field_of_a_copy_moves_with_its_image() -> None:
    marked = _chest()[1]
    copies = list(made(iter([(0, marked, marked)]), np.array([60]), Augmentation(1, False, 1)))
    whole = [copy for copy in copies if not copy.says_nothing]
    for copy in whole[:20]:
        assert copy.field is not None
        inside, outside = copy.image[copy.field > 200], copy.image[copy.field < 50]
        assert np.median(inside) > np.median(outside)


def test_a_penalty_moves_the_evidence_into_the_lungs(tmp_path: Path) -> None:
    """Where class can be told in and outside the lungs, it is told inside."""
    rows, side = 60, 4
    targets = np.arange(rows) % 2
    random = np.random.default_rng(0)
    maps = random.uniform(0, 1, (rows, side, side, 512)).astype(np.float16)
    maps[targets == 1, :2, :, :16] += 2  # in the lungs
    maps[targets == 1, 2:, :, 16:32] += 2  # outside
    place = tmp_path / "a.features"
    place.write_bytes(maps.tobytes())
    fields = np.zeros((rows, side, side), np.uint8)
    fields[:, :2] = 255
    none = np.zeros(rows, np.int64)
    draw = Draw(np.arange(40), targets, none, none + rows, none, 0, 2, True, 0)
    outside = {}
    for penalty in (0.001, 1.0):
        recipe = Recipe(
            "vgg19", 64, "block5", 6, 8, 1e-3, False, 0, 0, False, penalty, 0, "float32"
        )
        fitted = fit(
            Rows(place, np.float16, maps.shape[1:], rows),
            targets,
            Shown(fields, np.zeros(rows, bool)),
            draw,
            np.arange(40, rows),
            {},
            recipe,
            tmp_path / f"{penalty}.safetensors",
            lambda *_: None,
        )
        outside[penalty] = fitted.history[-1]["outside_lungs"]
        assert fitted.history[-1]["validation_accuracy"] > 0.9
    assert outside[1.0] < 0.7 * outside[0.001]


def test_rows_that_say_nothing_are_taught_as_every_class_alike(tmp_path: Path) -> None:
    rows, side = 40, 4
    targets = np.zeros(rows, np.int64)
    silent = np.arange(rows) % 2 == 1
    maps = np.zeros((rows, side, side, 512), np.float16)
    maps[silent, ..., 0] = 3
    maps[~silent, ..., 1] = 3
    targets[:] = np.arange(rows) // 2 % 2
    maps[~silent & (targets == 1), ..., 2] = 3
    place = tmp_path / "a.features"
    place.write_bytes(maps.tobytes())
    none = np.zeros(rows, np.int64)
    recipe = Recipe("vgg19", 64, "block5", 6, 8, 1e-3, False, 0, 0, False, 0.0, 0, "float32")
    features = Rows(place, np.float16, maps.shape[1:], rows)
    draw = Draw(np.arange(rows), targets, none, none + rows, none, 0, 2, True, 0)
    shown = Shown(None, silent)
    fitted = fit(
        features,
        targets,
        shown,
        draw,
        np.arange(rows),
        {},
        recipe,
        tmp_path / "state",
        lambda *_: None,
    )
    from training.fit import probabilities

    # No class has a head start that Grad-CAM would show.
    assert np.abs(fitted.weights["head/kernel"].mean(axis=1)).max() < 1e-6
    answers = probabilities(features, np.arange(rows), fitted.weights, 2, recipe)
    assert answers[silent].max() < 0.75
    assert answers[~silent].max(1).mean() > 0.8
