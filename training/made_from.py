"""Which images a bundle was made from: what taught it must not test it or its successor."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scanner.errors import SetupError
from scanner.storage import write_atomically
from training.parts import LEFT_OUT, PARTS, TEST, TRAIN, VALIDATION

_SPLIT = "split.json"


def save_parts(folder: Path, digests: list[str], parts: npt.NDArray[np.str_]) -> None:
    """Write which images (by digest) were in which part into a bundle's folder."""
    named: dict[str, list[str]] = {part: [] for part in PARTS}
    for digest, part in zip(digests, parts, strict=True):
        if part in named:
            named[str(part)].append(digest)
    write_atomically(folder / _SPLIT, json.dumps(named, indent=0) + "\n")


def load_parts(folder: Path) -> dict[str, str]:
    """Return the part of each image (by digest) that a bundle was made from; none if not noted."""
    try:
        named = json.loads((folder / _SPLIT).read_text(encoding="utf-8"))
        return {digest: part for part in PARTS for digest in named[part]}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(f"{folder / _SPLIT} cannot be read ({error}): copy it again.") from error


def parts_before(
    digests: list[str], group: npt.NDArray[np.int64], known: Mapping[str, str]
) -> npt.NDArray[np.str_]:
    """Return the part (N,) that an image's group had before, the most taught of its members'."""
    before = np.full(len(group), "", dtype="<U10")
    if not known:
        return before
    told = np.array([known.get(digest, "") for digest in digests])
    for part in (TEST, VALIDATION, TRAIN):
        before[np.isin(group, group[told == part])] = part
    return before


def set_apart(
    parts: npt.NDArray[np.str_], seen: npt.NDArray[np.str_], folds: bool, chosen_by_us: bool
) -> npt.NDArray[np.str_]:
    """Return the parts with nothing in the test part that taught or chose the model before."""
    used = np.isin(seen, (TRAIN, VALIDATION))
    if not chosen_by_us:
        return np.where(used & (parts == TEST), LEFT_OUT, parts)
    if folds:
        return np.where(used & (parts == TEST), TRAIN, parts)
    return np.where(seen != "", seen, parts)
