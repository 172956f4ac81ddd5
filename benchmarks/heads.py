"""What the lung head and the gate cost: forward passes of a bundle with and without them, in turns.

python benchmarks/heads.py [BUNDLE] [--rounds N] [--precision float32|bfloat16]
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from scanner import bundle, heads, network

BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", nargs="?", type=Path, default=bundle.DEFAULT_BUNDLE)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--precision", default="bfloat16")
    options = parser.parse_args()
    loaded = bundle.load(options.bundle)
    if not heads.has_lungs(loaded.weights):
        raise SystemExit(f"{options.bundle} has no lung head")
    both = heads.heads_of(loaded.weights)
    bare = {name: array for name, array in loaded.weights.items() if name not in both}
    with network.quiet_stderr():
        functions = {
            name: network.compile_fixed(
                network.build_network(loaded.spec.size, weights, 1.0, options.precision), BATCH
            )
            for name, weights in (("without", bare), ("with", loaded.weights))
        }
        import tensorflow as tf

    noise = np.random.default_rng(0).integers(0, 256, (BATCH, loaded.spec.size, loaded.spec.size))
    batch = tf.constant(noise[..., None].astype(np.uint8))
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(options.rounds + 1):
        for name in sorted(functions, reverse=bool(turn % 2)):
            started = time.perf_counter()
            functions[name](batch)
            if turn:  # the first pass compiles kernels
                seconds[name].append(time.perf_counter() - started)
    ratios = sorted(w / o for w, o in zip(seconds["with"], seconds["without"], strict=True))
    print(
        f"{options.precision}, batch {BATCH}: both heads make it {statistics.median(ratios):.3f} "
        f"times as long (of {len(ratios)} pairs, in turns: {ratios[0]:.3f} to {ratios[-1]:.3f})"
    )


if __name__ == "__main__":
    main()
