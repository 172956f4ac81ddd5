"""Files that a kill, a full disk or a power cut leave whole: replaced at once, or line by line.

A table is a CSV file with a row on every line. It is read by position, so that one row is held at a
time however many there are.
"""

import contextlib
import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

# What is longer is no row of ours: a path has at most 16 KB as a cell, a copied element 6 KB.
_LONGEST_LINE = 4 << 20


def line(cells: Sequence[str]) -> bytes:
    """Return a row as it is written."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue().encode()


def cells(line: bytes) -> list[str]:
    """Return the cells of a line; none if it is no row."""
    try:
        return next(csv.reader([line.decode(errors="replace")]), [])
    except csv.Error:
        return []


def first_row(handle: BinaryIO) -> list[str]:
    """Return the cells of the line at which `handle` stands, whole or torn."""
    return cells(handle.readline(_LONGEST_LINE))


def whole_lines(handle: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield position and bytes of every line from where `handle` stands that a crash left whole.

    A line without its end is torn, and zeros are what a power cut leaves of a block.
    """
    position, torn = handle.tell(), False
    while piece := handle.readline(_LONGEST_LINE):
        ends = piece.endswith(b"\n")
        if ends and not torn and b"\0" not in piece:
            yield position, piece
        torn = not ends
        position += len(piece)


class Table:
    """A CSV file of rows of one width, below a header if there is one; it may be missing.

    `rows` reads it through; after that `keep` leaves in it only what shall stand.
    """

    def __init__(self, path: Path, width: int, header: Sequence[str] = ()) -> None:
        self.path = path
        self._width = width
        self._header = list(header)
        self._tidy = False  # the file holds nothing but header and rows, as we write them
        self._rows = 0

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield position and cells of every whole row but the header."""
        if not self.path.exists():
            return
        tidy_bytes = 0
        with self.path.open("rb") as handle:
            for position, found in whole_lines(handle):
                row = cells(found)
                if position or row != self._header:
                    if len(row) != self._width or row == self._header:
                        continue
                    self._rows += 1
                    yield position, row
                tidy_bytes += len(found) if line(row) == found else 0
            self._tidy = tidy_bytes == handle.tell()

    def keep(self, positions: Sequence[int]) -> None:
        """Bring the file to hold just these rows; the usual case, that it does, writes nothing."""
        if self._tidy and len(positions) == self._rows:
            return
        write_atomically(self.path, self._lines_at(positions))

    def _lines_at(self, positions: Sequence[int]) -> Iterator[bytes]:
        if self._header:
            yield line(self._header)
        if positions:
            with self.path.open("rb") as handle:
                for position in positions:
                    handle.seek(position)
                    yield line(cells(handle.readline()))


def write_synced(handle: BinaryIO, rows: Iterable[Sequence[str]]) -> None:
    """Append rows and return when they are on the disk."""
    handle.write(b"".join(map(line, rows)))
    handle.flush()
    os.fsync(handle.fileno())


def write_atomically(path: Path, content: str | bytes | Iterable[bytes]) -> None:
    """Write a whole file so that a kill or a full disk leaves either the old one or the new."""
    if isinstance(content, str):
        content = content.encode()
    draft = path.with_name(path.name + ".part")
    try:
        with draft.open("wb") as handle:
            handle.writelines([content] if isinstance(content, bytes) else content)
            handle.flush()
            os.fsync(handle.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)  # a full disk needs the room
        raise
