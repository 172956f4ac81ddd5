"""`predictions.csv` and thumbnails become HTML pages that open from a file share, offline."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

import templates
from scanner import __version__, manifest, output
from scanner.errors import SetupError
from scanner.records import UNCERTAIN, SavedRows
from scanner.storage import write_atomically
from scanner.trust_words import about_image, about_outline, operating_points
from scanner.words import PASSED_OVER, in_words

# 200 pairs of thumbnails are about 11 MB; they load as one scrolls, so the first are there soon.
ROWS_PER_PAGE = 200
# A longer table of files that were not judged helps nobody; the CSV has them all.
MAX_UNJUDGED_LISTED = 1000


@dataclass(frozen=True)
class Page:
    """One HTML file of the report: its name and the judged rows it shows."""

    number: int
    name: str
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Unjudged:
    """The rows that failed, or were rejected: how many for which reason, and the first of them."""

    reasons: Counter[str] = field(default_factory=Counter)
    listed: list[dict[str, Any]] = field(default_factory=list)

    def add(self, row: dict[str, str]) -> None:
        self.reasons[row["reason"]] += 1
        if len(self.listed) < MAX_UNJUDGED_LISTED:
            self.listed.append({**row, "picture": ""})

    @property
    def total(self) -> int:
        return self.reasons.total()


@dataclass
class _Overview:
    """What the summary says of all rows, and where those of the judged images stand, sorted."""

    statuses: Counter[str] = field(default_factory=Counter)
    predictions: Counter[str] = field(default_factory=Counter)
    unjudged: dict[str, Unjudged] = field(
        default_factory=lambda: {"failed": Unjudged(), "rejected": Unjudged()}
    )
    positions: list[int] = field(default_factory=list)
    has_sets: bool = False
    has_lungs: bool = False


def render(folder: Path, self_contained: bool = False) -> Path:
    """Write ``report/index.html`` and further pages from an output folder; return the first.

    With `self_contained` the pictures are embedded, so that a page can be mailed or moved alone.
    The rows of one page are held at a time. Raises `SetupError` if the folder holds no results or
    cannot be written, or what it holds is damaged.
    """
    with SavedRows(folder / output.PREDICTIONS) as rows:
        try:
            return _render(rows, folder, self_contained)
        except (TypeError, ValueError, AttributeError, jinja2.UndefinedError) as error:
            raise SetupError(
                f"The results in {folder} are damaged, and the report cannot be made of them: run "
                "the scan again with the same command, it makes anew what is damaged."
            ) from error


def _render(rows: SavedRows, folder: Path, self_contained: bool) -> Path:
    run = manifest.load(folder / output.MANIFEST)
    card = run.get("card", {})
    seen = _overview(rows, card.get("negative_class", ""))
    classes = [name.removeprefix("prob_") for name in rows.header if _is_prob(name)]
    target = folder / output.REPORT
    style = (Path(templates.__file__).parent / "report.css").read_text(encoding="utf-8")
    template = environment().get_template("report.html")
    _add_pictures(seen.unjudged["rejected"].listed, folder, self_contained)
    judged = len(seen.positions)
    names = [
        "index.html",
        *(f"page-{n:04}.html" for n in range(2, -(-judged // ROWS_PER_PAGE) + 1)),
    ]
    shared: dict[str, Any] = {
        "page_names": names,
        "run": run,
        "classes": classes,
        "groups": [*classes, *([UNCERTAIN] if seen.has_sets else [])],
        "outline": about_outline(card, judged, seen.has_lungs),
        "operating_points": operating_points(card),
        "statuses": seen.statuses,
        "predictions": seen.predictions,
        "total": seen.statuses.total(),
        "judged_total": judged,
        "failed": seen.unjudged["failed"],
        "rejected": seen.unjudged["rejected"],
        "passed_over": _passed_over(run),
        "style": style,
        "style_hash": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        "version": __version__,
        "self_contained": self_contained,
    }
    try:
        target.mkdir(exist_ok=True)
        for page in _pages(names, rows, seen.positions):
            for row in page.rows:
                _add_view(row, folder, classes, self_contained)
                row["trust"] = about_image(row, card)
            write_atomically(target / page.name, template.render(page=page, **shared))
        for stale in set(target.glob("page-*.html")) - {target / name for name in names}:
            stale.unlink()
    except OSError as error:
        raise SetupError(
            f"The report in {target} cannot be written ({error.strerror}), the rows are complete: "
            "make room or give it write permission, then run the same command again."
        ) from error
    return target / names[0]


def _overview(rows: SavedRows, negative: str) -> _Overview:
    seen = _Overview()
    needs = []
    for position, row in rows:
        seen.statuses[row["status"]] += 1
        if row["prediction"]:
            seen.predictions[row["prediction"]] += 1
            seen.has_sets = seen.has_sets or bool(row["prediction_set"])
            seen.has_lungs = seen.has_lungs or bool(row["lung_area"])
            needs.append((*_need(row, negative), position))
        elif row["status"] in seen.unjudged:
            seen.unjudged[row["status"]].add(row)
    seen.positions = [position for *_, position in sorted(needs)]
    return seen


def environment() -> jinja2.Environment:
    """Return what renders a report's template: escaping everything, with the filters of reports."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(templates.__file__).parent),
        autoescape=True,  # file names and DICOM strings are hostile
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["words"] = in_words
    made.filters["per_cent"] = _per_cent
    made.filters["thousands"] = _thousands
    return made


def _thousands(number: int) -> str:
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _per_cent(cell: str) -> str:
    """Return a probability in per cent; nothing a network says is certain."""
    share = 100 * float(cell or 0)
    return f"{share:.0f} %" if share < 99.5 else "> 99 %"


def _is_prob(name: str) -> bool:
    return name.startswith("prob_")


def _need(row: dict[str, Any], negative: str) -> tuple[bool, bool, float, str]:
    """Sort key, those that need a human first: flagged, then positive, then the least sure."""
    return (
        row["status"] != "flagged",
        row["prediction"] == negative,
        float(row["confidence"] or 0),
        row["path"],
    )


def _pages(names: list[str], rows: SavedRows, positions: list[int]) -> Iterator[Page]:
    for index, name in enumerate(names):
        shown = positions[index * ROWS_PER_PAGE : (index + 1) * ROWS_PER_PAGE]
        yield Page(index + 1, name, [dict(rows.at(position)) for position in shown])


def _add_view(row: dict[str, Any], folder: Path, classes: list[str], embed: bool) -> None:
    """Add what the template shows of a row beyond its cells."""
    row["probabilities"] = [(name, float(row[f"prob_{name}"] or 0)) for name in classes]
    row["flag_list"] = [flag for flag in row["flags"].split(";") if flag]
    row["best"] = max(row["probabilities"], key=lambda pair: pair[1], default=("", 0))[0]
    row["uncertain"] = row["prediction"] == UNCERTAIN
    row["set"] = row["prediction_set"].split(";")
    urls = [_url(path, folder, embed) for path in output.picture_paths(folder, row["sha256"])]
    row["pictures"] = urls if all(urls) else None


def _add_pictures(rejected: list[dict[str, Any]], folder: Path, embed: bool) -> None:
    """Add the radiograph to rows rejected for what it shows, so that a reader can tell."""
    most = ROWS_PER_PAGE if embed else MAX_UNJUDGED_LISTED
    for row in rejected[:most]:
        if row["reason"] != "duplicate":  # its original has it
            row["picture"] = _url(output.picture_paths(folder, row["sha256"])[0], folder, embed)


def _url(path: Path, folder: Path, embed: bool) -> str:
    """Return the URL of a picture, empty if it is not there."""
    try:
        if not path.stat().st_size:
            return ""
        if embed:
            return f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"
    except OSError:
        return ""
    return quote(path.relative_to(folder / output.REPORT).as_posix())


def _passed_over(run: dict[str, Any]) -> list[tuple[str, int]]:
    counts = run.get("passed_over", {})
    return [(PASSED_OVER.get(kind, kind), count) for kind, count in sorted(counts.items())]
