#!/usr/bin/env python3
"""Find the ranges of int8 of a bundle: calibrate_int8.py [BUNDLE] [--write]

On 64 of the bundle's own training images, found in SHARED/data (--shared) by their hashes. With
--write they go into the card, where `--backend openvino --precision int8` finds them; that changes
its id. Then benchmarks/precisions.py says how far int8 agrees.
"""

import argparse
from pathlib import Path

import numpy as np
from out_of_distribution import read
from safetensors.numpy import load as load_safetensors

from scanner import bundle
from training.int8 import calibrate
from training.made_from import load_parts
from training.parts import TRAIN

_IMAGES = 64


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", nargs="?", type=Path, default=bundle.DEFAULT_BUNDLE)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    loaded = bundle.load(options.bundle)
    pictures = read(options.shared / "data", loaded.spec, load_parts(options.bundle))
    images = [picture.image for picture in pictures if picture.part == TRAIN]
    few = np.random.default_rng(0).permutation(len(images))[:_IMAGES]
    ranges = calibrate(loaded, np.stack([images[index] for index in few]), print)
    if options.write:
        card = loaded.card
        card["int8_ranges"] = ranges
        stored = load_safetensors((options.bundle / bundle.WEIGHTS).read_bytes())
        print(f"written: {bundle.save(options.bundle, card, stored)}")


if __name__ == "__main__":
    main()
