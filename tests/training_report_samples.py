"""A training report made without a training: figures of a made-up classifier, real pictures."""

from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np
from report_samples import radiograph, spot
from scipy.special import softmax

from scanner import ood
from scanner.predictor import Predictions
from scanner.preprocess import PreprocessSpec, model_input
from training.results import metrics
from training.results.gallery import Judged, examples, failures
from training.results.measure import Judgement
from training.results.report import TrainingReport
from training.results.trust import choose
from training.results.trust_figures import dice_figures, trust_figures

CLASSES = ("Covid-19", "Normal", "Pneumonia")
SOURCES = ("darkcovid", "ieee8023", "radiography")


def judged(images: int = 60, classes: tuple[str, ...] = CLASSES, seed: int = 0) -> Judged:
    """Variations of one real radiograph, most of them called what they are."""
    random = np.random.default_rng(seed)
    targets = np.arange(images) % len(classes)
    logits = random.normal(scale=1.5, size=(images, len(classes)))
    logits[np.arange(images), targets] += 3
    cams = [spot(int(random.integers(3, 13)), int(random.integers(3, 13))) for _ in targets]
    return Judged(
        inputs=np.stack([_picture(number % 6) for number in range(images)]),
        names=[f"ward {number % 3}/IM{number:04}.dcm" for number in range(images)],
        targets=targets,
        predictions=Predictions(
            softmax(logits, axis=1).astype(np.float32),
            np.stack(cams),
            np.zeros((images, 512), np.float32),
        ),
        classes=classes,
    )


def _with_heads(shown: Judged) -> tuple[Judgement, dict[str, np.ndarray]]:
    """The same images judged by a model that knows lungs and kinds, and what is usual for it."""
    images = len(shown.targets)
    random = np.random.default_rng(1)
    lungs = np.zeros((images, 32, 32), np.float32)
    lungs[:, 6:26, 4:28] = 1
    answers = replace(
        shown.predictions,
        embedding=random.random((images, 8)).astype(np.float32),
        lungs=lungs,
        kinds=random.dirichlet([9] + [0.1] * 8, images).astype(np.float32),
    )
    statistics = ood.fit(answers.embedding, shown.targets)
    return Judgement(np.arange(images), shown.targets, answers), statistics


@cache
def _picture(number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    pixels = radiograph()[20 * number :: 4, 15 * number :: 4] ** (0.8 + 0.08 * number)
    return model_input(np.ascontiguousarray(pixels, dtype=np.float32), PreprocessSpec())


def full_report(
    classes: tuple[str, ...] = CLASSES, sources: tuple[str, ...] = SOURCES, text: str = "text"
) -> TrainingReport:
    """A report with every section; `text` stands wherever a sentence or a name may."""
    shown = judged(classes=classes)
    targets, probabilities = shown.targets, shown.predictions.probabilities
    of_source = np.arange(len(targets)) % len(sources)
    by_source = {
        source: metrics.figures(
            targets[of_source == number], probabilities[of_source == number], classes, 50
        )
        for number, source in enumerate(sources)
    }
    everything = metrics.figures(targets, probabilities, classes, 50)
    sharp = metrics.with_temperature(probabilities, 0.5)
    seen, statistics = _with_heads(shown)
    points = choose(seen, classes, statistics)
    figures = {
        "format": 1,
        "classes": list(classes),
        "seed": 4,
        "test": {"all": everything, **by_source},
        "roc": metrics.roc_curves(targets, probabilities, classes),
        "calibration": {
            "temperature": 2.0,
            "before": metrics.calibration(targets, sharp),
            "after": metrics.calibration(targets, probabilities),
        },
        "operating_points": metrics.operating_points(
            targets, probabilities, targets, probabilities, classes, classes[1]
        ),
        "trust": trust_figures(
            seen, points, statistics, [sources[number] for number in of_source], classes
        ),
        "folds": metrics.fold_summary(list(by_source.values()), everything),
        "history": [
            {
                "loss": 1 / epoch,
                "accuracy": 1 - 0.4 / epoch,
                "validation_loss": 0.2 + 1 / epoch,
                "validation_accuracy": 0.9 - 0.4 / epoch,
            }
            for epoch in range(1, 41)
        ],
        "best_epoch": 31,
    }
    return TrainingReport(
        title=f"Training of {text}",
        card={**card(classes, sources, text), "trust": {**points, "left_out": [text]}},
        metrics=figures,
        facts={"run": {"Peak memory": "1900 MB", text: text}},
        warnings=[text],
        contact_sheet=cv2.imencode(".jpg", np.hstack([_picture(n) for n in range(6)]))[1].tobytes(),
        examples=examples(shown),
        failures=failures(shown),
    )


def card(classes: tuple[str, ...], sources: tuple[str, ...], text: str) -> dict[str, Any]:
    return {
        "id": "20ee48f61273",
        "name": text,
        "classes": list(classes),
        "lungs": {"text": text, "dice": dice_figures(np.array([0.9, 0.95]), classes[:2])},
        "kinds": {"text": text, "recall": {"lateral_view": {"recall": 0.97, "n": 120}}},
        "negative_class": classes[1],
        "preprocess": {"version": 1, "size": 256, "low": 1.0, "high": 99.0},
        "intended_use": text,
        "known_limits": text,
        "trained_on": text,
        "headline": text,
        "recipe": {"text": text, "epochs": 40, "flip": False, "fine_tune": text},
        "data": {
            "form": text,
            "fingerprint": "c2128a81d0edcdfa",
            "value_range": [0.0, 255.0],
            "images": {"train": 6905, "validation": 865, "test": 865},
            "counts": {f"{source}/{name}": 300 for source in sources for name in classes},
            "left_out": {text: 4},
            "split": text,
            "groups": 7811,
            "joined": 1200,
            "crossing": 663,
        },
        "weights": {"file": text, "sha256": "5be40dc6" * 8},
        "weights_sha256": "2a850e1f" * 8,
        "versions": {"cxr-scan": "0.1.0", "tensorflow": "2.21.0"},
    }
