"""`manifest.json`: how the runs of an output folder were made and how they went and ended."""

import json
import os
import platform
import socket
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from scanner import __version__
from scanner.errors import CxrScanError
from scanner.interrupts import signal_name
from scanner.storage import write_atomically

_REPORTED_PACKAGES = (
    *("tensorflow", "keras", "openvino", "pydicom", "numpy", "opencv-python-headless", "pillow"),
)


class Manifest:
    """The record of an output folder; what is true of all its runs, and ``runs``, the latest last.

    It is written whole every time, so a run that is killed leaves state ``running``: whether it
    still does, the folder's lock says. The next run writes ``died`` into such an entry.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.previous = load(path)
        self.earlier_runs = [_certainly_ended(run) for run in runs(self.previous)]
        self.damaged = path.exists() and not self.previous
        self._values: dict[str, Any] = {}
        self._run: dict[str, Any] = {}

    def begin(self, values: dict[str, Any], run: dict[str, Any]) -> None:
        """Open the entry of this run: process, host, start; `run` is what it adds of its own."""
        self._values = values
        self._run = {"pid": os.getpid(), "host": socket.gethostname(), "started": now(), **run}
        self._save("running")

    def update(self, values: dict[str, Any], run: dict[str, Any]) -> None:
        """Say how far this run is."""
        self._values |= values
        self._run |= run
        self._save("running")

    def end(self, values: dict[str, Any], run: dict[str, Any], state: str, reason: str) -> None:
        """Close the entry of this run if it was opened; `reason` is why it ended early, or empty.

        `state` is ``complete``, ``limited`` (by --limit), ``interrupted`` or ``failed``.
        """
        if self._run:
            self._values |= values
            self._run |= run | {"ended": now()} | ({"reason": reason} if reason else {})
            self._save(state)

    def _save(self, state: str) -> None:
        entry = {"state": state, **self._run}
        values = {"state": state, **self._values, "runs": [*self.earlier_runs, entry]}
        write_atomically(self._path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def load(path: Path) -> dict[str, Any]:
    """Return a manifest's values; none if it is missing or damaged (the CSV is the truth)."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def runs(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of the runs in a manifest's values, the latest last."""
    found = values.get("runs")
    return [run for run in found if isinstance(run, dict)] if isinstance(found, list) else []


def _certainly_ended(run: dict[str, Any]) -> dict[str, Any]:
    """A run that holds no lock any more and did not say how it ended was killed."""
    if run.get("state") != "running":
        return run
    return {**run, "state": "died", "reason": "killed, or the machine stopped"}


def how_it_ended(error: BaseException) -> tuple[str, str]:
    """Return state and reason of a run that `error` ended early.

    Texts of errors that are not ours may quote files: of those the kind is named alone.
    """
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", f"interrupted by {signal_name(error)}"
    if isinstance(error, CxrScanError):
        return "failed", str(error)
    if isinstance(error, OSError):
        return "failed", error.strerror or type(error).__name__
    return "failed", type(error).__name__


def now() -> str:
    """Return the time in UTC as results state it: ``2026-11-23T22:00:00Z``."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, without importing anything heavy."""
    found = {"cxr-scan": __version__, "python": platform.python_version()}
    for name in _REPORTED_PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
