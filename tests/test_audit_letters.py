"""The letters of the audit: in the corners alone, all of them, and none that training draws."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from audit_samples import SIDE, asked, chest, sample

from training.audit import stamps
from training.audit.changes import letters
from training.audit.result import Finding
from training.audit.stamps import CORNERS, DARK, EACH, HEIGHTS, SHADES, WORDS, Stamp, stamped

_EVERY = [Stamp(*parts) for parts in product(WORDS, CORNERS, HEIGHTS, SHADES)]


def test_thirty_images_see_every_word_corner_height_and_shade_once() -> None:
    given = list(stamps.stamps(30, seed=3))
    assert Counter(stamp for _, stamp in given) == Counter(_EVERY)
    assert [number for number, _ in given] == [n for n in range(30) for _ in range(EACH)]


def test_the_same_seed_gives_the_same_letters() -> None:
    assert list(stamps.stamps(9, 1)) == list(stamps.stamps(9, 1)) != list(stamps.stamps(9, 2))


@pytest.mark.parametrize("stamp", _EVERY[::7], ids=str)
def test_a_word_stands_in_its_corner_and_leaves_the_middle_alone(stamp: Stamp) -> None:
    for side in (SIDE, 256):
        image = np.full((side, side), 100, np.uint8)
        rows, columns = np.nonzero(stamped(image, stamp) != image)
        assert (image == 100).all(), "the image itself is not written on"
        # Nothing beyond the corner: a word of many letters is as long as the side allows.
        assert rows.size
        reach = side * 0.2
        assert (rows.max() < reach) if "top" in stamp.corner else (rows.min() > side - reach)
        half = side / 2
        assert (columns.max() < half) if "left" in stamp.corner else (columns.min() >= half)


def test_taller_letters_are_taller_and_dark_ones_stand_on_a_light_plate() -> None:
    image = np.full((256, 256), 100, np.uint8)
    heights = []
    for height in HEIGHTS:
        drawn = stamped(image, Stamp("L", "top left", height, SHADES[0]))
        rows = np.nonzero(drawn != 100)[0]
        heights.append((rows.max() - rows.min() + 1) / 256)
    assert heights == pytest.approx(HEIGHTS, abs=0.012)
    dark = stamped(image, Stamp("L", "top left", 0.12, DARK))
    assert (dark.max(), dark.min()) == (215, 15)


def _letters(threshold: float) -> Finding:
    """What letters do to a model that calls bright images Covid-19: the sick have 0.40 or more,
    the well 0.16, and letters add up to 0.05."""
    images = sample(20, lambda number, sick: chest(220 if sick else 60))
    predictor, clean = asked(threshold, images)
    finding, picture = letters(predictor, images, clean, seed=0)
    assert picture is not None and picture.startswith(b"\xff\xd8")
    return finding


def test_a_model_that_letters_make_bright_enough_is_caught() -> None:
    found = _letters(0.19)
    value = found.headline.value
    assert value is not None and found.headline.interval is not None
    assert 0.05 < value < 0.5  # only those of the well can flip
    assert found.headline.interval[0] < value < found.headline.interval[1]
    assert [goal.reached for goal in found.goals] == [False, False]
    details = {figure.name: figure.value for figure in found.details}
    assert (details["largest change of p(Covid-19) of Normal"] or 0) > 0.5
    small, _, large = (details[f"flipped by letters {n} % of a side high"] for n in (5, 8, 12))
    assert small is not None and large is not None and small < large
    assert "goal under 0.5 %: missed" in found.line()


def test_a_model_far_from_its_threshold_is_not() -> None:
    found = _letters(0.3)
    # Nothing flips among 20 images: the interval is that of 20 images, not of 80 stamps.
    assert (found.headline.value, found.headline.interval) == (0.0, [0.0, 0.1611])
    assert [goal.reached for goal in found.goals] == [True, True]
