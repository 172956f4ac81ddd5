"""A finished bundle measured as a scan runs it: figures, calibration, operating points."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scanner.predictor import Predictions, Predictor
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
    joined = Predictions(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.cam for part in parts]),
        np.concatenate([part.embedding for part in parts]),
    )
    return Judgement(rows, targets[rows], joined)


def recalibrated(judged: Judgement, temperature: float) -> Judgement:
    """Return the judgement of a network at temperature 1 as it is at another."""
    predictions = judged.predictions
    calibrated = metrics.with_temperature(predictions.probabilities, temperature)
    return Judgement(
        judged.rows,
        judged.targets,
        Predictions(calibrated.astype(np.float32), predictions.cam, predictions.embedding),
    )


def all_figures(
    judged: Judgement, sources: Sequence[str], classes: Sequence[str]
) -> dict[str, metrics.Figures]:
    """Return the figures of all images, and of each source (N names, empty where unknown)."""
    found = {"all": metrics.figures(judged.targets, judged.predictions.probabilities, classes)}
    here = np.array(sources)[judged.rows]
    for source in sorted(set(here) - {""}):
        inside = here == source
        # "all" is everything, even where a hospital is called so.
        name = str(source) if source != "all" else "source all"
        found[name] = metrics.figures(
            judged.targets[inside], judged.predictions.probabilities[inside], classes
        )
    return found


def agreement(exact: FloatArray, coarse: FloatArray) -> dict[str, Any]:
    """Return how far probabilities (n, C) in a coarser arithmetic are those of float32."""
    return {
        "images": len(exact),
        "label_agreement": round(float((exact.argmax(1) == coarse.argmax(1)).mean()), 4),
        "largest_change": round(float(np.abs(exact - coarse).max()), 4),
    }
