"""A bundle is read only as it was written."""

import json
from pathlib import Path

import numpy as np
import pytest

from scanner import bundle
from scanner.errors import SetupError
from scanner.preprocess import PreprocessSpec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    weights = {
        "conv/kernel": random.normal(size=(3, 3, 2, 5)).astype(np.float32),
        "conv/bias": random.normal(size=5).astype(np.float32),
    }
    card = {
        "classes": ["Covid-19", "Normal"],
        "preprocess": PreprocessSpec().as_json(),
        "temperature": 1.25,
    }
    bundle.save(tmp_path / "model", card, bundle.quantise(weights))
    return tmp_path / "model"


def test_what_is_saved_is_loaded(folder: Path) -> None:
    loaded = bundle.load(folder)
    assert loaded.classes == ("Covid-19", "Normal")
    assert loaded.temperature == 1.25
    assert loaded.spec == PreprocessSpec()
    assert loaded.weights["conv/kernel"].shape == (3, 3, 2, 5)
    assert loaded.weights["conv/kernel"].dtype == np.float32
    assert loaded.id == json.loads((folder / "model.json").read_text())["id"]


def test_quantised_kernels_stay_within_half_a_step_of_their_channel() -> None:
    kernel = np.random.default_rng(3).normal(size=(3, 3, 4, 6)).astype(np.float32)
    stored = bundle.quantise({"k": kernel})
    assert stored["k"].dtype == np.int8
    step = np.abs(kernel).max(axis=(0, 1, 2)) / 127
    error = np.abs(bundle.dequantise(stored)["k"] - kernel)
    assert (error <= 0.5001 * step).all()


@pytest.mark.parametrize("position", [0, 100, -1])
def test_one_changed_bit_in_the_weights_is_refused(folder: Path, position: int) -> None:
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(SetupError, match="damaged or was altered"):
        bundle.load(folder)


def test_a_changed_card_is_refused(folder: Path) -> None:
    path = folder / "model.json"
    path.write_text(path.read_text().replace("1.25", "1.26"))
    with pytest.raises(SetupError, match="damaged or was altered"):
        bundle.load(folder)


def test_another_preprocessing_version_is_refused(folder: Path) -> None:
    card = json.loads((folder / "model.json").read_text())
    card["preprocess"]["version"] = 99
    weights = bundle.load(folder).weights
    bundle.save(folder, {k: v for k, v in card.items() if k != "id"}, bundle.quantise(weights))
    with pytest.raises(SetupError, match="preprocessing version 99"):
        bundle.load(folder)


def _with_architecture(folder: Path, architecture: str) -> None:
    card = json.loads((folder / "model.json").read_text()) | {"architecture": architecture}
    weights = bundle.load(folder).weights
    bundle.save(folder, {k: v for k, v in card.items() if k != "id"}, bundle.quantise(weights))


def test_the_architecture_is_the_cards_and_without_one_vgg19(folder: Path) -> None:
    assert bundle.load(folder).architecture == "vgg19"
    _with_architecture(folder, "cnn10")
    assert bundle.load(folder).architecture == "cnn10"


def test_an_unknown_architecture_is_refused_with_the_known_ones(folder: Path) -> None:
    _with_architecture(folder, "resnet50")
    with pytest.raises(SetupError, match="is a resnet50, this cxr-scan knows vgg19 and cnn10"):
        bundle.load(folder)


def test_a_folder_without_a_model_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"expected a folder with model\.json"):
        bundle.load(tmp_path)


def test_a_card_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / "model.json").write_text("{")
    with pytest.raises(SetupError, match="cannot be read"):
        bundle.load(folder)
