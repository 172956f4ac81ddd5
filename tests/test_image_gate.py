"""What a picture shows rules it out or raises a flag: its kind, and where the lungs are."""

import numpy as np
import pytest

from scanner.errors import Rejection
from scanner.gate import states_frontal_chest
from scanner.heads import KINDS
from scanner.image_gate import MAX_LUNG_ON_A_SIDE, MIN_LUNG_AREA, admit_kind, admit_lungs
from scanner.radiograph import FloatArray


def kinds(frontal: float, other: str = "ct_slice") -> FloatArray:
    """Probabilities of the kinds: `other` has most of what a frontal radiograph leaves."""
    values = np.full(len(KINDS), 0.1 * (1 - frontal) / (len(KINDS) - 2), np.float32)
    values[0], values[KINDS.index(other)] = frontal, 0.9 * (1 - frontal)
    return values


def chest() -> FloatArray:
    """Lung probabilities (32, 32) with a lung on either side, away from the edges."""
    lungs = np.full((32, 32), 0.02, np.float32)
    lungs[6:25, 4:13] = lungs[6:25, 19:28] = 0.97
    return lungs


@pytest.mark.parametrize("kind", KINDS[1:])
def test_another_kind_of_picture_is_rejected_as_what_it_is(kind: str) -> None:
    with pytest.raises(Rejection, match=r"probability 0\.8[0-9]; .* 0\.010") as raised:
        admit_kind(kinds(0.01, kind), 0.05, 0.5)
    assert raised.value.reason == kind


@pytest.mark.parametrize(
    ("frontal", "flags"), [(0.05, ("kind_unclear",)), (0.49, ("kind_unclear",)), (0.5, ()), (1, ())]
)
def test_what_may_be_frontal_is_judged(frontal: float, flags: tuple[str, ...]) -> None:
    assert admit_kind(kinds(frontal), 0.05, 0.5) == flags


def test_the_lines_are_those_of_the_model() -> None:
    assert admit_kind(kinds(0.3), 0.1, 0.2) == ()
    with pytest.raises(Rejection):
        admit_kind(kinds(0.3), 0.4, 0.5)


def test_a_whole_chest_raises_no_flag() -> None:
    assert admit_lungs(chest()) == ()


@pytest.mark.parametrize("cells", [0, int(MIN_LUNG_AREA * 1024)])
def test_a_picture_without_lungs_is_rejected(cells: int) -> None:
    lungs = np.zeros((32, 32), np.float32)
    lungs[10, :cells] = 1
    with pytest.raises(Rejection, match="of the picture") as raised:
        admit_lungs(lungs)
    assert raised.value.reason == "no_lungs"


def test_little_lung_is_not_none() -> None:
    lungs = np.zeros((32, 32), np.float32)
    lungs[10, : int(MIN_LUNG_AREA * 1024) + 1] = 1
    admit_lungs(lungs)


@pytest.mark.parametrize("turns", range(4))
def test_lungs_that_run_out_of_the_picture_are_flagged_on_every_side(turns: int) -> None:
    lungs = np.rot90(chest()[8:], turns)
    assert admit_lungs(np.ascontiguousarray(lungs)) == ("lungs_cut",)


def test_lungs_that_touch_an_edge_with_their_tips_are_whole() -> None:
    lungs = chest()
    lungs[:6, 7 : 7 + int(MAX_LUNG_ON_A_SIDE * 32)] = 0.97
    assert admit_lungs(lungs) == ()


@pytest.mark.parametrize(
    ("body_part", "view", "stated"),
    [
        ("CHEST", "PA", True),
        ("THORAX", "AP", True),
        ("chest", "pa", True),
        ("CHEST", "", False),
        ("", "PA", False),
        ("HAND", "PA", False),
        ("CHEST", "LL", False),
        ("CHEST", "PA_LATERAL", False),
        ("", "", False),
    ],
)
def test_a_header_states_a_frontal_chest_only_in_plain_words(
    body_part: str, view: str, stated: bool
) -> None:
    assert states_frontal_chest(body_part, view) is stated
