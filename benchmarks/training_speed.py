#!/usr/bin/env python3
"""What limits a training: training_speed.py [--data DIR] [--images 96] [--rounds 3]

On real radiographs (folders of classes), with the shipped model's weights:
- caching of features, images/s, against predicting with everything that a scan asks for;
- an epoch of the head and of block5 on the cache, against the same steps on arrays in memory: 1.00
  is limited by arithmetic, not by input;
- block5 and all layers in bfloat16 against float32: steps/s, and accuracy on validation images
  after the same epochs from the same start.
Each in turns, forwards and backwards; medians, and the range of the rounds in brackets.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from figures import machine, spread

from scanner import bundle
from scanner.heads import without_heads
from scanner.network import quiet_stderr
from scanner.predictor import Predictor
from scanner.preprocess import model_input
from scanner.radiograph import FloatArray
from training import features, fit
from training.data.rows import Rows
from training.draw import Draw, Shown

_RATES = {"none": 1e-3, "block5": 1e-4, "all": 1e-5}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/darkcovid"))
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6, help="of block5; all layers get a third")
    options = parser.parse_args()
    print(machine())
    loaded = bundle.load(bundle.DEFAULT_BUNDLE)
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        inputs, targets = _data(options.data, loaded, options.images, work)
        _caching(loaded, inputs, work, options.rounds)
        _input(loaded, inputs, targets, work, options.rounds)
        for fine_tune, epochs in (("block5", options.epochs), ("all", options.epochs // 3)):
            _arithmetic(loaded, inputs, targets, work, fine_tune, epochs)


def _data(
    folder: Path, loaded: bundle.Bundle, count: int, work: Path
) -> tuple[Rows, npt.NDArray[np.int64]]:
    """Return as many images of each class, mixed, as model inputs on disk, and their classes."""
    kinds = sorted(path for path in folder.iterdir() if path.is_dir())
    each = count // len(kinds)
    paths = [p for kind in kinds for p in sorted(q for q in kind.rglob("*") if q.is_file())[:each]]
    targets = np.repeat(np.arange(len(kinds)), each)
    if len(paths) < len(targets):
        raise SystemExit(f"{folder} has a folder of fewer than {each} images: fewer --images")
    order = np.random.default_rng(0).permutation(len(paths))
    with (work / "inputs").open("wb") as handle:
        for index in order:
            grey = cv2.imread(str(paths[index]), cv2.IMREAD_GRAYSCALE)
            pixels: FloatArray = grey.astype(np.float32) / 255
            handle.write(model_input(pixels, loaded.spec).tobytes())
    size = loaded.spec.size
    print(f"{len(paths)} images of {folder}: {', '.join(kind.name for kind in kinds)}")
    return Rows(work / "inputs", np.uint8, (size, size), len(paths)), targets[order]


def _caching(loaded: bundle.Bundle, inputs: Rows, work: Path, rounds: int) -> None:
    predictor = Predictor(loaded)
    images = list(inputs[:])
    predictor.predict(images[: predictor.batch_size])

    def cache() -> None:
        for path in work.glob("cache.*"):
            path.unlink()
        place = work / "cache.features"
        features.compute(inputs, loaded.weights, "block4_pool", predictor.precision, place)

    seconds = _in_turns({"cache": cache, "predict": lambda: predictor.predict(images)}, rounds)
    rates = [len(inputs) / second for second in seconds["cache"]]
    print(
        f"caching block4_pool in {predictor.precision}: {spread(rates)} images/s, building included"
    )
    print(f"predicting beside it: {spread([len(inputs) / s for s in seconds['predict']])} images/s")
    _quotient("caching, times as fast as predicting", seconds["predict"], seconds["cache"])


def _recipe(loaded: bundle.Bundle, fine_tune: str, precision: str, epochs: int) -> fit.Recipe:
    return fit.Recipe(
        architecture=loaded.architecture,
        size=loaded.spec.size,
        fine_tune=fine_tune,
        epochs=epochs,
        batch_size=16,
        learning_rate=_RATES[fine_tune],
        class_weights=False,
        early_stopping=0,
        copies=0,
        flip=False,
        lung_penalty=0.0,
        seed=0,
        precision=precision,
    )


class _InMemory:
    """Rows that are there already: what input would cost nothing."""

    def __init__(self, rows: Rows) -> None:
        self._array = rows[:]
        self.shape = rows.shape

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index: npt.NDArray[np.int64]) -> npt.NDArray[np.generic]:
        return self._array[index]


def _input(
    loaded: bundle.Bundle, inputs: Rows, targets: npt.NDArray[np.int64], work: Path, rounds: int
) -> None:
    for fine_tune in ("none", "block5"):
        recipe = _recipe(loaded, fine_tune, "bfloat16", 1)
        place = work / f"{recipe.cut}.features"
        cached = features.compute(inputs, loaded.weights, recipe.cut, "bfloat16", place)
        kinds = {"disk": cached, "memory": _InMemory(cached)}
        # The head alone takes milliseconds: enough epochs to see it.
        recipe = replace(recipe, epochs=200 if fine_tune == "none" else 2)

        def epochs(rows: Rows, recipe: fit.Recipe = recipe) -> None:
            _fitted(loaded, rows, targets, recipe, work)

        tasks = {name: (lambda rows=rows: epochs(rows)) for name, rows in kinds.items()}
        seconds = _in_turns(tasks, rounds)
        _quotient(f"epochs of {fine_tune} on the cache, times those in memory", *seconds.values())


def _arithmetic(
    loaded: bundle.Bundle,
    inputs: Rows,
    targets: npt.NDArray[np.int64],
    work: Path,
    fine_tune: str,
    epochs: int,
) -> None:
    found, seconds = {}, {}
    for precision in ("float32", "bfloat16", "bfloat16", "float32"):
        recipe = _recipe(loaded, fine_tune, precision, epochs)
        place = work / f"{recipe.cut}-float32.features"
        rows = features.compute(inputs, loaded.weights, recipe.cut, "float32", place)
        started = time.perf_counter()
        found[precision] = _fitted(loaded, rows, targets, recipe, work).history
        seconds.setdefault(precision, []).append(time.perf_counter() - started)
    for precision, history in found.items():
        last = history[-1]
        print(
            f"{fine_tune}, {precision}, {epochs} epochs: loss {last['loss']:.4f}, validation "
            f"accuracy {last['validation_accuracy']:.4f}, loss {last['validation_loss']:.4f}"
        )
    label = f"{fine_tune} in bfloat16, times as fast as in float32"
    _quotient(label, seconds["float32"], seconds["bfloat16"])


def _fitted(
    loaded: bundle.Bundle,
    rows: Rows,
    targets: npt.NDArray[np.int64],
    recipe: fit.Recipe,
    work: Path,
) -> fit.Fitted:
    """Train on three quarters of the rows, the block5 and head to be learned anew."""
    taught = np.arange(len(rows) * 3 // 4)
    none = np.zeros(len(rows), np.int64)
    draw = Draw(taught, targets, none, none, none, 0, int(targets.max()) + 1, True, 0)
    shown = Shown(None, np.zeros(len(rows), np.bool_))
    place = work / "checkpoint"
    place.unlink(missing_ok=True)
    start = {n: a for n, a in without_heads(loaded.weights).items() if not n.startswith("head/")}
    validation = np.arange(len(taught), len(rows))
    return fit.fit(rows, targets, shown, draw, validation, start, recipe, place, lambda *_: None)


def _in_turns(tasks: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each task by round, in turns, forwards and backwards."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(rounds):
        for name in list(tasks)[:: -1 if number % 2 else 1]:
            started = time.perf_counter()
            tasks[name]()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def _quotient(label: str, upper: list[float], lower: list[float]) -> None:
    print(f"{label}: {spread([u / v for u, v in zip(upper, lower, strict=True)])}", flush=True)


if __name__ == "__main__":
    with quiet_stderr():
        import tensorflow  # noqa: F401
    main()
