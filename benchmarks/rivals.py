#!/usr/bin/env python3
"""cxr-scan beside what a user would pick instead, in one table: rivals.py [DATA] [--quick]

In turns, forwards and backwards, each in a process of its own: the recipes of `recipes.py`, the
command `cxr-scan` with every backend and precision (`VARIANTS`), from files to CSV and report, and
what matrix products this machine does (`ceiling.py`), which nothing can be faster than. The same
images, drawn from DATA (default: ../shared/data/darkcovid), the same weights; recipes judge the
first few of them only, because they are slow. Then, for cxr-scan alone, what its time depends on
(`costs.py`); `--no-costs` leaves that out.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import ceiling
import costs
import scans
from figures import machine, spread, table
from memory import peak

# What cxr-scan is asked for. A version that refuses one says so in its row.
VARIANTS: dict[str, tuple[str, ...]] = {
    "cxr-scan, no options": (),
    "cxr-scan TensorFlow float32": ("--backend", "tensorflow", "--precision", "float32"),
    "cxr-scan TensorFlow bfloat16": ("--backend", "tensorflow", "--precision", "bfloat16"),
    "cxr-scan OpenVINO float32": ("--backend", "openvino", "--precision", "float32"),
    "cxr-scan OpenVINO bfloat16": ("--backend", "openvino", "--precision", "bfloat16"),
    "cxr-scan OpenVINO int8": ("--backend", "openvino", "--precision", "int8"),
}
# Recipe, as `recipes.py` calls it, by its row; and how many images it is shown.
RECIPES = {
    "(a) notebook: predict, GradientTape, one at a time": ("notebook", 17),
    "(b) the same, 32 at a time": ("notebook-batched", 64),
    "(c) tf-keras-vis, 32 at a time": ("tf-keras-vis", 64),
    "(d) PyTorch, grad-cam's algorithm, 32 at a time": ("torch-grad-cam", 64),
    "Keras predict, 32 at a time, no Grad-CAM": ("keras-predict", 96),
}
_SUFFIXES = (".jpg", ".jpeg", ".png", ".dcm")
_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "darkcovid"
# Whose labels the others' are compared with, the first that there is.
_REFERENCES = ("cxr-scan TensorFlow float32", "Keras predict, 32 at a time, no Grad-CAM")


@dataclass
class Found:
    """What the rounds measured of one row.

    `rate` is images a second after start-up, `whole` with it. `options` is False where the program
    chose its precision itself.
    """

    options: bool = True
    precision: str = "float32"
    refused: str = ""
    images: int = 0
    rate: list[float] = field(default_factory=list)
    startup: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    predicting: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    own_mb: list[float] = field(default_factory=list)
    all_mb: list[float] = field(default_factory=list)
    probabilities: dict[str, list[float]] = field(default_factory=dict)


def draw(data: Path, count: int) -> list[Path]:
    """Return so many image files below `data`, always the same, without masks, in sorted order."""
    files = [p for p in sorted(data.rglob("*")) if p.suffix.lower() in _SUFFIXES]
    files = [p for p in files if "mask" not in p.parent.name.lower()]
    if len(files) < count:
        sys.exit(f"{data} has {len(files)} image files, {count} are wanted (--images).")
    return sorted(random.Random(0).sample(files, count))


def lay_out(files: list[Path], folder: Path) -> list[Path]:
    """Link the files into `folder` by numbers, for which the draw is in random order."""
    folder.mkdir()
    shuffled = random.Random(1).sample(files, len(files))
    targets = [folder / f"{number:05}{file.suffix}" for number, file in enumerate(shuffled)]
    for file, target in zip(shuffled, targets, strict=True):
        try:
            target.hardlink_to(file)
        except OSError:  # another file system
            target.write_bytes(file.read_bytes())
    return targets


def try_recipe(found: Found, name: str, files: Path, count: int, images: int) -> None:
    """Run one recipe and add what it took; over `images` images the time is extrapolated."""
    script = Path(__file__).parent / "recipes.py"
    with tempfile.TemporaryDirectory() as output, tempfile.TemporaryFile("w+") as complaints:
        started = time.time()
        words = [sys.executable, str(script), name, str(files), output, str(count)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=complaints, text=True)
        highest = [0]
        watcher = threading.Thread(target=_watch, args=(process, highest))
        watcher.start()
        said, _ = process.communicate()
        watcher.join()
        complaints.seek(0)
        if process.returncode:
            found.refused = (complaints.read().strip().splitlines() or ["it failed"])[-1]
            return
    result = json.loads(said.splitlines()[-1])
    moments, first = result["moments"], min(result["batch"], count)
    rate = (count - first) / (moments[-1] - moments[0])
    found.images = count
    found.rate.append(rate)
    found.startup.append(moments[0] - started)
    found.whole.append(images / (moments[0] - started + (images - first) / rate))
    found.own_mb.append(highest[0] / 1024)
    found.all_mb.append(highest[0] / 1024)
    found.probabilities = {Path(p).name: each for p, each in result["probabilities"].items()}


def _watch(process: "subprocess.Popen[str]", highest: list[int]) -> None:
    while process.poll() is None:
        highest[0] = max(highest[0], peak(process.pid))
        time.sleep(0.1)


def try_variant(found: Found, folder: Path, options: tuple[str, ...]) -> None:
    """Run the command and add what it took."""
    try:
        scan = scans.run(folder, *options)
    except scans.RefusedError as error:
        found.refused = str(error)
        return
    found.options = bool(options)
    found.precision = str(scan.run.get("precision") or "float32")
    found.images = len(scan.rows)
    found.rate.append(scan.later_rate)
    found.startup.append(scan.first_rows)
    found.whole.append(scan.rate)
    found.predicting += [each for each in [scan.predicting_rate] if each]
    found.busy += [each for each in [scan.busy] if each]
    found.own_mb.append(scan.own_mb)
    found.all_mb.append(scan.all_mb)
    found.probabilities = scans.probabilities(scan)


def agreement(one: Found, other: Found) -> tuple[str, str]:
    """Return how many labels of images that both judged are equal, and the largest difference."""
    both = one.probabilities.keys() & other.probabilities.keys()
    if not both:
        return "", ""
    pairs = [(one.probabilities[p], other.probabilities[p]) for p in both]
    equal = sum(a.index(max(a)) == b.index(max(b)) for a, b in pairs)
    change = max(abs(x - y) for a, b in pairs for x, y in zip(a, b, strict=True))
    return f"{equal} of {len(both)}", f"{change:.2g}"


SPEED = (
    "", "images", "images/s after start-up", "of ceiling", "images/s predicting", "of ceiling",
    "busy", "start-up, s", "images/s of all",
)  # fmt: skip
REST = ("", "peak MB, own process", "peak MB, all processes", "equal labels", "largest change")


def speed(name: str, found: Found, limits: dict[str, list[float]]) -> list[str]:
    """Return a row of the table of speeds."""
    limit = statistics.median(limits.get(found.precision, [0.0]))

    def share(rates: list[float]) -> str:
        if not rates or not limit:
            return ""
        return f"{statistics.median(rates) * ceiling.VGG19_TERA / limit:.2f}"

    return [
        name if found.options else f"{name} ({found.precision})",
        str(found.images),
        spread(found.rate),
        share(found.rate),
        spread(found.predicting) if found.predicting else "",
        share(found.predicting),
        f"{statistics.median(found.busy):.2f}" if found.busy else "",
        spread(found.startup, 2),
        spread(found.whole),
    ]


def rest(name: str, found: Found, reference: Found) -> list[str]:
    """Return a row of the table of memory, and of labels beside those of float32."""
    memory = [f"{statistics.median(each):.0f}" for each in (found.own_mb, found.all_mb)]
    return [name, *memory, *agreement(found, reference)]


def times(found: dict[str, Found]) -> str:
    """Return the table of how many times faster each variant is than each recipe."""
    recipes = [name for name in RECIPES if found[name].rate]
    rows = [
        [name]
        + [
            f"{statistics.median(found[name].rate) / statistics.median(found[r].rate):.1f} / "
            f"{statistics.median(found[name].whole) / statistics.median(found[r].whole):.1f}"
            for r in recipes
        ]
        for name in VARIANTS
        if found[name].rate
    ]
    short = [name.partition(",")[0].partition(":")[0] for name in recipes]
    return table(["times as fast as (after start-up / with it)", *short], rows)


def compare(folder: Path, files: list[Path], options: argparse.Namespace) -> str:
    """Run everything in turns and return the tables."""
    listed = folder.parent / "list.txt"
    listed.write_text("\n".join(map(str, files)))
    found: dict[str, Found] = defaultdict(Found)
    limits: dict[str, list[float]] = {way: [] for way in ceiling.WAYS}
    names = [*RECIPES, *ceiling.WAYS, *VARIANTS]
    for turn in range(options.rounds):
        for name in names if turn % 2 == 0 else reversed(names):
            started = time.perf_counter()
            if name in limits:
                each = ceiling.measure(name, (2048,) if options.quick else ceiling.SIDES)
                limits[name] += [each] if each else []
            elif name in VARIANTS:
                try_variant(found[name], folder, VARIANTS[name])
            else:
                recipe, count = RECIPES[name]
                count = min(2 if recipe == "notebook" else 33, count) if options.quick else count
                try_recipe(found[name], recipe, listed, count, len(files))
            seconds = time.perf_counter() - started
            print(f"round {turn + 1}: {name}: {seconds:.0f} s", file=sys.stderr)
    reference = next((found[n] for n in _REFERENCES if found[n].probabilities), Found())
    best = ceiling.best(limits)
    ran = {name: found[name] for name in [*RECIPES, *VARIANTS] if found[name].rate}
    refused = [f"- {name}: {each.refused}" for name, each in found.items() if each.refused]
    tables = [
        table(ceiling.HEAD, ceiling.rows(limits)),
        table(SPEED, [speed(name, each, best) for name, each in ran.items()]),
        times(found),
        table(REST, [rest(name, each, reference) for name, each in ran.items()]),
    ]
    return "\n\n".join([*tables, *(["Refused:\n\n" + "\n".join(refused)] if refused else [])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path, default=_SHARED)
    parser.add_argument("--images", type=int, default=500, help="that cxr-scan judges  [500]")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="48 images, one round: does it run?")
    parser.add_argument("--no-costs", action="store_true")
    costs.add_options(parser)
    options = parser.parse_args()
    if options.quick:
        options.images, options.rounds = 48, 1
    started = time.perf_counter()
    print(f"{machine()}\n")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "images"
        files = lay_out(draw(options.data, options.images), folder)
        print(compare(folder, files, options))
        if not options.no_costs:
            print(f"\n{costs.measure(folder, options)}")
    print(f"\nIt took {time.perf_counter() - started:.0f} s; load {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
