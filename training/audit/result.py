"""What a test of the audit found: one number with its interval, for files, lines and cards."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scanner.rates import rounded, wilson
from training.results.intervals import FloatArray, percentiles, resampled

Interval = list[float] | None
SHARE, NUMBER = "share", "number"
_RESAMPLES = 1000


@dataclass(frozen=True)
class Figure:
    """A number with its 95 % interval; `unit` says whether it is read in per cent."""

    name: str
    value: float | None
    interval: Interval = None
    unit: str = NUMBER


@dataclass(frozen=True)
class Goal:
    """What the project wants of a number, and whether the number (not its interval) reaches it."""

    text: str
    reached: bool


@dataclass(frozen=True)
class Finding:
    """One test: `headline` is its number, `means` what it says in plain words.

    `against` is what the number is to be compared with, for instance chance. `images` is how many
    it is of, `caption` says what the picture of the same name shows.
    `why_not` is why the test was not done, else empty; then `headline` has no value.
    """

    name: str
    title: str
    means: str
    headline: Figure
    images: int
    against: Figure | None = None
    details: Sequence[Figure] = ()
    goals: Sequence[Goal] = ()
    caption: str = ""
    why_not: str = ""

    def line(self) -> str:
        """Return the finding as it is printed."""
        if self.why_not:
            return f"{self.title}: not done, {self.why_not}"
        number = in_words(self.headline)
        if self.against is not None:
            number += f", {self.against.name} {shown(self.against.value, self.against.unit)}"
        told = "; ".join([number, *map(_goal_in_words, self.goals)])
        return f"{self.title}: {told} ({self.images} images)"


@dataclass(frozen=True)
class Audit:
    """All findings: `figures` for JSON, `pictures` (JPEG or SVG) by the name of the finding."""

    figures: dict[str, Any]
    pictures: dict[str, bytes]


def as_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as audit.json has it."""
    return {**asdict(finding), "line": finding.line()}


def for_card(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model's card says of its audit: every headline number, without details."""
    tests = {}
    for test in figures["tests"]:
        number = {key: test["headline"][key] for key in ("value", "interval")}
        tests[test["name"]] = {
            **number,
            "images": test["images"],
            "goals": test["goals"],
            "text": test["line"],
        }
    return {"images": figures["images"], "lungs": figures["lungs"], "tests": tests}


def as_markdown(of_card: Mapping[str, Any] | None) -> list[str]:
    """Return a card's section in Markdown; nothing for one from before there were audits."""
    if not of_card:
        return []
    lines = ["", "## Shortcut audit", "", f"On {of_card['images']} images; {of_card['lungs']}.", ""]
    return lines + [f"- {test['text']}" for test in of_card["tests"].values()]


def in_words(figure: Figure) -> str:
    """Return name, number and interval of a figure in one phrase."""
    text = f"{figure.name} {shown(figure.value, figure.unit)}"
    if figure.interval is not None:
        low, high = (shown(end, figure.unit) for end in figure.interval)
        text += f" ({low} to {high})"
    return text


def shown(value: float | None, unit: str) -> str:
    """Return a value as people read it: shares in per cent, two decimals where they are small."""
    if value is None:
        return "–"
    value, mark, digits = (100 * value, " %", 2) if unit == SHARE else (value, "", 3)
    digits = 1 if unit == SHARE and abs(value) >= 10 else digits
    # No zero with a sign.
    return f"{round(value, digits) + 0.0:.{digits}f}{mark}".replace("-", "−")


def _goal_in_words(goal: Goal) -> str:
    return f"goal {goal.text}: {'reached' if goal.reached else 'missed'}"


def share(name: str, hits: int, trials: int) -> Figure:
    """Return a share of images with Wilson's interval."""
    value = rounded(hits / trials) if trials else None
    return Figure(name, value, wilson(hits, trials), SHARE)


def share_of_clusters(name: str, hits: FloatArray) -> Figure:
    """Return the mean of `hits` (N,), the share of each image's variants that are hit.

    Variants of one image are alike, so images are resampled. Where all images agree nothing would
    vary: then it is Wilson's interval over images, as if each had one variant.
    """
    if hits.min() == hits.max() and hits[0] in (0, 1):
        return share(name, int(hits.sum()), len(hits))
    return mean(name, hits, SHARE)


def mean(name: str, values: FloatArray, unit: str = NUMBER) -> Figure:
    """Return the mean of `values` (N,) over images, NaN left out, with a bootstrapped interval."""
    known = values[~np.isnan(values)]
    if not len(known):
        return Figure(name, None, None, unit)
    drawn = resampled(lambda index: float(known[index].mean()), len(known), _RESAMPLES)
    return Figure(name, rounded(known.mean()), percentiles(drawn), unit)


def above_chance(name: str, right: int, images: int, chance: float) -> Figure:
    """Return how far a share of images is above `chance`, which the sample's classes fix."""
    interval = [rounded(end - chance) for end in wilson(right, images) or []]
    return Figure(name, rounded(right / images - chance), interval, SHARE)


def not_done(name: str, title: str, means: str, label: str, why: str) -> Finding:
    """Return the finding of a test that could not be made."""
    return Finding(name, title, means, Figure(label, None), 0, why_not=why)
