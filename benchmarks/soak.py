#!/usr/bin/env python3
"""A long run that is killed again and again, beside an undisturbed one: soak.py [--images 2000]

Scans the same files twice with the model that is shipped, through the command. The second run is
ended at random moments by SIGKILL, SIGTERM or Ctrl-C and continued with the same command. Prints
how many rows were lost, are there twice, differ from those of the undisturbed run (but for the
times in them) or were made again. Exit code 1 if any was.

The files are variations of a real radiograph, some of them copies of others or sent incompletely;
with --data, copies of files drawn below that folder.
"""

import argparse
import csv
import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom

from scanner.bundle import DEFAULT_BUNDLE

_MAIN = "from scanner.cli import main; main()"
_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_TIMES = ("scanned_at", "seconds")
_SAID = "stderr.txt"
_STARTING_SECONDS = 10.0
_SUFFIXES = (".dcm", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_COPY_EVERY, _INCOMPLETE_EVERY = 25, 40

Row = dict[str, str]


def make_images(folder: Path, count: int, seed: int) -> None:
    """Write variations of pydicom-data's RG1 (CR, chest PA): crops, brightness, own identifiers."""
    spec = importlib.util.find_spec("data_store")
    if spec is None or spec.origin is None:
        sys.exit("pydicom-data is missing: pip install pydicom-data, or give --data FOLDER.")
    dataset = pydicom.dcmread(Path(spec.origin).parent / "data" / "RG1_UNCR.dcm")
    pixels = dataset.pixel_array[::3, ::3].astype(float) / dataset.pixel_array.max()
    draw = np.random.default_rng(seed)
    data = b""
    for number in range(count):
        if number % _COPY_EVERY != _COPY_EVERY - 1:
            top, left = draw.integers(0, 60, 2)
            part = pixels[top : top + 580, left : left + 540] ** draw.uniform(0.7, 1.4)
            dataset.Rows, dataset.Columns = part.shape
            dataset.PixelData = (part * 32767).astype("<u2").tobytes()
            dataset.SOPInstanceUID = f"1.2.826.0.1.3680043.10.{seed}.{number}"
            buffer = BytesIO()
            dataset.save_as(buffer, enforce_file_format=True)
            data = buffer.getvalue()
        cut = len(data) // 2 if number % _INCOMPLETE_EVERY == 1 else len(data)
        place = folder / f"ward-{number // 200:03}" / f"IM{number:05}.dcm"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data[:cut])


def copy_images(data: Path, folder: Path, count: int, seed: int) -> None:
    """Copy `count` image files drawn below `data`; nothing is written there."""
    files = sorted(p for p in data.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())
    if not files:
        sys.exit(f"There is no image file below {data}.")
    for file in random.Random(seed).sample(files, min(count, len(files))):
        target = folder / file.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def start(folder: Path, output: Path) -> subprocess.Popen[bytes]:
    options = ["--output", str(output), "--model", str(output.parent / "model"), "--quiet"]
    command = [sys.executable, "-c", _MAIN, str(folder), *options]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(output.parent / "config")}
    with (output.parent / _SAID).open("ab") as said:
        return subprocess.Popen(command, env=environment, stderr=said)


def finished_rows(output: Path) -> list[str]:
    """Return the rows that are whole, as they stand in the file."""
    try:
        content = (output / "predictions.csv").read_bytes()
    except FileNotFoundError:
        return []
    return content.rpartition(b"\n")[0].decode().split("\n")[1:]


def disturbed(folder: Path, output: Path, kills: int, rows_between: int, seed: int) -> int:
    """Scan, ended `kills` times; return how many finished rows were made again.

    One run in four is ended while it starts, the others after `rows_between` more rows on average.
    """
    moments = random.Random(seed)
    made: dict[str, str] = {}
    again = 0
    for number in range(1, kills + 1):
        scan = start(folder, output)
        if moments.random() < 0.25:
            time.sleep(moments.uniform(0, _STARTING_SECONDS))
        else:
            wanted = len(made) + moments.randint(1, 2 * rows_between)
            while scan.poll() is None and len(finished_rows(output)) < wanted:
                time.sleep(0.05)
            time.sleep(moments.uniform(0, 0.5))
        by = moments.choice(_SIGNALS)
        scan.send_signal(by)  # to a run that is over, none is sent
        code = scan.wait()
        rows = dict(row.split(",", 1) for row in finished_rows(output))
        again += sum(rows.get(path) != row for path, row in made.items())
        made = rows
        print(f"run {number}: {by.name}, exit code {code}, {len(rows)} rows by then", flush=True)
    return again


def read(output: Path) -> list[Row]:
    with (output / "predictions.csv").open(encoding="utf-8", newline="") as handle:
        return [
            {name: value for name, value in row.items() if name not in _TIMES}
            for row in csv.DictReader(handle)
        ]


def compare(whole: list[Row], pieces: list[Row]) -> bool:
    """Print how the rows of two runs differ; return whether they do not."""
    expected, found = ({row["path"]: row for row in rows} for rows in (whole, pieces))
    lost = sorted(expected.keys() - found.keys())
    twice = [path for path, times in Counter(row["path"] for row in pieces).items() if times > 1]
    different = [path for path in expected.keys() & found.keys() if expected[path] != found[path]]
    print(
        f"rows {len(whole)} undisturbed, {len(pieces)} disturbed: lost {len(lost)}, "
        f"duplicate {len(twice)}, different {len(different)}; "
        f"order {'the same' if list(expected) == list(found) else 'another'}"
    )
    for path in [*lost, *twice, *sorted(different)][:10]:
        row = found.get(path)
        columns = [n for n, v in expected[path].items() if row is not None and row[n] != v]
        print(f"  {path}: {'lost' if row is None else ', '.join(columns) or 'twice'}")
    return not (lost or twice or different or len(whole) != len(pieces))


def soak(place: Path, arguments: argparse.Namespace) -> bool:
    folder = place / "images"
    shutil.copytree(DEFAULT_BUNDLE, place / "model")  # a night is long, it may be changed meanwhile
    if arguments.data:
        copy_images(arguments.data, folder, arguments.images, arguments.seed)
    else:
        make_images(folder, arguments.images, arguments.seed)
    started = time.perf_counter()
    code = start(folder, place / "whole").wait()
    seconds = time.perf_counter() - started
    print(f"undisturbed: {seconds:.0f} s, exit code {code}", flush=True)
    between = max(1, arguments.images // (arguments.kills + 1))
    again = disturbed(folder, place / "pieces", arguments.kills, between, arguments.seed)
    last = start(folder, place / "pieces").wait()
    print(f"the last run: exit code {last}; finished rows made again: {again}")
    equal = compare(read(place / "whole"), read(place / "pieces"))
    if not (right := equal and not again and last == code and code in (0, 3)):
        print((place / _SAID).read_text(errors="replace"), file=sys.stderr)
    return right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="draw copies of the images below this folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        sys.exit(0 if soak(Path(place), arguments) else 1)


if __name__ == "__main__":
    main()
