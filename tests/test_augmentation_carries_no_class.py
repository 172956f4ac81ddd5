"""Augmented copies are seeded, mirror nothing unasked, and are as common in every class."""

import cv2
import numpy as np

from training.augment import Augmentation, augmented, contact_sheet, lifts, made
from training.draw import Draw, copies_needed


def _chest() -> np.ndarray:
    """A dark field on the left, a bright one on the right, and a letter at the top left."""
    image = np.full((256, 256), 60, np.uint8)
    image[60:200, 140:230] = 200
    cv2.putText(image, "R", (8, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 255, 2)
    return image


def _copies(count: int, flip: bool = False, seed: int = 0) -> list[np.ndarray]:
    return list(made(iter([(0, _chest())]), np.array([count]), Augmentation(1, flip, seed)))


def _mirrored(image: np.ndarray) -> bool:
    plain, turned = _chest().astype(float), _chest()[:, ::-1].astype(float)
    middle = np.s_[60:200, 40:216]
    like = np.corrcoef(image[middle].ravel(), plain[middle].ravel())[0, 1]
    return bool(np.corrcoef(image[middle].ravel(), turned[middle].ravel())[0, 1] > like)


def test_the_same_seed_gives_the_same_copies() -> None:
    for first, second in zip(_copies(5), _copies(5), strict=True):
        assert (first == second).all()
    assert any((a != b).any() for a, b in zip(_copies(5), _copies(5, seed=1), strict=True))


def test_every_copy_is_another_picture_of_the_same_form() -> None:
    copies = _copies(20)
    assert all(copy.shape == (256, 256) and copy.dtype == np.uint8 for copy in copies)
    assert len({copy.tobytes() for copy in copies}) == 20


def test_nothing_is_mirrored_unless_asked() -> None:
    assert not any(_mirrored(copy) for copy in _copies(40))
    assert 5 < sum(_mirrored(copy) for copy in _copies(40, flip=True)) < 35


def test_markers_are_stamped_and_the_true_ones_lost() -> None:
    corner = np.s_[0:50, 0:50]
    bare = np.full((256, 256), 60, np.uint8)
    random = [np.random.default_rng(n) for n in range(200)]
    stamped = [augmented(bare, r, False) for r in random]
    for quarter in (corner, np.s_[0:50, 206:], np.s_[206:, 0:50], np.s_[206:, 206:]):
        assert sum(np.ptp(copy[quarter]) > 100 for copy in stamped) > 20
    lost = sum(np.ptp(copy[corner]) < 60 for copy in _copies(200))
    assert lost > 10


def test_a_rare_class_is_shown_as_often_as_the_common_one_up_to_a_limit() -> None:
    targets = np.array([0] * 100 + [1] * 40 + [2] * 2)
    assert lifts(targets, 3).tolist() == [1.0, 2.5, 8.0]
    draw = _draw(targets, copies_each=1)
    shown = np.bincount(_originals(draw, targets, draw.rows(0)), minlength=len(targets))
    by_class = [shown[targets == number].sum() for number in range(3)]
    assert by_class == [100, 100, 16]
    assert draw.size == 216
    assert set(shown[targets == 1]) == {2, 3}


def test_the_odds_of_being_augmented_are_those_of_every_class() -> None:
    targets = np.array([0] * 300 + [1] * 60)
    draw = _draw(targets, copies_each=1)
    augmented_share = np.zeros(2)
    for epoch in range(20):
        rows = draw.rows(epoch)
        originals = _originals(draw, targets, rows)
        for number in range(2):
            augmented_share[number] += (rows >= len(targets))[targets[originals] == number].mean()
    assert abs(augmented_share / 20 - 0.5).max() < 0.03


def test_only_training_images_have_copies_and_are_shown() -> None:
    targets = np.array([0, 1] * 30)
    taught = np.arange(0, 40)
    copies = copies_needed([taught], targets, 2, copies=2, lift=True)
    assert (copies[:40] == 2).all() and (copies[40:] == 0).all()
    draw = _draw(targets, copies_each=2, images=taught)
    assert set(_originals(draw, targets, draw.rows(3))) == set(taught)


def test_with_class_weights_every_image_is_shown_once_and_classes_weigh_alike() -> None:
    targets = np.array([0] * 90 + [1] * 10)
    draw = _draw(targets, copies_each=0, lift=False)
    rows = draw.rows(0)
    assert sorted(rows) == list(range(100))
    weights = draw.weights(targets[rows])
    assert np.isclose(weights[targets[rows] == 0].sum(), weights[targets[rows] == 1].sum())
    assert np.isclose(weights.mean(), 1)


def test_the_contact_sheet_shows_each_original_beside_its_copies() -> None:
    sheet = contact_sheet([_chest(), _chest()], Augmentation(1, False, 0))
    picture = cv2.imdecode(np.frombuffer(sheet, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (2 * 164, 6 * 164)
    original = cv2.resize(_chest(), (160, 160), interpolation=cv2.INTER_AREA)
    assert np.abs(picture[2:162, 2:162].astype(int) - original).mean() < 4


def _draw(
    targets: np.ndarray, copies_each: int, lift: bool = True, images: np.ndarray | None = None
) -> Draw:
    images = np.arange(len(targets)) if images is None else images
    copies = copies_needed([images], targets, int(targets.max()) + 1, copies_each, lift)
    first = len(targets) + np.concatenate([[0], np.cumsum(copies)[:-1]])
    classes = int(targets.max()) + 1
    return Draw(images, targets, first, copies, copies_each, classes, lift, seed=0)


def _originals(draw: Draw, targets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Which original each row is, or is a copy of."""
    of_copies = np.repeat(np.arange(len(targets)), draw.copies)
    return np.concatenate([np.arange(len(targets)), of_copies])[rows]
