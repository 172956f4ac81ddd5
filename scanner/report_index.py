"""The rows for the report's app: a compact index of all of them, and their details in pieces.

A page opened from a file may not read other files, but it may load scripts: each file is one call
of a function, with JSON. `data/index.js` has a column for all that is filtered and sorted by,
`data/rows-0001.js` and further files what a card shows, loaded when a card is about to be seen.
"""

import json
import secrets
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scanner.storage import write_atomically
from scanner.words import in_words

FORMAT = 1
# Some 300 KB: there at once from a share, and few enough files for 100,000 rows.
ROWS_PER_PIECE = 500
STATUSES = ("flagged", "ok", "rejected", "failed")
# JavaScript's bit operations know 31 bits without a sign. Flags beyond the 30th share the last.
_MAX_FLAGS = 30
_OTHER_FLAGS = ("other", "another flag, named on the card")
_SHOWN_OF_HASH = 12
_NONE = -1


class DataFiles:
    """Writes the files in `folder`: `add` every row in its order, then `finish`.

    Raises `OSError` if they cannot be written.
    """

    def __init__(self, folder: Path, groups: Sequence[str]) -> None:
        self._folder = folder
        # What is loaded minutes after the index may be a later report's: then its rows are others.
        self._rendering = secrets.token_hex(8)
        self._groups = {name: number for number, name in enumerate(groups)}
        self._flags: dict[str, int] = {}
        self._reasons: dict[str, int] = {}
        self._paths: list[str] = []
        self._patients: list[str] = []
        self._hashes: list[str] = []
        self._numbers = {
            name: array("i")
            for name in ("status", "group", "confidence", "focus", "flags", "reason")
        }
        self._piece: list[dict[str, Any]] = []
        self._pieces = 0
        folder.mkdir(exist_ok=True)

    def add(self, row: Mapping[str, Any], details: dict[str, Any]) -> None:
        """Add the cells of a row of the CSV, and its `report_rows.for_app`."""
        self._paths.append(row["path"])
        self._patients.append(details["patient"])
        self._hashes.append(row["sha256"][:_SHOWN_OF_HASH])
        status = row["status"]
        reason = row["reason"]
        for name, number in {
            "status": STATUSES.index(status) if status in STATUSES else _NONE,
            "group": self._groups.get(row["prediction"], _NONE),
            "confidence": _thousandths(row["confidence"]),
            "focus": _thousandths(row["lung_focus"]),
            "flags": self._flag_bits(row["flags"]),
            "reason": _number_of(reason, self._reasons) if reason else _NONE,
        }.items():
            self._numbers[name].append(number)
        self._piece.append(details)
        if len(self._piece) == ROWS_PER_PIECE:
            self._write_piece()

    def finish(self, about: Mapping[str, Any]) -> None:
        """Write what is left and the index, `about` the scan first; remove an earlier report's."""
        if self._piece:
            self._write_piece()
        write_atomically(self._folder / "index.js", self._index(about))
        names = {self._name(number) for number in range(1, self._pieces + 1)}
        for stale in self._folder.glob("rows-*.js"):
            if stale.name not in names:
                stale.unlink()

    def _flag_bits(self, cell: str) -> int:
        bits = 0
        for flag in filter(None, cell.split(";")):
            if flag in self._flags or len(self._flags) < _MAX_FLAGS:
                bits |= 1 << _number_of(flag, self._flags)
            else:
                bits |= 1 << _MAX_FLAGS
        return bits

    def _write_piece(self) -> None:
        self._pieces += 1
        content = f"cxrScan.rows({self._pieces}, {for_script(self._piece)}, '{self._rendering}');\n"
        write_atomically(self._folder / self._name(self._pieces), content)
        self._piece = []

    @staticmethod
    def _name(number: int) -> str:
        return f"rows-{number:04}.js"

    def _index(self, about: Mapping[str, Any]) -> Iterator[bytes]:
        flags = [(flag, in_words(flag)) for flag in self._flags]
        values = {
            "format": FORMAT,
            "rendering": self._rendering,
            **about,
            "total": len(self._paths),
            "chunk": ROWS_PER_PIECE,
            "statuses": STATUSES,
            "flags": [*flags, _OTHER_FLAGS] if len(flags) == _MAX_FLAGS else flags,
            "reasons": [(reason, in_words(reason)) for reason in self._reasons],
        }
        # Engines parse JSON in a string twice as fast as the same as a literal (8.8 MB: 200 ms).
        yield b"cxrScan.index(JSON.parse('"
        yield _quoted(for_script(values)[:-1] + ',"columns":{"path":')
        yield _quoted(for_script(self._paths))
        for name, numbers in self._numbers.items():
            yield f',"{name}":{for_script(numbers.tolist())}'.encode()
        yield _quoted(f',"patient":{for_script(self._patients)}')
        yield _quoted(f',"sha":{for_script(self._hashes)}}}}}')
        yield b"'));\n"


def for_script(value: Any) -> str:
    """Return a value as JSON that means the same as a script, and closes none it stands in.

    Every character beyond ASCII is escaped, U+2028 and U+2029 that way too, and ``<``.
    """
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _quoted(script: str) -> bytes:
    """Return JSON as it stands between the apostrophes of a script's string."""
    return script.replace("\\", "\\\\").replace("'", "\\'").encode()


def _number_of(word: str, known: dict[str, int]) -> int:
    return known.setdefault(word, len(known))


def _thousandths(cell: str) -> int:
    return round(1000 * float(cell)) if cell else _NONE
