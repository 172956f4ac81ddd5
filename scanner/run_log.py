"""`run.log`: what happened in a run, a line for each event, for people or (JSON) for programs."""

import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scanner.text import printable

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)
_FIELDS = "event_fields"

logger = logging.getLogger("scanner")


def say(event: str, message: str, level: int = logging.INFO, **fields: Any) -> None:
    """Log `message` as an `event`, a stable word; `fields` are what JSON lines hold beside it."""
    logger.log(level, "%s", message, extra={_FIELDS: {"event": event, **fields}})


class OneLine(logging.Formatter):
    """UTC times, and nothing in a message may end its line or move the terminal's cursor."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class JsonLine(logging.Formatter):
    """One JSON object: ``time`` (UTC), ``level``, ``event``, ``message``, then the event's own.

    Texts are made `printable` as in the CSV: a path is the same here, there and in a text log.
    """

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        values = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname,
            "event": "message",
            "message": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        safe = {k: printable(v) if isinstance(v, str) else v for k, v in values.items()}
        return json.dumps(safe, ensure_ascii=False)


class _LogFile(logging.Handler):
    """A file to which each line is appended by one write; a full disk costs lines, never the run.

    Not `logging.FileHandler`: it buffers what could not be written, and prints tracebacks. Lines
    that were lost are counted, and said as soon as one can be written again.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        size = os.fstat(self._descriptor).st_size
        # What a kill left of a line must not swallow the next.
        os.lseek(self._descriptor, max(size - 1, 0), os.SEEK_SET)
        self._torn = os.read(self._descriptor, 1) not in (b"", b"\n")
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        lines = self.format(record) + "\n"
        if self._lost:
            lines = self.format(_about_lost_lines(self._lost)) + "\n" + lines
        data = b"\n" * self._torn + lines.encode("utf-8", "backslashreplace")
        try:
            written = os.write(self._descriptor, data)
        except OSError:
            written = 0
        if written == len(data):
            self._torn, self._lost = False, 0
        else:
            self._torn |= written > 0
            self._lost += 1

    def close(self) -> None:
        os.close(self._descriptor)
        super().close()


def _about_lost_lines(count: int) -> logging.LogRecord:
    record = logger.makeRecord(
        logger.name, logging.WARNING, "", 0, "%d lines could not be written", (count,), None
    )
    setattr(record, _FIELDS, {"event": "lines_lost", "lines": count})
    return record


@contextlib.contextmanager
def kept(path: Path, form: str) -> Iterator[None]:
    """Append what the package ``scanner`` logs to `path`, as `form` of `FORMATS` says.

    Raises `OSError` if the file cannot be opened.
    """
    handler = _LogFile(path)
    text = OneLine("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    handler.setFormatter(JsonLine() if form == JSON else text)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
