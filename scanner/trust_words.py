"""What the report says of trust, in sentences: for one image, and for a model's operating points.

Cards come from any version and from other people; what one does not say is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scanner.records import UNCERTAIN

Card = Mapping[str, Any]


def about_image(row: Mapping[str, str], card: Card) -> list[str]:
    """Return sentences on lung focus and distance from training of a judged row of the CSV."""
    said = []
    if row["lung_focus"]:
        sentence = f"{_per_cent(float(row['lung_focus']))} of the evidence lies in the lungs"
        if row["lung_lift"]:
            sentence += f", {float(row['lung_lift']):.1f} times their share of the picture"
        limit = _threshold(card, "lung_focus")
        if limit is not None and float(row["lung_focus"]) < limit:
            sentence += f"; below {_per_cent(limit)} is flagged"
        said.append(sentence)
    if row["ood_score"]:
        sentence = f"distance from the training images {float(row['ood_score']):.2f}"
        limit = _threshold(card, "ood")
        if limit is not None and float(row["ood_score"]) > limit:
            sentence += f"; above {limit:.2f} is flagged"
        said.append(sentence)
    return said


def about_outline(card: Card, judged: int, measured: bool) -> str:
    """Return what the line over a heat map is, or why there is none; nothing if none was `judged`.

    `measured` tells whether any image has a lung field.
    """
    lungs = _part(card, "lungs")
    if not judged:
        return ""
    if not measured:
        why = str(lungs.get("text") or "this model has no lung head.")
        return f"Lung focus is off: {why}"
    dice = [
        f"{name.replace('_', ' ')} {value['dice']:.2f}"
        for name, value in _part(lungs, "dice").items()
        if isinstance(value, dict) and isinstance(value.get("dice"), float)
    ]
    agreement = f"; Dice with lungs drawn by people: {', '.join(dice)}" if dice else ""
    return f"The thin line is the lung field, as the model predicts it{agreement}."


def operating_points(card: Card) -> list[tuple[str, str]]:
    """Return (what, rule and how it was chosen) for every line that a card draws."""
    trust = _part(card, "trust")
    points = []
    focus, distance = _threshold(card, "lung_focus"), _threshold(card, "ood")
    promised = _number(_part(trust, "conformal").get("promised"))
    gate = _part(trust, "gate")
    reject, flag = _number(gate.get("reject_below")), _number(gate.get("flag_below"))
    if focus is not None:
        points.append(("Lung focus", "lung_focus", f"flagged below {_per_cent(focus)}"))
    if distance is not None:
        points.append(("Distance from training", "ood", f"flagged above {distance:.2f}"))
    if promised is not None:
        points.append((UNCERTAIN.capitalize(), "conformal", f"{_per_cent(promised)} promised"))
    if reject is not None and flag is not None:
        rule = f"rejected below {_per_cent(reject)} for a frontal chest, flagged below "
        points.append(("Kind of picture", "gate", rule + _per_cent(flag)))
    said = [
        (what, f"{rule}. {_part(trust, name).get('text') or ''}".strip())
        for what, name, rule in points
    ]
    left_out = trust.get("left_out")
    if isinstance(left_out, list) and left_out:
        said.append(("Left out", " ".join(map(str, left_out))))
    return said


def focus_limit(card: Card) -> float | None:
    """Return the lung focus below which an image is flagged, None if the card draws no line."""
    return _threshold(card, "lung_focus")


@dataclass(frozen=True)
class ClassPoint:
    """A probability above which a class counts as found, and how often that is right, in words."""

    name: str
    threshold: float
    says: str


def class_points(card: Card) -> list[ClassPoint]:
    """Return a card's balanced operating points of classes, in its order."""
    points = []
    listed = card.get("operating_points")
    for point in listed if isinstance(listed, list) else []:
        if not isinstance(point, dict) or point.get("rule") != "balanced":
            continue
        threshold = _number(point.get("threshold"))
        if threshold is None:
            continue
        where, measured = "held-out", _part(point, "test")
        if not measured:
            where, measured = "validation", _part(point, "validation")
        rates = [
            f"{name} {_rate(measured, name)}"
            for name in ("sensitivity", "specificity")
            if _number(measured.get(name)) is not None
        ]
        says = f"found at {_per_cent(threshold)} or more"
        if rates:
            says += f": {', '.join(rates)} on {where} images"
        points.append(ClassPoint(str(point.get("class")), threshold, says))
    return points


def _rate(measured: Card, name: str) -> str:
    said, ends = _per_cent(measured[name]), measured.get(f"{name}_95")
    if isinstance(ends, list) and len(ends) == 2 and all(_number(end) is not None for end in ends):
        said += f" ({100 * ends[0]:.0f} to {100 * ends[1]:.0f})"
    return said


def _threshold(card: Card, name: str) -> float | None:
    return _number(_part(_part(card, "trust"), name).get("threshold"))


def _part(whole: Card, name: str) -> Card:
    part = whole.get(name)
    return part if isinstance(part, dict) else {}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _per_cent(share: float) -> str:
    return f"{100 * share:.0f}\N{NARROW NO-BREAK SPACE}%"
