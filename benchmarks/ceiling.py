#!/usr/bin/env python3
"""How fast this machine multiplies matrices, by precision: ceiling.py [--rounds N] [--quick]

Square matrices, on all cores that this process may use, in a process for each precision: float32
and bfloat16 by TensorFlow (oneDNN), int8 by OpenVINO and by PyTorch, of which the faster counts
where both are installed. An addition and a multiplication are two operations, as in GFLOP: VGG19 at
256 x 256 takes 50.96 thousand millions of them for an image.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from figures import machine, spread, table

VGG19_TERA = 0.05096
# The largest two fit no cache. Which is fastest differs by unit and machine.
SIDES = (1024, 2048, 4096)
_LEAST_SECONDS = 1.0
_LAYERS = 4


def _tensorflow(side: int, dtype: str) -> Callable[[], object]:
    import tensorflow as tf

    one = tf.cast(tf.random.normal((side, side)), dtype)
    return lambda: [tf.matmul(one, one) for _ in range(_LAYERS)][-1][0, 0].numpy()


def _openvino(side: int) -> Callable[[], object]:
    """Several products in a row, each rounded to int8 again, as in a quantised network."""
    from scanner.openvino_graph import import_openvino

    openvino = import_openvino()
    from openvino import opset13 as op

    def rounded(node: object, limit: float) -> object:
        low, high = np.float32(-limit), np.float32(limit)
        return op.fake_quantize(node, low, high, low, high, 255)

    inputs = op.parameter([side, side], np.float32)
    weights = np.random.default_rng(0).integers(-127, 128, (side, side)).astype(np.float32)
    x = rounded(inputs, 1.27)
    for _ in range(_LAYERS):
        kernel = rounded(op.constant(weights / 100), 1.27)
        x = rounded(op.matmul(x, kernel, False, False), 0.5 * side)
    model = openvino.Model([op.reduce_max(x, op.constant([0, 1]), False)], [inputs])
    request = openvino.Core().compile_model(model, "CPU").create_infer_request()
    data = np.random.default_rng(1).normal(size=(side, side)).astype(np.float32)
    return lambda: request.infer({0: data})


def _torch(side: int) -> Callable[[], object]:
    import torch

    one = torch.randint(-100, 100, (side, side), dtype=torch.int8)
    return lambda: [torch._int_mm(one, one) for _ in range(_LAYERS)]


WAYS: dict[str, tuple[str, Callable[[int], Callable[[], object]]]] = {
    "float32": ("float32", partial(_tensorflow, dtype="float32")),
    "bfloat16": ("bfloat16", partial(_tensorflow, dtype="bfloat16")),
    "int8 by OpenVINO": ("int8", _openvino),
    "int8 by PyTorch": ("int8", _torch),
}


def rate(make: Callable[[int], Callable[[], object]], side: int) -> float:
    """Return tera-operations a second: the median of products that take a second together."""
    multiply = make(side)
    multiply()
    times: list[float] = []
    while sum(times) < _LEAST_SECONDS or len(times) < 3:
        started = time.perf_counter()
        multiply()
        times.append(time.perf_counter() - started)
    return _LAYERS * 2 * side**3 / float(np.median(times)) / 1e12


def measure(way: str, sides: tuple[int, ...] = SIDES) -> float | None:
    """Return the rate of one of `WAYS` on its best matrices, in a process of its own.

    In 10^12 operations a second; None where what it needs is not installed.
    """
    words = [sys.executable, __file__, "--way", way, "--sides", *map(str, sides)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode and "ModuleNotFoundError" not in done.stderr:
        raise SystemExit(f"{way}: {done.stderr.strip().splitlines()[-1]}")
    return None if done.returncode else float(json.loads(done.stdout.splitlines()[-1]))


def best(found: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return by precision what the faster of its ways measured."""
    fastest: dict[str, list[float]] = {}
    for way, rates in found.items():
        precision = WAYS[way][0]
        if rates and np.median(rates) > np.median(fastest.get(precision, [0.0])):
            fastest[precision] = rates
    return fastest


def rows(found: dict[str, list[float]]) -> list[list[str]]:
    """Return the table's rows: tera-operations a second, and what that allows of VGG19."""
    return [
        [way, spread(rates), spread([each / VGG19_TERA for each in rates])]
        if rates
        else [way, "not installed", ""]
        for way, rates in found.items()
    ]


HEAD = ("matrix products", "10^12 operations/s", "images/s of VGG19 that would be")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round, one size of matrix")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES)
    options = parser.parse_args()
    if options.way:
        print(max(rate(WAYS[options.way][1], side) for side in options.sides))
        return
    rounds, sides = (1, (2048,)) if options.quick else (options.rounds, tuple(options.sides))
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, rates in found.items():
            rates += [each for each in [measure(way, sides)] if each is not None]
    print(machine(), table(HEAD, rows(found)), sep="\n\n")


if __name__ == "__main__":
    main()
