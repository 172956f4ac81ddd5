"""`cxr-scan train` from data to bundle: load, split, features, fit, measure, save."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from scanner import bundle as bundles
from scanner.errors import SetupError
from scanner.heads import has_lungs, without_heads
from scanner.interrupts import deferred
from scanner.network import Weights, quiet_stderr, visible_gpus
from scanner.records import UNCERTAIN
from training import (
    augment,
    features,
    finish,
    lesson,
    near_duplicates,
    negatives,
    split,
    unfinished,
)
from training.audit.of_training import audit_of_training
from training.data import dataset
from training.data.rows import Rows
from training.draw import Shown
from training.fit import Fitted, Recipe, fit, probabilities
from training.heads import Heads, obtain, origin
from training.lesson import Lesson
from training.outcome import Outcome, measure
from training.parts import LEFT_OUT, PARTS, TEST, VALIDATION
from training.results import metrics
from training.start import Start, begin, joined, with_classes

Say = Callable[[str], None]
# Options that may differ when a training is continued: they change how long it goes on.
_MAY_CHANGE = ("epochs", "early_stopping")


@dataclass(frozen=True)
class TrainSettings:
    """The options of one training, read once in cli.py; sizes are bytes."""

    data: dataset.DataSettings
    output: Path
    weights: Path | None
    retrained: Path | None
    recipe: Recipe
    folds: int
    hold_out: str
    name: str
    negatives: Path | None
    cache: Path | None
    cache_limit: int
    resume: bool
    dry_run: bool


@dataclass
class Clock:
    """The seconds that each stage of a training took, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started


def train(settings: TrainSettings, say: Say) -> str | None:
    """Build a bundle from labelled data and return its id; None after a dry run.

    Every step is said. Interrupted, it leaves its state below the output folder, from which it goes
    on with `resume`. Raises `SetupError` over data, weights, options or folders that will not do,
    before any long work.
    """
    unfinished.check(settings.output, settings.data.path, settings.resume)
    if settings.negatives is not None:
        negatives.read_table(settings.negatives)
    with quiet_stderr(), deferred():
        visible_gpus()
    start = begin(
        settings.recipe.architecture, settings.weights, settings.retrained, settings.dry_run
    )
    say(f"starting from {start.text}")
    settings = replace(settings, recipe=replace(settings.recipe, size=start.spec.size))
    try:
        with (
            unfinished.passing_folder() if settings.dry_run else unfinished.folder(settings.output)
        ) as work:
            return _train(settings, start, work, say)
    except BrokenPipeError:
        raise  # nobody reads what is said: that is no fault of a file
    except OSError as error:
        raise SetupError(
            f"The training cannot go on: {error.filename or settings.output}: {error.strerror}. "
            "Make room or give permission; what was begun continues with --resume."
        ) from error


def _train(settings: TrainSettings, start: Start, work: Path, say: Say) -> str | None:
    clock, recipe = Clock(), settings.recipe
    with clock.stage("reading"):
        data = dataset.load(replace(settings.data, known=start.classes), start.spec, work)
    for line in dataset.describe(data):
        say(line)
    if UNCERTAIN in data.classes:
        raise SetupError(
            f"A class may not be called {UNCERTAIN}: that is what a scan says of an image that "
            "could be several. Give it another name."
        )
    plan = split.plan(data, settings.folds, settings.hold_out, recipe.seed, start.parts)
    _say_plan(plan, data, say)
    taught = lesson.prepare(data, joined(start, data.classes), plan, recipe)
    cache = settings.cache or (settings.output if settings.dry_run else work)
    place = _place_of_features(cache, taught, start, recipe)
    needed = _say_cache(place, taught, settings, say)
    features.check_room(cache, needed, settings.cache_limit)
    if settings.dry_run:
        say("dry run: nothing was trained")
        return None
    unfinished.note(work, _options(settings, taught, start))
    # The work folder is held already.
    with features.held(cache) if settings.cache else nullcontext():
        features.make_room(cache, needed, settings.cache_limit, place)
        return _teach(settings, taught, start, work, place, clock, say)


def _teach(
    settings: TrainSettings,
    taught: Lesson,
    start: Start,
    work: Path,
    place: Path,
    clock: Clock,
    say: Say,
) -> str:
    recipe, weights = settings.recipe, with_classes(start, taught.classes)
    frozen = recipe.cut != "input"
    found = Heads()
    if frozen:
        with clock.stage("lung head and gate"):
            found = _heads(settings, taught, weights, start, work, say)
        weights = {**without_heads(weights), **found.weights}
    with clock.stage("features"):
        shown, cached = _features(taught, weights, recipe, place)
    with clock.stage("epochs"):
        fitted = [
            _fit_round(number, taught, shown, cached, weights, recipe, work, say)
            for number in range(len(taught.plan.rounds))
        ]
    if not frozen:
        with clock.stage("lung head and gate"):
            trained = {**weights, **fitted[0].weights}
            found = _heads(settings, taught, trained, start, work, say)
        weights = {**without_heads(weights), **found.weights}
    folds = None
    if settings.folds:
        with clock.stage("judging folds"):
            folds = _judge_folds(taught, cached, weights, fitted, recipe)
    outcome = Outcome(taught, start, recipe, fitted[0], folds, settings.name, found, shown.fields)
    with clock.stage("measuring"):
        stored = bundles.quantise({**weights, **fitted[0].weights})
        measured = measure(outcome, stored, say)
    with clock.stage("auditing"):
        audited = audit_of_training(outcome, stored, measured, say)
    return finish.save(outcome, stored, measured, audited, settings.output, clock.seconds, say)


def _heads(
    settings: TrainSettings, taught: Lesson, weights: Weights, start: Start, work: Path, say: Say
) -> Heads:
    parts, recipe, table = taught.plan.rounds[0], settings.recipe, settings.negatives
    return obtain(taught.data, parts, weights, start.spec, recipe, table, work, say)


def _features(taught: Lesson, weights: Weights, recipe: Recipe, place: Path) -> tuple[Shown, Rows]:
    """Return what the rows show and their features: originals first, whose lungs copies need."""
    seen = None
    if has_lungs(weights) and recipe.cut != "input":
        originals = lesson.originals_of(taught)
        seen = features.lung_fields(originals, weights, recipe.cut, recipe.precision, place)
    shown = lesson.add_copies(taught, recipe, seen)
    return shown, features.compute(taught.images, weights, recipe.cut, recipe.precision, place)


def _say_plan(plan: split.Plan, data: dataset.Dataset, say: Say) -> None:
    for number, parts in enumerate(plan.rounds, start=1):
        which = f"fold {number}: " if len(plan.rounds) > 1 else ""
        names = [*PARTS, *([LEFT_OUT] if (parts == LEFT_OUT).any() else [])]
        say(which + ", ".join(f"{name} {int((parts == name).sum())}" for name in names))
    say(f"split {plan.text}")
    say(
        f"{plan.joined} images are of one patient with another, or near-duplicates (at most "
        f"{near_duplicates.NEAR_DUPLICATE_BITS} of 256 bits of their hashes differ); "
        f"{plan.crossing_text}"
    )
    for part in (VALIDATION, TEST):
        there = {n for n, p in zip(data.labels, plan.rounds[0], strict=True) if p == part}
        for name in sorted(set(data.labels) - there):
            say(f"warning: the {part} part has no image of {name}, so no figures for it")
    if plan.seen:
        say(f"{plan.seen} images taught the model before: none of them tests this one")


def _place_of_features(cache: Path, taught: Lesson, start: Start, recipe: Recipe) -> Path:
    # Lung fields, and so the copies, come from a head that the training part of round one taught.
    parts = hashlib.sha256(",".join(taught.plan.rounds[0]).encode()).hexdigest()[:16]
    making = f"{_making(recipe)} lungs of {origin(taught.data, None)} {parts} {recipe.seed}"
    key = features.key(taught.data.fingerprint, start.weights, taught.copies, making)
    return features.place_of(cache, key)


def _say_cache(place: Path, taught: Lesson, settings: TrainSettings, say: Say) -> int:
    """Say what the cache takes; return how many bytes of it are not on disk yet."""
    recipe, copies = settings.recipe, int(taught.copies.sum())
    rows = len(taught.data) + copies
    what = f"cache: {features.gigabytes(features.predicted_bytes(recipe.cut, rows, recipe.size))}"
    what += f" for {len(taught.data)} images"
    if copies:
        what += f" and {copies} augmented copies"
    if features.is_whole(place, recipe.cut, rows, recipe.size):
        say(what + ", features are there already")
    else:
        say(f"{what}, at most {features.gigabytes(settings.cache_limit)} (--cache-limit)")
    return features.missing_bytes(place, recipe.cut, len(taught.data), copies, recipe.size)


def _making(recipe: Recipe) -> str:
    """Return what beside images and weights makes features what they are."""
    words = [recipe.architecture, recipe.cut, recipe.precision]
    if recipe.copies:
        words += [f"augmentation {augment.VERSION}", str(recipe.flip), str(recipe.seed)]
    return " ".join(words)


def _options(settings: TrainSettings, taught: Lesson, start: Start) -> dict[str, Any]:
    """Return what the result depends on, to tell whether a training may be continued."""
    # Folds of different lengths would be one table of unlike things.
    free = () if settings.folds else _MAY_CHANGE
    parts = "\n".join(",".join(one) for one in taught.plan.rounds)
    return {
        **{k: v for k, v in asdict(settings.recipe).items() if k not in free},
        "folds": settings.folds,
        "hold_out_source": settings.hold_out,
        "heads": origin(taught.data, settings.negatives),
        "data": taught.data.fingerprint,
        "split": hashlib.sha256(parts.encode()).hexdigest()[:16],
        "start": f"{start.text} {start.sha256[:12]}".strip(),
        "classes": list(settings.data.classes),
    }


def _fit_round(
    number: int,
    taught: Lesson,
    shown: Shown,
    cached: Rows,
    weights: Weights,
    recipe: Recipe,
    work: Path,
    say: Say,
) -> Fitted:
    which = f"fold {number + 1}, " if len(taught.plan.rounds) > 1 else ""
    draw = taught.draw(number, recipe)
    say(f"{which}training {finish.TRAINED[recipe.fine_tune]}, {draw.size} images an epoch")
    return fit(
        cached,
        taught.row_targets,
        shown,
        draw,
        taught.part(number, VALIDATION),
        weights,
        recipe,
        unfinished.state(work, number),
        lambda epoch, row: say(
            f"{which}epoch {epoch}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.4f}; "
            f"validation {row['validation_loss']:.4f}, {row['validation_accuracy']:.4f}"
            + (f"; outside the lungs {row['outside_lungs']:.3f}" if "outside_lungs" in row else "")
        ),
    )


def _judge_folds(
    taught: Lesson, cached: Rows, weights: Weights, fitted: list[Fitted], recipe: Recipe
) -> metrics.Figures:
    """Return the figures of each fold's test images, judged by the network that never saw them.

    With the weights as they are shipped (int8), on the cached features, at the temperature of the
    fold's validation images.
    """
    each, targets, answers = [], [], []
    for number, one in enumerate(fitted):
        shipped = {**weights, **bundles.dequantise(bundles.quantise(one.weights))}
        validation, test = (taught.part(number, p) for p in (VALIDATION, TEST))
        count = len(taught.classes)
        temperature = metrics.fit_temperature(
            taught.targets[validation],
            probabilities(cached, validation, shipped, count, recipe),
        )
        judged = metrics.with_temperature(
            probabilities(cached, test, shipped, count, recipe), temperature
        )
        each.append(metrics.figures(taught.targets[test], judged, taught.classes))
        targets.append(taught.targets[test])
        answers.append(judged)
    pooled = metrics.figures(np.concatenate(targets), np.concatenate(answers), taught.classes)
    return metrics.fold_summary(each, pooled)
