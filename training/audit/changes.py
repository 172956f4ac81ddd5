"""What becomes of the answers when letters come, corners go, or the lungs go."""

import numpy as np

from scanner.predictor import Predictions, Predictor
from scanner.rates import rounded
from training.audit import blanks, stamps
from training.audit.pictures import side_by_side
from training.audit.result import (
    NUMBER,
    SHARE,
    Figure,
    Finding,
    Goal,
    above_chance,
    mean,
    not_done,
    share,
    share_of_clusters,
)
from training.audit.sample import Bools, Fields, Indices, Sample, ask
from training.results.intervals import FloatArray

MOST_FLIPPED, MOST_MOVED = 0.005, 0.01
# Images in a picture.
_SHOWN = 4
Told = tuple[Finding, bytes | None]


def letters(predictor: Predictor, sample: Sample, clean: Predictions, seed: int) -> Told:
    """Write letters into corners: how many labels flip, and how far p(COVID) of normals moves."""
    planned = [stamp for _, stamp in stamps.stamps(len(sample), seed)]
    owners = np.arange(len(sample)).repeat(stamps.EACH)
    images = (stamps.stamped(sample.images[n], s) for n, s in zip(owners, planned, strict=True))
    answers = ask(predictor, images, "stamping letters", len(planned)).probabilities
    before = clean.probabilities[owners]
    flipped = answers.argmax(axis=1) != before.argmax(axis=1)
    watched = sample.classes.index(sample.positive)
    moved = np.abs(answers - before)[:, watched]
    headline = share_of_clusters("labels flipped", flipped.reshape(len(sample), -1).mean(axis=1))
    goals = [_below(headline, MOST_FLIPPED, "under 0.5 %")]
    details, whose = [], f"p({sample.positive})"
    shown = normal = _of_class(sample, sample.negative)
    if normal.any():
        whose += f" of {sample.negative}"
        of_normal = moved.reshape(len(sample), -1)[normal]
        change = mean(f"mean change of {whose}", of_normal.mean(axis=1))
        goals.append(_below(change, MOST_MOVED, f"mean change of {whose} under {MOST_MOVED}"))
        details = [change, Figure(f"largest change of {whose}", rounded(of_normal.max()))]
    else:
        shown = np.ones(len(sample), bool)
    for key in ("word", "corner", "height", "shade"):
        details += _by(key, planned, flipped)
    most = _most_moved(moved, owners, shown)
    told = ", ".join(f"{before[n, watched]:.2f} to {answers[n, watched]:.2f}" for n in most)
    finding = Finding(
        "letters",
        "Letters in the corners",
        "R, L, B1, a date or a hospital's name was written into a corner, "
        f"{stamps.EACH} times for every image, in several sizes, bright or dark on a light plate. "
        "The lungs stay as they are: a label that flips was read off the letters.",
        headline,
        len(sample),
        details=details,
        goals=goals,
        caption=f"Where {whose} moved most, with the letters that did it: from {told}.",
    )
    return finding, side_by_side(
        [[stamps.stamped(sample.images[owners[n]], planned[n]) for n in most]]
    )


def corners(predictor: Predictor, sample: Sample, clean: Predictions) -> Told:
    """Black out the corners and the top: how many labels flip."""
    images = [blanks.without_corners(image) for image in sample.images]
    answers = ask(predictor, images, "blanking corners", len(images)).probabilities
    flipped = answers.argmax(axis=1) != clean.probabilities.argmax(axis=1)
    moved = np.abs(answers - clean.probabilities).max(axis=1)
    # The most moved show what counts.
    worst = np.argsort(-moved, kind="stable")[:_SHOWN]
    details = [
        share(f"labels flipped of {name}", int(flipped[there].sum()), int(there.sum()))
        for name in sample.classes
        if (there := _of_class(sample, name)).any()
    ]
    finding = Finding(
        "corners",
        "Corners and top blanked",
        f"The four corners ({_per_cent(blanks.CORNER)} of a side) and the top "
        f"{_per_cent(blanks.TOP)} were made black, where markers and names stand. A label that "
        "flips hung on them, or on the apices and shoulders that reach there.",
        share("labels flipped", int(flipped.sum()), len(sample)),
        len(sample),
        details=details,
        caption=f"The {len(worst)} images whose probabilities moved most, as they were judged.",
    )
    return finding, side_by_side([[images[number] for number in worst]])


def lungs(predictor: Predictor, sample: Sample, fields: Fields) -> Told:
    """Take the lungs away: how far accuracy stays above chance."""
    title, label = "Lungs blanked", "accuracy above chance"
    means = (
        f"The lungs, widened by {_per_cent(blanks.WIDENED)} of a side, were filled with the mean "
        "grey of the rest. What is still right more often than by always naming the most frequent "
        "class was not read off the lungs (their outline stays)."
    )
    there = np.flatnonzero(fields.known)
    targets = sample.targets[there]
    if not len(there):
        return not_done("lungs", title, means, label, fields.text), None
    if len(set(targets.tolist())) < 2:
        only = f"all images whose lungs are known are {sample.classes[targets[0]]}"
        return not_done("lungs", title, means, label, only), None
    images = [blanks.without_lungs(sample.images[n], fields.inside[n]) for n in there]
    answers = ask(predictor, images, "blanking lungs", len(images)).probabilities
    right = int((answers.argmax(axis=1) == targets).sum())
    counts = np.bincount(targets, minlength=len(sample.classes))
    chance = float(counts.max() / len(there))
    named = np.bincount(answers.argmax(axis=1), minlength=len(sample.classes))
    details = [
        share("accuracy without lungs", right, len(there)),
        Figure(
            f"chance, all called {sample.classes[int(counts.argmax())]}",
            rounded(chance),
            unit=SHARE,
        ),
        mean("mean probability of the answer", answers.max(axis=1), NUMBER),
        *(
            share(f"called {name}", int(count), len(there))
            for name, count in zip(sample.classes, named, strict=True)
        ),
    ]
    finding = Finding(
        "lungs",
        title,
        means,
        above_chance(label, right, len(there), chance),
        len(there),
        details=details,
        caption="The first image of each class as it was judged.",
    )
    first = [int(np.flatnonzero(targets == index)[0]) for index in np.unique(targets)]
    return finding, side_by_side([[images[number] for number in first[:_SHOWN]]])


def _most_moved(moved: FloatArray, owners: Indices, shown: Bools) -> list[int]:
    """Return which stamps moved an answer most, at most one of each image that may be shown."""
    ranked = [int(n) for n in np.argsort(-moved, kind="stable") if shown[owners[n]]]
    first = {int(owners[n]): n for n in reversed(ranked)}
    return sorted(first.values(), key=ranked.index)[:_SHOWN]


def _by(key: str, planned: list[stamps.Stamp], flipped: Bools) -> list[Figure]:
    """Return the share of labels flipped by stamps of each word, corner, height or shade."""
    values = np.array([str(getattr(stamp, key)) for stamp in planned])
    found = []
    for value in sorted(set(values.tolist())):
        called = f"letters {_per_cent(float(value))} of a side high" if key == "height" else value
        flips = rounded(flipped[values == value].mean())
        found.append(Figure(f"flipped by {called}", flips, None, SHARE))
    return found


def _of_class(sample: Sample, name: str) -> Bools:
    index = sample.classes.index(name) if name in sample.classes else -1
    return np.asarray(sample.targets == index)


def _below(figure: Figure, limit: float, text: str) -> Goal:
    return Goal(text, figure.value is not None and figure.value < limit)


def _per_cent(share_of_side: float) -> str:
    return f"{100 * share_of_side:.0f} %"
