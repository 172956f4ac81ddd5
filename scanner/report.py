"""`predictions.csv` and thumbnails become HTML pages that open from a file share, offline."""

import base64
import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

import templates
from scanner import __version__, manifest, output
from scanner.errors import SetupError
from scanner.records import UNCERTAIN, read_rows, write_atomically
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


def render(folder: Path, self_contained: bool = False) -> Path:
    """Write ``report/index.html`` and further pages from an output folder; return the first.

    With `self_contained` the pictures are embedded, so that a page can be mailed or moved alone.
    Raises `SetupError` if the folder holds no results or cannot be written.
    """
    rows = read_rows(folder / output.PREDICTIONS)
    run = manifest.load(folder / output.MANIFEST)
    judged = [row for row in rows if row["prediction"]]
    card = run.get("card", {})
    negative = card.get("negative_class", "")
    judged.sort(key=lambda row: _need(row, negative))
    classes = [name.removeprefix("prob_") for name in (rows[0] if rows else {}) if _is_prob(name)]
    target = folder / output.REPORT
    pages = _paginate(judged)
    style = (Path(templates.__file__).parent / "report.css").read_text(encoding="utf-8")
    template = environment().get_template("report.html")
    unjudged: list[dict[str, Any]] = [
        {**row, "picture": ""} for row in rows if not row["prediction"]
    ]
    rejected = [row for row in unjudged if row["status"] == "rejected"]
    _add_pictures(rejected, folder, self_contained)
    classes = classes or run.get("classes", [])
    shared: dict[str, Any] = {
        "pages": pages,
        "run": run,
        "classes": classes,
        "groups": [
            *classes,
            *([UNCERTAIN] if any(row["prediction_set"] for row in judged) else []),
        ],
        "outline": about_outline(card, len(judged), any(row["lung_area"] for row in judged)),
        "operating_points": operating_points(card),
        "statuses": Counter(row["status"] for row in rows),
        "predictions": Counter(row["prediction"] for row in judged),
        "total": len(rows),
        "judged_total": len(judged),
        "failed": [row for row in unjudged if row["status"] == "failed"],
        "rejected": rejected,
        "max_listed": MAX_UNJUDGED_LISTED,
        "passed_over": _passed_over(run),
        "style": style,
        "style_hash": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        "version": __version__,
        "self_contained": self_contained,
    }
    try:
        target.mkdir(exist_ok=True)
        for page in pages:
            for row in page.rows:
                _add_view(row, folder, classes, self_contained)
                row["trust"] = about_image(row, card)
            html = template.render(page=page, **shared)
            write_atomically(target / page.name, html)
            for row in page.rows:
                row["pictures"] = None  # embedded pictures of 100,000 rows would fill the memory
        for stale in set(target.glob("page-*.html")) - {target / page.name for page in pages}:
            stale.unlink()
    except OSError as error:
        raise SetupError(f"The report in {target} cannot be written ({error.strerror}).") from error
    return target / pages[0].name


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


def _paginate(judged: list[dict[str, Any]]) -> list[Page]:
    starts = range(0, max(len(judged), 1), ROWS_PER_PAGE)
    return [
        Page(
            number,
            "index.html" if number == 1 else f"page-{number:04}.html",
            judged[start : start + ROWS_PER_PAGE],
        )
        for number, start in enumerate(starts, start=1)
    ]


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
