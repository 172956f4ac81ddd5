"""What people decide of images: `decisions.csv` as the report exports it, and `reviewed.csv`."""

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from scanner.errors import SetupError
from scanner.storage import line, write_atomically
from scanner.text import cell, from_cell

# The decision of someone who looked and cannot tell.
UNCLEAR = "unclear"
YES, NO = "yes", "no"

_HEX = re.compile("[0-9a-f]{0,64}")

# The columns that the report exports; others beside them are passed over.
EXPORTED = (
    *("path", "sha256", "decision", "agrees", "reviewer"),
    *("decided_at", "seconds", "note", "model"),
)
# And those of what is merged.
MERGED = (
    *("path", "sha256", "decision", "prediction", "agrees", "reviewer"),
    *("decided_at", "seconds", "note", "model", "conflict"),
)


@dataclass(frozen=True)
class Decision:
    """What one reviewer said of one image.

    `path` is as the cell of its row in `predictions.csv`, other texts are as they were typed.
    `decision` is a class, `UNCLEAR`, or empty: then `agrees` may say what is thought of the model's
    answer (``yes`` or ``no``), else there is only a note. `seconds` were spent on it, None if
    unknown. `prediction` is what the `model` had said. `conflict`: another reviewer differs.
    `where` is the file's name and line, for messages.
    """

    path: str
    sha256: str
    decision: str
    agrees: str
    reviewer: str
    decided_at: datetime
    seconds: float | None
    note: str
    model: str
    prediction: str = ""
    conflict: bool = False
    where: str = field(default="", compare=False)

    @property
    def by(self) -> str:
        """The reviewer as names are compared: capitals and blanks do not tell people apart."""
        return " ".join(self.reviewer.split()).casefold()


def read(file: Path) -> list[Decision]:
    """Return the decisions in a file that the report exported, or that were merged.

    A spreadsheet may have saved it since: with a byte order mark, other separators, other columns
    beside. Raises `SetupError` with the line at fault if a row cannot be taken as it is.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SetupError(
            f"{file} is not UTF-8 (byte {error.start}): export it again, or save it as CSV UTF-8."
        ) from error
    except OSError as error:
        raise SetupError(f"{file} cannot be read ({error.strerror}).") from error
    header, _, _ = text.partition("\n")
    separator = max(",;\t", key=header.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    decisions = []
    try:
        columns = [name.strip().lower() for name in next(rows, [])]
        _check_columns(columns, file)
        for row in rows:
            if row:  # editors leave empty lines at the end
                decisions.append(_decision(row, columns, f"{file}, line {rows.line_num}"))
    except csv.Error as error:
        raise SetupError(
            f"{file}, line {rows.line_num}: this is damaged as CSV ({error}): export it again."
        ) from error
    return decisions


def _check_columns(columns: list[str], file: Path) -> None:
    missing = [name for name in EXPORTED if name not in columns]
    if missing:
        raise SetupError(
            f"{file} is no file of decisions: it lacks the column{'s' * (len(missing) > 1)} "
            f"{', '.join(missing)}; expected is what the report exports as decisions.csv."
        )


def _decision(row: list[str], columns: list[str], where: str) -> Decision:
    if len(row) != len(columns):
        raise SetupError(
            f"{where}: {len(row)} cells where {len(columns)} are expected, so the file is cut off "
            "or was edited: export it again."
        )
    found = dict(zip(columns, row, strict=True))
    cells = {name: value.strip() for name, value in found.items()}
    reviewer = from_cell(cells["reviewer"])
    if not reviewer:
        raise SetupError(f"{where}: no reviewer, so it cannot be told from those of others.")
    sha256 = cells["sha256"].lower()
    if not _HEX.fullmatch(sha256):
        raise SetupError(f"{where}: sha256 is {sha256[:64]!r}, expected hexadecimal digits.")
    agrees = cells["agrees"].lower()
    if agrees not in ("", YES, NO):
        raise SetupError(f"{where}: agrees is {agrees!r}, expected yes, no or nothing.")
    return Decision(
        path=cell(from_cell(found["path"])),  # a file name may end with a blank
        sha256=sha256,
        decision=from_cell(cells["decision"]),
        agrees=agrees,
        reviewer=reviewer,
        decided_at=_time(cells["decided_at"], where),
        seconds=_seconds(cells["seconds"], where),
        note=from_cell(cells["note"]),
        model=from_cell(cells["model"]),
        prediction=from_cell(cells.get("prediction", "")),
        conflict=cells.get("conflict") == YES,
        where=where,
    )


def _time(text: str, where: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        # To the millisecond, as it is written; without a zone it is UTC, as the report exports it.
        time = time.replace(microsecond=time.microsecond // 1000 * 1000)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise SetupError(
            f"{where}: decided_at is {text!r}, expected a time like 2026-11-23T07:15:00Z."
        ) from None


def _seconds(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text.replace(",", "."))  # as spreadsheets of many countries save it
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise SetupError(f"{where}: seconds is {text!r}, expected a number like 12.5, or nothing.")
    return round(seconds, 1)


def write(file: Path, decisions: Iterable[Decision]) -> None:
    """Write merged decisions; a kill or a full disk leaves the file as it was."""
    write_atomically(file, _lines(decisions))


def _lines(decisions: Iterable[Decision]) -> Iterator[bytes]:
    yield line(MERGED)
    for one in decisions:
        time = one.decided_at.isoformat(
            timespec="milliseconds" if one.decided_at.microsecond else "seconds"
        )
        yield line(
            [
                one.path,
                one.sha256,
                cell(one.decision),
                cell(one.prediction),
                one.agrees,
                cell(one.reviewer),
                time.replace("+00:00", "Z"),
                "" if one.seconds is None else f"{one.seconds:.1f}",
                cell(one.note),
                cell(one.model),
                YES if one.conflict else "",
            ]
        )
