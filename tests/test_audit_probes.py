"""What the border tells of the class, and the embedding of the source."""

import numpy as np
import pytest
from audit_samples import Image, asked, chest, sample

from training.audit import probes
from training.audit.sample import choose

_NOISE = np.random.default_rng(5)


def _noisy(image: Image) -> Image:
    return np.clip(image + _NOISE.normal(0, 12, image.shape), 0, 255).astype(np.uint8)


def _border(number: int, sick: bool) -> Image:
    image = chest(120)
    image[:, :8] = 90 if sick else 60
    return _noisy(image)


def _lungs(number: int, sick: bool) -> Image:
    return _noisy(chest(220 if sick else 60))


def test_a_class_that_is_written_on_the_border_is_told_from_it() -> None:
    finding, picture = probes.frame(sample(40, _border), seed=0)
    assert (finding.headline.value, finding.against.value) == (1.0, 0.5)  # type: ignore[union-attr]
    assert picture is not None


def test_a_class_that_is_in_the_lungs_is_not() -> None:
    finding, _ = probes.frame(sample(40, _lungs), seed=0)
    assert finding.headline.value == pytest.approx(0.5, abs=0.25)
    low, high = finding.headline.interval or (1, 0)
    assert low < 0.5 < high


def test_too_few_images_are_said_to_be_too_few() -> None:
    finding, picture = probes.frame(sample(8, _lungs), seed=0)
    assert picture is None
    assert "it takes two classes with 5 images each" in finding.line()


def _darker(number: int, sick: bool) -> Image:
    """A second hospital's images are brighter, whatever the class."""
    return _noisy(chest(120, 30 + 40 * (number // 2 % 2)))


def test_the_source_is_told_from_an_embedding_that_has_it() -> None:
    images = sample(40, _darker, source=lambda number: ("north", "south")[number // 2 % 2])
    finding, picture = probes.source(images, asked(0.2, images)[1].embedding, seed=0)
    assert finding.headline.value == 1.0
    assert picture is not None and b"svg" in picture[:400]
    (from_class,) = finding.details
    # Both hospitals have as many sick: the class tells nothing.
    assert (from_class.value or 1) < 0.7


def test_sources_with_a_class_each_are_told_from_the_class() -> None:
    images = sample(40, _lungs, source=lambda number: ("north", "south")[number % 2])
    finding, _ = probes.source(images, asked(0.2, images)[1].embedding, seed=0)
    (from_class,) = finding.details
    assert from_class.value == 1.0


@pytest.mark.parametrize(
    ("source", "words"), [("", "no image has a source"), ("north", "all images are of one source")]
)
def test_one_source_is_said(source: str, words: str) -> None:
    images = sample(10, _lungs, source=lambda _: source)
    finding, _ = probes.source(images, np.zeros((10, 256), np.float32), seed=0)
    assert words in finding.line()


def test_a_sample_has_of_every_source_and_class_its_share() -> None:
    strata = [("north", "a")] * 80 + [("north", "b")] * 20 + [("south", "a")] * 1
    rows = np.arange(101) + 7
    chosen = choose(rows, strata, 20, seed=1)
    counts = [int(np.isin(chosen, rows[part]).sum()) for part in (slice(80), slice(80, 100), [100])]
    assert counts == [15, 4, 1]
    assert (np.diff(chosen) > 0).all()
    assert (chosen == choose(rows, strata, 20, seed=1)).all()
    assert (chosen != choose(rows, strata, 20, seed=2)).any()
    assert (choose(rows, strata, 500, seed=1) == rows).all()
