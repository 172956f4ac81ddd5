"""The output folder: one scan at a time in it, its log, and starting over."""

import contextlib
import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from scanner.errors import SetupError
from scanner.text import printable

PREDICTIONS = "predictions.csv"
SOURCES = "sources.csv"
MANIFEST = "manifest.json"
_FIRST_COLUMNS = b"path,status,"
# What a scan writes, so that --fresh deletes nothing else.
_FILES = (PREDICTIONS, SOURCES, MANIFEST, "run.log")
REPORT = "report"


class OneLine(logging.Formatter):
    """UTC times, and nothing in a message may end its line or move the terminal's cursor."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


@contextlib.contextmanager
def prepared(folder: Path, fresh: bool) -> Iterator[None]:
    """Hold the output folder for one run, made if it is missing, with its log open.

    Raises `SetupError` if it cannot be written, or another scan is at work in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        with lock:
            if fresh:
                _clear(folder)
            with _log_to(folder / "run.log"):
                yield
    except Timeout:
        raise SetupError(
            f"Another scan is writing into {folder}: wait for it, or choose another --output."
        ) from None
    except OSError as error:
        raise SetupError(
            f"The output folder {folder} cannot be written ({error.strerror or error}): make room "
            "or give it write permission, then run the same command again; it continues."
        ) from error


def _clear(folder: Path) -> None:
    """Delete the results of a scan, if that is what lies here, and nothing else."""
    try:
        with (folder / PREDICTIONS).open("rb") as handle:
            ours = handle.readline().startswith(_FIRST_COLUMNS)
    except FileNotFoundError:
        return
    if not ours:
        raise SetupError(
            f"{folder / PREDICTIONS} is not of cxr-scan, so --fresh leaves it: choose another "
            "--output, or move the file away."
        )
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
    report = folder / REPORT
    for page in [report / "index.html", *report.glob("page-*.html")]:
        page.unlink(missing_ok=True)
    shutil.rmtree(report / "thumbs", ignore_errors=True)
    with contextlib.suppress(OSError):
        report.rmdir()  # only if nothing else is in it


@contextlib.contextmanager
def _log_to(path: Path) -> Iterator[None]:
    logger = logging.getLogger("scanner")
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(OneLine("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def refuse_other_run(previous: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    """Raise `SetupError` if earlier results there were made in a way these must not be mixed with.

    Both are manifest values; compared are the scanned folder, the model, ``--strict`` and
    ``--include``.
    """
    names = {"root": "folder", "model": "model", "strict": "--strict", "include": "--include"}
    for name, what in names.items():
        if name in previous and previous[name] != now[name]:
            raise SetupError(
                f"{folder} holds results of {what} {_shown(previous[name])}, this run is of "
                f"{_shown(now[name])}: repeat that, or choose another --output, or --fresh to "
                "start over there."
            )


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def is_output(folder: Path) -> bool:
    """Tell whether a folder holds the results of a scan."""
    return (folder / PREDICTIONS).is_file() and (folder / SOURCES).is_file()


def picture_paths(folder: Path, sha256: str) -> tuple[Path, Path]:
    """Return where radiograph and overlay of a judged file lie in output folder `folder`."""
    place = folder / REPORT / "thumbs" / sha256[:2]
    return place / f"{sha256}.jpg", place / f"{sha256}-cam.jpg"
