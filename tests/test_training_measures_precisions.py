"""A training says in the card what coarser arithmetic costs, and calibrates int8 where it can."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import save_cnn10

from scanner import bundle
from scanner.architecture import layer_names
from scanner.precision import MIN_COMPARED_IMAGES
from scanner.predictor import Predictor
from training.data.rows import Rows
from training.int8 import calibrate
from training.results.measure import judge, recalibrated
from training.results.precisions import compare

pytestmark = pytest.mark.skipif(
    not find_spec("openvino"), reason="OpenVINO is not installed: pip install 'cxr-scan[openvino]'"
)
_TAUGHT = 8
_TEMPERATURE = 2.0


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    home = tmp_path_factory.mktemp("model")
    save_cnn10(home)
    return replace(bundle.load(home), temperature=1.0, card={})


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """Dark pictures to teach by, then bright ones to validate by."""
    count = _TAUGHT + MIN_COMPARED_IMAGES
    random = np.random.default_rng(5)
    cells = random.integers(0, 256, (count, 8, 8), dtype=np.uint8)
    cells[:_TAUGHT] //= 4
    path = tmp_path_factory.mktemp("data") / "inputs"
    np.kron(cells, np.ones((32, 32), np.uint8)).tofile(path)
    return Rows(path, np.uint8, (256, 256), count)


def _compared(raw: bundle.Bundle, inputs: Rows, validated: int) -> dict[str, Any]:
    targets = np.zeros(len(inputs), np.int64)
    rows = np.arange(_TAUGHT, _TAUGHT + validated)
    exact = judge(Predictor(raw, precision="float32"), inputs, rows, targets)
    exact = recalibrated(exact, _TEMPERATURE)
    return compare(raw, _TEMPERATURE, inputs, targets, exact, np.arange(_TAUGHT), lambda _: None)


@pytest.fixture(scope="module")
def found(raw: bundle.Bundle, inputs: Rows) -> dict[str, Any]:
    return _compared(raw, inputs, MIN_COMPARED_IMAGES)


def test_int8_is_calibrated_on_images_it_was_taught_with(
    raw: bundle.Bundle, inputs: Rows, found: dict[str, Any]
) -> None:
    assert set(found["int8_ranges"]) == set(layer_names("cnn10")[1:])
    assert found["int8_ranges"] == calibrate(raw, inputs[:_TAUGHT], lambda _: None)


def test_every_installed_way_to_compute_is_held_against_float32(found: dict[str, Any]) -> None:
    measured = found["precisions"]
    assert set(measured) == {"bfloat16", "openvino bfloat16", "openvino int8"}
    for each in measured.values():
        assert each["images"] == MIN_COMPARED_IMAGES
        assert 0 < each["largest_change"] < 0.5 < each["label_agreement"] <= 1


def test_a_card_with_it_lets_a_scan_compute_in_int8(
    raw: bundle.Bundle, inputs: Rows, found: dict[str, Any], tmp_path: Path
) -> None:
    save_cnn10(tmp_path, **found)
    predictor = Predictor(bundle.load(tmp_path), precision="int8", backend="openvino")
    assert predictor.predict(list(inputs[:2])).probabilities.shape == (2, 3)


def test_too_few_images_to_show_it_calibrate_nothing(raw: bundle.Bundle, inputs: Rows) -> None:
    few = _compared(raw, inputs, MIN_COMPARED_IMAGES - 1)
    assert set(few) == {"precisions"}
    assert set(few["precisions"]) == {"bfloat16", "openvino bfloat16"}
