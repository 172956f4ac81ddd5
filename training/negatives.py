"""Pictures of other kinds than frontal chest radiographs that a person has: a table of files."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scanner.decoding import Decoders
from scanner.errors import SetupError
from scanner.heads import KINDS
from scanner.preprocess import PreprocessSpec
from scanner.reading import ReadSettings
from scanner.walk import Source
from training.data.forms import check_there

# As a scan: more processes than this wait for the disk.
_MAX_WORKERS = 8


@dataclass(frozen=True)
class Named:
    """A file that a table names: its kind, and its patient or, where none is given, its path."""

    path: Path
    kind: str
    origin: str


@dataclass(frozen=True)
class Negative:
    """A picture (S, S) uint8 as the network sees it, its kind, and whom or what it comes from."""

    image: npt.NDArray[np.uint8]
    kind: str
    origin: str


def read_table(file: Path) -> list[Named]:
    """Return the files that a CSV names.

    Columns: path, relative to the CSV's folder; kind, one of `heads.KINDS` but ``frontal``; and
    optionally patient. Raises `SetupError` over missing columns and files and unknown kinds.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            rows = list(csv.DictReader(handle))
    except (OSError, ValueError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise SetupError(f"{file} cannot be read as CSV: {reason}") from error
    missing = [name for name in ("path", "kind") if not rows or rows[0].get(name) is None]
    if missing:
        raise SetupError(
            f"{file} has no {' and no '.join(missing)}: a header line with the columns path and "
            "kind, and a row for each picture, are expected."
        )
    names, kinds = [row["path"] for row in rows], [row["kind"] for row in rows]
    unknown = sorted(set(kinds) - set(KINDS[1:]))
    if unknown:
        raise SetupError(
            f"{file} names the kind {unknown[0]!r}; the kinds of pictures that are not judged are "
            f"{', '.join(KINDS[1:])}."
        )
    paths = [file.parent / name for name in names]
    check_there(paths, names, file, file.parent)
    origins = [row.get("patient") or row["path"] for row in rows]
    return [Named(*one) for one in zip(paths, kinds, origins, strict=True)]


def read(named: Sequence[Named], spec: PreprocessSpec) -> list[Negative]:
    """Return the pictures in the files, read as a scan reads them but for the header's admission.

    What a header says must not hide a picture here: a scan may meet the same without a header.
    Coloured and blank ones are left out: a scan rejects them before the network sees them. Raises
    `SetupError` over files that cannot be read, and if none is left.
    """
    settings = ReadSettings(spec, key=b"", admit_any=True)
    sources = [Source(one.path.resolve(), one.path.name, -1, -1) for one in named]
    found, unread = [], []
    with Decoders(settings, min(os.cpu_count() or 1, _MAX_WORKERS), lookahead=64) as decoders:
        for one, (_, reading) in zip(named, decoders.read(sources), strict=True):
            if reading.model_input is not None:
                found.append(Negative(reading.model_input, one.kind, one.origin))
            elif reading.status != "rejected":
                unread.append(f"{one.path} ({reading.reason or 'no image'})")
    if unread:
        raise SetupError(
            f"{len(unread)} of {len(named)} pictures of other kinds cannot be read, the first is "
            f"{unread[0]}: take their rows out of the table."
        )
    if not found:
        raise SetupError(
            f"All {len(named)} pictures of other kinds are coloured or blank, which a scan rejects "
            "by itself: name grey ones, or none."
        )
    return found
