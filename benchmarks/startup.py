#!/usr/bin/env python3
"""How long it takes until something happens, beside TensorFlow's own start: startup.py [--rounds N]

Commands that need no model; the first prediction of a scan of one image, and its end; a scan that
finds nothing new. Beside them bare Python, importing TensorFlow, and importing it and building
VGG19 in Keras, with the first prediction and without: the scan's first prediction should take at
most 1.5 times the last but one. In turns, in both orders.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import copies
import scans
from figures import machine, spread, table

ANSWERS = {
    "cxr-scan --help": ["--help"],
    "cxr-scan --version": ["--version"],
    "cxr-scan train --help": ["train", "--help"],
    "a mistyped command": ["trian"],
    "a wrong option": ["--batch-size", "many", "."],
    "report of an empty folder": ["report", "."],
}
_BUILD = """
import numpy, tensorflow, keras
base = keras.applications.VGG19(include_top=False, weights=None, input_shape=(256, 256, 3))
x = keras.layers.GlobalAveragePooling2D()(base.output)
model = keras.Model(base.input, keras.layers.Dense(3, activation="softmax")(x))
"""
BARE = {
    "bare Python": "pass",
    "import tensorflow": "import tensorflow",
    "import and build": _BUILD,
    "import, build, predict one image": _BUILD
    + "model.predict(numpy.zeros((1, 256, 256, 3), 'float32'), verbose=0)",
}
FIRST, SCAN = "first prediction of a scan", "scan of one image, report included"
NOTHING_NEW = "scan with nothing new, report included"
_GOAL, _GOAL_OF = 1.5, "import and build"


def seconds(folder: Path, code: str, *arguments: str) -> float:
    """Return how long a Python process takes."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True)
    return time.perf_counter() - started


def imports_tensorflow(folder: Path, output: Path) -> bool:
    """Tell whether scanning `folder` into `output`, where all is done, imports TensorFlow."""
    words = [sys.executable, "-X", "importtime", "-c", scans.COMMAND, str(folder)]
    done = subprocess.run(
        [*words, "--output", str(output)], capture_output=True, text=True, check=True
    )
    return any(line.split("|")[-1].strip() == "tensorflow" for line in done.stderr.splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--with", dest="extra", default="", help="options of cxr-scan, in one word")
    parser.add_argument("--quick", action="store_true", help="one round")
    options = parser.parse_args()
    extra = options.extra.split()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        empty, folder, done = (Path(place) / name for name in ("empty", "images", "done"))
        empty.mkdir()
        copies.write(copies.KINDS["PNG 1024"][1](copies.radiograph()), folder, ".png", 1)
        scans.run(folder, *extra, output=done)
        found: dict[str, list[float]] = {FIRST: []}

        def first_scan() -> float:
            scan = scans.run(folder, *extra)
            found[FIRST].append(scan.first_rows)
            return scan.seconds

        jobs: dict[str, Callable[[], float]] = {
            **{name: partial(seconds, empty, code) for name, code in BARE.items()},
            **{name: partial(seconds, empty, scans.COMMAND, *w) for name, w in ANSWERS.items()},
            SCAN: first_scan,
            NOTHING_NEW: lambda: scans.run(folder, *extra, output=done).seconds,
        }
        found |= {name: [] for name in jobs}
        for turn in range(1 if options.quick else options.rounds):
            for name in jobs if turn % 2 == 0 else reversed(jobs):
                found[name].append(jobs[name]())
        imported = imports_tensorflow(folder, done)
    base = statistics.median(found[_GOAL_OF])
    rows = [
        [name, spread(found[name]), f"{statistics.median(found[name]) / base:.2f}"]
        for name in (*BARE, *ANSWERS, FIRST, SCAN, NOTHING_NEW)
    ]
    ratio = statistics.median(found[FIRST]) / base
    print(f"{machine()}\n\n{table(['', 'seconds', f'of “{_GOAL_OF}”'], rows)}\n")
    print(f"First prediction: {ratio:.2f} times “{_GOAL_OF}” (goal: at most {_GOAL}).")
    print(f"With nothing new TensorFlow is {'' if imported else 'not '}imported.")
    print(f"It took {time.perf_counter() - started:.0f} s; load {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
