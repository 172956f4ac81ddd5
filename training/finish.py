"""From fitted weights to a bundle with its card, figures and report."""

import json
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scanner import bundle as bundles
from scanner.interrupts import deferred
from scanner.manifest import versions
from scanner.predictor import Predictor
from scanner.records import write_atomically
from training import augment, made_from
from training.data.labels import NEGATIVE
from training.fit import Fitted, Recipe
from training.lesson import Lesson
from training.parts import LEFT_OUT, PARTS, TEST, TRAIN, VALIDATION
from training.results import card, metrics
from training.results.gallery import Chosen, Judged, examples, failures
from training.results.measure import Judgement, agreement, all_figures, judge, recalibrated
from training.results.report import METRICS, TrainingReport, render
from training.start import Start

Say = Callable[[str], None]
Stored = dict[str, npt.NDArray[Any]]
# Enough to see one label in a thousand change, without an hour in float32 on two cores.
_PRECISION_IMAGES = 1000
# Of each class, on the contact sheet of the report.
_ROWS_OF_SHEET = 2
# What metrics.json has of the card beside the figures.
_IN_METRICS = (
    "intended_use",
    "known_limits",
    "data",
    "preprocess",
    "recipe",
    "weights",
    "versions",
)
_PARTS = (*PARTS, LEFT_OUT)

TRAINED = {"none": "the head", "block5": "block5 and the head", "all": "all layers"}


@dataclass(frozen=True)
class Outcome:
    """A training after its last epoch: what was taught, how, and the best weights of round one.

    `folds` is `metrics.fold_summary` of a training in folds, else None.
    """

    lesson: Lesson
    start: Start
    recipe: Recipe
    fitted: Fitted
    folds: metrics.Figures | None
    name: str


@dataclass(frozen=True)
class Measured:
    """The bundle as it is shipped on validation and test images, and what follows from that.

    `figures` are what ``metrics.json`` holds, `test` the judged test images, `precisions` how far
    coarser arithmetic agrees with float32, `device` what they were judged on.
    """

    figures: metrics.Figures
    test: Judgement
    precisions: dict[str, Any]
    device: str

    @property
    def temperature(self) -> float:
        return float(self.figures["calibration"]["temperature"])


def measure(outcome: Outcome, stored: Stored, say: Say) -> Measured:
    """Run the finished network as a scan would, in float32, with the weights that are stored.

    Temperature and operating points come from validation images, figures from test images.
    """
    taught, classes = outcome.lesson, outcome.lesson.classes
    import keras

    say("measuring the model as it is shipped (int8 weights) on validation and test images")
    raw = bundles.Bundle(
        "",
        tuple(classes),
        outcome.start.spec,
        1.0,
        bundles.dequantise(stored),
        {},
        outcome.recipe.architecture,
    )
    with deferred():
        keras.utils.clear_session()  # the tails and their optimizers are not needed any more
        full = Predictor(raw, precision="float32")
    inputs, targets = taught.data.inputs, taught.targets
    raw_validation = judge(full, inputs, taught.part(0, VALIDATION), targets)
    raw_test = judge(full, inputs, taught.part(0, TEST), targets)
    temperature = round(
        metrics.fit_temperature(raw_validation.targets, raw_validation.predictions.probabilities), 4
    )
    validation = recalibrated(raw_validation, temperature)
    test = recalibrated(raw_test, temperature)
    # The images are in the order of their folders: the first would all be of one class.
    few = np.random.default_rng(0).permutation(len(validation.rows))[:_PRECISION_IMAGES]
    with deferred():
        other = Predictor(raw, precision="bfloat16")
    coarse = judge(other, inputs, validation.rows[few], targets)
    figures = {
        "format": 1,
        "classes": classes,
        "seed": outcome.recipe.seed,
        "test": all_figures(test, taught.data.sources, classes),
        "roc": metrics.roc_curves(test.targets, test.predictions.probabilities, classes),
        "calibration": {
            "temperature": temperature,
            "before": metrics.calibration(raw_test.targets, raw_test.predictions.probabilities),
            "after": metrics.calibration(test.targets, test.predictions.probabilities),
        },
        "operating_points": metrics.operating_points(
            validation.targets,
            validation.predictions.probabilities,
            test.targets,
            test.predictions.probabilities,
            classes,
            negative(classes),
        ),
        "folds": outcome.folds,
        "history": [{k: round(v, 4) for k, v in row.items()} for row in outcome.fitted.history],
        "best_epoch": outcome.fitted.best_epoch,
    }
    exact = validation.predictions.probabilities[few]
    rough = recalibrated(coarse, temperature).predictions.probabilities
    return Measured(
        figures,
        test,
        {"bfloat16": agreement(exact, rough)},
        full.device,
    )


def negative(classes: list[str]) -> str:
    """Return the class that means nothing was found, or an empty text if there is none."""
    return NEGATIVE if NEGATIVE in classes else ""


def save(
    outcome: Outcome,
    stored: Stored,
    measured: Measured,
    output: Path,
    seconds: dict[str, float],
    say: Say,
) -> str:
    """Write bundle, card, metrics and report into `output`; return the model's id."""
    taught = outcome.lesson
    figures = measured.figures
    values = {
        "name": outcome.name,
        "architecture": outcome.recipe.architecture,
        "classes": taught.classes,
        "negative_class": negative(taught.classes),
        "preprocess": outcome.start.spec.as_json(),
        "temperature": measured.temperature,
        "metrics": {
            "test": figures["test"],
            "calibration_error": {
                when: figures["calibration"][when]["ece"] for when in ("before", "after")
            },
            "folds": figures["folds"],
        },
        "operating_points": figures["operating_points"],
        "precisions": measured.precisions,
        **card.texts(taught, figures),
        "recipe": {
            **asdict(outcome.recipe),
            "best_epoch": outcome.fitted.best_epoch,
            "text": card.recipe_text(outcome.recipe, outcome.start.text, outcome.fitted),
        },
        "data": _about_data(taught),
        "weights": {"file": outcome.start.text, "sha256": outcome.start.sha256},
        "versions": versions(),
        "trained_at": datetime.now(UTC).date().isoformat(),
    }
    model_id = bundles.save(output, values, stored)
    values = {"id": model_id, **values}
    # What differs between two runs of the same training is under one key.
    run = {
        "model": model_id,
        "device": measured.device,
        "seconds": {stage: round(spent, 1) for stage, spent in seconds.items()},
        "peak_memory_bytes": peak_memory(),
    }
    document = {**figures, **{name: values[name] for name in _IN_METRICS}, "run": run}
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(output / METRICS, text + "\n")
    made_from.save_parts(output, taught.data.digests, taught.plan.rounds[0])
    write_atomically(output / "README.md", card.as_markdown(values))
    render(output, _report(outcome, measured, values, run))
    say(metrics.as_text(figures["test"]["all"], taught.classes))
    if figures["folds"]:
        say(card.folds_text(figures["folds"]))
    say(str(values["headline"]))
    return model_id


def _about_data(taught: Lesson) -> dict[str, Any]:
    data, parts = taught.data, taught.plan.rounds[0]
    return {
        "form": data.form,
        "fingerprint": data.fingerprint,
        "value_range": data.value_range,
        "images": {part: n for part in _PARTS if (n := int((parts == part).sum()))},
        "counts": {f"{s}/{label}": n for (s, label), n in sorted(data.counts().items())},
        "left_out": dict(data.left_out),
        "split": taught.plan.text,
        "groups": len(set(taught.plan.groups.tolist())),
        "joined": taught.plan.joined,
        "crossing": taught.plan.crossing,
        "crossing_text": taught.plan.crossing_text,
        "seen_before": taught.plan.seen,
        "copies": int(taught.copies.sum()),
    }


def _report(
    outcome: Outcome, measured: Measured, values: dict[str, Any], run: dict[str, Any]
) -> TrainingReport:
    taught = outcome.lesson
    names = [taught.data.names[row] for row in measured.test.rows]
    judged = Judged(
        Chosen(taught.data.inputs, measured.test.rows),
        names,
        measured.test.targets,
        measured.test.predictions,
        taught.classes,
    )
    sheet = _contact_sheet(taught, outcome.recipe) if outcome.recipe.copies else None
    facts = {"Device": run["device"]}
    facts |= {f"Time for {stage}": f"{spent:.0f} s" for stage, spent in run["seconds"].items()}
    facts["Peak memory"] = f"{run['peak_memory_bytes'] / 2**20:.0f} MB"
    return TrainingReport(
        title=f"Training of {outcome.name}",
        card=values,
        metrics=measured.figures,
        facts={"run": facts},
        contact_sheet=sheet,
        examples=examples(judged),
        failures=failures(judged),
    )


def _contact_sheet(taught: Lesson, recipe: Recipe) -> bytes:
    taught_with = taught.part(0, TRAIN)
    chosen = [
        row
        for number in range(len(taught.classes))
        for row in taught_with[taught.targets[taught_with] == number][:_ROWS_OF_SHEET]
    ]
    settings = augment.Augmentation(recipe.copies, recipe.flip, recipe.seed)
    return augment.contact_sheet([taught.data.inputs[row] for row in chosen], settings)


def peak_memory() -> int:
    """Return the most bytes this process has had resident; decoders are processes of their own."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
