"""Train, validation and test parts that share neither a patient nor a near-duplicate image."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scanner.errors import SetupError
from training import made_from
from training.data import tables
from training.data.dataset import Dataset
from training.near_duplicates import difference_hashes, groups
from training.parts import LEFT_OUT, PARTS, TEST, TRAIN, VALIDATION

_SHARES = {TRAIN: 0.8, VALIDATION: 0.1, TEST: 0.1}
# Where the test images are given already, of the rest.
_SHARES_OF_REST = {TRAIN: 0.9, VALIDATION: 0.1}


@dataclass(frozen=True)
class Plan:
    """Which images teach, choose and test, in one round or in one for each fold.

    `rounds` holds, for each, the part (N,) of every image; `groups` (N,) are the patients and
    near-duplicates that were kept together, `joined` images share a group with another. `crossing`
    have one of their group in another part: in a split by image, from which `rounds` differ, or, if
    `as_given`, in the parts that the data names itself. `seen` images taught or chose the model
    that is retrained. `text` says how it was split, `held_out` names the source that is the test
    set, if one is.
    """

    rounds: list[npt.NDArray[np.str_]]
    groups: npt.NDArray[np.int64]
    joined: int
    crossing: int
    text: str
    held_out: str = ""
    as_given: bool = False
    seen: int = 0

    @property
    def crossing_text(self) -> str:
        """What `crossing` means, as a half-sentence."""
        if self.as_given:
            return (
                f"{self.crossing} images have one of these in another of the data's own parts"
                + (": the figures are too good" if self.crossing else "")
            )
        return f"{self.crossing} would have leaked into another part in a split by image"


def plan(
    data: Dataset, folds: int, hold_out: str, seed: int, known: Mapping[str, str] | None = None
) -> Plan:
    """Split labelled data by patient and near-duplicate, stratified by source and class.

    `folds` rounds, in each of which another part is the test set; with 0 one round of 80, 10 and
    10 %. The images of source `hold_out` are the test set if it is given, and groups that reach
    into it are left out of training. Parts that the data names itself are kept. `known` maps
    digests of images to the parts they had when the model was trained that is retrained now: what
    taught or chose it does not test its successor.

    Raises `SetupError` if a part would be empty or a class missing in training.
    """
    group = groups(data.patients, difference_hashes(data.inputs))
    given = np.array(data.parts)
    as_given = bool(given.astype(bool).any())
    strata = list(zip(data.sources, data.labels, strict=True))
    how = "by patient where the data names one, else by near-duplicate, stratified by source, class"
    if as_given:
        rounds = [_as_given(data, given, folds, hold_out, group, strata, seed)]
        how = "as the data's own column or folders say" + (
            "" if VALIDATION in given else "; validation taken from the training part by group"
        )
    elif hold_out:
        rounds = [_without(data, hold_out, group, strata, seed)]
        how += f"; source {hold_out} held out for testing"
    elif folds:
        rounds = _folds(group, strata, folds, seed)
        how += f"; {folds} folds"
    else:
        rounds = [split(strata, group, _SHARES, seed)]
    seen = made_from.parts_before(data.digests, group, known or {})
    chosen_by_us = not (as_given or hold_out)
    rounds = [made_from.set_apart(parts, seen, bool(folds), chosen_by_us) for parts in rounds]
    used = int(np.isin(seen, (TRAIN, VALIDATION)).sum())
    for parts in rounds:
        _check(data, parts, used)
    compared = given if as_given else split(strata, np.arange(len(data)), _SHARES, seed)
    sizes = np.bincount(group)
    return Plan(
        rounds,
        group,
        joined=int(sizes[sizes > 1].sum()),
        crossing=leaking(group, compared),
        text=how,
        held_out=hold_out,
        as_given=as_given,
        seen=used,
    )


def leaking(group: npt.NDArray[np.int64], parts: npt.NDArray[np.str_]) -> int:
    """Return how many images (N,) have one of their group in another part."""
    parts_of: dict[int, set[str]] = defaultdict(set)
    for number, part in zip(group, parts, strict=True):
        parts_of[int(number)].add(str(part))
    return sum(len(parts_of[int(number)]) > 1 for number in group)


def split(
    strata: list[tuple[str, str]],
    group: npt.NDArray[np.int64],
    shares: Mapping[str, float],
    seed: int,
) -> npt.NDArray[np.str_]:
    """Return the part (N,) of each image; whole groups, stratified (by source and class).

    Groups go, in a seeded random order, the large ones first, to the part that lacks most of what
    its share asks for.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(group):
        members[int(number)].append(index)
    totals = Counter(strata)
    filled: dict[str, Counter[tuple[str, str]]] = {part: Counter() for part in shares}
    parts = np.empty(len(strata), dtype="<U10")
    order = np.random.default_rng(seed).permutation(sorted(members))
    for number in sorted(order, key=lambda number: -len(members[int(number)])):
        indices = members[int(number)]
        stratum = Counter(strata[index] for index in indices).most_common(1)[0][0]
        # The first images must not all go to the largest part: compare fill by share.
        part = min(
            shares.items(), key=lambda item: filled[item[0]][stratum] / (item[1] * totals[stratum])
        )[0]
        parts[indices] = part
        filled[part].update(strata[index] for index in indices)
    return parts


def _rest(
    chosen: npt.NDArray[np.bool_],
    group: npt.NDArray[np.int64],
    strata: list[tuple[str, str]],
    seed: int,
) -> npt.NDArray[np.str_]:
    """Return parts (N,) with the chosen images divided into training and validation."""
    indices = np.flatnonzero(chosen)
    parts = np.full(len(strata), LEFT_OUT, dtype="<U10")
    parts[indices] = split([strata[i] for i in indices], group[indices], _SHARES_OF_REST, seed)
    return parts


def _folds(
    group: npt.NDArray[np.int64], strata: list[tuple[str, str]], folds: int, seed: int
) -> list[npt.NDArray[np.str_]]:
    number = split(strata, group, {str(fold): 1 / folds for fold in range(folds)}, seed)
    rounds = []
    for fold in range(folds):
        test = number == str(fold)
        parts = _rest(~test, group, strata, seed)
        parts[test] = TEST
        rounds.append(parts)
    return rounds


def _without(
    data: Dataset,
    hold_out: str,
    group: npt.NDArray[np.int64],
    strata: list[tuple[str, str]],
    seed: int,
) -> npt.NDArray[np.str_]:
    test = np.array(data.sources) == hold_out
    if not test.any():
        known = ", ".join(sorted(set(data.sources) - {""})) or "no source at all"
        raise SetupError(f"No image is of source {hold_out!r}; the data names {known}.")
    apart = ~np.isin(group, group[test])
    parts = _rest(apart, group, strata, seed)
    parts[test] = TEST
    return parts


def _as_given(
    data: Dataset,
    given: npt.NDArray[np.str_],
    folds: int,
    hold_out: str,
    group: npt.NDArray[np.int64],
    strata: list[tuple[str, str]],
    seed: int,
) -> npt.NDArray[np.str_]:
    if folds or hold_out:
        option = "--folds" if folds else "--hold-out-source"
        raise SetupError(
            f"{option} chooses the test images, but the data names its own: leave out one of them."
        )
    if TEST not in given:
        raise SetupError("The data names parts but none for testing: add one, or name no parts.")
    # Reviewed images have no part of their own; those of a patient who tests do not teach.
    joined = np.array(data.sources) == tables.REVIEWED_SOURCE
    others = np.isin(group, group[np.isin(given, (VALIDATION, TEST))])
    given = np.where(joined & others & (given == TRAIN), LEFT_OUT, given)
    if VALIDATION in given:
        return given
    parts = _rest(given == TRAIN, group, strata, seed)
    return np.where(given == TRAIN, parts, given)


def _check(data: Dataset, parts: npt.NDArray[np.str_], seen: int) -> None:
    """Refuse data so small that a part would be empty, or a class be missing in training."""
    for part in PARTS:
        if not (parts == part).any():
            why = (
                "" if not seen else f"; {seen} of them taught the model before and test nothing now"
            )
            raise SetupError(
                f"{len(data)} images are too few: none is left for the {part} part{why}."
            )
    taught = {label for label, part in zip(data.labels, parts, strict=True) if part == TRAIN}
    missing = sorted(set(data.labels) - taught)
    if missing:
        raise SetupError(f"Too few images of {', '.join(missing)}: none is left to train on.")
