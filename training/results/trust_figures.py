"""What a bundle's operating points of trust do on labelled images: of all, and of each source."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scanner import ood
from scanner.architecture import Weights
from scanner.conformal import prediction_sets
from scanner.focus import Focus, lung_focus
from scanner.heads import KINDS
from scanner.rates import rounded, wilson
from training.results.intervals import FloatArray, percentiles, resampled
from training.results.measure import Judgement, of_sources
from training.results.metrics import Figures
from training.results.trust import Trust

_RESAMPLES = 1000
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Seen:
    """What is known of N images, or None where the model cannot tell."""

    targets: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    sets: Bools | None
    focus: Focus | None
    distance: FloatArray | None
    frontal: FloatArray | None


def trust_figures(
    judged: Judgement,
    trust: Trust,
    weights: Weights,
    sources: Sequence[str],
    classes: Sequence[str],
) -> dict[str, Figures]:
    """Return what operating points (`trust.choose`) give on judged images, calibrated, by source.

    ``all``, then each source (N names, empty where unknown), as far as the model has the points:
    ``sets``: coverage, share uncertain, accuracy among the sure; ``lung_focus``: mean share of the
    evidence inside the lungs, its lift, the lungs' area, share flagged; ``ood``: median distance,
    share flagged; ``gate``: shares rejected and flagged. The first two also ``per_class``, by
    truth. Keys that end in ``_95`` are intervals: Wilson's for shares of images, else a seeded
    bootstrap over images. Lung focus is of the ``images`` where anything speaks for the prediction.
    """
    seen = _look(judged, trust, weights, classes)
    return {
        name: _figures(seen, inside, trust, classes)
        for name, inside in of_sources(judged, sources).items()
    }


def dice_figures(dice: FloatArray, groups: Sequence[str]) -> dict[str, Figures]:
    """Return the mean of Dice (n,) of fields of test images, of all and of each group (n names).

    What a card has as ``lungs.dice``: ``images``, ``dice`` and its bootstrapped ``dice_95``.
    """
    names = np.array(groups)
    inside = {"all": np.ones(len(dice), bool)}
    inside |= {str(name): names == name for name in sorted(set(groups) - {""})}
    return {n: {"images": int(i.sum()), **_mean("dice", dice[i])} for n, i in inside.items()}


def _look(judged: Judgement, trust: Trust, weights: Weights, classes: Sequence[str]) -> _Seen:
    answers = judged.predictions
    sets = focus = distance = frontal = None
    if "conformal" in trust:
        thresholds = [trust["conformal"]["thresholds"][name] for name in classes]
        sets = prediction_sets(answers.probabilities, thresholds)
    if answers.lungs is not None:
        focus = lung_focus(answers.cam, answers.lungs)
    if ood.has_statistics(weights):
        distance = ood.score(answers.embedding, weights)
    if answers.kinds is not None:
        frontal = answers.kinds[:, KINDS.index("frontal")]
    predicted = answers.probabilities.argmax(axis=1)
    return _Seen(judged.targets, predicted, sets, focus, distance, frontal)


def _figures(seen: _Seen, inside: Bools, trust: Trust, classes: Sequence[str]) -> Figures:
    found: Figures = {"images": int(inside.sum())}
    of_class = {name: inside & (seen.targets == number) for number, name in enumerate(classes)}
    if seen.sets is not None:
        found["sets"] = {
            **_set_figures(seen, seen.sets, inside),
            "per_class": {n: _set_figures(seen, seen.sets, i) for n, i in of_class.items()},
        }
    if seen.focus is not None:
        below = trust.get("lung_focus", {}).get("threshold")
        found["lung_focus"] = {
            **_focus_figures(seen.focus, inside, below),
            "per_class": {n: _focus_figures(seen.focus, i, below) for n, i in of_class.items()},
        }
    if seen.distance is not None and "ood" in trust:
        distance = seen.distance[inside]
        found["ood"] = {
            "median": rounded(np.median(distance)),
            **_share("flagged", distance > trust["ood"]["threshold"]),
        }
    if seen.frontal is not None and "gate" in trust:
        frontal, gate = seen.frontal[inside], trust["gate"]
        rejected = frontal < gate["reject_below"]
        found["gate"] = {
            **_share("rejected", rejected),
            **_share("flagged", ~rejected & (frontal < gate["flag_below"])),
        }
    return found


def _set_figures(seen: _Seen, sets: Bools, inside: Bools) -> Figures:
    targets, sets = seen.targets[inside], sets[inside]
    sure = sets.sum(axis=1) == 1
    return {
        "images": len(targets),
        **_share("coverage", sets[np.arange(len(targets)), targets]),
        **_share("uncertain", ~sure),
        **_share("accuracy_of_sure", (seen.predicted[inside] == targets)[sure]),
    }


def _focus_figures(focus: Focus, inside: Bools, threshold: float | None) -> Figures:
    inside = inside & ~np.isnan(focus.share)
    found: Figures = {
        "images": int(inside.sum()),
        **_mean("share", focus.share[inside]),
        **_mean("lift", focus.lift[inside]),
        **_mean("area", focus.area[inside]),
    }
    if threshold is not None:
        found |= _share("flagged", focus.share[inside] < threshold)
    return found


def _share(name: str, those: Bools) -> Figures:
    count, images = int(those.sum()), len(those)
    return {
        name: rounded(count / images) if images else None,
        f"{name}_95": wilson(count, images),
    }


def _mean(name: str, values: FloatArray) -> Figures:
    """Return the mean of the values that are known (lift is not where no lung was found)."""
    values = values[~np.isnan(values)]
    if not len(values):
        return {name: None, f"{name}_95": None}
    drawn = resampled(lambda images: float(values[images].mean()), len(values), _RESAMPLES)
    return {name: rounded(values.mean()), f"{name}_95": percentiles(drawn)}
