"""Corners, lungs or the border taken away, and what that does to models that looked there."""

from dataclasses import replace

import numpy as np
import pytest
from audit_samples import LUNGS, SIDE, Image, asked, chest, looks_at_brightness, mask, sample

from scanner.bundle import DEFAULT_BUNDLE, load
from training.audit import blanks
from training.audit.changes import corners, lungs
from training.audit.sample import FIELD_SIDE, Fields, Sample, find_lungs

_INSIDE = chest(255, 0)[::2, ::2] > 0


def _fields(images: Sample) -> Fields:
    count = len(images)
    return Fields(np.stack([_INSIDE] * count), np.ones(count, bool), "drawn")


def test_corners_and_top_are_black_and_the_rest_is_as_it_was() -> None:
    image = np.full((100, 100), 90, np.uint8)
    found = blanks.without_corners(image)
    black = found == 0
    assert black[:8].all()
    assert black[:15, :15].all() and black[-15:, :15].all()
    assert black[:15, -15:].all() and black[-15:, -15:].all()
    assert not black[15:-15].any() and not black[8:, 15:-15].any()
    assert (image == 90).all()


def test_lungs_a_little_widened_are_filled_with_the_mean_of_the_rest() -> None:
    image = chest(250, 40)
    found = blanks.without_lungs(image, _INSIDE)
    assert (found == 40).all()
    # A rim that the field misses is blanked too; what is farther off stays.
    image[LUNGS[0][0], 25] = 250
    image[LUNGS[0][0], 18] = 250
    found = blanks.without_lungs(image, _INSIDE)
    assert (found[60, 25:57] == found[60, 40]).all()
    assert found[60, 18] == 250


def test_the_frame_is_a_sixteenth_of_a_side_wide() -> None:
    image = np.full((256, 256), 90, np.uint8)
    frame = blanks.only_frame(image)
    assert (frame[16:-16, 16:-16] == 0).all()
    assert (frame[:16] == 90).all() and (frame[:, -16:] == 90).all()
    image[16:-16, 16:-16] = 0  # what is inside has no say
    assert (blanks.frame_values(image) == np.float32(90 / 255)).all()


def _in_the_lungs(number: int, sick: bool) -> Image:
    return chest(220 if sick else 60)


def _in_the_corner(number: int, sick: bool) -> Image:
    image = chest(30)
    image[:16, :16] = image[-16:, -16:] = 255 if sick else 30
    return image


def test_a_model_of_the_lungs_falls_to_chance_without_them() -> None:
    images = sample(16, _in_the_lungs)
    finding, _ = lungs(asked(0.3, images)[0], images, _fields(images))
    assert finding.headline.value == 0.0
    assert finding.images == 16
    details = {figure.name: figure.value for figure in finding.details}
    assert details["chance, all called Covid-19"] == 0.5
    assert details["called Normal"] == 1.0  # dark without bright lungs
    assert details["mean probability of the answer"] == pytest.approx(1.0, abs=1e-3)


def test_a_model_of_a_corner_does_not_fall_and_its_labels_flip_with_the_corner() -> None:
    images = sample(16, _in_the_corner)
    predictor, clean = asked(0.13, images)
    assert (clean.probabilities.argmax(axis=1) == images.targets).all()
    finding, _ = lungs(predictor, images, _fields(images))
    assert finding.headline.value == 0.5
    # Both corners are black without them, as in nobody who is sick.
    finding, _ = corners(predictor, images, clean)
    assert finding.headline.value == 0.5
    flips = {figure.name: figure.value for figure in finding.details}
    assert flips == {"labels flipped of Covid-19": 1.0, "labels flipped of Normal": 0.0}


def test_lungs_of_one_class_alone_leave_nothing_to_fall_to() -> None:
    images = sample(8, _in_the_lungs)
    known = images.targets == 1
    finding, picture = lungs(
        asked(0.3, images)[0], images, Fields(_fields(images).inside, known, "drawn")
    )
    assert (finding.headline.value, picture) == (None, None)
    assert finding.line() == (
        "Lungs blanked: not done, all images whose lungs are known are Normal"
    )


def test_masks_say_where_the_lungs_are(tmp_path_factory: pytest.TempPathFactory) -> None:
    images = sample(4, _in_the_lungs, mask(tmp_path_factory.mktemp("masks")))
    clean = asked(0.3, images)[1]
    found = find_lungs(images, looks_at_brightness(0.3), clean)
    assert found.known.all()
    assert found.inside.shape == (4, FIELD_SIDE, FIELD_SIDE)
    assert (found.inside == _INSIDE).mean() > 0.99
    assert found.text == "lungs of 4 images drawn by people"


def test_without_masks_and_a_head_that_reads_these_inputs_they_are_unknown() -> None:
    images = sample(4, _in_the_lungs)
    assert load(DEFAULT_BUNDLE).spec.size != SIDE
    found = find_lungs(images, looks_at_brightness(0.3), asked(0.3, images)[1])
    assert not found.known.any()
    assert "4 of 4 images have no lung mask" in found.text


def test_the_models_own_head_finds_them_where_there_is_no_mask() -> None:
    images = sample(4, _in_the_lungs)
    clean = asked(0.3, images)[1]
    lungs_of = np.stack([_INSIDE[::2, ::2].astype(np.float32)] * 4)
    found = find_lungs(images, looks_at_brightness(0.3), replace(clean, lungs=lungs_of))
    assert found.known.all()
    assert (found.inside == _INSIDE).mean() > 0.95
    assert found.text == "lungs of 4 images found by the audited model"
