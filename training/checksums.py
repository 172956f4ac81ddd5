"""A checksum for every row of a file of rows: what a disk or a power cut damaged is made anew."""

import os
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.progress import bar

_DTYPE = np.dtype("<u4")
ROW_BYTES = _DTYPE.itemsize


def beside(path: Path) -> Path:
    """Return the file of the checksums of the rows in `path`."""
    return path.with_name(path.name + "-sums")


def of_rows(values: npt.NDArray[np.generic]) -> bytes:
    """Return the checksums of rows (N, ...), `ROW_BYTES` (CRC-32) for each."""
    return np.array([zlib.crc32(row.tobytes()) for row in values], _DTYPE).tobytes()


def intact_rows(path: Path, row_bytes: int) -> int:
    """Return how many rows of `path` there are up to the first that is not as it was written.

    Rows of an earlier version, which wrote no checksums, are taken as they are and get theirs.
    """
    rows = path.stat().st_size // row_bytes
    sums = beside(path)
    noted = np.fromfile(sums, _DTYPE)[:rows] if sums.exists() else None
    found = np.zeros(rows if noted is None else len(noted), _DTYPE)
    with path.open("rb") as handle, bar("checking the cache", len(found), " images") as shown:
        for row in range(len(found)):
            found[row] = zlib.crc32(handle.read(row_bytes))
            if noted is not None and found[row] != noted[row]:
                return row
            shown.update()
    if noted is None:
        sums.write_bytes(found.tobytes())
    return len(found)


def keep_intact(path: Path, row_bytes: int) -> None:
    """Cut a file that was begun off before its first damaged row; it need not be there."""
    if path.exists():
        rows = intact_rows(path, row_bytes)
        os.truncate(path, rows * row_bytes)
        os.truncate(beside(path), rows * ROW_BYTES)
    else:
        beside(path).unlink(missing_ok=True)


def move(path: Path, to: Path) -> None:
    """Rename a file of rows, its checksums first: without them it counts as unchecked."""
    beside(path).replace(beside(to))
    path.replace(to)
