"""Display pixels become model input: one shape, one scale, the same every time."""

import json
from pathlib import Path

import numpy as np
import pytest
from dicom_files import as_bytes, read_bytes, shown
from pydicom.dataset import Dataset

from scanner.errors import SetupError
from scanner.preprocess import VERSIONS, PreprocessSpec, model_input

SPEC = PreprocessSpec()


@pytest.mark.parametrize(
    "shape", [(488, 460), (100, 700), (700, 100), (256, 256), (40, 30), (2, 3), (1, 1)]
)
def test_any_shape_becomes_a_square_of_bytes(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(3).random(shape, dtype=np.float32)
    found = model_input(pixels, SPEC)
    assert (found.shape, found.dtype) == ((256, 256), np.uint8)


def test_the_side_is_that_of_the_spec() -> None:
    assert model_input(np.eye(300, dtype=np.float32), PreprocessSpec(size=64)).shape == (64, 64)


def test_the_whole_scale_is_used_and_the_polarity_kept(radiograph_dataset: Dataset) -> None:
    pixels = shown(radiograph_dataset)
    found = model_input(pixels, SPEC).astype(int)
    assert (found.min(), found.max()) == (0, 255)
    # One percent at each end is cut off, and no more.
    assert 0.005 < (found == 0).mean() < 0.02
    assert 0.005 < (found == 255).mean() < 0.02
    right_lung, mediastinum = found[80:130, 50:83], found[80:130, 117:139]
    assert right_lung.mean() + 30 < mediastinum.mean()


def test_nothing_is_cropped_turned_or_mirrored() -> None:
    pixels = np.zeros((400, 800), np.float32)
    pixels[:100, :200] = 1.0  # the upper left quarter of each side
    found = model_input(pixels, SPEC)
    assert (found[:64, :64] == 255).all()
    assert not found[64:].any()
    assert not found[:, 64:].any()


def test_fine_structure_is_averaged_and_not_picked_from() -> None:
    pixels = np.indices((1024, 1024)).sum(axis=0).astype(np.float32) % 2  # a chequered left half
    pixels[:, 512:] = np.linspace(0, 1, 1024, dtype=np.float32)[:, None]
    assert (abs(model_input(pixels, SPEC)[:, :128].astype(int) - 127.5) < 2).all()


def test_the_same_pixels_give_the_same_input(radiograph_dataset: Dataset) -> None:
    pixels = shown(radiograph_dataset)
    before = pixels.copy()
    first = model_input(pixels, SPEC)
    np.testing.assert_array_equal(model_input(pixels.copy(), SPEC), first)
    np.testing.assert_array_equal(pixels, before, err_msg="the pixels were changed in place")


@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0.0), (0.5, 0.4), (0.1, 0.7)])
def test_brightness_and_contrast_do_not_matter(
    radiograph_dataset: Dataset, gain: float, offset: float
) -> None:
    pixels = shown(radiograph_dataset)
    plain = model_input(pixels, SPEC).astype(int)
    changed = model_input((pixels * gain + offset).astype(np.float32), SPEC)
    assert np.abs(plain - changed).max() <= 1


def test_a_wider_window_in_the_header_does_not_matter(radiograph_dataset: Dataset) -> None:
    plain = model_input(shown(radiograph_dataset), SPEC).astype(int)
    radiograph_dataset.WindowCenter, radiograph_dataset.WindowWidth = 20000, 60000
    assert np.abs(plain - model_input(shown(radiograph_dataset), SPEC)).max() <= 1


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_constant_image_is_not_divided_by_zero(level: float) -> None:
    with np.errstate(all="raise"):
        found = model_input(np.full((50, 60), level, np.float32), SPEC)
    assert found.shape == (256, 256)


def test_a_worker_prepares_pixels_with_this_very_function(
    radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    reading = read_bytes(as_bytes(radiograph_dataset), tmp_path / "x.dcm")
    assert reading.model_input is not None
    np.testing.assert_array_equal(reading.model_input, model_input(shown(radiograph_dataset), SPEC))


def test_a_spec_survives_the_bundle() -> None:
    spec = PreprocessSpec(size=128, low=0.5)
    assert PreprocessSpec.from_json(json.loads(json.dumps(spec.as_json()))) == spec


@pytest.mark.parametrize("version", [max(VERSIONS) + 1, 0, None, "1"])
def test_an_unknown_version_is_refused(version: object) -> None:
    with pytest.raises(SetupError, match="preprocessing version"):
        PreprocessSpec.from_json({**SPEC.as_json(), "version": version})


@pytest.mark.parametrize("values", [{}, {"version": 1, "crop": 0.9}])
def test_a_spec_of_other_fields_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(SetupError):
        PreprocessSpec.from_json(values)
