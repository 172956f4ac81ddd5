#!/usr/bin/env python3
"""Where the time of the process that predicts goes: profile_scan.py FOLDER [OPTIONS OF cxr-scan …]

Watches a scan with py-spy (a hundred looks a second, which slow it by about a hundredth) and prints
the share of the looks in which each of our own functions was on the main thread's stack, the making
of the predictor left out; then what the other threads were at. Decoders, which
are other processes, are not in it.
"""

import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from subprocess import run

import scans
from figures import machine, table

_RATE = 100
# What the main thread is in before the network can compute.
_STARTING = "RowMaker.ready_predictor "
_OURS = ("scanner/", "templates/")
_LEAST_SHARE = 0.005


def stacks(record: Path) -> Counter[tuple[str, ...]]:
    """Return how often each stack was seen, outermost first: lines `frame;frame;… count`."""
    found: Counter[tuple[str, ...]] = Counter()
    for line in record.read_text(encoding="utf-8").splitlines():
        frames, _, count = line.rpartition(" ")
        found[tuple(frames.split(";"))] += int(count)
    return found


def functions(stack: tuple[str, ...]) -> set[str]:
    """Return our own functions on a stack, without line numbers, as `name (file)`."""
    ours = (frame for frame in stack if any(place in frame for place in _OURS))
    return {frame.rpartition(":")[0] + ")" for frame in ours}


def main() -> None:
    folder, *options = sys.argv[1:] or sys.exit(__doc__)
    spy = shutil.which("py-spy") or str(Path(sys.executable).with_name("py-spy"))
    if not Path(spy).exists():
        sys.exit("py-spy is missing: pip install py-spy")
    with tempfile.TemporaryDirectory() as place:
        record = Path(place) / "raw"
        words = [spy, "record", "--format", "raw", "--rate", str(_RATE), "--threads", "--idle"]
        words += ["--output", str(record), "--", sys.executable, "-c", scans.COMMAND, folder]
        started = time.perf_counter()
        done = run([*words, "--output", f"{place}/out", *options], capture_output=True, text=True)
        seconds = time.perf_counter() - started
        if not record.exists():
            sys.exit(f"py-spy could not look: {done.stderr.strip()[-300:]}")
        seen = stacks(record)
    # With --threads a stack begins with its thread; the main one is where the command runs.
    main_thread = [(stack, n) for stack, n in seen.items() if any("cli.py" in f for f in stack)]
    others: Counter[str] = Counter()
    for stack, count in seen.items():
        if len(stack) > 1 and not any("cli.py" in frame for frame in stack):
            others[f"{stack[0]}: {stack[-1]}"] += count
    starting = sum(n for stack, n in main_thread if _in(stack, _STARTING))
    total = sum(count for _, count in main_thread) - starting
    shares: Counter[str] = Counter()
    for stack, count in main_thread:
        if not _in(stack, _STARTING):
            shares.update({name: count for name in functions(stack)})
    print(f"{machine()}\n`cxr-scan {folder} {' '.join(options)}`: {seconds:.1f} s\n")
    print(f"Main thread: {starting / _RATE:.1f} s making the predictor; of the other ")
    print(f"{total / _RATE:.1f} s, share in our functions, what they call included:\n")
    often = [(name, n / total) for name, n in shares.most_common() if n / total > _LEAST_SHARE]
    print(table(["function", "share"], [[name, f"{share:.3f}"] for name, share in often]))
    print("\nOther threads, seconds at their innermost function:\n")
    print(table(["thread", "s"], [[n, f"{c / _RATE:.1f}"] for n, c in others.most_common(8)]))


def _in(stack: tuple[str, ...], function: str) -> bool:
    return any(frame.startswith(function) for frame in stack)


if __name__ == "__main__":
    main()
