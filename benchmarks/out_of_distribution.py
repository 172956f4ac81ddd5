#!/usr/bin/env python3
"""How well a bundle's distance tells strange images: out_of_distribution.py BUNDLE [--write]

AUROC, with its 95 % interval, of the bundle's own test images in SHARED/data (--shared) against at
most COUNT (--count) images of each of these. Near: sets that gave it no image to learn from; each
set's test images against those of the others; children (Kaggle's viral pneumonias) against adults.
Far: laterals, CT slices, photographs, noise. Beside it the share that the bundle's threshold flags.
Nothing is fitted. With --write the figures go into the bundle's card, which changes its id.
"""

import argparse
import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import matplotlib
import numpy as np
from safetensors.numpy import load as load_safetensors
from sklearn.datasets import load_sample_images
from sklearn.metrics import roc_auc_score

from scanner import bundle, ood
from scanner.predictor import Predictor
from scanner.preprocess import PreprocessSpec, model_input
from scanner.reading import ReadSettings, read_file
from scanner.walk import Source
from training.made_from import load_parts
from training.parts import TEST
from training.results.intervals import auc_interval

_CHILDREN, _FRONTAL = "Viral Pneumonia", ("", "PA", "AP")
_RESAMPLES = 1000


class Picture(NamedTuple):
    """A picture as the network sees it, and the part of the bundle's data it was, or ""."""

    set: str
    label: str
    view: str
    part: str
    image: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    folder, shared, count = options.bundle, options.shared, options.count
    loaded, parts = bundle.load(folder), load_parts(folder)
    if not ood.has_statistics(loaded.weights) or not parts:
        raise SystemExit(f"{folder} has no statistics of its training images, or no split.json")
    pictures = list(read(shared / "data", loaded.spec, parts))
    known = {p.set for p in pictures if p.part}
    frontal = [p for p in pictures if p.view in _FRONTAL]
    own = {name: [p.image for p in frontal if p.part == TEST and p.set == name] for name in known}
    groups = {f"test images of {name}": images for name, images in sorted(own.items())}
    for name in sorted({p.set for p in pictures} - known):
        groups[f"near: {name}"] = [p.image for p in frontal if p.set == name]
    tested = [p for p in frontal if p.part == TEST]
    groups["near: children"] = [p.image for p in tested if p.label == _CHILDREN]
    groups["far: laterals"] = [p.image for p in pictures if p.view == "LL"]
    groups["far: CT slices"] = [p.image for p in pictures if p.view.startswith("CT")]
    groups["far: photographs"] = photographs(100, loaded.spec)
    groups["far: noise"] = noise(100, loaded.spec)

    predictor = Predictor(loaded)
    distances = {
        title: ood.score(predictor.predict(some).embedding, loaded.weights)
        for title, images in groups.items()
        if (some := chosen(images, count))
    }
    adults = [p.image for p in tested if p.label != _CHILDREN]
    adult = ood.score(predictor.predict(chosen(adults, count)).embedding, loaded.weights)
    threshold = loaded.card["trust"]["ood"]["threshold"]
    homes = [title for title in distances if title.startswith("test")]
    figures = {}
    for title, strange in distances.items():
        usual = [distances[home] for home in homes if home != title]
        if title == "near: children":
            usual = [adult]
        line = f"{title:32} {len(strange):4} images, median distance {np.median(strange):.2f}, "
        line += f"flagged {(strange > threshold).mean():.3f}"
        measured = auroc(np.concatenate(usual), strange) if usual else ""
        print(line + (f", AUROC {measured}" if measured else ""))
        figures[title] = {"images": len(strange), "auroc": measured}
    if options.write:
        card = loaded.card
        card["trust"]["ood"]["auroc"] = figures
        stored = load_safetensors((folder / bundle.WEIGHTS).read_bytes())
        print(f"written: {bundle.save(folder, card, stored)}")


def read(data: Path, spec: PreprocessSpec, parts: dict[str, str]) -> Iterator[Picture]:
    """Yield the pictures that manifest.csv names, read as training reads them."""
    settings = ReadSettings(spec, key=b"")
    with (data / "manifest.csv").open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            path = data / row["path"]
            reading = read_file(Source(path, row["path"], -1, -1), settings)
            if reading.model_input is None:
                continue
            digest = hashlib.blake2b(reading.model_input.tobytes(), digest_size=8).hexdigest()
            part = parts.get(digest, "")
            yield Picture(row["set"], row["label"], row["view"], part, reading.model_input)


def chosen(images: list[np.ndarray], count: int) -> list[np.ndarray]:
    order = np.random.default_rng(0).permutation(len(images))
    return [images[place] for place in order[:count]]


def auroc(usual: np.ndarray, strange: np.ndarray) -> str:
    truth = np.repeat([False, True], [len(usual), len(strange)])
    scores = np.concatenate([usual, strange])
    low, high = auc_interval(truth, scores, _RESAMPLES) or (0, 1)
    return f"{roc_auc_score(truth, scores):.3f} ({low:.3f} to {high:.3f})"


def photographs(count: int, spec: PreprocessSpec) -> list[np.ndarray]:
    """Pieces of the photographs that scikit-learn and Matplotlib bring along, in grey."""
    whole = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in load_sample_images().images]
    person = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    whole.append(cv2.imread(str(person), cv2.IMREAD_GRAYSCALE))
    random, pieces = np.random.default_rng(0), []
    for number in range(count):
        image = whole[number % len(whole)]
        side = int(min(image.shape) * random.uniform(0.5, 1))
        top, left = (int(random.integers(0, edge - side + 1)) for edge in image.shape)
        piece = image[top : top + side, left : left + side].astype(np.float32) / 255
        pieces.append(model_input(piece, spec))
    return pieces


def noise(count: int, spec: PreprocessSpec) -> list[np.ndarray]:
    """Noise from white to blurred over a quarter of the picture."""
    random, made = np.random.default_rng(0), []
    for number in range(count):
        grey = random.random((spec.size, spec.size), dtype=np.float32)
        width = spec.size / 4 * number / count
        made.append(model_input(cv2.GaussianBlur(grey, (0, 0), width) if width else grey, spec))
    return made


if __name__ == "__main__":
    main()
