"""Shares of images with their 95 % intervals: what training, audit and review say them by."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest


def wilson(successes: int, trials: int) -> list[float] | None:
    """Return the 95 % interval of a share after Wilson (1927), or None without trials."""
    if trials == 0:
        return None
    interval = binomtest(successes, trials).proportion_ci(method="wilson")
    return [rounded(interval.low), rounded(interval.high)]


def rounded(value: Any) -> float:
    """Return a figure as it is written: four digits, more than a thousand images can show."""
    return round(float(value), 4)


def at_threshold(
    positive: npt.NDArray[np.bool_], scores: npt.NDArray[np.floating[Any]], threshold: float
) -> dict[str, Any]:
    """Return sensitivity and specificity of ``scores >= threshold`` (N,) with Wilson intervals.

    `positive` (N,) is the truth. Both are None where the images cannot show them.
    """
    found = scores >= threshold
    result: dict[str, Any] = {}
    for name, side, right in (
        ("sensitivity", positive, positive & found),
        ("specificity", ~positive, ~positive & ~found),
    ):
        result[name] = rounded(right.sum() / side.sum()) if side.any() else None
        result[f"{name}_95"] = wilson(int(right.sum()), int(side.sum()))
    return result


def with_interval(figures: dict[str, Any], name: str) -> str:
    """Return one of the figures with its interval, ``0.950 (0.930 to 0.964)``, or ``-``."""
    if figures[name] is None:
        return "-"
    low, high = figures[f"{name}_95"]
    return f"{figures[name]:.3f} ({low:.3f} to {high:.3f})"
