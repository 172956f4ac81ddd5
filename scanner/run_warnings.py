"""What a reader of one report should know before trusting it: warnings of this run, and cautions.

A warning is of something that is not as it should be; a caution holds for an ordinary run too.
Cards and manifests come from any version and from other people: what one does not say is left out.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scanner.pages import thousands

# A model's line for unusual images leaves some of its own validation images beyond it (ours: 1 %).
# Several times as many are another kind of images; fewer happen by chance in a small scan.
_TIMES_EXPECTED = 5
_FEWEST_UNUSUAL = 3
_EXPECTED_BEYOND = 0.01
# Where so many of all images were rejected, the folder may be the wrong one, or the gate may fail.
_MANY_REJECTED = 0.5


@dataclass(frozen=True)
class Counts:
    """What warnings look at, of all rows: by status, by flag, and by reason."""

    statuses: Counter[str]
    flags: Counter[str]
    reasons: Counter[str]


def warnings(run: Mapping[str, Any], card: Mapping[str, Any], counts: Counts) -> list[str]:
    """Return sentences on what is not as it should be, the gravest first."""
    said = []
    state = run.get("state", "complete")
    if state != "complete":
        said.append(
            f"The run has not finished ({state}): run the same command again and it continues."
        )
    said += [str(warning) for warning in run.get("warnings", [])]
    return [*said, *_unusual(card, counts), *_rejected(counts)]


def _unusual(card: Mapping[str, Any], counts: Counts) -> list[str]:
    judged = counts.statuses["ok"] + counts.statuses["flagged"]
    unusual = counts.flags["out_of_distribution"]
    quantile = _part(_part(card, "trust"), "ood").get("quantile")
    expected = round(1 - quantile, 6) if isinstance(quantile, float) else _EXPECTED_BEYOND
    if unusual < _FEWEST_UNUSUAL or unusual < _TIMES_EXPECTED * expected * judged:
        return []
    many = f"{thousands(unusual)} of {thousands(judged)} judged images"
    return [
        f"{many} ({_share(unusual, judged)}) are unlike those that the model was trained on, "
        f"where {100 * expected:.2g} % would be usual: what it says of these images may be wrong "
        "throughout."
    ]


def _rejected(counts: Counts) -> list[str]:
    total, duplicates = counts.statuses.total(), counts.reasons["duplicate"]
    rejected = counts.statuses["rejected"] - duplicates
    if not rejected or rejected < _MANY_REJECTED * (total - duplicates):
        return []
    return [
        f"{thousands(rejected)} of {thousands(total - duplicates)} images were rejected: look at "
        "some of them below, and whether this is the folder that was meant."
    ]


def cautions(run: Mapping[str, Any], card: Mapping[str, Any]) -> list[str]:
    """Return sentences on what limits every finding of this run, the most important first."""
    said = [
        "The model was not validated in this hospital: how often it is right here is not known. "
        "Review some images and compare before relying on it."
    ]
    for result in _part(_part(card, "audit"), "tests").values():
        if isinstance(result, dict) and _missed(result) and result.get("text"):
            said.append(f"Its audit missed a goal. {result['text']}.")
    entries = [entry for entry in run.get("runs") or [] if isinstance(entry, dict)]
    last = entries[-1] if entries else {}
    if str(last.get("device") or "").startswith("CPU"):
        said.append(
            f"No GPU was used ({last['device']}): it took longer, the results are no worse."
        )
    precision = str(last.get("precision") or "")
    measured = _part(_part(card, "precisions"), precision)
    agreement, images = measured.get("label_agreement"), measured.get("images")
    if isinstance(agreement, float) and isinstance(images, int):
        said.append(
            f"Computed in {precision}: of {thousands(images)} images {_share(agreement, 1)} get "
            "the same class as in full precision."
        )
    elif precision not in ("", "float32", "openvino float32"):
        said.append(
            f"Computed in {precision}: how far that agrees with full precision was not measured "
            "for this model."
        )
    return said


def _missed(result: Mapping[str, Any]) -> bool:
    goals = result.get("goals")
    goals = goals if isinstance(goals, list) else []
    return any(isinstance(goal, dict) and goal.get("reached") is False for goal in goals)


def _part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = whole.get(name)
    return part if isinstance(part, dict) else {}


def _share(count: float, of: float) -> str:
    return f"{100 * count / of:.3g}\N{NARROW NO-BREAK SPACE}%"
