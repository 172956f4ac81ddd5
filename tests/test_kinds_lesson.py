"""What the head of kinds is taught: bounded, repeatable, of every source, and split by original."""

from collections import Counter

import cv2
import numpy as np

from scanner.heads import KINDS
from training import kinds
from training.negatives import Negative

SIZE = 48
COUNTS = kinds.Counts(originals=12, variants=9, made=7, given=5)


def originals(count: int) -> np.ndarray:
    """Pictures that are told from each other however they are changed a little."""
    random = np.random.default_rng(5)
    coarse = random.integers(0, 256, (count, 4, 4), dtype=np.uint8)
    return np.stack(
        [cv2.resize(one, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for one in coarse]
    )


def negatives() -> list[Negative]:
    pictures = originals(60)[40:]
    laterals = [Negative(pictures[i], "lateral_view", f"p{i // 2}") for i in range(8)]
    return [
        *laterals,
        Negative(pictures[8], "ct_slice", "p0"),
        Negative(pictures[9], "ct_slice", "q"),
    ]


def lesson(seed: int = 1, images: int = 20) -> kinds.Lesson:
    everything = originals(60)
    return kinds.lesson(everything, range(images), ["a"] * 60, negatives(), seed, COUNTS)


def named(one: kinds.Lesson) -> Counter[str]:
    return Counter(KINDS[kind] for kind in one.kinds)


def index_of(picture: np.ndarray, among: np.ndarray) -> int:
    """The original that a picture was made of, of which mirrored ones count too."""
    flat = picture.astype(float).ravel()
    both = [
        max(np.corrcoef(flat, way.astype(float).ravel())[0, 1] for way in (one, one[:, ::-1]))
        for one in among
    ]
    return int(np.argmax(both))


def test_every_kind_has_the_pictures_it_was_promised() -> None:
    assert named(lesson()) == {
        "frontal": 12 + 9,
        "upside_down": 7,
        "turned": 7,
        "inverted": 7,
        "several_images": 7,
        "other_body_part": 7,
        "not_a_radiograph": 7,
        "lateral_view": 8,  # more than `given` were given: no variants
        "ct_slice": 5,  # two were given
    }


def test_fewer_radiographs_than_asked_for_are_enough() -> None:
    assert named(lesson(images=4))["frontal"] == 4 + 9


def test_a_seed_makes_one_lesson_and_another_seed_another() -> None:
    first, again, other = lesson(1), lesson(1), lesson(2)
    assert (first.images == again.images).all()
    assert (first.kinds == again.kinds).all()
    assert (first.images != other.images).any()


def test_only_the_rows_named_are_used() -> None:
    everything = originals(60)
    used = {everything[i].tobytes() for i in (3, 5, 8)}
    taught = kinds.lesson(everything, [3, 5, 8], ["a"] * 60, [], 1, COUNTS)
    assert {picture.tobytes() for picture in taught.images[:3]} == used
    made = taught.images[taught.kinds == KINDS.index("upside_down")]
    right = [index_of(picture[::-1], everything) in (3, 5, 8) for picture in made]
    assert np.mean(right) > 0.8  # one is changed beyond recognition


def test_a_rare_source_is_taken_whole() -> None:
    everything = originals(60)
    sources = ["rare" if i % 12 == 0 else "frequent" for i in range(60)]
    taught = kinds.lesson(everything, range(60), sources, [], 1, COUNTS)
    taken = {index_of(picture, everything) for picture in taught.images[:12]}
    assert taken >= {0, 12, 24, 36, 48}


def test_what_is_made_of_one_original_is_in_one_fold() -> None:
    everything = originals(60)
    taught = kinds.lesson(everything, range(20), ["a"] * 60, [], 1, COUNTS)
    frontal = taught.kinds == kinds.FRONTAL
    fold_of = {
        index_of(picture, everything): fold
        for picture, fold in zip(taught.images[:12], taught.folds[:12], strict=True)
    }
    assert set(fold_of.values()) == set(range(kinds.FOLDS))
    inverted = taught.kinds == KINDS.index("inverted")
    pictures = [*taught.images[frontal], *(255 - taught.images[inverted])]
    folds = [*taught.folds[frontal], *taught.folds[inverted]]
    right = [
        fold_of.get(index_of(picture, everything)) == fold
        for picture, fold in zip(pictures, folds, strict=True)
    ]
    assert np.mean(right) > 0.8  # a few are changed beyond recognition


def test_the_pictures_of_a_patient_are_in_one_fold_whatever_their_kind() -> None:
    taught = lesson()
    fold_of = {
        picture.tobytes(): fold for picture, fold in zip(taught.images, taught.folds, strict=True)
    }
    folds: dict[str, set[int]] = {}
    for negative in negatives():
        folds.setdefault(negative.origin, set()).add(int(fold_of[negative.image.tobytes()]))
    assert all(len(found) == 1 for found in folds.values())
    assert len(set.union(*folds.values())) == kinds.FOLDS
