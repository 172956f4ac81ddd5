#!/usr/bin/env python3
"""What an image costs, stage by stage, and what follows for an archive: stages.py [--images 48] …

Each stage is run by itself in this process, a few times: milliseconds of one core per image (of all
cores for predicting, which uses them all), and KB that it leaves on disk or sends to another
process. Radiographs are those of --data and one of pydicom-data as the kinds of files that
hospitals have. Then the plan that docs/scale.md explains, for machines like this one.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import copies
import report_size
from figures import machine, spread, table

from scanner import bundle, output
from scanner.errors import SetupError
from scanner.judgement import Judge
from scanner.pictures import Picture, save_all
from scanner.predictor import Predictions, Predictor
from scanner.reading import Reading, ReadSettings, read_file
from scanner.records import Record, RecordFile, header_row
from scanner.report import render
from scanner.walk import Source, list_files

_ARCHIVES = (10_000, 1_000_000, 100_000_000)
_NIGHT_HOURS = 10
_FILES = 20_000
_ROWS_OF_REPORT = 10_000
_BATCH = 16
_BACKENDS = (("tensorflow", "auto"), ("openvino", "bfloat16"), ("openvino", "int8"))
Stage = tuple[str, list[float], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/darkcovid"))
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(machine() + "\n")
    loaded = bundle.load(bundle.DEFAULT_BUNDLE)
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        listing = _listing(work / "names", options.rounds)
        reading, readings = _reading(work, loaded, options)
        predicting, predictions = _predicting(loaded, readings, options.rounds)
        after, record = _after(work / "output", loaded, readings, predictions, options.rounds)
        rows = _rows(work / "rows", loaded, record, options.rounds)
        report = _report(work / "report", options.rounds)
    stages = [listing, *reading, *predicting, *after, *rows, report]
    shown = [(name, spread(ms), f"{size:.2f}" if size else "") for name, ms, size in stages]
    print(table(("stage", "ms an image", "KB an image"), shown) + "\n")
    results = [*after, rows[0], report]
    fixed = sum(statistics.median(ms) for _, ms, _ in [listing, reading[0], *results])
    kept = sum(size for _, _, size in results)
    for name, ms, _ in predicting:
        print(_plan(name, statistics.median(ms), fixed, kept) + "\n")


def _timed(task: Callable[[], object], rounds: int, images: int) -> list[float]:
    """Return the milliseconds an image of each round."""
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        task()
        found.append(1000 * (time.perf_counter() - started) / images)
    return found


def _listing(folder: Path, rounds: int) -> Stage:
    for number in range(_FILES):
        path = folder / f"{number // 1000:03}" / f"{number:06}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return "list the folder", _timed(lambda: list_files(folder), rounds, _FILES), 0


def _reading(
    work: Path, loaded: bundle.Bundle, options: argparse.Namespace
) -> tuple[list[Stage], list[Reading]]:
    """Return the stages of reading, those of --data first, and the readings of its images."""
    settings = ReadSettings(loaded.spec, bytes(32))
    sources = list_files(options.data).sources
    sources = random.Random(0).sample(sources, min(options.images, len(sources)))
    readings = [read_file(source, settings) for source in sources]
    readings = [reading for reading in readings if reading.model_input is not None]

    def stage(name: str, some: list[Source]) -> Stage:
        ms = _timed(lambda: [read_file(s, settings) for s in some], options.rounds, len(some))
        made = [read_file(s, settings) for s in some[:8]]
        sent = statistics.mean(64 * 1024 + len(r.thumbnail) + len(r.large) for r in made)
        return f"read and decode: {name}", ms, sent / 1024

    stages = [stage(options.data.name, sources)]
    original = copies.radiograph()
    for name, (suffix, encode) in copies.KINDS.items():
        folder = work / name
        copies.write(encode(original), folder, suffix, 4)
        stages.append(stage(name, list_files(folder).sources))
    return stages, readings


def _predicting(
    loaded: bundle.Bundle, readings: list[Reading], rounds: int
) -> tuple[list[Stage], Predictions]:
    inputs = [reading.model_input for reading in readings if reading.model_input is not None]
    stages, found = [], None
    for backend, precision in _BACKENDS:
        try:
            predictor = Predictor(loaded, precision=precision, backend=backend)
        except SetupError as error:
            print(error)
            continue
        first = predictor.predict(inputs)  # kernels are compiled
        found = found or first
        ms = _timed(lambda one=predictor: one.predict(inputs), rounds, len(inputs))
        stages.append((f"predict: {backend} {predictor.precision}", ms, 0.0))
    assert found is not None  # TensorFlow is always there
    return stages, found


def _after(
    folder: Path,
    loaded: bundle.Bundle,
    readings: list[Reading],
    predictions: Predictions,
    rounds: int,
) -> tuple[list[Stage], Record]:
    """Return the stages of judging and drawing, and one of the records."""
    facts = [Record(path=f"{n}.dcm", sha256=r.sha256) for n, r in enumerate(readings)]
    judge = Judge(loaded)
    judging = _timed(lambda: judge.judge(facts, predictions), rounds, len(facts))
    lungs = predictions.lungs
    pictures = [
        Picture(
            r.sha256, r.thumbnail, r.large, predictions.cam[n], None if lungs is None else lungs[n]
        )
        for n, r in enumerate(readings)
    ]
    drawing = _timed(lambda: save_all(folder, "inferno", pictures), rounds, len(pictures))
    size = sum(path.stat().st_size for path in folder.rglob("*.jpg")) / 1024 / len(pictures)
    stages = [("judge", judging, 0.0), ("draw and save pictures, all three", drawing, size)]
    return stages, judge.judge(facts, predictions)[0]


def _rows(folder: Path, loaded: bundle.Bundle, record: Record, rounds: int) -> list[Stage]:
    """Return the stages of writing rows, a batch at a time, and of taking them in again."""
    folder.mkdir()
    header = header_row(loaded.classes, ())
    sources = [Source(folder / f"{n}", f"ward-{n % 40}/IM{n:06}.dcm", n, n) for n in range(_FILES)]
    rows = [(s, replace(record, path=s.relative, model=loaded.id)) for s in sources]

    def write() -> None:
        for path in folder.iterdir():
            path.unlink()
        with RecordFile(folder, header, loaded.id) as records:
            list(records.resume([]))
            for start in range(0, len(rows), _BATCH):
                records.append(rows[start : start + _BATCH])

    def resume() -> None:
        with RecordFile(folder, header, loaded.id) as records:
            assert sum(1 for _ in records.resume(sources)) == len(sources)

    writing = _timed(write, rounds, len(rows))
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1024 / len(rows)
    return [
        (f"write and sync rows, {_BATCH} at a time", writing, size),
        ("take in a row when resuming", _timed(resume, rounds, len(rows)), 0.0),
    ]


def _report(folder: Path, rounds: int) -> Stage:
    folder.mkdir()
    report_size.make_folder(folder, _ROWS_OF_REPORT)
    ms = _timed(lambda: render(folder), rounds, _ROWS_OF_REPORT)
    report = folder / output.REPORT
    pages = [path for path in report.rglob("*") if path.suffix in (".html", ".js")]
    size = sum(path.stat().st_size for path in pages) / 1024 / _ROWS_OF_REPORT
    return f"report, a row of {_ROWS_OF_REPORT:,}", ms, size


def _plan(name: str, predicting: float, beside: float, kept: float) -> str:
    """Return what archives take, from ms an image: `predicting` on all cores, `beside` on one.

    Both share the cores, so what the other stages take is taken from predicting. `kept` is in KB.
    """
    each = predicting + beside / len(os.sched_getaffinity(0))
    rows = []
    for count in _ARCHIVES:
        hours = count * each / 3_600_000
        rows.append(
            (
                f"{count:,}",
                f"{hours:,.1f}",
                f"{max(1, -(-hours // _NIGHT_HOURS)):,.0f}",
                f"{kept * count / 2**20:,.1f}",
            )
        )
    head = ("images", "hours on one machine", f"machines for {_NIGHT_HOURS} hours", "GB of results")
    return f"{name}: {each:.1f} ms an image\n\n" + table(head, rows)


if __name__ == "__main__":
    main()
