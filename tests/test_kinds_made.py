"""Pictures made of a chest show what their kind says, and a chest that stays one stays whole."""

import cv2
import numpy as np
import pytest

from training import made_kinds

SIZE = 64
MAKERS = [
    made_kinds.frontal,
    made_kinds.upside_down,
    made_kinds.turned,
    made_kinds.inverted,
    made_kinds.part_of_chest,
    made_kinds.no_radiograph,
    made_kinds.varied,
    lambda image, random: made_kinds.several_images([image, image], random),
]


def chest() -> np.ndarray:
    """A bright body with two dark lungs above a bright abdomen, on dark air."""
    picture = np.full((SIZE, SIZE), 20, np.uint8)
    cv2.rectangle(picture, (6, 8), (58, 63), 190, -1)
    for x in (22, 42):
        cv2.ellipse(picture, (x, 28), (7, 14), 0, 0, 360, 70, -1)
    noise = np.random.default_rng(0).normal(0, 4, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def mean_of(maker, count: int = 60) -> np.ndarray:
    made = [maker(chest(), np.random.default_rng(seed)) for seed in range(count)]
    return np.mean(made, axis=0)


def alike(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@pytest.mark.parametrize("maker", MAKERS)
def test_the_same_seed_makes_the_same_picture_and_another_another(maker) -> None:
    first, again, other = (maker(chest(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.dtype == np.uint8
    assert first.shape == (SIZE, SIZE)
    assert (first == again).all()
    assert (first != other).any()


def test_a_frontal_variant_is_still_a_whole_upright_chest() -> None:
    assert alike(mean_of(made_kinds.frontal), chest()) > 0.8
    made = [made_kinds.frontal(chest(), np.random.default_rng(seed)) for seed in range(60)]
    # Blanked corners and paper around it change a few more.
    assert np.mean([alike(picture, chest()) > 0.3 for picture in made]) > 0.85


def test_upside_down_has_its_abdomen_above() -> None:
    made = mean_of(made_kinds.upside_down)
    assert alike(made, chest()[::-1]) > 0.8
    assert alike(made, chest()) < 0.4


def test_turned_lies_on_either_side() -> None:
    made = mean_of(made_kinds.turned)
    lying = (np.rot90(chest()).astype(float) + np.rot90(chest(), -1)) / 2
    assert alike(made, lying) > 0.8
    spread = [
        alike(made_kinds.turned(chest(), np.random.default_rng(seed)), np.rot90(chest()))
        - alike(made_kinds.turned(chest(), np.random.default_rng(seed)), np.rot90(chest(), -1))
        for seed in range(30)
    ]
    assert min(spread) < -0.1
    assert max(spread) > 0.1


def test_inverted_has_bright_air_and_dark_bone() -> None:
    assert alike(mean_of(made_kinds.inverted), chest()) < -0.8


def test_several_images_repeat_what_one_shows_once() -> None:
    for seed in range(30):
        made = made_kinds.several_images([chest(), chest()], np.random.default_rng(seed))
        half = SIZE // 2
        across = alike(made[:, :half], made[:, half:])
        down = alike(made[:half], made[half:])
        third = SIZE // 3
        thirds = alike(made[:, :third], made[:, SIZE - third :])
        assert max(across, down, thirds) > 0.2
    assert alike(mean_of(lambda c, r: made_kinds.several_images([c, c], r)), chest()) < 0.6


def test_a_part_of_the_chest_holds_no_whole_lung() -> None:
    numbered = np.zeros((SIZE, SIZE), np.uint8)
    for x in (22, 42):
        cv2.ellipse(numbered, (x, 28), (7, 14), 0, 0, 360, 255, -1)
    for left, top, side in made_kinds._PARTS.values():
        reach = (side * 1.1 + 0.03) * SIZE
        x, y = max(left * SIZE - 2, 0), max(top * SIZE - 2, 0)
        cut = numbered[int(y) : int(y + reach) + 1, int(x) : int(x + reach) + 1]
        assert (cut > 0).sum() < 0.6 * (numbered > 0).sum() / 2


def test_what_is_no_radiograph_does_not_show_the_chest() -> None:
    made = [made_kinds.no_radiograph(chest(), np.random.default_rng(seed)) for seed in range(60)]
    assert np.mean([abs(alike(picture, chest())) for picture in made]) < 0.3
    assert all(np.ptp(picture) > 0 for picture in made)


def test_softness_is_no_mark_of_a_kind() -> None:
    """As many of each kind are soft, so that softness tells nothing."""
    grain = np.random.default_rng(1).normal(0, 40, (SIZE, SIZE))
    grainy = np.clip(chest() + grain, 0, 255).astype(np.uint8)

    def share(maker) -> float:
        made = (maker(grainy, np.random.default_rng(seed)) for seed in range(150))
        return float(np.mean([cv2.Laplacian(one, cv2.CV_64F).std() < 40 for one in made]))

    shares = [share(maker) for maker in MAKERS[:4]]
    assert min(shares) > 0.15
    assert max(shares) - min(shares) < 0.17
