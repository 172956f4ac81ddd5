"""Labelled data and a finished bundle brought together, for `evaluate` and `audit`."""

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scanner.bundle import Bundle
from scanner.errors import SetupError
from training.data import dataset
from training.data.dataset import Dataset, DataSettings
from training.made_from import load_parts
from training.parts import TRAIN, VALIDATION

Indices = npt.NDArray[np.int64]


def check_writable(folder: Path) -> None:
    """Make the folder that results go to; raises `SetupError` if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SetupError(
            f"{folder} cannot be written ({error.strerror}): choose another --output."
        ) from error


def load(
    settings: DataSettings, bundle: Bundle, part: str, work: Path, say: Callable[[str], None]
) -> tuple[Dataset, Indices, Counter[str]]:
    """Read labelled data as a bundle's network takes it, its inputs below `work`, and describe it.

    Returns the data, the rows that `choose` takes and why others are left out.
    """
    data = dataset.load(replace(settings, known=bundle.classes, least=1), bundle.spec, work)
    rows, left_out = choose(data, bundle, part, settings.path)
    lines = (f"left out: {count} ({why})" for why, count in left_out.items())
    for line in (*dataset.describe(data), *lines):
        say(line)
    return data, rows, left_out


def choose(data: Dataset, bundle: Bundle, part: str, path: Path) -> tuple[Indices, Counter[str]]:
    """Return the rows of a part whose class the model knows, and why others are left out.

    `part` is empty for all. Raises `SetupError` if no row is left; `path` is what it is said of.
    """
    left_out: Counter[str] = Counter()
    rows = []
    for row, (label, own) in enumerate(zip(data.labels, data.parts, strict=True)):
        if part and own != part:
            left_out[f"not of the {part} part"] += 1
        elif label not in bundle.classes:
            left_out[f"label {label!r} is no class of the model"] += 1
        else:
            rows.append(row)
    if not rows:
        reasons = "; ".join(f"{count} ({why})" for why, count in left_out.items())
        raise SetupError(
            f"No image of {path} is left for this model, which knows "
            f"{', '.join(bundle.classes)}. Left out: {reasons}."
        )
    return np.array(rows), left_out


def class_indices(data: Dataset, bundle: Bundle) -> Indices:
    """Return the index (N,) among the bundle's classes of each label, -1 for others."""
    places = {name: index for index, name in enumerate(bundle.classes)}
    return np.array([places.get(label, -1) for label in data.labels], np.int64)


def taught(data: Dataset, model: Path) -> npt.NDArray[np.bool_] | None:
    """Tell of each image (N,) whether the model in a folder was trained on it or chosen by it.

    None if the bundle does not say which images it was made from.
    """
    parts = load_parts(model)
    if not parts:
        return None
    return np.array([parts.get(digest) in (TRAIN, VALIDATION) for digest in data.digests])
