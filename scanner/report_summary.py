"""What the report says of all rows at once: one reading of the CSV, counts and the order."""

import html
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from scanner import charts, need
from scanner.pages import thousands
from scanner.run_warnings import Counts

# A longer table of files that were not judged helps nobody and delays the first page; the app and
# the CSV have them all. Nor do its texts outgrow what a page may weigh, see `report.MAX_TEXTS`.
MAX_LISTED, MAX_LISTED_TEXTS = 200, 200_000
# What a card shows that may be of any length; numbers and our own words are short.
_CARD_TEXTS = ("path", "flags", "modality", "body_part", "view", "voi")


@dataclass
class Unjudged:
    """The rows that failed, or were rejected: how many for which reason, and the first of them."""

    reasons: Counter[str] = field(default_factory=Counter)
    listed: list[dict[str, Any]] = field(default_factory=list)
    _texts: int = 0

    def add(self, row: Mapping[str, str]) -> None:
        """Count a row, and list it if there is room."""
        self.reasons[row["reason"]] += 1
        self._texts += _weight(row["path"] + row["detail"])
        if len(self.listed) < MAX_LISTED and self._texts <= MAX_LISTED_TEXTS:
            self.listed.append({**row, "picture": ""})

    @property
    def total(self) -> int:
        return self.reasons.total()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands in the CSV, and the bytes of a card's texts in HTML (0 if not judged)."""

    position: int
    texts: int


@dataclass
class Overview:
    """Counts over all rows, and `places`, every row's, those that need a human first."""

    statuses: Counter[str] = field(default_factory=Counter)
    predictions: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    groups: Counter[int] = field(default_factory=Counter)
    failed: Unjudged = field(default_factory=Unjudged)
    rejected: Unjudged = field(default_factory=Unjudged)
    places: list[Place] = field(default_factory=list)
    confidences: list[int] = field(default_factory=lambda: [0] * charts.BINS)
    focuses: list[int] = field(default_factory=lambda: [0] * charts.BINS)
    below_focus: int = 0
    moments: Counter[str] = field(default_factory=Counter)
    has_sets: bool = False
    has_lungs: bool = False

    @property
    def judged(self) -> int:
        return self.predictions.total()

    @property
    def counts(self) -> Counts:
        """Return what `run_warnings` looks at."""
        return Counts(self.statuses, self.flags, self.failed.reasons + self.rejected.reasons)

    def charts(self, limit: float | None) -> list[charts.Chart]:
        """Return the charts that have something to show; `limit` is the card's lung focus."""
        drawn = []
        if self.judged:
            drawn.append(
                charts.shares(
                    "confidence",
                    "How sure it is",
                    f"Images by the probability of their most probable class: "
                    f"{_median(self.confidences)}.",
                    self.confidences,
                )
            )
        if sum(self.focuses):
            about = "Images by the share of their evidence that lies in the lungs: "
            about += _median(self.focuses)
            line = None
            if limit is not None:
                about += f"; {thousands(self.below_focus)} below {100 * limit:.0f} %, flagged"
                line = (limit, f"flagged below {100 * limit:.0f} %")
            drawn.append(
                charts.shares(
                    "focus", "Where it looks: lung focus", f"{about}.", self.focuses, line
                )
            )
        over_time = charts.over_time("throughput", "Rows over the night (UTC)", self.moments)
        return [*drawn, over_time] if over_time else drawn


def overview(
    rows: Iterable[tuple[int, Mapping[str, str]]], negative: str, limit: float | None
) -> Overview:
    """Read all rows, as `SavedRows` gives them with their positions.

    `negative` is the class of the well, `limit` the lung focus below which an image is flagged.
    Raises `ValueError` if a number is none.
    """
    seen = Overview()
    order = []
    for position, row in rows:
        seen.statuses[row["status"]] += 1
        seen.moments[row["scanned_at"]] += 1
        if row["prediction"]:
            _count_judged(seen, row, limit)
        elif row["status"] == "failed":
            seen.failed.add(row)
        elif row["status"] == "rejected":
            seen.rejected.add(row)
        texts = _weight("".join(row[name] for name in _CARD_TEXTS)) if row["prediction"] else 0
        order.append((*need.order(row, negative), position, texts))
    order.sort()
    for group, _, _, position, texts in order:
        seen.groups[group] += 1
        seen.places.append(Place(position, texts))
    return seen


def _count_judged(seen: Overview, row: Mapping[str, str], limit: float | None) -> None:
    seen.predictions[row["prediction"]] += 1
    seen.flags.update(filter(None, row["flags"].split(";")))
    seen.has_sets = seen.has_sets or bool(row["prediction_set"])
    seen.has_lungs = seen.has_lungs or bool(row["lung_area"])
    if row["confidence"]:
        seen.confidences[charts.bin_of(float(row["confidence"]))] += 1
    if row["lung_focus"]:
        focus = float(row["lung_focus"])
        seen.focuses[charts.bin_of(focus)] += 1
        seen.below_focus += limit is not None and focus < limit


def _weight(text: str) -> int:
    """Return how many bytes a text is in HTML, where a quotation mark has five."""
    return len(html.escape(text).encode())


def _median(counts: Sequence[int]) -> str:
    """Say in which bin the middle one of all images lies."""
    before = accumulate(counts)
    middle = next(bin_ for bin_, so_far in enumerate(before) if 2 * so_far >= sum(counts))
    low, high = (round(100 * edge / charts.BINS) for edge in (middle, middle + 1))
    return f"the median lies between {low} and {high} %"
