"""How far a running or ended scan is, read from its output folder without touching anything."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scanner import manifest, output
from scanner.errors import SetupError
from scanner.records import COLUMNS
from scanner.storage import cells, whole_lines
from scanner.text import printable

_AGAIN = "run the same command again; it continues"
# State of the manifest -> what to do next.
_NEXT = {
    "complete": "read the report; run the same command again after adding files",
    "limited": f"--limit left files unread: {_AGAIN}",
    "interrupted": _AGAIN,
    "failed": f"do what the reason says, then {_AGAIN}",
    "died": f"{_AGAIN}; results of finished batches are safe",
    "running": "wait, or stop it with Ctrl-C; what is judged by then stays",
}
_UNKNOWN = f"manifest.json is missing or damaged, the rows are safe: {_AGAIN}"


def lines(folder: Path) -> list[str]:
    """Return what there is to say of the scan into `folder`, as lines for a terminal.

    Needs the same little memory for any number of rows. Raises `SetupError` if `folder` is not the
    output folder of a scan.
    """
    _check_is_output(folder)
    made = manifest.load(folder / output.MANIFEST)
    last = (manifest.runs(made) or [{}])[-1]
    at_work = output.is_held(folder)
    state = "running" if at_work else _state(last)
    counts = count_rows(folder / output.PREDICTIONS)
    if at_work and last.get("state") != "running":
        # The entry is of the run before: this one has not opened its own yet.
        return [
            "running: listing files and reading earlier results",
            _about_rows(counts),
            f"next: {_NEXT['running']}",
        ]
    return [
        f"{state}{_about_progress(made, last, counts.total(), running=at_work)}",
        *_about_run(last, running=at_work),
        _about_rows(counts),
        *_about_report(folder, state),
        f"next: {_NEXT.get(state, _UNKNOWN)}",
    ]


def _check_is_output(folder: Path) -> None:
    if any((folder / name).is_file() for name in (output.PREDICTIONS, output.MANIFEST)):
        return
    if output.is_held(folder):
        return
    near = folder.with_name(f"{folder.resolve().name}-cxr")
    hint = f" Did you mean {near}?" if (near / output.PREDICTIONS).is_file() else ""
    raise SetupError(
        f"{folder} is no output folder of a scan: it holds neither {output.PREDICTIONS} nor "
        f"{output.MANIFEST}.{hint}"
    )


def _state(last: dict[str, Any]) -> str:
    """Return how the last run ended; one that says it runs, but holds no lock, was killed."""
    state = str(last.get("state", "unknown"))
    return "died" if state == "running" else state


def count_rows(path: Path) -> Counter[str]:
    """Return how many whole rows of a `predictions.csv` have each status; none without a file."""
    try:
        with path.open("rb") as handle:
            rows = (cells(line) for _, line in whole_lines(handle))
            return Counter(row[1] for row in rows if len(row) > 1 and row[:2] != list(COLUMNS[:2]))
    except FileNotFoundError:
        return Counter()
    except OSError as error:
        raise SetupError(f"{path} cannot be read ({error.strerror}).") from error


def _about_progress(made: dict[str, Any], last: dict[str, Any], rows: int, running: bool) -> str:
    known, to_read, read = (
        _number(values, name)
        for values, name in ((made, "files"), (last, "files_to_read"), (last, "files_read"))
    )
    if not known:
        return ""
    # The manifest is written every few seconds, the table after every batch; the table alone knows
    # no files without a row.
    done = min(max(known - max(to_read - read, 0), rows), known)
    text = f": {done:,.0f} of {known:,.0f} files ({done / known:.0%})"
    rate = _number(last, "files_per_second")
    if rate:
        text += f", {rate:.1f} a second"
    if running and rate:
        text += f", {tqdm.format_interval((known - done) / rate)} left"
    return text


def _about_run(last: dict[str, Any], running: bool) -> Iterator[str]:
    if last.get("started"):
        times = f"since {last['started']}" if running else f"from {last['started']}"
        if last.get("ended"):
            times += f" to {last['ended']}"
        yield printable(f"run:  {times}, process {last.get('pid')} on {last.get('host')}")
    if last.get("device"):
        yield printable(f"on:   {last['device']}, {last.get('precision')}")
    if last.get("state") == "running" and not running:
        yield "why:  it was killed, or the machine stopped"
    elif last.get("reason"):
        yield printable(f"why:  {last['reason']}")


def _about_rows(counts: Counter[str]) -> str:
    parts = [f"{counts[name]:,} {name}" for name in ("ok", "flagged", "rejected", "failed")]
    return f"rows: {counts.total():,}: {', '.join(parts)}"


def _about_report(folder: Path, state: str) -> Iterator[str]:
    index = folder / output.REPORT / "index.html"
    if state != "running" and index.is_file():
        yield printable(f"report: {os.fspath(index)}")


def _number(values: dict[str, Any], name: str) -> float:
    """Return a number of a manifest, which may be damaged; 0 if it is none."""
    value = values.get(name)
    return value if isinstance(value, int | float) and value > 0 else 0
