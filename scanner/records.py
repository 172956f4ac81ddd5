"""The CSV: one row for every file, appended and synced batch by batch, and the way back in.

The CSV is the checkpoint. Beside it `sources.csv` notes of every file that has a row its size and
modification time, because "new or changed" cannot be told from the row itself, and a checksum of
the row, so that one that was damaged since is made again. It is written first, so a row without its
note cannot happen and a note without its row only costs a second reading.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO, Self

from scanner.errors import SetupError
from scanner.output import PREDICTIONS, SOURCES
from scanner.storage import Table, cells, first_row, line, whole_lines, write_synced
from scanner.text import cell
from scanner.walk import Source

# Begins the detail of a row whose image was judged already; the original's path follows.
DUPLICATE_OF = "duplicate_of "
# The prediction, and the flag, of an image that could be of several classes.
UNCERTAIN = "uncertain"
# Failures of the way to the file rather than of the file: the next run tries these again. A decoder
# is also lost where memory runs out or somebody ends it; if it was the file, that costs no more.
RETRIED_REASONS = frozenset({"unreadable", "timeout", "changed", "decoder_crashed"})


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

    What a kill left torn (a line without its end) is cut off, and rows that were damaged, or whose
    file has changed since or could not be reached, are taken out, to be made again.
    """

    def __init__(self, folder: Path, header: list[str], model: str) -> None:
        self.path = folder / PREDICTIONS
        self._notes_path = folder / SOURCES
        self._header = header
        self._model = model
        self._open: list[BinaryIO] = []
        # (path as in its row, reason) of the rows that `resume` took out to try again.
        self.retried: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._open:
            handle.close()

    def resume(self, sources: Iterable[Source]) -> Iterator[dict[str, str]]:
        """Take out what must be made again and return the rows that stand, by column name.

        They are read from the file as one iterates: before the first `append`. Raises `SetupError`
        if the file has other columns than this run would write, or rows of another model; then
        nothing is changed.
        """
        if self.path.exists():
            self._check_header()
        table = Table(self._notes_path, 4)
        notes = _Notes(table, {cell(source.relative): source for source in sources})
        rows = Table(self.path, len(self._header), self._header)
        standing = self._standing(rows, notes)
        rows.keep(list(standing.values()))
        table.keep([notes.positions[path] for path in standing])
        self._open = [path.open("ab") for path in (self._notes_path, self.path)]
        return (dict(zip(self._header, row, strict=True)) for _, row in rows.rows())

    def _check_header(self) -> None:
        with self.path.open("rb") as handle:
            found = first_row(handle)
        if found != self._header:
            raise SetupError(
                f"{self.path} has other columns than this run would write (another model, version "
                "or --include): choose another --output, or --fresh to start over there."
            )

    def _standing(self, rows: Table, notes: "_Notes") -> dict[str, int]:
        """Return the position of the last row of every path, of those that stand."""
        columns = [self._header.index(name) for name in ("path", "reason", "detail", "model")]
        standing: dict[str, int] = {}
        copies: dict[str, str] = {}
        for position, row in rows.rows():
            path, reason, detail, model = (row[column] for column in columns)
            if model != self._model:
                raise SetupError(
                    f"{self.path} holds rows of model {model}, this run is of "
                    f"{self._model}: choose another --output, or --fresh to start over there."
                )
            if reason in RETRIED_REASONS:
                self.retried.append((path, reason))
                continue
            if not notes.vouch_for(path, row):
                continue
            standing[path] = position
            copies.pop(path, None)
            if reason == "duplicate":
                copies[path] = detail.removeprefix(DUPLICATE_OF)
        # A copy stands only while the image it is a copy of does: that one may have been replaced.
        for path in [path for path, original in copies.items() if not _has(standing, original)]:
            del standing[path]
        return standing

    def append(self, rows: Sequence[tuple[Source, Record]]) -> None:
        """Write rows and sync them to disk; after this they survive a kill or a power cut."""
        notes, records = self._open
        lines = [_cells(record, len(self._header)) for _, record in rows]
        noted = [_note(source, row) for (source, _), row in zip(rows, lines, strict=True)]
        write_synced(notes, noted)
        write_synced(records, lines)


class _Notes:
    """What is noted of the files that have rows, held against what lies in the folder now.

    Of several notes on one file the last counts; `positions` is where it stands in the table. The
    row of a file that is no longer there stands, one without its note does not.
    """

    def __init__(self, table: Table, sources: dict[str, Source]) -> None:
        self.positions: dict[str, int] = {}
        self._checks: dict[str, int] = {}
        for position, (path, size, modified, check) in table.rows():
            source = sources.get(path)
            unchanged = source is None or [size, modified] == _state(source)
            self.positions[path] = position
            self._checks[path] = _number(check) if unchanged else _NO_ROW

    def vouch_for(self, path: str, row: Sequence[str]) -> bool:
        """Tell whether a row is as it was written, and its file as it was then."""
        return self._checks.get(path, _NO_ROW) == zlib.crc32(line(row))


_NO_ROW = -1


def _number(check: str) -> int:
    try:
        return int(check, 16)
    except ValueError:  # a note that was damaged
        return _NO_ROW


def _has(standing: dict[str, int], original: str) -> bool:
    """Tell whether the row of an original stands.

    The guard of a path that begins like a formula is not in the detail, which does not.
    """
    guarded = "'" + original
    return guarded in standing or (original in standing and not original.startswith("'"))


def _note(source: Source, row: Sequence[str]) -> list[str]:
    return [cell(source.relative), *_state(source), f"{zlib.crc32(line(row)):08x}"]


def _state(source: Source) -> list[str]:
    return [str(source.size), str(source.modified)]


class SavedRows:
    """The rows of a `predictions.csv` by column name, one at a time; a context manager.

    Columns that scans did not write yet when it was made are empty. Raises `SetupError` if it is
    missing or lacks another column.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._handle = path.open("rb")
            self.header = first_row(self._handle)
        except OSError as error:
            raise SetupError(
                f"{path} cannot be read ({error.strerror}): give the output folder of a scan."
            ) from error
        missing = [name for name in COLUMNS if name not in self.header and name not in _ADDED]
        if missing:
            self._handle.close()
            raise SetupError(f"{path} is no predictions.csv of cxr-scan: it lacks {missing[0]!r}.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()

    def __iter__(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield position and row of every whole row, in the order of the file."""
        self._handle.seek(0)
        for position, found in whole_lines(self._handle):
            row = cells(found)
            if len(row) == len(self.header) and row != self.header:
                yield position, self._by_name(row)

    def at(self, position: int) -> dict[str, str]:
        """Return the row at a position that iterating gave."""
        self._handle.seek(position)
        return self._by_name(cells(self._handle.readline()))

    def _by_name(self, row: list[str]) -> dict[str, str]:
        return _ADDED | dict(zip(self.header, row, strict=True))


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return all rows of a `predictions.csv`, as `SavedRows` gives them."""
    with SavedRows(path) as rows:
        return [row for _, row in rows]
