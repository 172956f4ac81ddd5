"""A finished bundle measured as a scan runs it: figures, calibration, operating points."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from scanner.predictor import Predictions, Predictor, joined
from training.data.rows import Rows
from training.progress import bar
from training.results import metrics
from training.results.intervals import FloatArray

Indices = npt.NDArray[np.int64]
# Images in memory at once, beside what the network itself takes.
_CHUNK = 128


@dataclass(frozen=True)
class Judgement:
    """What a network says of some images: `rows` (n,) of the data, their class indices, answers."""

    rows: Indices
    targets: Indices
    predictions: Predictions


def judge(predictor: Predictor, inputs: Rows, rows: Indices, targets: Indices) -> Judgement:
    """Run the network over rows of the model inputs; `targets` (N,) are those of all rows."""
    parts = []
    with bar("judging", len(rows), " images") as shown:
        for start in range(0, len(rows), _CHUNK):
            some = rows[start : start + _CHUNK]
            parts.append(predictor.predict(list(inputs[some])))
            shown.update(len(some))
    return Judgement(rows, targets[rows], joined(parts))


def recalibrated(judged: Judgement, temperature: float) -> Judgement:
    """Return the judgement of a network at temperature 1 as it is at another."""
    predictions = judged.predictions
    calibrated = metrics.with_temperature(predictions.probabilities, temperature)
    return Judgement(
        judged.rows,
        judged.targets,
        replace(predictions, probabilities=calibrated.astype(np.float32)),
    )


def of_sources(judged: Judgement, sources: Sequence[str]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which of the judged images (n,) are of each source: ``all``, then each one's name.

    `sources` (N,) are those of all rows, empty where unknown: such images are in ``all`` only.
    """
    here = np.array(sources)[judged.rows]
    found = {"all": np.ones(len(here), bool)}
    for source in sorted(set(here) - {""}):
        # "all" is everything, even where a hospital is called so.
        found[str(source) if source != "all" else "source all"] = here == source
    return found


def all_figures(
    judged: Judgement, sources: Sequence[str], classes: Sequence[str]
) -> dict[str, metrics.Figures]:
    """Return the figures of all images, and of each source (N names, empty where unknown)."""
    answers = judged.predictions.probabilities
    return {
        name: metrics.figures(judged.targets[inside], answers[inside], classes)
        for name, inside in of_sources(judged, sources).items()
    }


def calibration(raw: Judgement, scaled: Judgement, sources: Sequence[str]) -> metrics.Figures:
    """Return how well confidence is calibrated ``before`` and ``after`` temperature scaling.

    `raw` and `scaled` judge the same images. ``sources`` has the error before and after of each
    source (N names, empty where unknown), without its bins.
    """
    judged = {"before": raw, "after": scaled}

    def of(when: str, inside: npt.NDArray[np.bool_]) -> metrics.Figures:
        answers = judged[when].predictions.probabilities
        return metrics.calibration(raw.targets[inside], answers[inside])

    inside = of_sources(raw, sources)
    everything = inside.pop("all")
    return {
        **{when: of(when, everything) for when in judged},
        "sources": {
            name: {
                when: {k: v for k, v in of(when, here).items() if k != "bins"} for when in judged
            }
            for name, here in inside.items()
        },
    }


def agreement(exact: FloatArray, coarse: FloatArray) -> dict[str, Any]:
    """Return how far probabilities (n, C) in a coarser arithmetic are those of float32."""
    return {
        "images": len(exact),
        "label_agreement": round(float((exact.argmax(1) == coarse.argmax(1)).mean()), 4),
        "largest_change": round(float(np.abs(exact - coarse).max()), 4),
    }
