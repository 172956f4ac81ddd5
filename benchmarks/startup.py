#!/usr/bin/env python3
"""How long answers take that need no model, beside importing TensorFlow: startup.py [REPEATS]

Alternates the commands within one run, in both orders, and prints medians and spread in seconds.
"""

import statistics
import subprocess
import sys
import tempfile
import time

COMMANDS = {
    "cxr-scan --help": ["--help"],
    "cxr-scan --version": ["--version"],
    "cxr-scan train --help": ["train", "--help"],
    "a mistyped command": ["trian"],
    "a wrong option": ["--batch-size", "many", "."],
    "report of an empty folder": ["report", "."],
}


def seconds(code: str, arguments: list[str], folder: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    main_code = "from scanner.cli import main; main()"
    jobs = {name: (main_code, arguments) for name, arguments in COMMANDS.items()}
    jobs["bare Python"] = ("pass", [])
    jobs["import tensorflow"] = ("import tensorflow", [])
    found: dict[str, list[float]] = {name: [] for name in jobs}
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(repeats):
            order = list(jobs) if repeat % 2 == 0 else list(reversed(jobs))
            for name in order:
                found[name].append(seconds(*jobs[name], folder))
    heavy = statistics.median(found["import tensorflow"])
    for name, times in found.items():
        median = statistics.median(times)
        print(
            f"{name:28} {median:6.3f} s ({min(times):.3f} to {max(times):.3f}), "
            f"{median / heavy:.3f} of importing TensorFlow"
        )


if __name__ == "__main__":
    main()
