#!/usr/bin/env python3
"""Memory and time of a very long run: long_run.py [--images 200000] [--place FOLDER]

Makes a folder of so many tiny images that are all different (most DICOM, some PNG; one in fifty a
copy of another, one in a thousand damaged), scans it with a predictor that needs no TensorFlow, and
prints what the scan's own process holds at the 10,000th row and at the last, how soon the same
command works again, and what the report costs. Every step is a process of its own, as for a user.
What is in a --place is kept, and used again if it is there already.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from scanner import bundle as bundles
from scanner import heads, output, pipeline, report
from scanner.predictor import Predictions, Predictor
from scanner.settings import ScanSettings
from scanner.summary import Summary
from scanner.walk import list_files

MILESTONE = 10_000
FILES_PER_FOLDER = 500
_SIDE = 24
_COPY_EVERY, _PNG_EVERY, _DAMAGED_EVERY = 50, 8, 1000
_ADDED = 500
_MOST_GROWTH_MB, _MOST_RESUME_SECONDS = 100, 30


class StubPredictor(Predictor):
    """Answers that follow from an image's pixels alone, shaped as the default model's."""

    def __init__(
        self,
        bundle: bundles.Bundle,
        batch_size: int | None = None,
        precision: str = "auto",
        require_gpu: bool = False,
        backend: str = "none",
    ) -> None:
        self.device, self.precision = "none (stub)", "float32"
        self.batch_size = batch_size or 64
        self.seconds = 0.0
        self._classes = len(bundle.classes)

    backend, busy = "tensorflow", None

    def predict(self, images: list[npt.NDArray[np.uint8]]) -> Predictions:
        stack = np.stack(images)
        count, side = len(stack), stack.shape[1] // 16
        cells = stack.reshape(count, 16, side, 16, side).mean(axis=(2, 4)) / 255
        chances = np.exp(8 * cells.reshape(count, -1)[:, : self._classes])
        lungs = np.full((count, 32, 32), 0.05)
        lungs[:, 8:26, 4:14] = lungs[:, 8:26, 18:28] = 0.95
        kinds = np.eye(len(heads.KINDS))[[0] * count]
        values = (
            chances / chances.sum(axis=1, keepdims=True),
            cells,
            np.repeat(cells.reshape(count, -1), 2, axis=1),
            lungs,
            kinds,
        )
        return Predictions(*(value.astype(np.float32) for value in values))


def make_images(folder: Path, count: int, first: int = 0) -> None:
    """Write `count` small files, some 700 bytes each, in folders of `FILES_PER_FOLDER`."""
    template, uid, pixels = _template()
    for number in range(first, first + count):
        place = folder / f"{number // FILES_PER_FOLDER:04}"
        if number % FILES_PER_FOLDER == 0 or number == first:
            place.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number if number % _COPY_EVERY else number // 2)
        drawn = noise.integers(0, 256, (_SIDE, _SIDE), dtype=np.uint8)
        if number % _PNG_EVERY == 0:
            data = cv2.imencode(".png", drawn)[1].tobytes()
        else:
            data = template.replace(pixels, drawn.tobytes()).replace(uid, _uid(number).encode())
        if number % _DAMAGED_EVERY == 999:
            data = data[:-100]
        suffix = "png" if number % _PNG_EVERY == 0 else "dcm"
        (place / f"IM{number:06}.{suffix}").write_bytes(data)


def _uid(number: int) -> str:
    """Return a unique identifier; one in fifty images is another's."""
    return f"1.2.826.0.1.3680043.10.{(number if number % _COPY_EVERY else number + 1):09}"


def _template() -> tuple[bytes, bytes, bytes]:
    """Return a DICOM file, and the unique identifier and pixels in it to be replaced."""
    pixels = bytes(range(256)) * 2 + bytes(_SIDE * _SIDE - 512)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID, dataset.StudyInstanceUID = _uid(999_999_999), "1.2.3"
    dataset.PatientID, dataset.Modality = "P1", "DX"
    dataset.BodyPartExamined, dataset.ViewPosition = "CHEST", "PA"
    dataset.Rows = dataset.Columns = _SIDE
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = pixels
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue(), _uid(999_999_999).encode(), pixels


class Watcher:
    """Notes the moment of the first row, and the resident memory of this process as rows come."""

    def __init__(self, milestone: int) -> None:
        self._milestone = milestone
        self.found: dict[str, float] = {}

    def start(self, files: int) -> None:
        self.found["to_read"] = files
        self.found["started_at"] = time.time()

    def advance(self, files: int, summary: Summary) -> None:
        self.found.setdefault("first_rows_at", time.time())
        self.found["rows"] = summary.statuses.total()
        self.found["last_mb"] = resident("VmRSS")
        if summary.statuses.total() <= self._milestone:
            self.found["milestone_mb"] = self.found["last_mb"]


def resident(which: str) -> float:
    """Return this process's resident memory in MB: ``VmRSS`` now, ``VmHWM`` at its highest."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) / 1024


def _scan(folder: Path, place: Path, milestone: int) -> dict[str, float]:
    watcher = Watcher(milestone)
    model = place.parent / "model"
    if not model.exists():  # one for all steps, whatever becomes of the one that is shipped
        shutil.copytree(bundles.DEFAULT_BUNDLE, model)
    settings = ScanSettings(root=folder, output=place, model=model, batch_size=64)
    summary = pipeline.scan(settings, watcher, StubPredictor)
    return watcher.found | {"seconds": summary.seconds, "rows": summary.statuses.total()}


def _report(folder: Path, place: Path, milestone: int) -> dict[str, float]:
    started = time.perf_counter()
    report.render(place)
    return {"seconds": time.perf_counter() - started}


def _walk(folder: Path, place: Path, milestone: int) -> dict[str, float]:
    before, started = resident("VmRSS"), time.perf_counter()
    listing = list_files(folder)
    seconds = time.perf_counter() - started
    held = resident("VmRSS") - before
    return {"files": len(listing.sources), "seconds": seconds, "held_mb": held}


_STEPS = {"scan": _scan, "report": _report, "walk": _walk}


def step(name: str, folder: Path, place: Path, milestone: int = MILESTONE) -> dict[str, Any]:
    """Run one step of `_STEPS` in a process of its own and return what it measured.

    With ``peak_mb``, the process's highest resident memory, ``cpu_s``, the CPU time it took, and
    the moments ``…_at`` in seconds since the command was started.
    """
    started = time.time()
    done = subprocess.run(
        [sys.executable, __file__, "--step", name, str(folder), str(place), str(milestone)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "XDG_CONFIG_HOME": str(place.parent / "config")},
    )
    found = json.loads(done.stdout) | {"ended_at": time.time()}
    return {k: v - started if k.endswith("_at") else v for k, v in found.items()}


def _run_step(name: str, folder: str, place: str, milestone: str) -> None:
    found = _STEPS[name](Path(folder), Path(place), int(milestone))
    print(json.dumps(found | {"peak_mb": resident("VmHWM"), "cpu_s": time.process_time()}))


def measure(place: Path, images: int, milestone: int) -> None:
    """Make the images below `place` if they are not there, take every step, print the figures."""
    folder, results = place / "images", place / "results"
    if not (folder / f"{(images - 1) // FILES_PER_FOLDER:04}").is_dir():
        make_images(folder, images)
    walk = step("walk", folder, results)
    print(f"walk: {walk['files']} files in {walk['seconds']:.1f} s, {walk['held_mb']:.0f} MB held")
    scan = step("scan", folder, results, milestone)
    if scan["to_read"] and "milestone_mb" in scan:
        growth = scan["last_mb"] - scan["milestone_mb"]
        print(
            f"scan: {scan['rows']} rows in {scan['seconds']:.0f} s; resident "
            f"{scan['milestone_mb']:.0f} MB at row {milestone}, {scan['last_mb']:.0f} MB at the "
            f"last: {growth:.0f} MB more (at most {_MOST_GROWTH_MB}); peak {scan['peak_mb']:.0f} MB"
        )
    nothing = step("scan", folder, results)
    print(
        f"nothing new: {nothing['ended_at']:.1f} s, of them CPU {nothing['cpu_s']:.1f} s; peak "
        f"{nothing['peak_mb']:.0f} MB"
    )
    later = sum(1 for _ in folder.iterdir()) * FILES_PER_FOLDER
    make_images(folder, _ADDED, later)
    resumed = step("scan", folder, results)
    print(
        f"resumed: begins to read {resumed['started_at']:.1f} s after the command (at most "
        f"{_MOST_RESUME_SECONDS}), {_ADDED} new rows, the first after "
        f"{resumed['first_rows_at']:.1f} s; peak {resumed['peak_mb']:.0f} MB"
    )
    made = step("report", folder, results)
    pages = sum(1 for _ in (results / output.REPORT).glob("*.html"))
    print(
        f"report: {pages} pages in {made['seconds']:.0f} s, of them CPU {made['cpu_s']:.0f} s; "
        f"peak {made['peak_mb']:.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--place", type=Path, help="where to work  [default: a temporary folder]")
    parser.add_argument("--step", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        return _run_step(*arguments.step)
    milestone = min(MILESTONE, arguments.images // 3)
    if arguments.place:
        return measure(arguments.place, arguments.images, milestone)
    with tempfile.TemporaryDirectory() as place:
        measure(Path(place), arguments.images, milestone)


if __name__ == "__main__":
    main()
