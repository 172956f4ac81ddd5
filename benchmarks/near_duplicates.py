#!/usr/bin/env python3
"""Where the near-duplicate threshold lies: near_duplicates.py DATA.csv

Prints how many pairs of images differ by so many bits of their 256-bit difference hash. Copies
make a hump near 0, different radiographs one far above; the threshold stands in the valley.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from scanner.preprocess import PreprocessSpec
from training import near_duplicates
from training.data import dataset


def main() -> None:
    with tempfile.TemporaryDirectory() as cache:
        settings = dataset.DataSettings(Path(sys.argv[1]))
        data = dataset.load(settings, PreprocessSpec(), Path(cache))
        words = near_duplicates.difference_hashes(data.inputs).view(np.uint64)
    counts = np.zeros(257, np.int64)
    for index in range(len(words)):
        distance = np.bitwise_count(words[index + 1 :] ^ words[index]).sum(axis=1)
        counts += np.bincount(distance, minlength=257)
    for start in range(0, 48, 4):
        mark = "  <- threshold" if start == near_duplicates.NEAR_DUPLICATE_BITS else ""
        print(f"{start:3} to {start + 3:3} bits: {counts[start : start + 4].sum():8} pairs{mark}")


if __name__ == "__main__":
    main()
