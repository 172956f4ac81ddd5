#!/usr/bin/env python3
"""Write the Kaggle competition's form of real radiographs: kaggle_form.py DATA_FOLDER OUT_FOLDER

DATA_FOLDER holds manifest.csv and a copy of the COVID-19 Radiography Database (../shared/data).
images.npy is (N, 512, 512, 3) uint8 with 219 COVID, 1341 Normal and 1345 Viral Pneumonia images,
or as many as there are, drawn by a fixed seed; labels.npy names them.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

WANTED = {"COVID": 219, "Normal": 1341, "Viral Pneumonia": 1345}
SIDE = 512


def main() -> None:
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    table = pd.read_csv(data / "manifest.csv", dtype=str, keep_default_na=False)
    table = table[table["set"] == "radiography"]
    random = np.random.default_rng(0)
    chosen = []
    for label, count in WANTED.items():
        rows = np.flatnonzero(table["label"] == label)
        chosen += sorted(random.permutation(rows)[:count])
    table = table.iloc[chosen]
    out.mkdir(parents=True, exist_ok=True)
    images = np.lib.format.open_memmap(
        out / "images.npy", mode="w+", dtype=np.uint8, shape=(len(table), SIDE, SIDE, 3)
    )
    for index, path in enumerate(table["path"]):
        grey = cv2.imread(str(data / path), cv2.IMREAD_GRAYSCALE)
        images[index] = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)[..., None]
    images.flush()
    np.save(out / "labels.npy", table["label"].to_numpy(dtype=str))
    print(f"{out}: {images.shape}", dict(table["label"].value_counts()))


if __name__ == "__main__":
    main()
