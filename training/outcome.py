"""A training after its last epoch, and its network measured as a scan would run it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scanner import bundle as bundles
from scanner import ood
from scanner.interrupts import deferred
from scanner.predictor import Predictor
from training.data.labels import NEGATIVE
from training.fit import Fitted, Recipe
from training.heads import Heads
from training.lesson import Lesson
from training.lungs import dice, read_mask
from training.parts import TEST, TRAIN, VALIDATION
from training.results import metrics, precisions, trust
from training.results.measure import (
    Judgement,
    all_figures,
    calibration,
    judge,
    recalibrated,
)
from training.results.trust_figures import dice_figures, trust_figures
from training.start import Start

Say = Callable[[str], None]
Stored = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Outcome:
    """A training after its last epoch: what was taught, how, and the best weights of round one.

    `folds` is `metrics.fold_summary` of a training in folds, else None; `heads` are those that the
    network has beside its own, `fields` what `draw.Shown` says of where the lungs are.
    """

    lesson: Lesson
    start: Start
    recipe: Recipe
    fitted: Fitted
    folds: metrics.Figures | None
    name: str
    heads: Heads
    fields: npt.NDArray[np.uint8] | None

    @property
    def negative_class(self) -> str:
        """The class that means nothing was found, or an empty text if there is none."""
        return NEGATIVE if NEGATIVE in self.lesson.classes else ""


@dataclass(frozen=True)
class Measured:
    """The bundle as it is shipped on validation and test images, and what follows from that.

    `figures` are what ``metrics.json`` holds, `trust` the operating points that the card holds and
    `statistics` the arrays that belong to them, `dice` how well lung fields agree with the masks of
    test images (None without either), `test` the judged test images, `coarser` what the card
    says of coarser arithmetic, `device` what they were judged on.
    """

    figures: metrics.Figures
    trust: trust.Trust
    statistics: Stored
    dice: dict[str, metrics.Figures] | None
    test: Judgement
    coarser: dict[str, Any]
    device: str

    @property
    def temperature(self) -> float:
        return float(self.figures["calibration"]["temperature"])


def measure(outcome: Outcome, stored: Stored, say: Say) -> Measured:
    """Run the finished network as a scan would, in float32, with the weights that are `stored`.

    Temperature and operating points come from validation images, what is usual for the embedding
    from training images, figures from test images.
    """
    taught, classes = outcome.lesson, outcome.lesson.classes
    import keras

    say("measuring the model as it is shipped (int8 weights) on validation and test images")
    raw = _uncalibrated(outcome, stored)
    with deferred():
        keras.utils.clear_session()  # the tails and their optimizers are not needed any more
        full = Predictor(raw, precision="float32")
    inputs, targets = taught.data.inputs, taught.targets
    raw_validation = judge(full, inputs, taught.part(0, VALIDATION), targets)
    raw_test = judge(full, inputs, taught.part(0, TEST), targets)
    usual = trust.images_for_statistics(taught.part(0, TRAIN), targets, outcome.recipe.seed)
    say(f"and {len(usual)} training images, for what is usual")
    trained = judge(full, inputs, usual, targets)
    statistics = ood.fit(trained.predictions.embedding, trained.targets)
    temperature = round(
        metrics.fit_temperature(raw_validation.targets, raw_validation.predictions.probabilities), 4
    )
    validation = recalibrated(raw_validation, temperature)
    test = recalibrated(raw_test, temperature)
    points = trust.choose(validation, classes, statistics)
    coarser = precisions.compare(
        raw, temperature, inputs, targets, validation, taught.part(0, TRAIN), say
    )
    figures = {
        "format": 1,
        "classes": classes,
        "seed": outcome.recipe.seed,
        "test": all_figures(test, taught.data.sources, classes),
        "roc": metrics.roc_curves(test.targets, test.predictions.probabilities, classes),
        "calibration": {
            "temperature": temperature,
            **calibration(raw_test, test, taught.data.sources),
        },
        "operating_points": metrics.operating_points(
            validation.targets,
            validation.predictions.probabilities,
            test.targets,
            test.predictions.probabilities,
            classes,
            outcome.negative_class,
        ),
        "trust": trust_figures(test, points, statistics, taught.data.sources, classes),
        "folds": outcome.folds,
        "history": [{k: round(v, 4) for k, v in row.items()} for row in outcome.fitted.history],
        "best_epoch": outcome.fitted.best_epoch,
    }
    return Measured(
        figures,
        points,
        statistics,
        _dice(taught, test),
        test,
        coarser,
        full.device,
    )


def _dice(taught: Lesson, test: Judgement) -> dict[str, metrics.Figures] | None:
    """Return how well the lung fields agree with the masks of test images, by class and source."""
    found, data = test.predictions.lungs, taught.data
    there = [place for place, row in enumerate(test.rows) if data.masks[row]]
    if found is None or not there:
        return None
    rows = test.rows[there]
    each = dice(found[there], [read_mask(data.masks[row], data.inputs.shape[-1]) for row in rows])
    by_class = dice_figures(each, [data.labels[row] for row in rows])
    return by_class | dice_figures(each, [data.sources[row] for row in rows])


def _uncalibrated(outcome: Outcome, stored: Stored) -> bundles.Bundle:
    """Return the bundle at temperature 1."""
    return bundles.Bundle(
        "",
        tuple(outcome.lesson.classes),
        outcome.start.spec,
        1.0,
        bundles.dequantise(stored),
        {},
        outcome.recipe.architecture,
    )
