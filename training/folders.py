"""Labelled files: a folder for each class, or a CSV that names path and label."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from scanner.decoding import Decoders, ReadSettings
from scanner.errors import SetupError
from scanner.preprocess import PreprocessSpec
from scanner.walk import Source, list_files
from training.labels import canonical

# The frontal views of covid-chestxray-dataset; others (lateral, CT) are no training images.
_FRONTAL_VIEWS = ("PA", "AP", "AP SUPINE", "")
_WORKERS = 2


@dataclass(frozen=True)
class LabelledFile:
    """One image file with what is known of it."""

    path: Path
    label: str
    patient: str = ""
    source: str = ""


def by_class(folder: Path, left_out: Counter[str]) -> list[LabelledFile]:
    """Return the files of a tree whose first level names the class, sorted.

    Kaggle's ``COVID/images`` beside ``COVID/masks``: then only ``images`` is taken.
    Raises `SetupError` if no folder's name is a known class.
    """
    files = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        if canonical(place.name) is None:
            left_out[f"folder {place.name!r} is none of the classes"] += 1
        else:
            images = place / "images" if (place / "images").is_dir() else place
            found = list_files(images).sources
            files += [LabelledFile(source.path, place.name) for source in found]
    if not files:
        raise SetupError(
            f"{folder} has no folder whose name is a class (COVID, Normal, Viral Pneumonia, …)."
        )
    return files


def by_csv(path: Path, left_out: Counter[str]) -> list[LabelledFile]:
    """Return the files a CSV names, relative to its folder; extra columns are ignored.

    Columns ``path`` and ``label``, optionally ``patient``, ``source`` (or ``set``) and ``view``:
    rows with another view than PA and AP are left out. Raises `SetupError` over missing columns.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise SetupError(f"{path} cannot be read as CSV: {error}") from error
    missing = {"path", "label"} - set(table.columns)
    if missing:
        raise SetupError(f"{path} has no column {' and no '.join(sorted(missing))}.")
    blank = pd.Series("", index=table.index)
    frontal = table.get("view", blank).str.upper().isin(_FRONTAL_VIEWS)
    left_out["view other than PA or AP"] += int((~frontal).sum())
    table = table.assign(
        patient=table.get("patient", blank), source=table.get("set", table.get("source", blank))
    )[frontal]
    columns = (table[name].astype(str) for name in ("path", "label", "patient", "source"))
    return [
        LabelledFile(path.parent / file, label, patient, source)
        for file, label, patient, source in zip(*columns, strict=True)
    ]


def read(
    files: list[LabelledFile], spec: PreprocessSpec, left_out: Counter[str]
) -> Iterator[tuple[npt.NDArray[np.uint8], str, str, str]]:
    """Yield (model input, label, patient, source), read by the scan's own isolated decoders.

    What a scan would reject or fail is left out and counted by its reason.
    """
    settings = ReadSettings(spec, key=b"")
    sources = [Source(file.path, file.path.name, -1, -1) for file in files]
    with Decoders(settings, workers=_WORKERS, lookahead=64) as decoders:
        for file, (_, reading) in zip(files, decoders.read(sources), strict=True):
            if reading.model_input is None:
                left_out[reading.reason or "no image"] += 1
            else:
                yield reading.model_input, file.label, file.patient, file.source
