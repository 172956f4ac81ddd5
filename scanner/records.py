"""The CSV: one row for every file, appended and synced batch by batch, and the way back in.

The CSV is the checkpoint. Beside it `sources.csv` notes size and modification time of every file
that has a row, because "new or changed" cannot be told from the row itself; it is written first, so
a row without its note cannot happen and a note without its row only costs a second reading.
"""

import contextlib
import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Self, TextIO

from scanner.errors import SetupError
from scanner.output import PREDICTIONS, SOURCES
from scanner.text import cell
from scanner.walk import Source

# Begins the detail of a row whose image was judged already; the original's path follows.
DUPLICATE_OF = "duplicate_of "
# The prediction, and the flag, of an image that could be of several classes.
UNCERTAIN = "uncertain"
# Failures of the way to the file rather than of the file: the next run tries these again.
RETRIED_REASONS = frozenset({"unreadable", "timeout"})


def _column(about: str, default: Any = "") -> Any:
    return field(default=default, metadata={"about": about})


@dataclass(frozen=True)
class Record:
    """One row: what became of one file. Fields that do not apply are empty (None or "")."""

    path: str = _column("file, relative to the scanned folder, with forward slashes")
    status: str = _column("`ok`, `flagged`, `rejected` or `failed`")
    reason: str = _column("why it was rejected or failed, a stable word")
    detail: str = _column("the same for people, a sentence")
    sha256: str = _column("hash of the file's bytes")
    format: str = _column("`dicom`, `png`, `jpeg`, `tiff`, `bmp` or `unsupported`, by content")
    prediction: str = _column(
        f"the most probable class, or `{UNCERTAIN}` where it could be several"
    )
    confidence: float | None = _column("probability of the most probable class, 0 to 1", None)
    prediction_set: str = _column(
        "the classes it could be, separated by semicolons (empty: the model has no thresholds)"
    )
    lung_focus: float | None = _column(
        "share of the Grad-CAM energy inside the lung field (empty: the model has no lung head)",
        None,
    )
    lung_area: float | None = _column(
        "share of the image that is lung field (empty: the model has no lung head)", None
    )
    lung_lift: float | None = _column(
        "`lung_focus` over `lung_area`: 1 where the evidence does not care for the lungs", None
    )
    cam_empty: str = _column(
        "`yes` if no part of the image speaks for the predicted class, else `no`"
    )
    ood_score: float | None = _column(
        "distance from the training images, about 1 for one like them (empty: the model has no "
        "statistics for it)",
        None,
    )
    flags: str = _column("reasons to look, separated by semicolons")
    modality: str = _column("DICOM Modality")
    body_part: str = _column("DICOM BodyPartExamined")
    view: str = _column("DICOM ViewPosition")
    photometric: str = _column("DICOM PhotometricInterpretation, or the colour mode of a raster")
    transfer_syntax: str = _column("DICOM TransferSyntaxUID")
    voi: str = _column("how grey values were windowed: `lut`, `window C/W`, `minmax`, `full range`")
    rows: int | None = _column("height in pixels as stored", None)
    columns: int | None = _column("width in pixels as stored", None)
    patient: str = _column("keyed pseudonym of the patient")
    study: str = _column("keyed pseudonym of the study")
    instance: str = _column("keyed pseudonym of the image")
    model: str = _column("id of the model bundle")
    scanned_at: str = _column("when the row was made, UTC")
    seconds: float | None = _column("time spent reading, decoding and preparing the file", None)
    probabilities: tuple[float, ...] = ()
    included: tuple[str, ...] = ()


_SCHEMA: tuple[Field[Any], ...] = tuple(f for f in fields(Record) if "about" in f.metadata)
COLUMNS: tuple[str, ...] = tuple(f.name for f in _SCHEMA)
_DECIMALS = {"seconds": 3}
# Later than the rest: reports of scans from before are still made.
_ADDED = {"prediction_set": "", "lung_lift": ""}


def describe_columns() -> list[tuple[str, str]]:
    """Return (column, description) in order; the README's table is made from it."""
    return [(f.name, f.metadata["about"]) for f in _SCHEMA]


def header_row(classes: Sequence[str], include: Sequence[str]) -> list[str]:
    """Return the column names: the schema, then ``prob_<class>`` and ``dicom_<keyword>`` each."""
    return [*COLUMNS, *(f"prob_{name}" for name in classes), *(f"dicom_{k}" for k in include)]


def _cells(record: Record, width: int) -> list[str]:
    cells = [_format(getattr(record, name), _DECIMALS.get(name, 6)) for name in COLUMNS]
    probabilities = [f"{value:.6f}" for value in record.probabilities]
    blanks = [""] * (width - len(cells) - len(probabilities) - len(record.included))
    return [*cells, *probabilities, *blanks, *(cell(value) for value in record.included)]


def _format(value: Any, decimals: int) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{decimals}f}"
    return str(value) if isinstance(value, int) else cell(value)


class RecordFile:
    """`predictions.csv` of one output folder: `resume` first, then `append`; a context manager.

    What a kill left torn (a line without its end) is cut off, and rows whose file has changed
    since, or could not be reached, are taken out, to be made again.
    """

    def __init__(self, folder: Path, header: list[str], model: str) -> None:
        self.path = folder / PREDICTIONS
        self._notes_path = folder / SOURCES
        self._header = header
        self._model = model
        self._open: list[TextIO] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._open:
            handle.close()

    def resume(self, sources: Iterable[Source]) -> list[dict[str, str]]:
        """Return the rows that stand, by column name, after taking out what must be made again.

        Raises `SetupError` if the file has other columns than this run would write, or rows of
        another model; then nothing is changed.
        """
        if self.path.exists():
            self._check_header()
        notes = {row[0]: row for row in _intact_rows(self._notes_path, 3)}
        current = {cell(source.relative): _note(source) for source in sources}
        kept: dict[str, dict[str, str]] = {}
        for row in _intact_rows(self.path, len(self._header)):
            record = dict(zip(self._header, row, strict=True))
            if record["model"] != self._model:
                raise SetupError(
                    f"{self.path} holds rows of model {record['model']}, this run is of "
                    f"{self._model}: choose another --output, or --fresh to start over there."
                )
            path = record["path"]
            unchanged = path not in current or notes.get(path) == current[path]
            if unchanged and record["reason"] not in RETRIED_REASONS:
                kept[path] = record
        # A copy stands only while the image it is a copy of does: that one may have been replaced.
        # The guard of a path that begins like a formula is not in the detail, which does not.
        originals = {DUPLICATE_OF + path.removeprefix("'") for path in kept}
        kept = {
            path: record
            for path, record in kept.items()
            if record["reason"] != "duplicate" or record["detail"] in originals
        }
        rows = [self._header, *(list(record.values()) for record in kept.values())]
        _rewrite_if_different(self.path, rows)
        _rewrite_if_different(self._notes_path, [notes[path] for path in kept if path in notes])
        self._open = [
            path.open("a", encoding="utf-8", newline="") for path in (self._notes_path, self.path)
        ]
        return list(kept.values())

    def _check_header(self) -> None:
        with self.path.open(encoding="utf-8", errors="replace", newline="") as handle:
            found = next(csv.reader(handle), [])
        if found != self._header:
            raise SetupError(
                f"{self.path} has other columns than this run would write (another model, version "
                "or --include): choose another --output, or --fresh to start over there."
            )

    def append(self, rows: Sequence[tuple[Source, Record]]) -> None:
        """Write rows and sync them to disk; after this they survive a kill or a power cut."""
        notes, records = self._open
        _write_synced(notes, [_note(source) for source, _ in rows])
        _write_synced(records, [_cells(record, len(self._header)) for _, record in rows])


def _note(source: Source) -> list[str]:
    return [cell(source.relative), str(source.size), str(source.modified)]


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return all intact rows of a `predictions.csv` as dictionaries by column name.

    Columns that scans did not write yet when it was made are empty. Raises `SetupError` if it is
    missing or lacks another column.
    """
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as handle:
            header = next(csv.reader(handle), [])
    except OSError as error:
        raise SetupError(
            f"{path} cannot be read ({error.strerror}): give the output folder of a scan."
        ) from error
    missing = [name for name in COLUMNS if name not in header and name not in _ADDED]
    if missing:
        raise SetupError(f"{path} is no predictions.csv of cxr-scan: it lacks {missing[0]!r}.")
    rows = _intact_rows(path, len(header))
    return [_ADDED | dict(zip(header, row, strict=True)) for row in rows]


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file so that a kill or a full disk leaves either the old one or the new."""
    draft = path.with_name(path.name + ".part")
    try:
        with draft.open("wb") as handle:
            handle.write(content.encode() if isinstance(content, str) else content)
            handle.flush()
            os.fsync(handle.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)  # a full disk needs the room
        raise


def _write_synced(handle: TextIO, rows: Iterable[Sequence[str]]) -> None:
    handle.write("".join(map(_line, rows)))
    handle.flush()
    os.fsync(handle.fileno())


def _rewrite_if_different(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Bring a file to hold just these rows; the usual case, that it does, writes nothing."""
    size = sum(len(_line(row).encode()) for row in rows)
    if not path.exists() or path.stat().st_size != size:
        write_atomically(path, "".join(map(_line, rows)))


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def _intact_rows(path: Path, width: int) -> Iterator[list[str]]:
    """Yield the whole rows but for the header; no cell holds a line break, so each is one line."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace", newline="") as handle:
        for line in handle:
            if line.endswith("\n") and "\0" not in line:
                row = next(csv.reader([line]), [])
                if len(row) == width and row[:2] != list(COLUMNS[:2]):
                    yield row
