"""The lung head learns from masks, is lent to the same blocks 1 to 4, and to no others."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from small_models import random_weights, save_vgg19_with_heads

from scanner import bundle, heads
from scanner.errors import SetupError
from scanner.network import build_network
from scanner.preprocess import PreprocessSpec
from training import lungs
from training.data.dataset import Dataset
from training.data.rows import Rows
from training.fit import Recipe
from training.heads import obtain

_SIZE = 64
_RECIPE = Recipe("vgg19", _SIZE, "block5", 1, 8, 1e-4, False, 0, 0, False, 1.0, 0, "float32")


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return random_weights("vgg19")


def _chests(folder: Path, count: int) -> Dataset:
    """Dark ellipses on grey, at random places, and masks of them."""
    random = np.random.default_rng(0)
    pictures, masks = [], []
    for number in range(count):
        image = np.full((_SIZE, _SIZE), 170, np.uint8)
        mask = np.zeros_like(image)
        for x in (18, 46):
            centre = (x + int(random.integers(-4, 5)), 32 + int(random.integers(-5, 6)))
            axes = (int(random.integers(7, 11)), int(random.integers(14, 22)))
            cv2.ellipse(image, centre, axes, 0, 0, 360, 40, -1)
            cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, -1)
        place = folder / f"{number}.png"
        cv2.imwrite(str(place), mask)
        pictures.append(image)
        masks.append(str(place))
    (folder / "inputs").write_bytes(np.stack(pictures).tobytes())
    inputs = Rows(folder / "inputs", np.uint8, (_SIZE, _SIZE), count)
    empty = [""] * count
    return Dataset(
        inputs, ["a", "b"], ["a"] * count, empty, empty, empty, masks, empty, "", None, Counter()
    )


@pytest.mark.slow
def test_it_finds_the_lungs_of_pictures_it_was_not_taught(
    tmp_path: Path, weights: dict[str, np.ndarray]
) -> None:
    data = _chests(tmp_path, 70)
    settings = lungs.LungSettings(_SIZE, "float32", 0)
    learnt = lungs.learn(data, np.arange(60), weights, {}, settings, tmp_path, lambda _: None)
    model = build_network(_SIZE, {**weights, **learnt}, 1.0, "float32")
    found = np.asarray(model(data.inputs[60:][..., None])["lungs"])
    assert found.shape == (10, _SIZE // 8, _SIZE // 8)
    masks = [lungs.read_mask(mask, _SIZE) for mask in data.masks[60:]]
    assert lungs.dice(found, masks).mean() > 0.75


def test_dice_is_one_for_the_same_field_and_none_for_another() -> None:
    mask = np.zeros((_SIZE, _SIZE), np.uint8)
    mask[16:48, 8:24] = 255
    field = lungs.on_cells(mask, 8)[None].astype(np.float32) / 255
    assert lungs.dice(field, [mask])[0] > 0.95
    assert lungs.dice(1 - field, [mask])[0] < 0.1


def test_a_mask_that_is_no_picture_is_named(tmp_path: Path) -> None:
    place = tmp_path / "mask.png"
    place.write_text("no picture")
    with pytest.raises(SetupError, match=r"mask\.png cannot be read"):
        lungs.read_mask(str(place), _SIZE)


def _random_heads() -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    shapes = heads.lung_shapes() | heads.kind_shapes()
    return {n: random.normal(0, 0.05, s).astype(np.float32) for n, s in shapes.items()}


def _obtained(start: Any, tmp_path: Path) -> Any:
    data: Any = SimpleNamespace(masks=[""] * 4)
    parts = np.array(["train"] * 4)
    return obtain(data, parts, start, PreprocessSpec(), _RECIPE, None, tmp_path, lambda _: None)


def test_rounding_does_not_make_other_blocks_and_training_does(
    weights: dict[str, np.ndarray],
) -> None:
    stored = bundle.dequantise(bundle.quantise(weights))
    assert heads.same_base(stored, weights)
    trained = {**weights, "block3_conv2/kernel": weights["block3_conv2/kernel"] * 1.05}
    assert not heads.same_base(trained, weights)
    tuned = {**weights, "block5_conv2/kernel": weights["block5_conv2/kernel"] * 2}
    assert heads.same_base(tuned, weights)


def test_a_model_that_is_retrained_keeps_its_heads(
    tmp_path: Path, weights: dict[str, np.ndarray]
) -> None:
    own = _random_heads()
    found = _obtained({**weights, **own}, tmp_path)
    assert (found.weights["lungs_field/kernel"] == own["lungs_field/kernel"]).all()
    assert (found.weights["kinds/kernel"] == own["kinds/kernel"]).all()
    assert found.lungs == "that of the model it was retrained from"


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bundle.Bundle:
    """A shipped model with both heads."""
    save_vgg19_with_heads(tmp_path / "shipped")
    monkeypatch.setattr(bundle, "DEFAULT_BUNDLE", tmp_path / "shipped")
    return bundle.load(tmp_path / "shipped")


def test_without_masks_the_shipped_head_is_lent_to_the_same_blocks(
    tmp_path: Path, shipped: bundle.Bundle
) -> None:
    bare = {n: a for n, a in shipped.weights.items() if n.startswith("block")}
    found = _obtained(bare, tmp_path)
    assert (found.weights["lungs_field/kernel"] == shipped.weights["lungs_field/kernel"]).all()
    assert shipped.id in found.lungs


def test_other_blocks_get_no_head_and_are_told_so(
    tmp_path: Path, weights: dict[str, np.ndarray], shipped: bundle.Bundle
) -> None:
    trained = {**weights, "block2_conv1/kernel": weights["block2_conv1/kernel"] * 2}
    found = _obtained(trained, tmp_path)
    assert not found.weights
    assert "not those of the shipped model" in found.lungs
