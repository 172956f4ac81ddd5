#!/usr/bin/env python3
"""How far each precision of each backend agrees with float32: precisions.py [BUNDLE] [--write]

On the bundle's own validation images, found in SHARED/data (--shared) by their hashes: share of
equal labels, largest change of a probability, least correlation of Grad-CAM. With --write these
go into the bundle's card, where `--precision auto` finds them; that changes its id. --on-test says
them of the test images instead, which nothing was chosen by, and writes nothing.
"""

import argparse
from pathlib import Path

import numpy as np
from out_of_distribution import read
from safetensors.numpy import load as load_safetensors

from scanner import bundle
from scanner.errors import SetupError
from scanner.precision import BACKENDS, PRECISIONS, name_of
from scanner.predictor import Predictor
from training.made_from import load_parts
from training.parts import TEST, VALIDATION
from training.results.measure import agreement


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", nargs="?", type=Path, default=bundle.DEFAULT_BUNDLE)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--on-test", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    loaded = bundle.load(options.bundle)
    part = TEST if options.on_test else VALIDATION
    pictures = read(options.shared / "data", loaded.spec, load_parts(options.bundle))
    images = [picture.image for picture in pictures if picture.part == part]
    exact = Predictor(loaded, precision="float32").predict(images)
    figures = {}
    print(f"| {len(images)} {part} images | labels kept | largest change | least Grad-CAM r |")
    print("|---|---|---|---|")
    for backend in BACKENDS:
        for precision in PRECISIONS[1:]:
            try:
                predictor = Predictor(loaded, precision=precision, backend=backend)
            except SetupError as error:
                print(f"| {backend} {precision}: {error} | | | |")
                continue
            if precision == "float16" and not predictor.device.startswith("GPU"):
                continue  # TensorFlow takes minutes for what nobody would choose
            coarse = predictor.predict(images)
            found = agreement(exact.probabilities, coarse.probabilities)
            figures[name_of(backend, precision)] = found
            same = [
                np.corrcoef(one.ravel(), other.ravel())[0, 1]
                for one, other in zip(exact.cam, coarse.cam, strict=True)
                if one.any() and other.any()
            ]
            print(
                f"| {backend} {precision} | {found['label_agreement']:.4f} | "
                f"{found['largest_change']:.4f} | {min(same):.5f} |",
                flush=True,
            )
    if options.write and not options.on_test:
        card = loaded.card
        card["precisions"] = figures
        stored = load_safetensors((options.bundle / bundle.WEIGHTS).read_bytes())
        print(f"written: {bundle.save(options.bundle, card, stored)}")


if __name__ == "__main__":
    main()
