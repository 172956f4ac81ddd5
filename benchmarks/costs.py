#!/usr/bin/env python3
"""What the time of a scan depends on: costs.py [--batches …] [--workers …] [--counts …] [--types …]

Prints a table each for batch size, decoding processes, number of images and kind of file, every
figure from a run of the real command with the shipped model. All images are real radiographs: for
batches, workers and kinds one of pydicom-data, written as many images; for counts those of a folder
with a comment added, as often as it takes. `--with` are further options of cxr-scan.
"""

import argparse
import random
import shlex
import statistics
import sys
import tempfile
import time
from pathlib import Path

import copies
import scans
from figures import machine, spread, table

from scanner.preprocess import PreprocessSpec
from scanner.reading import ReadSettings, read_file
from scanner.walk import list_files

HEAD = (
    "images/s after start-up", "while predicting", "busy", "start-up s", "seconds of all",
    "peak MB, own", "peak MB, all",
)  # fmt: skip
_READ_ALONE = 5


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the costs to a benchmark's."""
    add = parser.add_argument
    add("--batches", type=int, nargs="*", default=[1, 4, 16, 32, 64], help="batch sizes")
    add("--workers", type=int, nargs="*", default=[1, 2, 4], help="numbers of --workers")
    add("--counts", type=int, nargs="*", default=[100, 1000], help="numbers of images, to 20000")
    add("--types", nargs="*", choices=copies.KINDS, default=list(copies.KINDS))
    add("--each", type=int, default=96, help="images of a run for all but --counts  [96]")
    add("--with", dest="extra", default="", help="options of cxr-scan, in one word")


def cells(folder: Path, *options: str) -> list[str]:
    """Return one run's cells under `HEAD`."""
    print(f"{folder.name} {' '.join(options)}", file=sys.stderr)
    try:
        scan = scans.run(folder, *options)
    except scans.RefusedError as error:
        return [f"refused: {error}", *[""] * (len(HEAD) - 1)]
    judged = sum(bool(row["confidence"]) for row in scan.rows)
    if judged < len(scan.rows):
        print(f"{len(scan.rows) - judged} of {len(scan.rows)} were not judged", file=sys.stderr)
    return [
        spread([scan.later_rate]) if scan.at_first < len(scan.rows) else "one batch",
        spread([scan.predicting_rate]) if scan.predicting_rate else "",
        f"{scan.busy:.3f}" if scan.busy else "",
        spread([scan.first_rows], 2),
        f"{scan.seconds:.1f}",
        f"{scan.own_mb:.0f}",
        f"{scan.all_mb:.0f}",
    ]


def read_alone(folder: Path) -> float:
    """Return the milliseconds it takes one process to read a file, of a few."""
    settings = ReadSettings(PreprocessSpec(), key=bytes(32))
    sources = list_files(folder).sources[: _READ_ALONE + 1]
    times = [read_file(source, settings).seconds for source in sources]
    return 1000 * statistics.median(times[1:])  # the first loads decoders


def make_many(originals: list[Path], folder: Path, count: int) -> None:
    """Write so many images with the pixels of `originals` in turn, no two alike."""
    shuffled = random.Random(2).sample(originals, len(originals))
    folder.mkdir()
    for which in range(count):
        original = shuffled[which % len(shuffled)]
        data = copies.number(original.read_bytes(), which)
        (folder / f"{which:05}{original.suffix}").write_bytes(data)


def measure(images: Path | None, options: argparse.Namespace) -> str:
    """Return the tables; those of counts are made from the images in a folder, if there is one."""
    extra = shlex.split(options.extra)
    each = 24 if options.quick else options.each
    if options.quick:
        options.batches, options.workers, options.counts = [1, 16], [2], [48]
    chest = copies.radiograph()
    kinds: list[list[str]] = []
    with tempfile.TemporaryDirectory() as place:
        plain = Path(place) / "uncompressed"
        copies.write(copies.as_bytes(chest), plain, ".dcm", each)
        batches = [
            [str(size), *cells(plain, *extra, "--batch-size", str(size))]
            for size in options.batches
        ]
        workers = [
            [str(number), *cells(plain, *extra, "--workers", str(number))]
            for number in options.workers
        ]
        for kind in options.types:
            suffix, encode = copies.KINDS[kind]
            folder = Path(place) / kind
            copies.write(encode(chest), folder, suffix, each)
            megabytes = next(folder.iterdir()).stat().st_size / 2**20
            alone = read_alone(folder)
            kinds.append([kind, f"{megabytes:.1f}", f"{alone:.1f}", *cells(folder, *extra)])
        counts = []
        originals = sorted(images.iterdir()) if images else []
        for count in options.counts if originals else ():
            folder = Path(place) / f"{count} images"
            make_many(originals, folder, count)
            counts.append([str(count), *cells(folder, *extra)])
    tables = [
        table(head, rows)
        for head, rows in (
            (("batch size", *HEAD), batches),
            (("workers", *HEAD), workers),
            (("kind of file", "MB", "read alone, ms", *HEAD), kinds),
            (("images", *HEAD), counts),
        )
        if rows
    ]
    about = f"`cxr-scan {options.extra}`".replace(" `", "`")
    size = f"{chest.Columns} x {chest.Rows}, {chest.BitsStored} bits"
    return "\n\n".join([f"{about}; the radiograph of the first tables is {size}.", *tables])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    parser.add_argument("--data", type=Path, help="folder of JPEG and PNG radiographs for --counts")
    parser.add_argument("--quick", action="store_true", help="24 images, one or two of each")
    options = parser.parse_args()
    started = time.perf_counter()
    print(f"{machine()}\n\n{measure(options.data, options)}")
    print(f"\nIt took {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    main()
