"""The training report's figures: matplotlib draws, SVG text comes out, the same for the same data.

Each is made for a phone's width: some 330 points wide, with letters of 11 points.
"""

import io
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# As in templates/report.css; the class colours are Okabe and Ito's of 2008.
_PANEL, _LINE, _TEXT, _QUIET = "#171b22", "#3a4350", "#e6e9ee", "#a3adba"
_CLASS_COLOURS = (
    *("#e69f00", "#56b4e9", "#cc79a7", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#999999"),
)
_FIRST, _SECOND = "#56b4e9", "#e69f00"
_SHARES = LinearSegmentedColormap.from_list("shares", [_PANEL, "#1f4e70", "#56b4e9"])
_WIDTH = 4.6  # inches
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "cxr-scan",  # else every file has other ids
    "text.parse_math": False,  # a dollar in the name of a class is a dollar
    "font.family": "DejaVu Sans",  # matplotlib brings it along
    "font.size": 11,
    "figure.facecolor": _PANEL,
    "axes.facecolor": _PANEL,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "text.color": _TEXT,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _QUIET,
    "ytick.labelcolor": _QUIET,
    "legend.frameon": False,
    "lines.linewidth": 2,
}


@dataclass
class _Canvas:
    """A figure being drawn, and its SVG text once the drawing has ended."""

    figure: Figure = field(default_factory=Figure)
    svg: str = ""


@contextmanager
def _canvas(height: float) -> Iterator[_Canvas]:
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # Letters that the font lacks are boxes here; the tables have the name.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        canvas = _Canvas(Figure(figsize=(_WIDTH, height), layout="constrained"))
        yield canvas
        text = io.StringIO()
        canvas.figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        canvas.svg = text.getvalue()


def training_curve(
    history: Sequence[Mapping[str, float]], name: str, best_epoch: int | None
) -> str:
    """Return ``loss`` or ``accuracy`` (`name`) by epoch, on training and validation images.

    `history` has one row an epoch, as metrics.json; `best_epoch` counts from 1.
    """
    epochs = range(1, len(history) + 1)
    with _canvas(3.6) as canvas:
        axes = canvas.figure.subplots()
        for key, label, colour in (
            (name, "training", _SECOND),
            (f"validation_{name}", "validation", _FIRST),
        ):
            # A dot each: one epoch makes no line.
            values = [row[key] for row in history]
            axes.plot(epochs, values, color=colour, label=label, marker="o", markersize=3)
        if best_epoch is not None:
            axes.axvline(best_epoch, color=_TEXT, linestyle=":", linewidth=1.5, label="kept epoch")
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        canvas.figure.legend(loc="outside lower center", ncols=3)
    return canvas.svg


def roc(
    curves: Mapping[str, Mapping[str, Sequence[float]]],
    classes: Sequence[str],
    areas: Mapping[str, float | None],
) -> str:
    """Return the ROC curve of each class, its corner magnified; `areas` are the AUCs by class."""
    with _canvas(5.2) as canvas:
        axes = canvas.figure.subplots()
        corner = axes.inset_axes((0.42, 0.16, 0.53, 0.53), xlim=(0, 0.1), ylim=(0.9, 1))
        for name, curve in curves.items():
            area = areas[name]
            for place in (axes, corner):
                place.plot(
                    curve["false_positive_rate"],
                    curve["true_positive_rate"],
                    color=_CLASS_COLOURS[classes.index(name) % len(_CLASS_COLOURS)],
                    label=f"{_short(name)}: AUC {'–' if area is None else f'{area:.3f}'}",
                )
        axes.plot((0, 1), (0, 1), color=_QUIET, linestyle=":", linewidth=1)
        axes.set(xlim=(-0.01, 1), ylim=(0, 1.01), aspect="equal")
        axes.set(xlabel="1 - specificity", ylabel="sensitivity")
        corner.tick_params(labelsize=9)
        corner.set_xticks((0, 0.05, 0.1))
        corner.set_yticks((0.9, 0.95, 1))
        axes.indicate_inset((0, 0.9, 0.1, 0.1), edgecolor=_TEXT, alpha=0.9)
        handles, labels = axes.get_legend_handles_labels()
        canvas.figure.legend(handles, labels, loc="outside lower center")
    return canvas.svg


def reliability(calibration: Mapping[str, Mapping[str, Any] | float]) -> str:
    """Return accuracy against confidence before and after temperature scaling.

    `calibration` as in metrics.json; the area of a dot grows with the images in its bin.
    """
    with _canvas(5.0) as canvas:
        axes = canvas.figure.subplots()
        axes.plot((0, 1), (0, 1), color=_QUIET, linestyle=":", linewidth=1)
        for when, colour in (("before", _SECOND), ("after", _FIRST)):
            measured = calibration.get(when)
            if isinstance(measured, Mapping):
                _reliability_line(axes, measured, when, colour)
        axes.set(xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
        axes.set(xlabel="confidence", ylabel="accuracy")
        handles, labels = axes.get_legend_handles_labels()
        canvas.figure.legend(handles, labels, loc="outside lower center")
    return canvas.svg


def _reliability_line(axes: Axes, measured: Mapping[str, Any], when: str, colour: str) -> None:
    bins = measured["bins"]
    confidence = [row["confidence"] for row in bins]
    accuracy = [row["accuracy"] for row in bins]
    images = np.array([row["images"] for row in bins])
    label = f"{when} temperature scaling: ECE {measured['ece']:.3f}"
    axes.plot(confidence, accuracy, color=colour, label=label, linewidth=1.5)
    axes.scatter(
        confidence,
        accuracy,
        s=15 + 250 * images / images.sum(),
        color=colour,
        alpha=0.8,
        clip_on=False,
        zorder=3,
    )


def confusion(
    counts: Sequence[Sequence[int]],
    classes: Sequence[str],
    columns: str = "prediction",
    rows: str = "truth",
) -> str:
    """Return the confusion matrix, rows truth: counts, and shares of the row in per cent.

    `columns` and `rows` are what the axes are called.
    """
    matrix = np.array(counts)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    with _canvas(1.5 + 0.75 * max(len(classes), 3)) as canvas:
        axes = canvas.figure.subplots()
        places = range(len(classes))
        axes.pcolormesh(
            places, places, shares, cmap=_SHARES, vmin=0, vmax=1, edgecolors=_PANEL, linewidth=2
        )
        axes.invert_yaxis()
        for (row, column), count in np.ndenumerate(matrix):
            share = float(shares[row, column])
            axes.text(
                column,
                row,
                f"{count}\n{100 * share:.1f} %",
                ha="center",
                va="center",
                color=_PANEL if share > 0.7 else _TEXT,
                fontsize=11 if len(classes) <= 5 else 8,
            )
        names = [_wrapped(name) for name in classes]
        turned = 0 if len(classes) <= 4 else 45
        axes.set_xticks(places, names, rotation=turned)
        axes.set_yticks(places, names)
        axes.set(xlabel=columns, ylabel=rows)
        axes.grid(False)
        axes.tick_params(length=0)
    return canvas.svg


def by_source(test: Mapping[str, Mapping[str, Any]]) -> str:
    """Return accuracy and macro F1 of every source with their intervals; `all` comes first."""
    names = [f"{_wrapped(name)}\n{figures['images']} images" for name, figures in test.items()]
    places = np.arange(len(names))
    with _canvas(1.4 + 0.65 * len(names)) as canvas:
        axes = canvas.figure.subplots()
        for key, label, colour, shift in (
            ("accuracy", "accuracy", _FIRST, -0.12),
            ("macro_f1", "macro F1", _SECOND, 0.12),
        ):
            values = np.array([figures[key] for figures in test.values()])
            ends = np.array([figures[f"{key}_95"] for figures in test.values()])
            # A bootstrap's interval may end a rounding short of the value itself.
            errors = np.maximum([values - ends[:, 0], ends[:, 1] - values], 0)
            axes.errorbar(values, places + shift, xerr=errors, fmt="o", color=colour, label=label)
        axes.set_yticks(places, names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(right=1.005)
        canvas.figure.legend(loc="outside lower center", ncols=2)
    return canvas.svg


def folds(summary: Mapping[str, Any]) -> str:
    """Return each fold's accuracy, macro F1 and recalls, with their mean; `summary` as folds."""
    rows = {"accuracy": summary["accuracy"], "macro F1": summary["macro_f1"]}
    rows |= {f"recall of {name}": row for name, row in summary["recall"].items()}
    with _canvas(1.0 + 0.5 * len(rows)) as canvas:
        axes = canvas.figure.subplots()
        for place, row in enumerate(rows.values()):
            each = [value for value in row["each"] if value is not None]
            axes.plot(each, [place] * len(each), "o", color=_FIRST, alpha=0.7, label="a fold")
            if each:
                axes.plot(row["mean"], place, "|", color=_TEXT, markersize=18, label="mean")
        axes.set_yticks(range(len(rows)), [_wrapped(name, 20) for name in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(right=1.005)
        handles, labels = axes.get_legend_handles_labels()
        canvas.figure.legend(handles[:2], labels[:2], loc="outside lower center", ncols=2)
    return canvas.svg


def removal(curves: Mapping[str, Sequence[float]]) -> str:
    """Return deletion and insertion curves by name: probability against the share taken or put."""
    with _canvas(4.2) as canvas:
        axes = canvas.figure.subplots()
        for number, (name, values) in enumerate(curves.items()):
            axes.plot(
                np.linspace(0, 1, len(values)),
                values,
                color=(_SECOND, _FIRST)[number % 2],
                linestyle="-" if number < 2 else ":",
                label=name,
            )
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.set(xlabel="share of the image blurred or shown", ylabel="probability of the answer")
        canvas.figure.legend(loc="outside lower center")
    return canvas.svg


def _short(name: str) -> str:
    return name if len(name) <= 30 else f"{name[:29]}…"


def _wrapped(name: str, letters: int = 14) -> str:
    """Break a long name into at most three lines."""
    lines = textwrap.wrap(name, letters) or [""]
    return "\n".join(lines[:3]) + ("…" if len(lines) > 3 else "")
