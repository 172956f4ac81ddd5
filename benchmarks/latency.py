#!/usr/bin/env python3
"""How much of a network share's latency a scan hides: latency.py [--trips MS …] [--with OPTIONS]

Scans the same real radiographs with round trips of several lengths injected: a small library
(`slow_files.c`, compiled here with cc, loaded with LD_PRELOAD) lets opening a file take one round
trip and reading one more for every megabyte begun, which needs no privileges and no share. Beside
each run stands what one reader would wait in all, and how much of it the run was longer by.
"""

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import copies
import scans
from figures import machine, spread, table

_ROUND_TRIPS_A_FILE = 1  # to open it; reading adds one for each megabyte begun


def compile_shim(folder: Path) -> Path:
    """Return the library that makes files slow; exits where there is no C compiler."""
    library = folder / "slow_files.so"
    source = Path(__file__).with_name("slow_files.c")
    words = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    try:
        subprocess.run(words, check=True)
    except FileNotFoundError:
        sys.exit("latency.py needs a C compiler: install Debian's gcc.")
    return library


def environment(library: Path, folder: Path, milliseconds: float) -> dict[str, str]:
    """Return what makes a command find the files below `folder` slow."""
    before = os.environ.get("LD_PRELOAD", "")
    return {
        "LD_PRELOAD": f"{library}:{before}".rstrip(":"),
        "SLOW_FOLDER": str(folder),
        "SLOW_MS": str(milliseconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--images", type=int, default=300)
    add("--kind", choices=copies.KINDS, default="PNG 1024")
    add("--trips", type=float, nargs="+", default=[0, 5, 20, 50, 100], help="milliseconds")
    add("--rounds", type=int, default=2)
    add("--with", dest="extra", default="", help="options of cxr-scan, in one word")
    add("--quick", action="store_true", help="48 images, one round, two latencies")
    options = parser.parse_args()
    if options.quick:
        options.images, options.rounds, options.trips = 48, 1, [0, 50]
    started = time.perf_counter()
    seconds: dict[float, list[float]] = {trip: [] for trip in options.trips}
    rates: dict[float, list[float]] = {trip: [] for trip in options.trips}
    with tempfile.TemporaryDirectory() as place:
        library = compile_shim(Path(place))
        folder = Path(place).resolve() / "share"
        suffix, encode = copies.KINDS[options.kind]
        data = encode(copies.radiograph())
        copies.write(data, folder, suffix, options.images)
        for turn in range(options.rounds):
            for trip in options.trips if turn % 2 == 0 else reversed(options.trips):
                slow = environment(library, folder, trip)
                scan = scans.run(folder, *shlex.split(options.extra), environment=slow)
                print(f"{trip:g} ms: {scan.seconds:.1f} s", file=sys.stderr)
                seconds[trip].append(scan.seconds)
                rates[trip].append(scan.later_rate)
    round_trips = _ROUND_TRIPS_A_FILE + (len(data) + (1 << 20) - 1 >> 20)
    base = statistics.median(seconds[min(seconds)])
    rows = []
    for trip, times in seconds.items():
        waited = trip / 1000 * round_trips * options.images
        longer = statistics.median(times) - base
        hidden = f"{1 - max(longer, 0) / waited:.2f}" if waited else ""
        both = spread(rates[trip]), spread(times)
        rows.append([f"{trip:g} ms", *both, f"{waited:.0f}", f"{longer:.1f}", hidden])
    head = ["round trip", "images/s after start-up", "seconds of all"]
    head += ["one reader would wait, s", "longer by, s", "hidden"]
    print(machine())
    print(f"{options.images} files ({options.kind}), {round_trips} round trips each\n")
    print(table(head, rows))
    print(f"\nIt took {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    main()
