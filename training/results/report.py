"""The training report: what a reviewer asks of a model, as one self-contained HTML page."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.audit.page import FILTERS
from training.audit.result import Audit
from training.results import page, plots
from training.results.gallery import KINDS, Example
from training.results.metrics import SENSITIVE
from training.results.trust_text import TABLES

REPORT = "report.html"
METRICS = "metrics.json"
# In the order of the page; a section that has nothing to show is left out.
_TITLES = {
    "use": "Use and limits",
    "data": "Data",
    "split": "Split",
    "preprocessing": "Preprocessing",
    "recipe": "Recipe",
    "augmentation": "Augmentation",
    "curves": "Training curves",
    "results": "Results",
    "sources": "Each source",
    "folds": "Folds",
    "calibration": "Calibration",
    "thresholds": "Operating points",
    "trust": "Trust",
    "audit": "Shortcut audit",
    "examples": "Examples",
    "failures": "Failures",
    "origin": "Environment and hashes",
}


@dataclass(frozen=True)
class TrainingReport:
    """What the page is made of.

    `card` has the keys of model.json and `metrics` those of metrics.json; what either lacks is left
    out of the page. `facts` adds rows of name and text to the sections ``data``, ``split``,
    ``recipe`` and ``run``. `warnings` are sentences that stand first. `contact_sheet` is a JPEG of
    augmented images, `audit` that of the shortcuts.
    """

    title: str
    card: Mapping[str, Any]
    metrics: Mapping[str, Any]
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    contact_sheet: bytes | None = None
    examples: Sequence[Example] = ()
    failures: Sequence[Example] = ()
    audit: Audit | None = None


def render(folder: Path, report: TrainingReport) -> Path:
    """Write ``report.html`` into `folder` and return its path; pictures are embedded.

    Raises `SetupError` if it cannot be written.
    """
    card, metrics = report.card, report.metrics
    classes = list(metrics.get("classes", card.get("classes", [])))
    drawn = _plots(metrics)
    counts = _counts(card.get("data", {}).get("counts", {}), classes)
    values = {
        "report": report,
        "card": card,
        "metrics": metrics,
        "classes": classes,
        "everything": metrics.get("test", {}).get("all"),
        "sections": _sections(report, drawn, counts),
        "counts": counts,
        "plots": drawn,
        "kinds": KINDS,
        "sensitive": SENSITIVE,
        "trust_tables": TABLES,
    }
    filters: dict[str, Callable[..., Any]] = {
        **FILTERS,
        "figure": _figure,
        "interval": _interval,
        "jpeg": _jpeg,
    }
    return page.write(folder / REPORT, "training.html", filters, values)


def _sections(
    report: TrainingReport, drawn: Mapping[str, str], counts: Sequence[Any]
) -> dict[str, str]:
    """Return the titles of the sections that have something to show, by their anchors."""
    card, metrics, facts = report.card, report.metrics, report.facts
    data = card.get("data", {})
    present = {
        "use": "intended_use" in card or "known_limits" in card,
        "data": counts or facts.get("data"),
        "split": "images" in data or "split" in data or facts.get("split"),
        "preprocessing": "preprocess" in card,
        "recipe": "recipe" in card,
        "augmentation": report.contact_sheet,
        "curves": "loss" in drawn,
        "results": "all" in metrics.get("test", {}),
        "sources": "sources" in drawn,
        "folds": "folds" in drawn,
        "calibration": "calibration" in drawn,
        "thresholds": metrics.get("operating_points"),
        "trust": "trust" in card or "lungs" in card or "kinds" in card or _trusts(metrics),
        "audit": report.audit,
        "examples": report.examples,
        "failures": report.failures,
        "origin": True,
    }
    return {name: title for name, title in _TITLES.items() if present[name]}


def _trusts(metrics: Mapping[str, Any]) -> bool:
    """Tell whether there is more to say of trust than how many images there are."""
    return any(len(row) > 1 for row in metrics.get("trust", {}).values())


def _plots(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Return what can be drawn, as data: URLs."""
    drawn = {}
    test = metrics.get("test", {})
    classes = list(metrics.get("classes", []))
    if metrics.get("history"):
        for name in ("loss", "accuracy"):
            best = metrics.get("best_epoch")
            drawn[name] = plots.training_curve(metrics["history"], name, best)
    if "all" in test:
        drawn["confusion"] = plots.confusion(test["all"]["confusion"], classes)
    if metrics.get("roc"):
        areas = {name: row["auc"] for name, row in test["all"]["per_class"].items()}
        drawn["roc"] = plots.roc(metrics["roc"], classes, areas)
    if len(test) > 1:
        drawn["sources"] = plots.by_source(test)
    if metrics.get("calibration"):
        drawn["calibration"] = plots.reliability(metrics["calibration"])
    if metrics.get("folds"):
        drawn["folds"] = plots.folds(metrics["folds"])
    return {name: _url("image/svg+xml", svg.encode()) for name, svg in drawn.items()}


def _counts(counts: Mapping[str, int], classes: Sequence[str]) -> list[tuple[str, dict[str, int]]]:
    """Return each source with its images by class, from the card's ``source/class`` keys."""
    by_source: dict[str, dict[str, int]] = {}
    for key, images in counts.items():
        # Names may hold a slash themselves.
        label = max((name for name in classes if key.endswith(f"/{name}")), key=len, default="")
        source = key.removesuffix(label).removesuffix("/")
        by_source.setdefault(source, {})[label] = images
    return list(by_source.items())


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.3f}–{ends[1]:.3f}"


def _jpeg(picture: bytes) -> str:
    return _url("image/jpeg", picture)


def _url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
