"""The report's charts: counts become bars with places and words, drawn by ``chart.html`` as SVG.

Each is also said in a sentence, for those who do not see it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from scanner.pages import thousands

# The drawing's own units; text of 11 is legible at the width of a phone, where a unit is a pixel.
WIDTH, HEIGHT = 320, 90
# A twentieth is as fine as a reader compares probabilities.
BINS = 20
_GAP = 1.5
# Widths of bars over time, in seconds: as narrow as leaves at most so many.
_MAX_BARS = 48
_SPANS = (10, 30, 60, 300, 600, 1800, 3600, 3 * 3600, 12 * 3600)
_DAY = 24 * 3600
# A count that is not nothing is not drawn as nothing.
_LOWEST = 1.5


@dataclass(frozen=True)
class Bar:
    """One bar in a chart's units, from the top left, and what it says when pointed at."""

    x: float
    y: float
    width: float
    height: float
    says: str


@dataclass(frozen=True)
class Chart:
    """A bar chart: `ticks` (x, text) below it, `highest` count above, a `line` (x, text) or None.

    `about` says in a sentence what is to be seen.
    """

    name: str
    title: str
    about: str
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    highest: str
    line: tuple[float, str] | None = None


def shares(
    name: str, title: str, about: str, counts: Sequence[int], line: tuple[float, str] | None = None
) -> Chart:
    """Return the histogram of shares 0..1 from `BINS` counts of equal width.

    `line` is a (share, text) to be marked.
    """
    says = [
        f"{100 * bin_ / BINS:.0f} to {100 * (bin_ + 1) / BINS:.0f} %: {thousands(count)}"
        for bin_, count in enumerate(counts)
    ]
    ticks = tuple((WIDTH * share / 100, f"{share} %") for share in (0, 25, 50, 75, 100))
    marked = (round(WIDTH * line[0], 1), line[1]) if line else None
    return Chart(name, title, about, _bars(counts, says), ticks, _highest(counts), marked)


def bin_of(share: float) -> int:
    """Return the bin of a share 0..1; what lies outside counts at its end."""
    return min(max(int(share * BINS), 0), BINS - 1)


def over_time(name: str, title: str, times: Mapping[str, int]) -> Chart | None:
    """Return counts by time, from counts by moment (ISO 8601); None if fewer than two moments.

    Raises `ValueError` if a moment is none.
    """
    moments = {_seconds(moment): count for moment, count in times.items()}
    if len(moments) < 2:
        return None
    first, last = min(moments), max(moments)
    span = next((s for s in _SPANS if (last - first) / s < _MAX_BARS - 1), 0)
    if not span:
        span = _DAY * (1 + (last - first) // (_DAY * (_MAX_BARS - 1)))
    begin = first - first % span
    counts = [0] * ((last - begin) // span + 1)
    for moment, count in moments.items():
        counts[(moment - begin) // span] += count
    form = "%H:%M" if last - first < _DAY and span >= 60 else "%d %b %H:%M"
    form = "%H:%M:%S" if span < 60 else form
    at = [_when(begin + span * number).strftime(form) for number in range(len(counts) + 1)]
    says = [
        f"{at[number]} to {at[number + 1]}: {thousands(count)}"
        for number, count in enumerate(counts)
    ]
    ticks = ((0.0, at[0]), (float(WIDTH), at[-1]))
    total, busiest = sum(counts), max(counts)
    about = (
        f"{thousands(total)} rows from {_when(first):%Y-%m-%d %H:%M} to "
        f"{_when(last):%Y-%m-%d %H:%M} UTC, at most {thousands(busiest)} in {_duration(span)}."
    )
    return Chart(name, title, about, _bars(counts, says), ticks, _highest(counts))


def _bars(counts: Sequence[int], says: Sequence[str]) -> tuple[Bar, ...]:
    width, most = WIDTH / len(counts), max(counts, default=0) or 1
    bars = []
    for number, (count, words) in enumerate(zip(counts, says, strict=True)):
        height = max(HEIGHT * count / most, _LOWEST) if count else 0.0
        x, y = round(width * number + _GAP / 2, 1), round(HEIGHT - height, 1)
        bars.append(Bar(x, y, round(width - _GAP, 1), round(height, 1), words))
    return tuple(bars)


def _highest(counts: Sequence[int]) -> str:
    return thousands(max(counts, default=0))


def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())


def _when(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _duration(seconds: int) -> str:
    said = str(timedelta(seconds=seconds)).removesuffix(":00").removeprefix("0:")
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < _DAY else said.partition(",")[0]
