"""The output folder: one scan at a time in it, its log, and starting over."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from scanner import run_log
from scanner.errors import SetupError

PREDICTIONS = "predictions.csv"
SOURCES = "sources.csv"
MANIFEST = "manifest.json"
_FIRST_COLUMNS = b"path,status,"
# Decisions of people, merged by `cxr-scan review`; no scan deletes them, --fresh neither.
REVIEWED = "reviewed.csv"
LOG = "run.log"
LOCK = ".lock"
REPORT = "report"
# What a scan writes, so that --fresh deletes nothing else.
_FILES = (PREDICTIONS, SOURCES, MANIFEST, LOG)
# How `records.write_atomically` calls what it has not finished; a kill leaves it there.
_UNFINISHED = ".part"
# `cxr-scan status` holds the lock for microseconds; a scan that starts just then tries again.
_LOCK_SECONDS = 1.0


@contextlib.contextmanager
def prepared(folder: Path, fresh: bool, log_format: str = run_log.TEXT) -> Iterator[None]:
    """Hold the output folder for one run, made if it is missing, with its log open.

    Raises `SetupError` if it cannot be written, or another scan is at work in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, "or choose another --output"):
            if fresh:
                _clear(folder)
            with run_log.kept(folder / LOG, log_format):
                yield
    except OSError as error:
        raise SetupError(
            f"The output folder {folder} cannot be written ({error.strerror or error}): make room "
            "or give it write permission, then run the same command again; it continues."
        ) from error


@contextlib.contextmanager
def locked(folder: Path, otherwise: str) -> Iterator[None]:
    """Hold an output folder that is there.

    Raises `SetupError` if another process holds it; `otherwise` is what can be done but wait.
    """
    try:
        with FileLock(folder / LOCK, timeout=_LOCK_SECONDS):
            yield
    except Timeout:
        raise SetupError(
            f"Another scan is writing into {folder}: wait for it, {otherwise}."
        ) from None


def is_held(folder: Path) -> bool:
    """Tell whether a scan is at work in an output folder; nothing is written, no scan disturbed.

    Asking for a shared lock tells it on network shares and between containers too, which a process
    number does not. It is given back at once; a scan that starts meanwhile waits that long.
    """
    try:
        import fcntl
    except ImportError:  # Windows: the manifest has to do
        return False
    try:
        with (folder / LOCK).open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _clear(folder: Path) -> None:
    """Delete the results of a scan, if that is what lies here, and nothing else."""
    try:
        with (folder / PREDICTIONS).open("rb") as handle:
            ours = handle.readline().startswith(_FIRST_COLUMNS)
    except FileNotFoundError:
        ours = (folder / SOURCES).is_file()
        if not ours:
            return
    if not ours:
        raise SetupError(
            f"{folder / PREDICTIONS} is not of cxr-scan, so --fresh leaves it: choose another "
            "--output, or move the file away."
        )
    report = folder / REPORT
    pages = [report / "index.html", *report.glob("page-*.html"), *report.glob("*.part")]
    pages.append(report / "app.js")
    for pictures_or_data in ("thumbs", "data"):
        shutil.rmtree(report / pictures_or_data, ignore_errors=True)
    # The table goes last: while it is there, the same command after a kill clears the rest.
    for path in [*pages, *(folder / name for name in reversed(_FILES))]:
        path.unlink(missing_ok=True)
        path.with_name(path.name + _UNFINISHED).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        report.rmdir()  # only if nothing else is in it


def refuse_key_inside(folder: Path, key: Path) -> None:
    """Raise `SetupError` if the key for pseudonyms would lie among the results."""
    if key.resolve().is_relative_to(folder.resolve()):
        raise SetupError(
            f"The key for pseudonyms at {key} lies in the output folder, where it undoes them: "
            "choose another --output, or set XDG_CONFIG_HOME to another folder."
        )


def refuse_other_run(previous: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    """Raise `SetupError` if earlier results there were made in a way these must not be mixed with.

    Both are manifest values; compared are ``--hide-paths``, the scanned folder, the model,
    ``--strict`` and ``--include``.
    """
    if "root" in previous:  # scans from before there was --hide-paths kept them
        previous = {"hide_paths": False, **previous}
    names = {
        "hide_paths": "--hide-paths",  # first: it decides how the folder is called
        "root": "folder",
        "model": "model",
        "strict": "--strict",
        "include": "--include",
    }
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
    try:
        return (folder / PREDICTIONS).is_file() and (folder / SOURCES).is_file()
    except PermissionError:
        return False  # whoever opens it says so


def picture_paths(folder: Path, sha256: str) -> tuple[Path, Path]:
    """Return where radiograph and overlay of a judged file lie in output folder `folder`."""
    place = folder / REPORT / "thumbs" / sha256[:2]
    return place / f"{sha256}.jpg", place / f"{sha256}-cam.jpg"


def detail_path(folder: Path, sha256: str) -> Path:
    """Return where the large picture of a file lies in output folder `folder`, if it has one."""
    return folder / REPORT / "thumbs" / sha256[:2] / f"{sha256}-detail.jpg"
