"""From a measured network to a bundle with its card, figures and report."""

import json
import resource
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scanner import bundle as bundles
from scanner.manifest import versions
from scanner.storage import write_atomically
from training import augment, made_from
from training.audit.result import Audit, for_card
from training.fit import Recipe
from training.lesson import Lesson, field_of
from training.outcome import Measured, Outcome, Say, Stored
from training.parts import LEFT_OUT, PARTS, TRAIN
from training.results import card, metrics
from training.results.gallery import Chosen, Judged, examples, failures
from training.results.report import METRICS, TrainingReport, render

# Of each class, on the contact sheet of the report.
_ROWS_OF_SHEET = 2
# What metrics.json has of the card beside the figures.
_IN_METRICS = (
    "intended_use",
    "known_limits",
    "data",
    "preprocess",
    "recipe",
    "lungs",
    "kinds",
    "weights",
    "versions",
)
_PARTS = (*PARTS, LEFT_OUT)

TRAINED = {"none": "the head", "block5": "block5 and the head", "all": "all layers"}


def save(
    outcome: Outcome,
    stored: Stored,
    measured: Measured,
    audited: Audit,
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
        "negative_class": outcome.negative_class,
        "preprocess": outcome.start.spec.as_json(),
        "temperature": measured.temperature,
        "metrics": {
            "test": figures["test"],
            "calibration_error": {
                when: figures["calibration"][when]["ece"] for when in ("before", "after")
            },
            "trust": figures["trust"],
            "folds": figures["folds"],
        },
        "trust": measured.trust,
        "lungs": {"text": outcome.heads.lungs, "dice": measured.dice},
        "kinds": {"text": outcome.heads.kinds, **(outcome.heads.recall or {})},
        "operating_points": figures["operating_points"],
        "audit": for_card(audited.figures),
        **measured.coarser,
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
    model_id = bundles.save(output, values, {**stored, **measured.statistics})
    values = {"id": model_id, **values}
    # What differs between two runs of the same training is under one key.
    run = {
        "model": model_id,
        "device": measured.device,
        "seconds": {stage: round(spent, 1) for stage, spent in seconds.items()},
        "peak_memory_bytes": peak_memory(),
    }
    document = {**figures, "audit": audited.figures}
    document |= {**{name: values[name] for name in _IN_METRICS}, "run": run}
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(output / METRICS, text + "\n")
    made_from.save_parts(output, taught.data.digests, taught.plan.rounds[0])
    write_atomically(output / "README.md", card.as_markdown(values))
    render(output, _report(outcome, measured, audited, values, run))
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
    outcome: Outcome,
    measured: Measured,
    audited: Audit,
    values: dict[str, Any],
    run: dict[str, Any],
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
    sheet = (
        _contact_sheet(taught, outcome.recipe, outcome.fields) if outcome.recipe.copies else None
    )
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
        audit=audited,
    )


def _contact_sheet(taught: Lesson, recipe: Recipe, fields: npt.NDArray[np.uint8] | None) -> bytes:
    taught_with = taught.part(0, TRAIN)
    chosen = [
        row
        for number in range(len(taught.classes))
        for row in taught_with[taught.targets[taught_with] == number][:_ROWS_OF_SHEET]
    ]
    settings = augment.Augmentation(recipe.copies, recipe.flip, recipe.seed)
    pictures = [
        (
            taught.data.inputs[row],
            None if fields is None else field_of("", fields[row], recipe.size),
        )
        for row in chosen
    ]
    return augment.contact_sheet(pictures, settings)


def peak_memory() -> int:
    """Return the most bytes this process has had resident; decoders are processes of their own."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
