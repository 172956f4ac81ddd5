"""A bundle is read only as it was written."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

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


@pytest.mark.parametrize("position", range(0, 480, 37))
def test_one_changed_bit_in_the_card_is_refused(folder: Path, position: int) -> None:
    path = folder / "model.json"
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= 2
    path.write_bytes(data)
    with pytest.raises(SetupError):
        bundle.load(folder)


def _signed(folder: Path, weights: bytes, **changes: Any) -> None:
    """Put other weights into a bundle, with hashes that are right: a stranger can do that too."""
    (folder / "weights.safetensors").write_bytes(weights)
    card = json.loads((folder / "model.json").read_text()) | changes
    card["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    card["id"] = bundle._identify(card)
    (folder / "model.json").write_text(json.dumps(card))


def _safetensors(header: object, data: bytes = bytes(64)) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _entry(begin: int, end: int, shape: tuple[int, ...] = (4,)) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


_HOSTILE = {
    "no header": b"",
    "header longer than memory": struct.pack("<Q", 1 << 63) + b"{}",
    "header longer than the file": struct.pack("<Q", 1 << 20) + b"{}",
    "header that is no JSON": struct.pack("<Q", 8) + b"[" * 8,
    "offsets that overlap": _safetensors({"a": _entry(0, 16), "b": _entry(8, 24)}),
    "offsets past the end": _safetensors({"a": _entry(0, 1 << 40, (1 << 38,))}),
    "offsets backwards": _safetensors({"a": _entry(16, 0)}),
    "shape that overflows": _safetensors({"a": _entry(0, 16, (1 << 62, 1 << 62))}),
    "unknown type": _safetensors({"a": {**_entry(0, 16), "dtype": "O"}}),
    "a pickle": b"\x80\x04\x95\x00\x00\x00\x00\x00" + b"cposix\nsystem\n",
}


@pytest.mark.parametrize("weights", _HOSTILE.values(), ids=_HOSTILE)
def test_hostile_weights_with_a_right_hash_are_refused(folder: Path, weights: bytes) -> None:
    _signed(folder, weights)
    with pytest.raises(SetupError, match="cannot be read as safetensors") as refusal:
        bundle.load(folder)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_though_their_hash_is_right(
    folder: Path, value: float
) -> None:
    _signed(folder, safetensors.numpy.save({"conv/bias": np.array([0, value], np.float32)}))
    with pytest.raises(SetupError, match=r"NaN or infinite values \(conv/bias\)"):
        bundle.load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0}, "temperature 0 where a number above 0"),
        ({"temperature": "hot"}, "temperature 'hot'"),
        ({"classes": "AB"}, "two or more different classes"),
        ({"classes": ["A", "A"]}, "two or more different classes"),
        ({"classes": []}, "two or more different classes"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused_though_its_hash_is_right(
    folder: Path, changes: dict[str, Any], message: str
) -> None:
    _signed(folder, (folder / "weights.safetensors").read_bytes(), **changes)
    with pytest.raises(SetupError, match=message):
        bundle.load(folder)


def test_an_hdf5_file_or_a_module_in_a_bundle_is_not_looked_at(folder: Path) -> None:
    before = bundle.load(folder)
    (folder / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (folder / "model.py").write_text("raise SystemExit('was run')")
    assert bundle.load(folder).id == before.id
