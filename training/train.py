"""`cxr-scan train` from data to bundle: load, split, features, fit, measure, save."""

import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scanner import bundle as bundles
from scanner.errors import SetupError
from scanner.manifest import versions
from scanner.network import quiet_stderr, visible_gpus
from scanner.predictor import Predictor, cpu_computes_in_bfloat16
from scanner.preprocess import PreprocessSpec
from scanner.records import write_atomically
from training import dataset, features, metrics, split
from training.card import as_markdown
from training.fit import Fitted, Recipe, fit
from training.labels import CLASSES, NEGATIVE
from training.weights import imagenet

Say = Callable[[str], None]
# Enough to see one label in a thousand change, without an hour in float32 on two cores.
_PRECISION_IMAGES = 1000


@dataclass(frozen=True)
class TrainSettings:
    """The options of one training, read once in cli.py."""

    data: Path
    output: Path
    weights: Path | None
    fine_tune: str
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    name: str
    cache: Path | None


def train(settings: TrainSettings, say: Say) -> str:
    """Build a bundle from labelled data and return its id; every step is said.

    Raises `SetupError` over data, weights or folders that will not do, before any long work.
    """
    if (settings.output / bundles.CARD).exists():
        raise SetupError(f"{settings.output} holds a model already: choose another --output.")
    try:
        settings.output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.output):
            pass  # hours of work must not end at a folder that cannot be written
    except OSError as error:
        raise SetupError(f"{settings.output} cannot be written: {error.strerror}.") from error
    with quiet_stderr():
        visible_gpus()
    backbone = imagenet(settings.weights)
    # The shipped weights are int8: train on features of exactly those, not of finer ones.
    stored = bundles.quantise(backbone)
    backbone = bundles.dequantise(stored)
    cache = settings.cache or Path(tempfile.mkdtemp(prefix="cxr-scan-train-"))
    cache.mkdir(parents=True, exist_ok=True)
    try:
        return _train(settings, backbone, cache, say)
    finally:
        if settings.cache is None:
            shutil.rmtree(cache, ignore_errors=True)


def _train(
    settings: TrainSettings,
    backbone: dict[str, npt.NDArray[np.float32]],
    cache: Path,
    say: Say,
) -> str:
    spec = PreprocessSpec()
    data = dataset.load(settings.data, spec, cache)
    classes = [name for name in CLASSES if name in data.labels]
    targets = np.array([classes.index(label) for label in data.labels])
    parts, crossing = _split(data, settings.seed)
    _say_data(data, parts, crossing, say)
    _check_parts(data, parts)

    precision = "bfloat16" if cpu_computes_in_bfloat16() else "float32"
    cached = features.compute(data, backbone, features.CUTS[settings.fine_tune], precision, cache)
    recipe = Recipe(
        settings.fine_tune,
        settings.epochs,
        settings.batch_size,
        settings.learning_rate,
        settings.seed,
        precision,
    )
    indices = {part: np.flatnonzero(parts == part) for part in split.PARTS}
    what = "the head" if recipe.fine_tune == "none" else f"{recipe.fine_tune} and the head"
    say(f"training {what} for {recipe.epochs} epochs in {precision}")
    fitted = fit(
        cached,
        targets,
        indices["train"],
        indices["validation"],
        backbone,
        recipe,
        lambda epoch, row: say(
            f"epoch {epoch}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.4f}; "
            f"validation {row['validation_loss']:.4f}, {row['validation_accuracy']:.4f}"
        ),
    )
    stored = bundles.quantise({**backbone, **fitted.weights})
    say("measuring the bundle as it is shipped (int8 weights) on validation and test images")
    measured = _measure(stored, spec, classes, data, targets, indices)
    card = {
        "name": settings.name,
        "classes": classes,
        "negative_class": NEGATIVE if NEGATIVE in classes else "",
        "preprocess": spec.as_json(),
        **measured,
        **_texts(data, parts, measured),
        "recipe": {**asdict(recipe), "text": _recipe_text(recipe, fitted)},
        "history": [{k: round(v, 4) for k, v in row.items()} for row in fitted.history],
        "data": {
            "fingerprint": data.fingerprint,
            "images": {part: int((parts == part).sum()) for part in split.PARTS},
            "counts": {f"{s}/{label}": n for (s, label), n in sorted(data.counts().items())},
            "left_out": dict(data.left_out),
            "crossing": crossing,
        },
        "versions": versions(),
        "trained_at": datetime.now(UTC).date().isoformat(),
    }
    model_id = bundles.save(settings.output, card, stored)
    text = as_markdown({"id": model_id, **card})
    write_atomically(settings.output / "README.md", text)
    say(str(card["headline"]))
    return model_id


def _split(data: dataset.Dataset, seed: int) -> tuple[npt.NDArray[np.str_], int]:
    """Return each image's part, and how many an image-level split would have leaked."""
    group = split.groups(data.patients, split.difference_hashes(data.inputs))
    parts = split.split(data.labels, data.sources, group, seed)
    alone = split.split(data.labels, data.sources, np.arange(len(data)), seed)
    crossing = sum(
        int(len({alone[i] for i in members}) > 1) * len(members) for members in _members(group)
    )
    return parts, crossing


def _members(group: npt.NDArray[np.int64]) -> Iterable[npt.NDArray[np.int64]]:
    order = np.argsort(group, kind="stable")
    boundaries = np.flatnonzero(np.diff(group[order])) + 1
    return np.split(order, boundaries)


def _check_parts(data: dataset.Dataset, parts: npt.NDArray[np.str_]) -> None:
    """Refuse data so small that a part would be empty, or a class be missing in training."""
    for part in split.PARTS:
        if not (parts == part).any():
            raise SetupError(f"{len(data)} images are too few: none is left for the {part} part.")
    taught = {label for label, part in zip(data.labels, parts, strict=True) if part == "train"}
    missing = set(data.labels) - taught
    if missing:
        raise SetupError(
            f"Too few images of {', '.join(sorted(missing))}: none is left to train on."
        )


def _say_data(data: dataset.Dataset, parts: npt.NDArray[np.str_], crossing: int, say: Say) -> None:
    for (source, label), count in sorted(data.counts().items()):
        say(f"{source or 'unnamed source'}: {count} {label}")
    for reason, count in data.left_out.items():
        say(f"left out: {count} ({reason})")
    say(", ".join(f"{part} {int((parts == part).sum())}" for part in split.PARTS))
    say(f"{crossing} images would have leaked into another part in a split by image")


def _measure(
    stored: dict[str, npt.NDArray[Any]],
    spec: PreprocessSpec,
    classes: list[str],
    data: dataset.Dataset,
    targets: npt.NDArray[np.int64],
    indices: dict[str, npt.NDArray[np.int64]],
) -> dict[str, Any]:
    """Run the finished network as a scan would; temperature from validation, figures from test."""
    raw = bundles.Bundle("", tuple(classes), spec, 1.0, bundles.dequantise(stored), {})
    full = Predictor(raw, precision="float32")

    def probabilities(predictor: Predictor, chosen: npt.NDArray[np.int64]) -> metrics.FloatArray:
        return predictor.predict([data.inputs[i] for i in chosen]).probabilities

    validation, test = indices["validation"], indices["test"]
    on_validation, on_test = probabilities(full, validation), probabilities(full, test)
    temperature = metrics.fit_temperature(targets[validation], on_validation)
    calibrated = metrics.with_temperature(on_test, temperature)
    sources = np.array(data.sources)[test]
    by_source = {
        str(source): metrics.figures(
            targets[test][sources == source], calibrated[sources == source], classes
        )
        for source in np.unique(sources)
        if source
    }
    # The images are in the order of their folders: the first would all be of one class.
    few = np.random.default_rng(0).permutation(len(validation))[:_PRECISION_IMAGES]
    exact = metrics.with_temperature(on_validation[few], temperature)
    coarse = metrics.with_temperature(
        probabilities(Predictor(raw, precision="bfloat16"), validation[few]), temperature
    )
    return {
        "temperature": round(temperature, 4),
        "metrics": {
            "test": {"all": metrics.figures(targets[test], calibrated, classes), **by_source},
            "calibration_error": {
                "before": metrics.calibration_error(targets[test], on_test),
                "after": metrics.calibration_error(targets[test], calibrated),
            },
        },
        "precisions": {
            "bfloat16": {
                "images": len(few),
                "label_agreement": float((exact.argmax(1) == coarse.argmax(1)).mean()),
                "largest_change": round(float(np.abs(exact - coarse).max()), 4),
            }
        },
    }


def _texts(
    data: dataset.Dataset, parts: npt.NDArray[np.str_], measured: dict[str, Any]
) -> dict[str, str]:
    """Return what the card says in sentences, every number from the data."""
    sources = sorted(set(data.sources) - {""})
    counts = ", ".join(
        f"{sum(label == name for label in data.labels)} {name}" for name in sorted(set(data.labels))
    )
    by_source = dict(measured["metrics"]["test"])
    figures = by_source.pop("all")
    low, high = figures["accuracy_95"]
    return {
        "intended_use": "Research on chest radiographs. Not a medical device, not for diagnosis.",
        "known_limits": _limits(by_source),
        "trained_on": (
            f"{int((parts == 'train').sum())} of {len(data)} radiographs ({counts})"
            + (f" from {', '.join(sources)}" if sources else "")
        ),
        "headline": (
            f"accuracy {figures['accuracy']:.3f} ({low:.3f} to {high:.3f}), macro F1 "
            f"{figures['macro_f1']:.3f} on {figures['images']} held-out images of those data sets"
        ),
    }


def _limits(by_source: dict[str, Any]) -> str:
    text = (
        "Judged on images of the same data sets as it was trained on. In data like these class, "
        "age and hospital are mixed up, so expect far lower accuracy on radiographs from "
        "elsewhere, and look at the heat maps: evidence outside the lungs is a shortcut."
    )
    if by_source:
        worst = min(by_source, key=lambda source: float(by_source[source]["accuracy"]))
        text += (
            f" The source it does worst on, {worst}, already shows it: accuracy "
            f"{by_source[worst]['accuracy']:.3f}."
        )
    return text


def _recipe_text(recipe: Recipe, fitted: Fitted) -> str:
    trained = {"none": "frozen; the head was trained", "block5": "frozen up to block4; block5 and "}
    what = trained[recipe.fine_tune] + (
        "the head were trained" if recipe.fine_tune != "none" else ""
    )
    return (
        f"ImageNet VGG19 (int8 per channel), {what} for {recipe.epochs} epochs with Adam "
        f"({recipe.learning_rate:g} falling as a cosine, batches of {recipe.batch_size}, seed "
        f"{recipe.seed}) on categorical cross-entropy; the epoch of the best validation accuracy "
        f"({fitted.best_epoch}) was kept."
    )
