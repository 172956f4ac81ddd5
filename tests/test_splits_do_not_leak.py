"""Patients and near-duplicates stay on one side of a split, in every round of a training."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from scanner.errors import SetupError
from training import made_from, near_duplicates, split
from training.data.dataset import Dataset
from training.data.rows import Rows
from training.parts import LEFT_OUT, PARTS, TEST, VALIDATION


def _radiograph(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (24, 24), dtype=np.uint8)
    return cv2.resize(noise, (256, 256), interpolation=cv2.INTER_CUBIC)


def test_a_recompressed_copy_joins_its_original() -> None:
    original, other = _radiograph(1), _radiograph(2)
    small = cv2.resize(original, (200, 200), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])
    copy = cv2.resize(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), (256, 256))
    hashes = near_duplicates.difference_hashes(np.stack([original, copy, other]))
    groups = near_duplicates.groups(["", "", ""], hashes)
    assert groups[0] == groups[1] != groups[2]


def test_images_of_one_patient_are_one_group() -> None:
    hashes = near_duplicates.difference_hashes(np.stack([_radiograph(i) for i in range(4)]))
    groups = near_duplicates.groups(["a", "b", "a", ""], hashes)
    assert groups[0] == groups[2]
    assert len(set(groups)) == 3


_SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def test_no_group_is_divided_and_every_stratum_is_shared_out() -> None:
    random = np.random.default_rng(3)
    group = np.repeat(np.arange(300), random.integers(1, 4, 300))
    strata = [(("here", "there", "there")[g % 3], ("covid", "normal")[g % 2]) for g in group]
    parts = split.split(strata, group, _SHARES, seed=0)
    for number in set(group):
        assert len(set(parts[group == number])) == 1
    for stratum in set(strata):
        inside = [part for part, its in zip(parts, strata, strict=True) if its == stratum]
        shares = {name: count / len(inside) for name, count in Counter(inside).items()}
        assert abs(shares["train"] - 0.8) < 0.06
        assert abs(shares["test"] - 0.1) < 0.05


def test_the_split_depends_on_the_seed_alone() -> None:
    strata, group = [("", "x")] * 50, np.arange(50)
    first = split.split(strata, group, _SHARES, seed=1)
    assert (first == split.split(strata, group, _SHARES, seed=1)).all()
    assert (first != split.split(strata, group, _SHARES, seed=2)).any()


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """120 images of 60 patients and two hospitals; patient 0 was in both."""
    place = tmp_path / "inputs.uint8"
    place.write_bytes(b"".join(_radiograph(seed).tobytes() for seed in range(120)))
    patients = [f"p{number // 2}" for number in range(120)]
    return Dataset(
        inputs=Rows(place, np.uint8, (256, 256), 120),
        classes=["Covid-19", "Normal"],
        labels=[("Covid-19", "Normal")[number // 2 % 2] for number in range(120)],
        names=[str(number) for number in range(120)],
        patients=patients,
        sources=["north" if number < 81 and number != 1 else "south" for number in range(120)],
        masks=[""] * 120,
        parts=[""] * 120,
        form="test",
        value_range=None,
        left_out=Counter(),
        fingerprint="",
    )


def _leaks(plan: split.Plan) -> int:
    return sum(split.leaking(plan.groups, parts) for parts in plan.rounds)


def test_every_image_is_tested_in_one_fold_and_no_patient_crosses(data: Dataset) -> None:
    plan = split.plan(data, folds=5, hold_out="", seed=0)
    tested = sum((parts == TEST).astype(int) for parts in plan.rounds)
    assert (tested == 1).all()
    assert _leaks(plan) == 0
    for parts in plan.rounds:
        assert set(parts) == set(PARTS)


def test_what_an_image_level_split_would_have_leaked_is_counted(data: Dataset) -> None:
    plan = split.plan(data, folds=0, hold_out="", seed=0)
    assert plan.joined == 120
    assert 0 < plan.crossing < 120
    assert _leaks(plan) == 0


def test_a_source_held_out_is_the_test_set_and_its_patients_teach_nowhere(data: Dataset) -> None:
    plan = split.plan(data, folds=0, hold_out="south", seed=0)
    (parts,) = plan.rounds
    assert (parts == TEST).tolist() == [source == "south" for source in data.sources]
    # images 0 and 80 are in the north, of patients who were in the south too
    assert np.flatnonzero(parts == LEFT_OUT).tolist() == [0, 80]
    assert plan.held_out == "south"


def test_an_unknown_source_to_hold_out_names_those_there_are(data: Dataset) -> None:
    with pytest.raises(SetupError, match="of source 'west'; the data names north, south"):
        split.plan(data, folds=0, hold_out="west", seed=0)


def test_parts_that_the_data_names_are_kept_and_validation_is_taken_from_training(
    data: Dataset,
) -> None:
    data.parts = ["test" if number >= 100 else "train" for number in range(120)]
    plan = split.plan(data, folds=0, hold_out="", seed=0)
    (parts,) = plan.rounds
    assert (parts == TEST).tolist() == [number >= 100 for number in range(120)]
    assert 4 <= (parts == VALIDATION).sum() <= 16
    assert plan.crossing == 0
    data.parts[98] = "test"  # 99 is of the same patient, and teaches
    assert split.plan(data, folds=0, hold_out="", seed=0).crossing == 2


def test_too_few_images_are_said_before_anything_is_computed(data: Dataset) -> None:
    data.labels = ["Covid-19"] * 119 + ["Normal"]
    data.parts = ["train"] * 110 + ["test"] * 10
    with pytest.raises(SetupError, match="Too few images of Normal: none is left to train on"):
        split.plan(data, folds=0, hold_out="", seed=0)


def test_hold_out_and_folds_do_not_override_parts_that_the_data_names(data: Dataset) -> None:
    data.parts = ["test" if number >= 100 else "train" for number in range(120)]
    for options in ({"folds": 5, "hold_out": ""}, {"folds": 0, "hold_out": "south"}):
        with pytest.raises(SetupError, match="the data names its own: leave out one of them"):
            split.plan(data, **options, seed=0)


def test_parts_without_one_for_testing_are_refused_with_the_reason(data: Dataset) -> None:
    data.parts = ["validation" if number >= 100 else "train" for number in range(120)]
    with pytest.raises(SetupError, match="names parts but none for testing"):
        split.plan(data, folds=0, hold_out="", seed=0)


def test_a_leak_in_the_datas_own_parts_is_called_one(data: Dataset) -> None:
    data.parts = ["test" if number >= 99 else "train" for number in range(120)]
    told = split.plan(data, folds=0, hold_out="", seed=0).crossing_text
    assert told.startswith("2 images have one of these in another of the data's own parts")
    assert told.endswith("the figures are too good")


def test_reviewed_images_of_a_patient_who_tests_do_not_teach(data: Dataset) -> None:
    data.parts = ["test" if number >= 100 else "train" for number in range(119)] + ["train"]
    data.sources[119] = "reviewed"
    (parts,) = split.plan(data, folds=0, hold_out="", seed=0).rounds
    assert parts[119] == LEFT_OUT
    assert parts[118] == TEST


@pytest.mark.parametrize(("folds", "hold_out"), [(0, ""), (4, ""), (0, "south")])
def test_what_taught_the_model_before_does_not_test_its_successor(
    data: Dataset, folds: int, hold_out: str
) -> None:
    data.digests = [f"d{number}" for number in range(120)]
    # Every third image was there, in parts that no seed gives.
    before = {f"d{number}": ("train", "test")[number % 2] for number in range(0, 120, 3)}
    plan = split.plan(data, folds, hold_out, 5, before)
    taught = {number // 2 for number in range(0, 120, 3) if number % 2 == 0}
    assert plan.seen == 2 * len(taught)
    for parts in plan.rounds:
        tested = {number // 2 for number in np.flatnonzero(parts == TEST)}
        assert tested and not tested & taught


def test_the_parts_of_a_bundle_are_read_back(tmp_path: Path) -> None:
    parts = np.array(["train", "test", LEFT_OUT, "validation"])
    made_from.save_parts(tmp_path, ["a", "b", "c", "d"], parts)
    assert made_from.load_parts(tmp_path) == {"a": "train", "b": "test", "d": "validation"}
    assert made_from.load_parts(tmp_path / "without") == {}
