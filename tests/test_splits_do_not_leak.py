"""Patients and near-duplicates stay on one side of a split."""

from collections import Counter

import cv2
import numpy as np

from training import split
from training.labels import canonical


def _radiograph(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (24, 24), dtype=np.uint8)
    return cv2.resize(noise, (256, 256), interpolation=cv2.INTER_CUBIC)


def test_a_recompressed_copy_joins_its_original() -> None:
    original, other = _radiograph(1), _radiograph(2)
    small = cv2.resize(original, (200, 200), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])
    copy = cv2.resize(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), (256, 256))
    groups = split.groups(["", "", ""], split.difference_hashes(np.stack([original, copy, other])))
    assert groups[0] == groups[1] != groups[2]


def test_images_of_one_patient_are_one_group() -> None:
    hashes = split.difference_hashes(np.stack([_radiograph(i) for i in range(4)]))
    groups = split.groups(["a", "b", "a", ""], hashes)
    assert groups[0] == groups[2]
    assert len(set(groups)) == 3


def test_no_group_is_divided_and_every_stratum_is_shared_out() -> None:
    random = np.random.default_rng(3)
    group = np.repeat(np.arange(300), random.integers(1, 4, 300))
    labels = [("covid", "normal")[g % 2] for g in group]
    sources = [("here", "there", "there")[g % 3] for g in group]
    parts = split.split(labels, sources, group, seed=0)
    for number in set(group):
        assert len(set(parts[group == number])) == 1
    for stratum in set(zip(labels, sources, strict=True)):
        inside = [p for p, *s in zip(parts, labels, sources, strict=True) if tuple(s) == stratum]
        shares = {name: count / len(inside) for name, count in Counter(inside).items()}
        assert abs(shares["train"] - 0.8) < 0.06
        assert abs(shares["test"] - 0.1) < 0.05


def test_the_split_depends_on_the_seed_alone() -> None:
    group = np.arange(50)
    labels, sources = ["x"] * 50, [""] * 50
    first = split.split(labels, sources, group, seed=1)
    assert (first == split.split(labels, sources, group, seed=1)).all()
    assert (first != split.split(labels, sources, group, seed=2)).any()


def test_labels_of_the_known_data_sets_are_understood() -> None:
    assert canonical("COVID") == canonical("COVID-19, ARDS") == "Covid-19"
    assert canonical("No_findings") == canonical(" normal ") == "Normal"
    assert canonical("Viral Pneumonia") == canonical("Streptococcus") == "Pneumonia"
    assert canonical("Lung_Opacity") is None
