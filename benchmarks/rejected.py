#!/usr/bin/env python3
"""What a DICOM file costs that its header rules out: rejected.py [--files 10000] [--kb 64 512]

Scans folders of CT slices, all different images with pixels of so many kilobytes, through the
command with a report and without. The cost of a file is the time of the large folder less that of a
folder of a hundred, over the files between: start-up is not in it. The goal is at most 2 ms. The
last column says whether TensorFlow was loaded, which nothing here is worth.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import copies
import numpy as np
import scans
from figures import machine, spread, table
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

_FEW = 100
FILES_PER_FOLDER = 500


def slice_of_ct(kilobytes: int) -> bytes:
    """Return a CT slice, with the header of a real radiograph otherwise, and noise for pixels."""
    dataset = copies.radiograph()
    dataset.Modality, dataset.SOPClassUID = "CT", CTImageStorage
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    side = int((kilobytes * 1024 / 2) ** 0.5)
    dataset.Rows = dataset.Columns = side
    pixels = np.random.default_rng(0).integers(0, 1 << 12, (side, side), dtype=np.uint16)
    dataset.PixelData = pixels.tobytes()
    return copies.as_bytes(dataset)


def make(data: bytes, folder: Path, count: int) -> None:
    """Write so many different images in folders of a study's size."""
    for start in range(0, count, FILES_PER_FOLDER):
        below = folder / f"{start:06}"
        below.mkdir(parents=True)
        for which in range(start, min(start + FILES_PER_FOLDER, count)):
            (below / f"{which:06}.dcm").write_bytes(copies.number(data, which))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--files", type=int, default=10_000)
    add("--kb", type=int, nargs="+", default=[32, 512], help="kilobytes of pixels of a file")
    add("--rounds", type=int, default=2)
    add("--quick", action="store_true", help="500 small files, one round")
    options = parser.parse_args()
    if options.quick:
        options.files, options.kb, options.rounds = 500, [32], 1
    started = time.perf_counter()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for kilobytes in options.kb:
            # Half a megabyte, ten thousand times, is more than a benchmark should write.
            count = max(2 * _FEW, min(options.files, options.files * 64 // kilobytes))
            many, few = (Path(place) / f"{kilobytes}-{name}" for name in ("many", "few"))
            data = slice_of_ct(kilobytes)
            make(data, few, _FEW)
            make(data, many, count)
            for name, words in (("CSV alone", ["--no-report"]), ("with report", [])):
                costs, loaded = [], set()
                for _ in range(options.rounds):
                    short, long = scans.run(few, *words), scans.run(many, *words)
                    statuses = {row["status"] for row in long.rows}
                    if len(long.rows) != count or statuses != {"rejected"}:
                        sys.exit(f"{len(long.rows)} rows of {count} files, statuses {statuses}")
                    costs.append(1000 * (long.seconds - short.seconds) / (count - _FEW))
                    loaded.add("not loaded" if not long.run.get("device") else "loaded")
                    print(f"{kilobytes} KB, {name}: {long.seconds:.1f} s", file=sys.stderr)
                cells = [
                    f"{kilobytes} KB, {name}",
                    str(count),
                    spread(costs, 3),
                    f"{long.own_mb:.0f}",
                ]
                rows.append([*cells, " ".join(loaded)])
            shutil.rmtree(many)
    print(f"{machine()}\n")
    print(table(["header-rejected DICOM", "files", "ms a file", "peak MB", "TensorFlow"], rows))
    print(f"\nIt took {time.perf_counter() - started:.0f} s; load {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
