"""The command as a user types it, run in a process of its own."""

import csv
import os
import subprocess
import sys
from pathlib import Path

_MAIN = "from scanner.cli import main; main()"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", _MAIN, *map(str, arguments)]


def environment(home: Path) -> dict[str, str]:
    """The environment with a configuration folder of the test's own (the pseudonym key)."""
    return {**os.environ, "XDG_CONFIG_HOME": str(home / "config")}


def run(*arguments: object, home: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def rows(output: Path) -> list[dict[str, str]]:
    with (output / "predictions.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))
