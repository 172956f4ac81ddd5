"""The real command, run and watched from outside, as every benchmark of a whole scan needs it."""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory import descendants, peak, resident

COMMAND = "from scanner.cli import main; main()"
_SECONDS_BETWEEN_LOOKS = 0.02
# Adding up what processes share costs the kernel some milliseconds.
_SECONDS_BETWEEN_SUMS = 2.0


class RefusedError(Exception):
    """The command would not run with these options; its last line says why."""


@dataclass(frozen=True)
class Scan:
    """What one run of the command took.

    `seconds` is from start to end, `first_rows` the time until rows were in the table, `at_first`
    how many those were, `last_rows` the time of the last ones. `own_mb` is the most the scan's own
    process had resident, `all_mb` the largest sum over all processes (PSS; looked at every two
    seconds). `rows` are the table's, `run` the manifest's entry.
    """

    seconds: float
    first_rows: float
    at_first: int
    last_rows: float
    own_mb: float
    all_mb: float
    rows: list[dict[str, str]]
    run: dict[str, Any]

    @property
    def rate(self) -> float:
        """Images a second, from the start of the command to its end."""
        return len(self.rows) / self.seconds

    @property
    def later_rate(self) -> float:
        """Images a second from the first rows to the end of the command, report included."""
        return (len(self.rows) - self.at_first) / (self.seconds - self.first_rows)

    @property
    def predicting_rate(self) -> float | None:
        """Images a second while the predictor works, as the manifest says."""
        seconds, images = self.run.get("predicting_seconds"), self.run.get("predicted")
        return images / seconds if seconds and images else None

    @property
    def busy(self) -> float | None:
        """Share of the time from the first batch to the last that the predictor worked."""
        return self.run.get("predictor_busy") or None


def probabilities(scan: Scan) -> dict[str, list[float]]:
    """Return of every judged file what the model says of each class, by path."""
    names = [name for name in scan.rows[0] if name.startswith("prob_")]
    return {row["path"]: [float(row[name]) for name in names] for row in scan.rows if row[names[0]]}


def run(
    folder: Path,
    *options: str,
    output: Path | None = None,
    environment: dict[str, str] | None = None,
) -> Scan:
    """Scan `folder` with the command in a process of its own; raises `RefusedError`.

    Results go to a temporary folder unless `output` is given.
    """
    with tempfile.TemporaryDirectory() as place:
        output = output or Path(place) / "results"
        environment = {**os.environ, "XDG_CONFIG_HOME": place, **(environment or {})}
        words = ["--output", str(output), *options]
        with (Path(place) / "said").open("w+") as said:
            started = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, str(folder), *words],
                stdout=said,
                stderr=said,
                env=environment,
            )
            try:
                watched = _watch(process, output / "predictions.csv", started)
            finally:
                process.kill()  # an interrupted benchmark leaves nothing behind
            said.seek(0)
            if process.returncode not in (0, 3):
                raise RefusedError((said.read().strip().splitlines() or ["it said nothing"])[-1])
        with (output / "predictions.csv").open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
        manifest = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
        return Scan(**watched, rows=rows, run=manifest["runs"][-1])


def _watch(process: subprocess.Popen[bytes], rows: Path, started: float) -> dict[str, Any]:
    """Wait for the command and return what is seen of it from outside."""
    size = header = at_first = own = everything = 0
    first = last = summed = 0.0
    while process.poll() is None:
        now = time.perf_counter() - started
        new_size = rows.stat().st_size if rows.exists() else 0
        if new_size != size:
            size, last = new_size, now
            if not header:
                header = rows.read_bytes().find(b"\n") + 1
            if not first and size > header:
                first, at_first = now, rows.read_bytes().count(b"\n") - 1
        if now - summed > _SECONDS_BETWEEN_SUMS:
            summed = now
            everything = max(everything, sum(resident(pid)[1] for pid in descendants(process.pid)))
        own = max(own, peak(process.pid))
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return {
        "seconds": time.perf_counter() - started,
        "first_rows": first,
        "at_first": at_first,
        "last_rows": last,
        "own_mb": own / 1024,
        "all_mb": max(everything, own) / 1024,
    }
