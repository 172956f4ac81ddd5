#!/usr/bin/env python3
"""What one pass gives beside the class, and what that costs: heads.py [BUNDLE] [--rounds N] …

Compiled passes of a bundle in turns: the class alone; with Grad-CAM and the embedding; with the
lung field, too; with everything, the kind of picture included. In each round every pass is timed
several times, and what counts is the ratio to the class alone within the round. The goal is at most
3 % for Grad-CAM, lung field and embedding together.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from figures import machine, spread, table

from scanner import bundle, network

PASSES: dict[str, tuple[str, ...]] = {
    "class alone": ("probabilities",),
    "+ Grad-CAM, embedding": ("probabilities", "cam", "embedding"),
    "+ Grad-CAM, embedding, lung field": ("probabilities", "cam", "embedding", "lungs"),
    "everything, kind of picture too": ("probabilities", "cam", "embedding", "lungs", "kinds"),
}
Images = npt.NDArray[np.uint8]
Pass = Callable[[Images], list[Any]]
_PLAIN = next(iter(PASSES))
_REPEATS = 3


def tensorflow_passes(loaded: bundle.Bundle, precision: str) -> dict[str, Pass]:
    """Return the passes that the bundle has heads for, compiled, by name."""
    with network.quiet_stderr():
        model = network.build_network(
            loaded.spec.size, loaded.weights, loaded.temperature, precision, loaded.architecture
        )
        import keras
        import tensorflow as tf

        def compiled(outputs: tuple[str, ...]) -> Pass:
            part = keras.Model(model.input, {name: model.output[name] for name in outputs})
            function = network.compiled(part)
            return lambda batch: [each.numpy() for each in function(tf.constant(batch)).values()]

        return {
            name: compiled(outputs)
            for name, outputs in PASSES.items()
            if all(each in model.output for each in outputs)
        }


def openvino_passes(loaded: bundle.Bundle, precision: str) -> dict[str, Pass]:
    """Return the same of OpenVINO; raises `ImportError` where it is not installed."""
    from scanner.openvino_graph import build_graph, import_openvino

    openvino = import_openvino()
    core = openvino.Core()
    hint = {"float32": "f32", "bfloat16": "bf16"}[precision]
    config = {"INFERENCE_PRECISION_HINT": hint, "NUM_STREAMS": 1}
    passes: dict[str, Pass] = {}
    for name, outputs in PASSES.items():
        graph = build_graph(loaded, precision == "float32", {})
        ends = {next(iter(result.output(0).names)): result for result in graph.get_results()}
        if all(each in ends for each in outputs):
            part = openvino.Model([ends[each] for each in outputs], graph.get_parameters())
            request = core.compile_model(part, "CPU", config).create_infer_request()
            passes[name] = partial(_inferred, request)
    return passes


def _inferred(request: Any, batch: Images) -> list[Any]:
    return [array.copy() for array in request.infer({0: batch}).values()]


def seconds(pass_: Pass, batch: Images) -> float:
    """Return what a pass takes, its results on the host: the quickest of a few."""
    times = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        pass_(batch)
        times.append(time.perf_counter() - started)
    return min(times)


def measure(passes: dict[str, Pass], batch: Images, rounds: int) -> dict[str, list[float]]:
    """Return by pass the seconds that an image takes, round by round."""
    found: dict[str, list[float]] = {name: [] for name in passes}
    for turn in range(rounds + 1):
        for name in passes if turn % 2 else reversed(passes):
            took = seconds(passes[name], batch)
            if turn:  # the first passes compile kernels
                found[name].append(took / len(batch))
    return found


WAYS = {"tensorflow": tensorflow_passes, "openvino": openvino_passes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", nargs="?", type=Path, default=bundle.DEFAULT_BUNDLE)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--backends", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--quick", action="store_true", help="one round, batches of 2")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.batch_size = 1, 2
    started = time.perf_counter()
    loaded = bundle.load(options.bundle)
    print(f"{machine()}\nBatches of {options.batch_size}, {options.rounds} rounds in turns.")
    side = loaded.spec.size
    noise = np.random.default_rng(0).integers(0, 256, (options.batch_size, side, side, 1))
    for backend in options.backends:
        for precision in options.precisions:
            what = f"{backend} {precision}"
            try:
                passes = WAYS[backend](loaded, precision)
            except ImportError as error:
                print(f"\n{what}: not installed ({error})")
                continue
            found = measure(passes, noise.astype(np.uint8), options.rounds)
            rows = [
                [
                    name,
                    spread([1000 * each for each in times]),
                    spread(
                        [100 * (a / b - 1) for a, b in zip(times, found[_PLAIN], strict=True)], 2
                    ),
                ]
                for name, times in found.items()
            ]
            print("", table([what, "ms an image", "% over the class alone"], rows), sep="\n")
    print(f"\nIt took {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    main()
