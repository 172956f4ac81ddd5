"""Labelled files that a CSV names: a manifest, labels beside a folder, or decisions of a review."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from scanner import manifest
from scanner.decisions import UNCLEAR, YES
from scanner.errors import SetupError
from scanner.output import MANIFEST, REVIEWED, is_output
from scanner.text import from_cell, unescaped
from training.data.forms import Found, Item, check_there, of_files
from training.parts import PARTS

# What the items of a review have as their source.
REVIEWED_SOURCE = "reviewed"

# Names of columns in any case; the first that is there counts.
_PATH = ("path", "file", "filename", "image")
_LABEL = ("label", "class", "finding")
_PATIENT = ("patient", "patient_id", "patientid")
# `set` is what the table calls a data set, `source` may be a sentence about it.
_SOURCE = ("set", "source")
_PARTS = {**{part: part for part in PARTS}, "valid": "validation", "val": "validation", "": ""}
# The frontal views of covid-chestxray-dataset; others (lateral, CT) are no training images.
_FRONTAL_VIEWS = ("PA", "AP", "AP SUPINE", "")


def part_of(name: str) -> str | None:
    """Return ``train``, ``validation`` or ``test`` (empty for empty) for what data calls a part."""
    return _PARTS.get(name.strip().lower())


def from_csv(file: Path, root: Path | None = None) -> Found:
    """Return the files that a CSV names, relative to `root`; without it, to the CSV's folder.

    Columns: path (or file, filename, image) and label (or class, finding), optionally patient,
    source (or set), mask, split and view. A path may lack the extension ``.dcm``. Rows of another
    view than PA and AP are left out. Raises `SetupError` over missing columns and files.
    """
    table = _read(file)
    root = root or file.parent
    names = _column(table, _PATH)
    labels = _column(table, _LABEL)
    missing = [wanted for wanted, found in (("path", names), ("label", labels)) if found is None]
    if names is None or labels is None:
        raise SetupError(
            f"{file} has no column {' and no '.join(missing)}; its columns are "
            f"{', '.join(table.columns)}."
        )
    view = _column(table, ("view",))
    frontal = [v.upper() in _FRONTAL_VIEWS for v in view] if view else [True] * len(names)
    masks = _column(table, ("mask",)) or [""] * len(names)
    empty = [""] * len(names)
    columns = (
        names,
        labels,
        _column(table, _PATIENT) or empty,
        _column(table, _SOURCE) or empty,
        [str((root / mask).absolute()) if mask else "" for mask in masks],
        _parts(table, file),
    )
    rows = zip(*columns, strict=True)
    items = [Item(*row) for row, wanted in zip(rows, frontal, strict=True) if wanted]
    paths = [_with_extension(root / item.name) for item in items]
    check_there(paths, [item.name for item in items], file, root)
    masked = [item.mask for item in items if item.mask]
    check_there([Path(mask) for mask in masked], masked, file, root)
    left_out = Counter({"view other than PA or AP": frontal.count(False)})
    return of_files(f"files that {file.name} names", paths, items, +left_out)


def is_labelled(file: Path) -> bool:
    """Tell whether a CSV has the columns of `from_csv`."""
    table = _read(file)
    return _column(table, _PATH) is not None and _column(table, _LABEL) is not None


def is_review(file: Path) -> bool:
    """Tell whether a CSV holds the decisions of a review instead of labels."""
    columns = _read(file).columns
    return "decision" in columns and "label" not in columns


def reviewed(place: Path) -> Found:
    """Return the files of a scan with the decisions that a person made about them.

    `place` is the output folder of a scan or the ``reviewed.csv`` in it, with the columns path
    (relative to the scanned folder, which the folder's manifest names) and decision. Left out, and
    counted, are images without a class: notes, `UNCLEAR`, and those on which reviewers differ.
    Files that are others since are found when they are read, by their sha256 if the table has it.
    Raises `SetupError` if there is no such file, or files are gone.
    """
    file = place / REVIEWED if place.is_dir() else place
    if not file.is_file():
        what = "is of a scan but" if is_output(place) else "is no output folder of a scan:"
        raise SetupError(
            f"{place} {what} holds no {REVIEWED}: `cxr-scan review` makes it of the decisions that "
            "a report exports."
        )
    table = _read(file)
    names, decisions = _column(table, ("path",)), _column(table, ("decision",))
    if names is None or decisions is None:
        raise SetupError(f"{file} is no review: it needs the columns path and decision.")
    scan = manifest.load(file.parent / MANIFEST)
    if scan.get("hide_paths"):
        raise SetupError(
            f"{file.parent} is of a scan with --hide-paths, so its rows name no files: write a "
            "CSV with the columns path and label into the scanned folder, the decisions with the "
            f"paths that `cxr-scan paths FOLDER {file.parent}` prints, and train on that."
        )
    stated = scan.get("root")
    if not isinstance(stated, str):
        raise SetupError(
            f"{file.parent / MANIFEST} does not say which folder was scanned: {REVIEWED} is read "
            "in the output folder of its scan."
        )
    root = Path(unescaped(stated))
    empty = [""] * len(names)
    hashes, conflicts = (_column(table, (name,)) or empty for name in ("sha256", "conflict"))
    said: dict[tuple[str, str], _Said] = {}
    for name, digest, decision, conflict in zip(names, hashes, decisions, conflicts, strict=True):
        said.setdefault((from_cell(name), digest), _Said()).add(from_cell(decision), conflict)
    left_out = Counter(one.left_out for one in said.values() if one.left_out)
    items = [
        Item(name, one.label, source=REVIEWED_SOURCE, sha256=digest)
        for (name, digest), one in said.items()
        if not one.left_out
    ]
    paths = [root / item.name for item in items]
    check_there(paths, [item.name for item in items], file, root)
    return of_files(f"decisions in {file}", paths, items, left_out)


@dataclass
class _Said:
    """What the rows of one image say, one of each reviewer."""

    decisions: set[str] = field(default_factory=set)
    conflict: bool = False

    def add(self, decision: str, conflict: str) -> None:
        self.decisions |= {decision} - {""}
        self.conflict |= conflict == YES

    @property
    def label(self) -> str:
        return next(iter(self.decisions), "")

    @property
    def left_out(self) -> str:
        """Why the image has no label; empty if it has one."""
        if self.conflict or len(self.decisions) > 1:
            return "reviewers differ"
        return {"": "no decision", UNCLEAR: f"decision {UNCLEAR}"}.get(self.label, "")


def _read(file: Path) -> pd.DataFrame:
    """Return a CSV as stripped text; spreadsheets may have added a BOM or other separators."""
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as handle:
            header = handle.readline()
        separator = max(",;\t", key=header.count)
        table = pd.read_csv(
            file, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SetupError(f"{file} cannot be read as CSV: {reason}") from error
    table.columns = table.columns.str.strip().str.lower()
    return table


def _column(table: pd.DataFrame, names: Sequence[str]) -> list[str] | None:
    for name in names:
        if name in table:
            return [str(value).strip() for value in table[name]]
    return None


def _parts(table: pd.DataFrame, file: Path) -> list[str]:
    stated = _column(table, ("split",)) or [""] * len(table)
    unknown = sorted({name for name in stated if part_of(name) is None})
    if unknown:
        raise SetupError(
            f"{file} has {unknown[0]!r} in its column split where train, validation or test is "
            "expected."
        )
    return [part_of(name) or "" for name in stated]


def _with_extension(path: Path) -> Path:
    """Return the file that a path means if it lacks the extension of DICOM, or has it too much."""
    bare = path.with_suffix("") if path.suffix.lower() == ".dcm" else path
    for candidate in (path, path.with_name(path.name + ".dcm"), bare):
        if candidate.is_file():
            return candidate
    return path
