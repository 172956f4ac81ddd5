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


def loaded(*arguments: object, names: set[str], home: Path) -> str:
    """Run a command in a process of its own; return which modules of `names` it has loaded."""
    code = "import sys; from scanner.cli import cli\n"
    code += f"cli({[str(word) for word in arguments]!r}, standalone_mode=False)\n"
    code += f"print({names!r} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1]
