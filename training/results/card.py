"""The card of a model as text: `models/README.md` is what this prints of the default bundle."""

import json
import sys
from pathlib import Path
from typing import Any

from scanner.bundle import CARD
from scanner.rates import with_interval
from training.audit.result import as_markdown as as_markdown_of_audit
from training.fit import TOLERATED_OUTSIDE, Fitted, Recipe
from training.lesson import Lesson
from training.parts import TRAIN
from training.results import metrics
from training.results.trust_text import trust_lines

# How bundles were split whose cards do not say it.
_SPLIT = "by patient where the data names one, else by near-duplicate"
_CROSSING = "{} would have leaked into another part in a split by image"


def as_markdown(card: dict[str, Any]) -> str:
    """Return a model card in Markdown, made from nothing but `model.json`."""
    lines = [
        f"# {card['name']} ({card['id']})",
        "",
        card["intended_use"],
        "",
        f"**Limits.** {card['known_limits']}",
        "",
        f"**Trained on.** {card['trained_on']}",
        "",
        f"**Recipe.** {card['recipe']['text']}",
        "",
        f"Classes: {', '.join(card['classes'])}. Temperature {card['temperature']:.3f}; expected "
        f"calibration error on test images {card['metrics']['calibration_error']['after']} "
        f"(before: {card['metrics']['calibration_error']['before']}).",
        "",
        "## Held-out images",
        "",
        f"Split {card['data'].get('split', _SPLIT)}; "
        + card["data"].get("crossing_text", _CROSSING.format(card["data"]["crossing"]))
        + ".",
        "",
        f"| images of | n | accuracy (95 %) | macro F1 | AUC {card['classes'][0]} |",
        "|---|---|---|---|---|",
    ]
    for source, figures in card["metrics"]["test"].items():
        low, high = figures["accuracy_95"]
        auc = figures["per_class"][card["classes"][0]]["auc"]
        lines.append(
            f"| {source or 'unnamed source'} | {figures['images']} | {figures['accuracy']:.3f} "
            f"({low:.3f} to {high:.3f}) | {figures['macro_f1']:.3f} "
            f"| {'-' if auc is None else f'{auc:.3f}'} |"
        )
    lines += [
        "",
        "Per class, all sources together:",
        "",
        "| class | precision | recall | F1 | n |",
        "|---|---|---|---|---|",
    ]
    for name, row in card["metrics"]["test"]["all"]["per_class"].items():
        shown = ("-" if row[k] is None else f"{row[k]:.3f}" for k in ("precision", "recall", "f1"))
        lines.append(f"| {name} | {' | '.join(shown)} | {row['support']} |")
    lines += _folds(card["metrics"].get("folds"))
    lines += _operating_points(card.get("operating_points", []))
    lines += trust_lines(card)
    lines += as_markdown_of_audit(card.get("audit"))
    lines += ["", "## Precisions, against float32 on validation images", ""]
    for name, row in card["precisions"].items():
        lines.append(
            f"- {name}: {100 * row['label_agreement']:.2f} % equal labels on {row['images']} "
            f"images, largest change of a probability {row['largest_change']:.4f}"
        )
    return "\n".join(lines) + "\n"


def _folds(folds: metrics.Figures | None) -> list[str]:
    return ["", "## Folds", "", folds_text(folds)] if folds else []


def _operating_points(points: list[metrics.Figures]) -> list[str]:
    if not points:
        return []
    lines = [
        "",
        "## Operating points",
        "",
        "Chosen on validation images: `balanced` has the largest sensitivity + specificity, "
        f"`sensitive` the highest specificity with a sensitivity of at least {metrics.SENSITIVE}.",
        "",
        "| class | rule | threshold | sensitivity on test (95 %) | specificity on test (95 %) |",
        "|---|---|---|---|---|",
    ]
    for point in points:
        shown = (with_interval(point["test"], name) for name in ("sensitivity", "specificity"))
        lines.append(
            f"| {point['class']} | {point['rule']} | {point['threshold']:.4f} | "
            + " | ".join(shown)
            + " |"
        )
    return lines


def texts(taught: Lesson, figures: metrics.Figures) -> dict[str, str]:
    """Return what a card says in sentences, every number from data and figures."""
    data, parts = taught.data, taught.plan.rounds[0]
    sources = sorted(set(data.sources) - {""})
    counts = ", ".join(
        f"{sum(label == name for label in data.labels)} {name}" for name in sorted(set(data.labels))
    )
    by_source = dict(figures["test"])
    overall = by_source.pop("all")
    low, high = overall["accuracy_95"]
    return {
        "intended_use": "Research on chest radiographs. Not a medical device, not for diagnosis.",
        "known_limits": _limits(by_source, taught.plan.held_out),
        "trained_on": (
            f"{int((parts == TRAIN).sum())} of {len(data)} radiographs ({counts})"
            + (f" from {', '.join(sources)}" if sources else "")
            + (f"; all of {taught.plan.held_out} held out" if taught.plan.held_out else "")
        ),
        "headline": (
            f"accuracy {overall['accuracy']:.3f} ({low:.3f} to {high:.3f}), macro F1 "
            f"{overall['macro_f1']:.3f} on {overall['images']} held-out images of "
            + (taught.plan.held_out or "those data sets")
        ),
    }


def _limits(by_source: dict[str, Any], held_out: str) -> str:
    if held_out:
        return (
            f"Judged on images of {held_out}, none of which it was trained on. In data like these "
            "class, age and hospital are mixed up: look at the heat maps, evidence outside the "
            "lungs is a shortcut."
        )
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


def recipe_text(recipe: Recipe, start: str, fitted: Fitted) -> str:
    """Return the recipe in one sentence."""
    trained = {
        "none": "frozen but for the head, which was trained",
        "block5": "frozen up to block4; block5 and the head were trained",
        "all": "trained whole",
    }[recipe.fine_tune]
    rare = (
        "the loss of rare classes weighed more"
        if recipe.class_weights
        else "rare classes shown more often"
    )
    copies = (
        f"augmented copies of each image ({recipe.copies}, more of rare classes)"
        if recipe.copies
        else "no augmentation"
    )
    if recipe.lung_penalty:
        copies += (
            ", where lungs are known some without what surrounds them and some, taught as no "
            "class, without them; the share of the evidence outside the lungs over "
            f"{100 * TOLERATED_OUTSIDE:.0f} % was added to the loss {recipe.lung_penalty:g} times"
        )
    return (
        f"{recipe.architecture} from {start}, {trained} for {len(fitted.history)} epochs with Adam "
        f"({recipe.learning_rate:g} falling as a cosine, batches of "
        f"{recipe.batch_size}, seed {recipe.seed}) on categorical cross-entropy; {copies}, {rare}; "
        f"the epoch of the best validation accuracy ({fitted.best_epoch}) was kept and its "
        "convolutions stored as int8 per channel."
    )


def folds_text(folds: metrics.Figures) -> str:
    """Return the figures of a training in folds in one line."""
    words = []
    for name, row in (
        ("accuracy", folds["accuracy"]),
        ("macro F1", folds["macro_f1"]),
        *((f"recall {name}", row) for name, row in folds["recall"].items()),
    ):
        if row["mean"] is not None:
            spread = "" if row["spread"] is None else f" ± {row['spread']:.4f}"
            words.append(f"{name} {row['mean']:.4f}{spread}")
    return f"{folds['count']} folds: " + ", ".join(words)


if __name__ == "__main__":
    print(as_markdown(json.loads((Path(sys.argv[1]) / CARD).read_text(encoding="utf-8"))), end="")
