"""What the fault tests found, counted: the table that `make faults` prints."""

import contextlib
import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

Rows = Mapping[str, Mapping[str, str]]  # by path, then by column

# What differs from run to run by nature.
TIMES = ("scanned_at", "seconds")
# Scores may differ in the last digits with the composition of a batch, labels may not.
_SCORES = ("confidence", "lung_focus", "lung_area", "lung_lift", "ood_score", "prob_")
_SCORE_TOLERANCE = 1e-3


@dataclass
class Line:
    """One line of the table: the totals over all tries of one fault."""

    tried: int = 0
    survived: int = 0
    lost: int = 0
    duplicate: int = 0
    wrong: int = 0
    skipped: str = ""


@dataclass
class FaultTable:
    """All lines, in the order in which the faults were first tried."""

    lines: dict[str, Line] = field(default_factory=dict)

    @contextlib.contextmanager
    def fault(self, name: str) -> Iterator["Case"]:
        """Try a fault: it is survived if the block ends, and not if a check in it fails."""
        line = self.lines.setdefault(name, Line())
        case = Case()
        try:
            yield case
        except pytest.skip.Exception as error:
            line.skipped = str(error.msg)
            raise
        except BaseException:
            line.tried += 1
            raise
        else:
            line.tried += 1
            line.survived += 1
        finally:
            line.lost += case.lost
            line.duplicate += case.duplicate
            line.wrong += case.wrong

    def text(self) -> list[str]:
        """Return the lines of the table, its header first and its totals last."""
        titles = ("fault", "tried", "survived", "rows lost", "duplicate", "wrong")
        tried = [line for line in self.lines.values() if line.tried]
        total = Line(
            *(
                sum(getattr(line, name) for line in tried)
                for name in ("tried", "survived", "lost", "duplicate", "wrong")
            )
        )
        width = max(map(len, [*self.lines, "total"]))
        shown = [f"{titles[0]:{width}} " + " ".join(f"{title:>9}" for title in titles[1:])]
        for name, line in [*self.lines.items(), ("total", total)]:
            if line.tried:
                counts = (line.tried, line.survived, line.lost, line.duplicate, line.wrong)
                shown.append(f"{name:{width}} " + " ".join(f"{count:9}" for count in counts))
            if line.skipped:
                shown.append(f"{name:{width}}  skipped: {line.skipped}")
        return shown


@dataclass
class Case:
    """One try of one fault, and what the checks of rows in it have counted."""

    lost: int = 0
    duplicate: int = 0
    wrong: int = 0

    def compare(
        self,
        output: Path,
        expected: Rows,
        struck: Mapping[str, str] | None = None,
        only: str | None = None,
    ) -> None:
        """Hold the rows in `output` against `expected`, count what is amiss, and fail on any.

        `struck` says of paths for which reasons (words separated by ``|``) they must have failed
        instead: the files that the fault hit. With `only` the one path is looked at.
        """
        struck = struck or {}
        found = whole_rows(output)
        if only is not None:
            found = [row for row in found if row["path"] == only]
            expected = {only: expected[only]}
        times = Counter(row["path"] for row in found)
        lost = sorted(set(expected) - set(times))
        duplicate = sorted(path for path, count in times.items() if count > 1)
        wrong = sorted(
            {
                row["path"]
                for row in found
                if not _is_right(row, expected.get(row["path"]), struck.get(row["path"], ""))
            }
        )
        self.lost += len(lost)
        self.duplicate += len(duplicate)
        self.wrong += len(wrong)
        assert (lost, duplicate, wrong) == ([], [], []), "lost, duplicate, wrong rows"

    def compare_unfinished(self, output: Path, before: dict[str, str], expected: Rows) -> None:
        """Hold the rows that a fault left against `expected`, and against those before it.

        A finished row is never made again, so its line stays as it is to the last byte. `before`
        maps paths to lines and takes in the new ones.
        """
        lines = whole_lines(output)
        found = whole_rows(output)
        now = dict(zip((row["path"] for row in found), lines, strict=True))
        lost = sorted(set(before) - set(now))
        duplicate = len(found) - len(now)
        wrong = sorted(
            row["path"]
            for row in found
            if not _is_right(row, expected.get(row["path"]), "")
            or before.get(row["path"], now[row["path"]]) != now[row["path"]]
        )
        self.lost += len(lost)
        self.duplicate += duplicate
        self.wrong += len(wrong)
        assert (lost, duplicate, wrong) == ([], 0, []), "lost, duplicate, wrong rows"
        before.update(now)


def _is_right(row: Mapping[str, str], expected: Mapping[str, str] | None, reasons: str) -> bool:
    if reasons:
        return row["status"] == "failed" and row["reason"] in reasons.split("|")
    if expected is None or row.keys() != expected.keys():
        return False
    return all(
        column in TIMES or row[column] == value or _is_near(column, row[column], value)
        for column, value in expected.items()
    )


def _is_near(column: str, one: str, other: str) -> bool:
    if not column.startswith(_SCORES) or not (one and other):
        return False
    return abs(float(one) - float(other)) <= _SCORE_TOLERANCE


def whole_lines(output: Path) -> list[str]:
    """Return the rows of a CSV as lines; what lacks its end is none, the next run cuts it off."""
    csv_file = output / "predictions.csv"
    if not csv_file.exists():
        return []
    return csv_file.read_bytes().rpartition(b"\n")[0].decode().split("\n")[1:]


def whole_rows(output: Path) -> list[dict[str, str]]:
    csv_file = output / "predictions.csv"
    lines = whole_lines(output)
    if not lines:
        return []
    with csv_file.open(encoding="utf-8", newline="") as handle:
        header = next(csv.reader(handle))
    return [dict(zip(header, row, strict=True)) for row in csv.reader(lines)]


def by_path(output: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a scan that nothing disturbed, to hold others against."""
    rows = whole_rows(output)
    found = {row["path"]: row for row in rows}
    assert len(found) == len(rows), "two rows of one file"
    return found
