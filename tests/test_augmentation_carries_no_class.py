"""Augmented copies are seeded, mirror nothing unasked, and are as common in every class."""

import cv2
import numpy as np

from training.augment import Augmentation, augmented, contact_sheet, made
from training.draw import Draw, copies_needed, lifts
from training.markers import stamp


def _chest() -> np.ndarray:
    """A dark field on the left, a bright one on the right, and a letter at the top left."""
    image = np.full((256, 256), 60, np.uint8)
    image[60:200, 140:230] = 200
    cv2.putText(image, "R", (8, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 255, 2)
    return image


def _copies(count: int, flip: bool = False, seed: int = 0) -> list[np.ndarray]:
    settings = Augmentation(1, flip, seed)
    return [c.image for c in made(iter([(0, _chest(), None)]), np.array([count]), settings)]


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


def test_markers_are_stamped_into_every_corner() -> None:
    """A letter leaves thin strokes: what closing them (greys spread over their rims) takes away."""
    flat = np.full((256, 256), 60, np.uint8)
    copies = [augmented(flat, None, np.random.default_rng(n), False).image for n in range(200)]
    strokes = [cv2.morphologyEx(c, cv2.MORPH_TOPHAT, np.ones((9, 9), np.uint8)) for c in copies]
    for corner in (np.s_[:70, :70], np.s_[:70, 186:], np.s_[186:, :70], np.s_[186:, 186:]):
        # Noise and the edges of blanked boxes leave less than this.
        assert sum((stroke[corner] > 90).sum() > 15 for stroke in strokes) > 20


def test_a_stamp_is_near_a_corner_and_leaves_the_rest_alone() -> None:
    for seed in range(100):
        image = np.full((256, 256), 60, np.uint8)
        stamp(image, np.random.default_rng(seed))
        assert (image != 60).any()
        assert (image[100:156, 100:156] == 60).all()


def test_true_markers_are_lost_in_some_copies() -> None:
    corner = np.s_[0:50, 0:50]
    assert sum(np.ptp(copy[corner]) < 60 for copy in _copies(200)) > 10


def test_a_rare_class_is_shown_as_often_as_the_common_one_up_to_a_limit() -> None:
    targets = np.array([0] * 100 + [1] * 40 + [2] * 2)
    times = lifts(targets, np.zeros_like(targets))
    assert [times[0], times[100], times[140]] == [1.0, 2.5, 8.0]
    draw = _draw(targets, copies_each=1)
    shown = np.bincount(_originals(draw, targets, draw.rows(0)), minlength=len(targets))
    by_class = [shown[targets == number].sum() for number in range(3)]
    assert by_class == [100, 100, 16]
    assert draw.size == 216
    assert set(shown[targets == 1]) == {2, 3}


def test_a_rare_source_of_a_class_is_lifted_and_classes_stay_balanced() -> None:
    targets = np.array([0] * 100 + [1] * 80 + [1] * 20)
    sources = np.array([0] * 100 + [0] * 80 + [1] * 20)
    times = lifts(targets, sources)
    assert np.isclose(times[180] / times[100], 2.0)  # four times rarer, shown twice as often
    assert np.isclose(times[targets == 0].sum(), times[targets == 1].sum())


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
    copies = copies_needed([taught], targets, np.zeros_like(targets), copies=2, lift=True)
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
    sheet = contact_sheet([(_chest(), None), (_chest(), None)], Augmentation(1, False, 0))
    picture = cv2.imdecode(np.frombuffer(sheet, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (2 * 164, 6 * 164)
    original = cv2.resize(_chest(), (160, 160), interpolation=cv2.INTER_AREA)
    assert np.abs(picture[2:162, 2:162].astype(int) - original).mean() < 4


def _draw(
    targets: np.ndarray, copies_each: int, lift: bool = True, images: np.ndarray | None = None
) -> Draw:
    images = np.arange(len(targets)) if images is None else images
    sources = np.zeros_like(targets)
    copies = copies_needed([images], targets, sources, copies_each, lift)
    first = len(targets) + np.concatenate([[0], np.cumsum(copies)[:-1]])
    classes = int(targets.max()) + 1
    return Draw(images, targets, sources, first, copies, copies_each, classes, lift, seed=0)


def _originals(draw: Draw, targets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Which original each row is, or is a copy of."""
    of_copies = np.repeat(np.arange(len(targets)), draw.copies)
    return np.concatenate([np.arange(len(targets)), of_copies])[rows]
