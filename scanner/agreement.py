"""How far reviewers agree with the model, and with each other."""

import itertools
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scanner.decisions import NO, UNCLEAR, YES, Decision
from scanner.review import Image, Review

# The row of a confusion for images of which it was only said that the model is wrong.
DISAGREES = "disagrees"


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa over `images` that both sides gave a class; None where it is undefined."""

    value: float | None
    images: int


@dataclass(frozen=True)
class AtPoint:
    """Sensitivity and specificity, as `rates.at_threshold` gives them, at a point of the card.

    By the reviewers `positive` images are of the class, `negative` are not.
    """

    name: str
    rules: tuple[str, ...]
    threshold: float
    figures: dict[str, Any]
    positive: int
    negative: int


@dataclass(frozen=True)
class Verdict:
    """What the reviewers of one image say without conflict; `decision` as `Decision` has it."""

    image: Image
    decision: str
    agrees: str


def verdicts(review: Review) -> list[Verdict]:
    """Return one for each image of the scan that was decided on, in conflict excepted."""
    found = []
    for image, said in review.current():
        if not said[0].conflict:
            decision = next((one.decision for one in said if one.decision), "")
            agrees = next((one.agrees for one in said if one.agrees), "")
            found.append(Verdict(image, decision, agrees))
    return found


def confusion(judged: Sequence[Verdict]) -> Counter[tuple[str, str]]:
    """Return how many images have each decision (or `DISAGREES`) and prediction."""
    counts: Counter[tuple[str, str]] = Counter()
    for one in judged:
        decision = one.decision or (DISAGREES if one.agrees == NO else "")
        if decision:
            counts[decision, one.image.prediction] += 1
    return counts


def agreed(said: Sequence[Verdict]) -> tuple[int, int]:
    """Return on how many images reviewers agree with the answer, and of how many they said it."""
    answers = Counter(one.agrees for one in said)
    return answers[YES], answers[YES] + answers[NO]


def with_model(judged: Sequence[Verdict], classes: Sequence[str]) -> Kappa:
    """Return the kappa of reviewers and model, where both are sure of a class."""
    pairs = [(one.decision, one.image.prediction) for one in judged]
    return _kappa([pair for pair in pairs if pair[0] in classes and pair[1] in classes])


def between(said: Sequence[Decision]) -> list[tuple[str, str, Kappa]]:
    """Return the kappa of each two reviewers who gave classes to the same images."""
    own: dict[str, dict[tuple[str, str], str]] = {}
    names: dict[str, str] = {}
    for one in said:
        if one.decision and one.decision != UNCLEAR:
            own.setdefault(one.by, {})[one.path, one.sha256] = one.decision
            names.setdefault(one.by, one.reviewer)
    found = []
    for first, second in itertools.combinations(sorted(own), 2):
        shared = own[first].keys() & own[second].keys()
        if shared:
            pairs = [(own[first][image], own[second][image]) for image in sorted(shared)]
            found.append((names[first], names[second], _kappa(pairs)))
    return found


def _kappa(pairs: Sequence[tuple[str, str]]) -> Kappa:
    # With one class alone chance explains everything, and kappa is 0 / 0.
    if len({name for pair in pairs for name in pair}) < 2:
        return Kappa(None, len(pairs))
    from sklearn.metrics import cohen_kappa_score  # a second to import

    return Kappa(float(cohen_kappa_score(*zip(*pairs, strict=True))), len(pairs))


def at_points(
    judged: Sequence[Verdict], classes: Sequence[str], card: Mapping[str, Any]
) -> list[AtPoint]:
    """Return what the operating points of a card reach, the reviewers' classes being the truth.

    Points that choose the same threshold are one. What a card from elsewhere does not say in the
    way that ``cxr-scan train`` does is left out.
    """
    rules: dict[tuple[str, float], list[str]] = {}
    points = card.get("operating_points")
    for point in points if isinstance(points, list) else []:
        if not isinstance(point, dict):
            continue
        name, threshold = point.get("class"), point.get("threshold")
        if isinstance(name, str) and name in classes and isinstance(threshold, float):
            rules.setdefault((name, threshold), []).append(str(point.get("rule", "")))
    if not rules:
        return []
    import numpy as np

    from scanner.rates import at_threshold

    found = []
    for (name, threshold), named in rules.items():
        sure = [one for one in judged if one.decision in classes or _rules_out(one, name)]
        if not sure:
            continue
        positive = np.array([one.decision == name for one in sure])
        scores = np.array([one.image.probabilities[name] for one in sure])
        figures = at_threshold(positive, scores, threshold)
        of_class = int(positive.sum())
        point = (name, tuple(filter(None, named)), threshold)
        found.append(AtPoint(*point, figures, of_class, len(sure) - of_class))
    return found


def _rules_out(one: Verdict, name: str) -> bool:
    """Tell whether it was said that an image is not of the class that the model gave it."""
    return not one.decision and one.agrees == NO and one.image.prediction == name


def median_seconds(said: Sequence[Decision]) -> float | None:
    """Return the median of the seconds spent on an image, or None if nobody measured them."""
    spent = [one.seconds for one in said if one.seconds is not None]
    return statistics.median(spent) if spent else None
