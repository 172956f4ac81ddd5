"""`cxr-scan evaluate`: the training report's figures of a finished bundle on any labelled data."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scanner import bundle as bundles
from scanner.bundle import Bundle
from scanner.errors import SetupError
from scanner.manifest import versions
from scanner.predictor import Predictor
from scanner.rates import at_threshold
from scanner.storage import write_atomically
from training.data.dataset import Dataset, DataSettings
from training.labelled import check_writable, class_indices, load, taught
from training.results import metrics
from training.results.gallery import Chosen, Judged, examples, failures
from training.results.intervals import FloatArray
from training.results.measure import Judgement, all_figures, calibration, judge, recalibrated
from training.results.report import METRICS, TrainingReport, render
from training.results.trust_figures import trust_figures
from training.results.trust_text import as_lines

Say = Callable[[str], None]
_OF_THE_MODEL = (
    *("id", "name", "classes", "negative_class", "intended_use", "known_limits", "trained_on"),
    *("preprocess", "trust", "lungs", "kinds", "weights_sha256"),
)


@dataclass(frozen=True)
class EvaluateSettings:
    """The options of one evaluation; `model` None is the shipped one.

    `part` is empty for all images, or ``train``, ``validation`` or ``test`` for those that the
    data's own split column names so.
    """

    data: DataSettings
    model: Path | None
    output: Path
    precision: str = "auto"
    part: str = ""


def evaluate(settings: EvaluateSettings, say: Say) -> Path:
    """Judge labelled images with a bundle; write metrics.json and report.html, return the latter.

    The bundle's own temperature and operating points are applied, those of trust too as far as it
    has them; nothing is fitted. Images of a class that the model lacks are left out and counted.
    Raises `SetupError` over a model, data or output folder that will not do, and if no image is
    left.
    """
    bundle = bundles.load(settings.model or bundles.DEFAULT_BUNDLE)
    _check_output(settings.output)
    name = settings.data.path.resolve().name
    # In the output folder: /tmp is memory on many machines.
    with tempfile.TemporaryDirectory(dir=settings.output, prefix="inputs-") as work:
        data, rows, left_out = load(settings.data, bundle, settings.part, Path(work), say)
        predictor = Predictor(bundle, precision=settings.precision)
        judged = judge(predictor, data.inputs, rows, class_indices(data, bundle))
        measured = _measure(judged, data, bundle)
        warnings = _warnings(data, rows, settings.model or bundles.DEFAULT_BUNDLE, bundle)
        names = [data.names[row] for row in rows]
        shown = Judged(
            Chosen(data.inputs, rows), names, judged.targets, judged.predictions, bundle.classes
        )
        report = TrainingReport(
            title=f"Evaluation of {bundle.card.get('name', bundle.id)} on {name}",
            card=_card(bundle, data, rows, data.left_out + left_out),
            metrics=measured,
            facts=_facts(data, rows, predictor, settings.part),
            warnings=warnings,
            examples=examples(shown),
            failures=failures(shown),
        )
    page = render(settings.output, report)
    text = json.dumps(measured, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(settings.output / METRICS, text + "\n")
    figures = measured["test"]["all"]
    low, high = figures["accuracy_95"]
    for line in (
        *warnings,
        metrics.as_text(figures, bundle.classes),
        f"accuracy {figures['accuracy']:.3f} ({low:.3f} to {high:.3f}) on {len(rows)} images",
        *as_lines(measured["trust"]),
    ):
        say(line)
    return page


def _check_output(folder: Path) -> None:
    """Refuse a folder that the results cannot go to, before any image is judged."""
    if (folder / bundles.CARD).exists():
        raise SetupError(
            f"{folder} holds a model, whose own metrics would be lost: choose another --output."
        )
    check_writable(folder)


def _measure(judged: Judgement, data: Dataset, bundle: Bundle) -> dict[str, Any]:
    """Return what metrics.json holds, but nothing of a training."""
    targets, probabilities = judged.targets, judged.predictions.probabilities
    # At T = 1, as the network gave them.
    uncalibrated = recalibrated(judged, 1 / bundle.temperature)
    trust = bundle.card.get("trust", {})
    return {
        "format": 1,
        "model": bundle.id,
        "data": {"fingerprint": data.fingerprint},
        "classes": list(bundle.classes),
        "test": all_figures(judged, data.sources, bundle.classes),
        "roc": metrics.roc_curves(targets, probabilities, bundle.classes),
        "calibration": {
            "temperature": bundle.temperature,
            **calibration(uncalibrated, judged, data.sources),
        },
        "operating_points": _operating_points(targets, probabilities, bundle),
        "trust": trust_figures(judged, trust, bundle.weights, data.sources, bundle.classes),
        "folds": None,
    }


def _operating_points(
    targets: npt.NDArray[np.int64], probabilities: FloatArray, bundle: Bundle
) -> list[dict[str, Any]]:
    """Return the bundle's own thresholds with what they give on these images."""
    points = []
    for point in bundle.card.get("operating_points", []):
        index = bundle.classes.index(point["class"])
        here = at_threshold(targets == index, probabilities[:, index], point["threshold"])
        points.append({**point, "test": here})
    return points


def _warnings(data: Dataset, rows: npt.NDArray[np.int64], model: Path, bundle: Bundle) -> list[str]:
    """Say so if the model was trained on some of these very images."""
    known = taught(data, model)
    if known is not None and known[rows].any():
        return [
            f"{int(known[rows].sum())} of these {len(rows)} images were used to train the model: "
            "it has seen them, so the figures say less about new ones."
        ]
    if known is None and bundle.card.get("data", {}).get("fingerprint") == data.fingerprint:
        return [
            "The model was trained on this very data set: it has seen most of these images, so the "
            "figures say nothing about new ones."
        ]
    if known is None:
        return [
            "The model does not say which images it was made from: it may have seen some of these."
        ]
    return []


def _card(
    bundle: Bundle, data: Dataset, rows: npt.NDArray[np.int64], left_out: Counter[str]
) -> dict[str, Any]:
    """Return the bundle's card as the report shows it: the model's texts, but these images."""
    counts = Counter(f"{data.sources[row]}/{data.labels[row]}" for row in rows)
    return {
        **{key: bundle.card[key] for key in _OF_THE_MODEL if key in bundle.card},
        "versions": versions(),
        "data": {
            "form": data.form,
            "value_range": data.value_range,
            "counts": dict(sorted(counts.items())),
            "left_out": dict(left_out),
            "fingerprint": data.fingerprint,
        },
    }


def _facts(
    data: Dataset, rows: npt.NDArray[np.int64], predictor: Predictor, part: str
) -> dict[str, dict[str, str]]:
    judged = f"{len(rows)} of {len(data)}" + (f", the {part} part" if part else "")
    return {
        "data": {"Judged": judged},
        "run": {
            "Device": f"{predictor.device}, {predictor.precision}",
            "Judging took": f"{predictor.seconds:.0f} s",
        },
    }
