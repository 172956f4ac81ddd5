"""How much of the evidence lies in the lungs: share, area and lift of maps made by hand."""

import numpy as np
import pytest

from scanner.focus import lung_focus
from scanner.radiograph import FloatArray


def left_half(count: int = 1, probability: float = 0.9) -> FloatArray:
    """Lung probabilities (count, 32, 32): `probability` in the left half, little elsewhere."""
    lungs = np.full((count, 32, 32), 0.1, np.float32)
    lungs[:, :, :16] = probability
    return lungs


def hot(*cells: tuple[int, int]) -> FloatArray:
    """A map (1, 16, 16) with the same energy in each of `cells`."""
    cam = np.zeros((1, 16, 16), np.float32)
    for row, column in cells:
        cam[0, row, column] = 3
    return cam


@pytest.mark.parametrize(
    ("cells", "share"),
    [
        ([(3, 2), (9, 7)], 1.0),
        ([(3, 2), (9, 12)], 0.5),
        ([(3, 12), (15, 15)], 0.0),
        ([(0, 0), (0, 8), (0, 9), (0, 10)], 0.25),
    ],
)
def test_the_share_is_that_of_the_energy_in_the_field(
    cells: list[tuple[int, int]], share: float
) -> None:
    focus = lung_focus(hot(*cells), left_half())
    assert focus.share[0] == pytest.approx(share)
    assert focus.area[0] == pytest.approx(0.5)
    assert focus.lift[0] == pytest.approx(2 * share)


def test_rows_and_columns_are_not_swapped() -> None:
    lungs = np.zeros((1, 32, 32), np.float32)
    lungs[0, :4, :] = 1  # the top
    assert lung_focus(hot((0, 15)), lungs).share[0] == 1
    assert lung_focus(hot((15, 0)), lungs).share[0] == 0


def test_a_map_that_looks_everywhere_alike_has_lift_one() -> None:
    lungs = np.random.default_rng(3).random((4, 32, 32)).astype(np.float32)
    focus = lung_focus(np.ones((4, 16, 16), np.float32), lungs)
    np.testing.assert_allclose(focus.lift, 1)
    np.testing.assert_allclose(focus.area, (lungs >= 0.5).mean(axis=(1, 2)))


def test_a_cell_that_is_partly_lung_counts_with_that_part() -> None:
    lungs = np.zeros((1, 32, 32), np.float32)
    lungs[0, 6, 4] = 1  # a quarter of cell (3, 2)
    assert lung_focus(hot((3, 2)), lungs).share[0] == pytest.approx(0.25)


@pytest.mark.parametrize(("probability", "area"), [(0.49, 0.0), (0.5, 0.5), (1.0, 0.5)])
def test_a_cell_is_lung_where_that_is_more_likely_than_not(probability: float, area: float) -> None:
    assert lung_focus(hot((3, 2)), left_half(probability=probability)).area[0] == area


def test_an_empty_map_has_no_share_and_spoils_no_other() -> None:
    cam = np.concatenate([np.zeros((1, 16, 16), np.float32), hot((3, 2))])
    focus = lung_focus(cam, left_half(2))
    assert np.isnan([focus.share[0], focus.lift[0]]).all()
    assert (focus.share[1], focus.area[0]) == (1, 0.5)


def test_without_a_field_there_is_no_lift() -> None:
    focus = lung_focus(hot((3, 2)), np.zeros((1, 32, 32), np.float32))
    assert (focus.share[0], focus.area[0]) == (0, 0)
    assert np.isnan(focus.lift[0])


@pytest.mark.parametrize("scale", [1e-38, 1e30])
def test_the_scale_of_a_map_does_not_matter(scale: float) -> None:
    cam = hot((3, 2), (9, 12)) * np.float32(scale)
    assert lung_focus(cam, left_half()).share[0] == pytest.approx(0.5)


def test_no_warning_is_raised_over_what_is_undefined(recwarn: pytest.WarningsRecorder) -> None:
    lung_focus(np.zeros((2, 16, 16), np.float32), np.zeros((2, 32, 32), np.float32))
    assert not recwarn
