"""Heat maps of a model whose evidence is known: where it lies, what it counts, what it hangs on."""

from dataclasses import replace

import numpy as np
import pytest
from audit_samples import CLASSES, LUNGS, SIDE, Image, asked, chest, looks_at_brightness, sample
from small_models import random_weights

from scanner.bundle import Bundle
from scanner.predictor import Predictor
from scanner.preprocess import PreprocessSpec
from training.audit.evidence import focus, randomised, removal
from training.audit.result import Finding
from training.audit.sample import Fields, Sample

_INSIDE = chest(255, 0)[::2, ::2] > 0


def _in_the_lungs(number: int, sick: bool) -> Image:
    image = chest(0, 0)
    image[48:64, 32:48] = image[64:80, 80:96] = 200  # whole cells of the map
    return image


def _in_the_corner(number: int, sick: bool) -> Image:
    image = chest(0, 0)
    image[:16, :16] = 200
    return image


def _focus(images: Sample) -> Finding:
    inside = np.stack([_INSIDE] * len(images))
    fields = Fields(inside, np.ones(len(images), bool), "drawn by people")
    return focus(images, asked(0.0, images)[1], fields)[0]


def test_evidence_in_the_lungs_is_all_in_the_lungs() -> None:
    finding = _focus(sample(6, _in_the_lungs))
    assert (finding.headline.value, finding.headline.interval) == (1.0, [1.0, 1.0])
    assert [goal.reached for goal in finding.goals] == [True, True]
    details = {figure.name: figure.value for figure in finding.details}
    area = sum((r.stop - r.start) * (c.stop - c.start) for r, c in LUNGS) / SIDE**2
    assert details["lift"] == pytest.approx(1 / area, abs=1e-3)
    assert details["hottest point in the lungs"] == 1.0
    assert details["share, Normal"] == 1.0


def test_evidence_in_a_corner_is_not() -> None:
    finding = _focus(sample(6, _in_the_corner))
    assert finding.headline.value == 0.0
    assert [goal.reached for goal in finding.goals] == [False, False]
    details = {figure.name: figure.value for figure in finding.details}
    assert details["hottest point in the lungs"] == 0.0


def test_without_lungs_it_is_said_why_it_was_not_done() -> None:
    images = sample(2, _in_the_lungs)
    nowhere = Fields(np.zeros((2, 64, 64), bool), np.zeros(2, bool), "no masks")
    finding, picture = focus(images, asked(0.0, images)[1], nowhere)
    assert picture is None
    assert finding.line() == "Evidence in the lungs: not done, no masks"


def test_maps_that_are_empty_have_no_share() -> None:
    images = sample(2, _in_the_lungs)
    clean = asked(0.0, images)[1]
    known = Fields(np.stack([_INSIDE] * 2), np.ones(2, bool), "drawn by people")
    finding, _ = focus(images, replace(clean, cam=np.zeros_like(clean.cam)), known)
    assert finding.line() == "Evidence in the lungs: not done, every heat map is empty"


def test_a_true_map_beats_a_random_order_and_a_false_one_does_worse() -> None:
    images = sample(4, _in_the_lungs)
    predictor, clean = asked(0.02, images)
    finding, picture = removal(predictor, images, clean, np.arange(4), seed=0)
    assert picture is not None and picture.startswith(b"<")
    assert finding.headline.interval is not None and finding.against is not None
    assert finding.headline.interval[0] > max(finding.against.value or 0, 0.1)
    deletion, insertion = (figure.value for figure in finding.details)
    assert (insertion or 0) - (deletion or 1) == pytest.approx(finding.headline.value, abs=1e-3)
    false = replace(clean, cam=clean.cam.max() - clean.cam)
    finding, _ = removal(predictor, images, false, np.arange(4), seed=0)
    assert (finding.headline.value or 1) < -0.1


def test_a_map_changes_when_its_weights_do() -> None:
    weights = random_weights("cnn10", 2)
    bundle = Bundle("", CLASSES, PreprocessSpec(size=SIDE), 1.0, weights, {}, "cnn10")
    random = np.random.default_rng(0)
    images = sample(4, lambda *_: random.integers(0, 256, (SIDE, SIDE), dtype=np.uint8))
    predictor = Predictor(bundle, 8, "float32")
    clean = predictor.predict(list(images.images))
    finding, _ = randomised(bundle, predictor, images, clean, np.arange(4), seed=0)
    assert finding.headline.name == "rank correlation, head and block4 random"
    assert abs(finding.headline.value or 0) < 0.5


def test_a_map_that_shows_the_image_whatever_the_weights_is_caught() -> None:
    # One channel passes the image on: a positive head of any size gives the same map.
    bundle = looks_at_brightness(0.0)
    random = np.random.default_rng(0)
    images = sample(4, lambda *_: random.integers(0, 256, (SIDE, SIDE), dtype=np.uint8))
    predictor, clean = asked(0.0, images)
    finding, _ = randomised(bundle, predictor, images, clean, np.arange(4), seed=0)
    (head_alone,) = finding.details
    assert (head_alone.value or 0) > 0.9
