#!/usr/bin/env python3
"""What a bundle's gate catches: python3 benchmarks/gate.py BUNDLE [--negatives TABLE.csv]

Judges pictures as a scan does, without what headers say: frontal radiographs of adults and
children, which must pass; pictures of other kinds made of them; and real ones, those of TABLE.csv
(columns path and kind) or else the laterals and CT slices among DATA. Frontal radiographs that
taught the bundle or chose its operating points (split.json) are left out. Of the others nobody but
you knows whether they did: name those that were kept apart.
"""

import argparse
import csv
import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scanner import bundle
from scanner.heads import KINDS
from scanner.judgement import Judge
from scanner.predictor import Predictor
from scanner.preprocess import PreprocessSpec
from scanner.rates import wilson
from scanner.records import Record
from training import kinds, made_from, negatives
from training.negatives import Named, Negative
from training.parts import TEST

ADULTS, CHILDREN = "adults", "children"
# What the picture alone raises; other flags say nothing of its kind.
FLAGS = {"kind_unclear", "lungs_cut"}
NEGATIVE_VIEWS = {"LL": "lateral_view", "CT-axial": "ct_slice", "CT-coronal": "ct_slice"}


def rows_of(data: Path) -> list[dict[str, str]]:
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def age(row: dict[str, str]) -> str:
    """Return whose chest a frontal radiograph shows, empty if the data does not say."""
    if row["set"] == "ieee8023" and row["view"] in ("PA", "AP"):
        return ADULTS
    if row["set"] == "darkcovid" and row["label"] != "Covid-19":
        return ADULTS
    return CHILDREN if row["label"] == "Viral Pneumonia" else ""


def frontals(data: Path, folder: Path, spec: PreprocessSpec, count: int) -> list[Negative]:
    """Return at most `count` frontal radiographs each of adults and children, their age as kind."""
    known = made_from.load_parts(folder)
    random = np.random.default_rng(0)
    found: list[Negative] = []
    rows = rows_of(data)
    for wanted in (ADULTS, CHILDREN):
        candidates = [row for row in rows if age(row) == wanted]
        # Where most taught, more must be read to find those that did not.
        order = random.permutation(len(candidates))[: count * (6 if known else 1)]
        named = [Named(data / candidates[i]["path"], wanted, candidates[i]["path"]) for i in order]
        pictures = [one for one in negatives.read(named, spec) if part(one, known) in ("", TEST)]
        found += pictures[:count]
    return found


def part(picture: Negative, known: dict[str, str]) -> str:
    digest = hashlib.blake2b(picture.image.tobytes(), digest_size=8).hexdigest()
    return known.get(digest, "")


def made(pictures: list[Negative], count: int) -> Iterator[Negative]:
    """Yield pictures of the kinds that can be made, `count` of each."""
    counts = kinds.Counts(originals=len(pictures), variants=0, made=count, given=0)
    images = np.stack([picture.image for picture in pictures])
    ages = [picture.kind for picture in pictures]
    lesson = kinds.lesson(images, range(len(images)), ages, [], seed=20, counts=counts)
    for image, kind in zip(lesson.images, lesson.kinds, strict=True):
        if kind != kinds.FRONTAL:
            yield Negative(image, f"{KINDS[kind]}, made", "")


def judged(model: bundle.Bundle, pictures: list[Negative]) -> list[Record]:
    predictions = Predictor(model).predict([picture.image for picture in pictures])
    return Judge(model).judge([Record(path=picture.origin) for picture in pictures], predictions)


def line(name: str, records: list[Record]) -> str:
    rejected = sum(record.status == "rejected" for record in records)
    flagged = sum(bool(FLAGS & set(record.flags.split(";"))) for record in records)
    low, high = wilson(rejected, len(records)) or (0.0, 1.0)
    reasons = Counter(record.reason for record in records if record.reason)
    told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common(3))
    return (
        f"{name:26}{rejected:5} / {len(records):<5}{rejected / len(records):6.1%} "
        f"({low:5.1%} to {high:6.1%})  {flagged:4} flagged   {told}"
    )


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("bundle", type=Path)
    reader.add_argument("--negatives", type=Path)
    reader.add_argument("--data", type=Path, default=Path("../shared/data"))
    reader.add_argument("--images", type=int, default=300, help="frontal radiographs of each age")
    reader.add_argument("--made", type=int, default=60, help="pictures made of each kind")
    asked = reader.parse_args()
    model = bundle.load(asked.bundle)
    if asked.negatives:
        named = negatives.read_table(asked.negatives)
    else:
        named = [
            Named(asked.data / row["path"], NEGATIVE_VIEWS[row["view"]], row["path"])
            for row in rows_of(asked.data)
            if row["view"] in NEGATIVE_VIEWS
        ]
    radiographs = frontals(asked.data, asked.bundle, model.spec, asked.images)
    others = [*negatives.read(named, model.spec), *made(radiographs, asked.made)]
    records = judged(model, [*radiographs, *others])
    by_name: dict[str, list[Record]] = {}
    for picture, record in zip([*radiographs, *others], records, strict=True):
        by_name.setdefault(picture.kind, []).append(record)
    print(f"gate of {model.id}: rejected / all, 95 % interval; flagged by the picture; reasons")
    for name in (ADULTS, CHILDREN):
        print(line(f"frontal, {name}", by_name.get(name, []) or [Record()]))
    for name in sorted(set(by_name) - {ADULTS, CHILDREN}):
        print(line(name, by_name[name]))
    print(line("all frontal radiographs", records[: len(radiographs)]))
    print(line("all other pictures", records[len(radiographs) :]))
    for picture, record in zip(radiographs, records, strict=False):
        if record.status == "rejected":
            print(f"turned away: {picture.origin}: {record.detail}")


if __name__ == "__main__":
    main()
