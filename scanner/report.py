"""`predictions.csv` and thumbnails become HTML pages that open from a file share, offline.

The pages are complete without JavaScript; beside them lie a script and its data, for browsers that
run it.
"""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import jinja2

from scanner import __version__, manifest, need, output, pages, run_warnings, trust_words
from scanner.colormaps import COLORMAPS
from scanner.errors import SetupError
from scanner.records import UNCERTAIN, SavedRows
from scanner.report_index import DataFiles
from scanner.report_rows import Pictures, add_view, for_app
from scanner.report_summary import Place, Unjudged, overview
from scanner.storage import write_atomically
from scanner.words import PASSED_OVER

# No page weighs more than 2 MB without its pictures, which is there at once from a slow share. 200
# cards with usual texts are 0.5 MB (their pictures 11 MB; they load as one scrolls), but a path can
# have 16 KB, and a model many classes: then a page has fewer cards. Texts are counted in bytes.
MAX_CARDS, MAX_BARS, MAX_TEXTS = 200, 2000, 300_000
APP, DATA = "app.js", "data"
# Groups of judged images are said where they are empty too: that is what a reader looks for.
_ALWAYS_SAID = {slug for slug, _ in need.GROUPS[: need.REJECTED]}


@dataclass(frozen=True)
class Page:
    """One HTML file of the report: its name and the judged rows it shows."""

    number: int
    name: str
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Group:
    """A group of the worklist: how many rows from row `first` on, and where the first is shown."""

    slug: str
    words: str
    first: int
    count: int
    url: str


def render(folder: Path, self_contained: bool = False) -> Path:
    """Write ``report/index.html`` and further pages from an output folder; return the first.

    With `self_contained` the pictures are embedded, so that a page can be mailed or moved alone;
    it has no script then. One page of rows is held at a time. Raises `SetupError` if the folder
    holds no results or cannot be written, or what it holds is damaged.
    """
    with SavedRows(folder / output.PREDICTIONS) as rows:
        try:
            return _Report(rows, folder, self_contained).write()
        except (
            TypeError,
            ValueError,
            OverflowError,
            AttributeError,
            jinja2.UndefinedError,
        ) as error:
            raise SetupError(
                f"The results in {folder} are damaged, and the report cannot be made of them: run "
                "the scan again with the same command, it makes anew what is damaged."
            ) from error


class _Report:
    """One rendering: what is known of all rows, then pages and data in one pass over them."""

    def __init__(self, rows: SavedRows, folder: Path, self_contained: bool) -> None:
        self._rows = rows
        self._folder = folder
        self._self_contained = self_contained
        self._run = manifest.load(folder / output.MANIFEST)
        self._card = self._run.get("card", {})
        self._classes = [n.removeprefix("prob_") for n in rows.header if n.startswith("prob_")]
        self._limit = trust_words.focus_limit(self._card)
        self._seen = overview(rows, self._card.get("negative_class", ""), self._limit)
        self._groups = [*self._classes, *([UNCERTAIN] if self._seen.has_sets else [])]
        self._pictures = Pictures(folder, embed=self_contained)
        self._target = folder / output.REPORT

    def write(self) -> Path:
        try:
            self._target.mkdir(exist_ok=True)
            sizes = _page_sizes(self._seen.places[: self._seen.judged], len(self._classes))
            names = ["index.html", *(f"page-{n:04}.html" for n in range(2, len(sizes) + 1))]
            worklist = self._worklist(names, sizes)
            data = None if self._self_contained else DataFiles(self._target / DATA, self._groups)
            views = self._views(data)
            self._write_pages(names, sizes, worklist, views)
            for _ in views:  # the rows that were not judged have no page, only data
                pass
            if data is None:
                self._remove_app()
            else:
                data.finish(self._about(worklist))
                write_atomically(self._target / APP, pages.script())
        except OSError as error:
            raise SetupError(
                f"The report in {self._target} cannot be written ({error.strerror}), the rows are "
                "complete: make room or give it write permission, then run the same command again."
            ) from error
        return self._target / names[0]

    def _views(self, data: DataFiles | None) -> Iterator[dict[str, Any]]:
        """Yield every row in the order of need, those judged first, with what is shown of them."""
        for place in self._seen.places:
            row: dict[str, Any] = dict(self._rows.at(place.position))
            if row["prediction"]:
                add_view(row, self._classes, self._pictures, self._card)
            elif data is None:
                return
            if data is not None:
                data.add(row, for_app(row, self._pictures))
            yield row

    def _write_pages(
        self,
        names: Sequence[str],
        sizes: Sequence[int],
        worklist: Sequence[Group],
        views: Iterator[dict[str, Any]],
    ) -> None:
        _add_pictures(self._seen.rejected, self._pictures)
        template = pages.environment().get_template("report.html")
        shared = self._shared(names, worklist)
        for number, (name, size) in enumerate(zip(names, sizes, strict=True), 1):
            page = Page(number, name, list(islice(views, size)))
            write_atomically(self._target / name, template.render(page=page, **shared))
        for stale in set(self._target.glob("page-*.html")) - {self._target / n for n in names}:
            stale.unlink()

    def _shared(self, names: Sequence[str], worklist: Sequence[Group]) -> dict[str, Any]:
        """Return what the templates know on every page."""
        seen, run, card = self._seen, self._run, self._card
        style, style_hash = pages.style(with_app=not self._self_contained)
        return {
            "page_names": names,
            "run": run,
            "card": card,
            "classes": self._classes,
            "groups": self._groups,
            "outline": trust_words.about_outline(card, seen.judged, seen.has_lungs),
            "operating_points": trust_words.operating_points(card),
            "class_points": trust_words.class_points(card),
            "statuses": seen.statuses,
            "predictions": seen.predictions,
            "total": seen.statuses.total(),
            "judged_total": seen.judged,
            "failed": seen.failed,
            "rejected": seen.rejected,
            "worklist": worklist,
            "charts": seen.charts(self._limit),
            "warnings": run_warnings.warnings(run, card, seen.counts),
            "cautions": run_warnings.cautions(run, card),
            "passed_over": _passed_over(run),
            "colormap": _colormap(run),
            "title": f"cxr-scan: {seen.statuses['flagged']} flagged, {seen.statuses['failed']} "
            f"failed of {seen.statuses.total()}",
            "image_sources": "data:" if self._self_contained else "'self' file: data:",
            "nonce": "" if self._self_contained else secrets.token_urlsafe(16),
            "style": style,
            "style_hash": style_hash,
            "version": __version__,
            "self_contained": self._self_contained,
        }

    def _worklist(self, names: Sequence[str], sizes: Sequence[int]) -> list[Group]:
        """Return the groups of the order of need, each with the address of its first row."""
        urls = [name for name, size in zip(names, sizes, strict=True) for _ in range(size)]
        found, first = [], 0
        for group, (slug, words) in enumerate(need.GROUPS):
            count, url = self._seen.groups[group], ""
            if count and first < self._seen.judged:
                row = self._rows.at(self._seen.places[first].position)
                url = f"{urls[first]}#i-{row['sha256'][:12]}"
            elif count:
                url = f"#{slug}"
            found.append(Group(slug, words, first, count, url))
            first += count
        return [group for group in found if group.count or group.slug in _ALWAYS_SAID]

    def _about(self, worklist: Sequence[Group]) -> dict[str, Any]:
        """Return what the index says of the scan."""
        run = self._run
        entries = manifest.runs(run)
        started = str(entries[0].get("started", "")) if entries else ""
        key = "\0".join((str(run.get("root", "")), str(run.get("model", "")), started))
        return {
            "run": hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:16],
            "model": str(run.get("model", "")),
            "classes": self._classes,
            "groups": self._groups,
            "needs": [(g.slug, g.words, g.first, g.count) for g in worklist if g.count],
        }

    def _remove_app(self) -> None:
        """Take away what an earlier report with a script left, which these pages do not load."""
        (self._target / APP).unlink(missing_ok=True)
        for path in [self._target / DATA / "index.js", *(self._target / DATA).glob("rows-*.js")]:
            path.unlink(missing_ok=True)


def _page_sizes(judged: Sequence[Place], classes: int) -> list[int]:
    """Return how many cards stand on each page; there is a first page, if an empty one."""
    most = min(MAX_CARDS, max(MAX_BARS // max(classes, 1), 1))
    sizes, texts = [0], 0
    for place in judged:
        texts += place.texts
        if sizes[-1] == most or (sizes[-1] and texts > MAX_TEXTS):
            sizes.append(0)
            texts = place.texts
        sizes[-1] += 1
    return sizes


def _add_pictures(rejected: Unjudged, pictures: Pictures) -> None:
    """Add the radiograph to rows rejected for what it shows, so that a reader can tell."""
    for row in rejected.listed:
        if row["reason"] != "duplicate":  # its original has it
            row["picture"] = pictures.plain(row["sha256"])


def _colormap(run: dict[str, Any]) -> str:
    """Return the colours of the last run's heat maps; earlier versions had no choice."""
    settings = next((entry.get("settings") for entry in reversed(manifest.runs(run))), None)
    name = settings.get("colormap") if isinstance(settings, dict) else None
    return name if name in COLORMAPS else COLORMAPS[0]


def _passed_over(run: Mapping[str, Any]) -> list[tuple[str, int]]:
    counts = run.get("passed_over", {})
    return [(PASSED_OVER.get(kind, kind), count) for kind, count in sorted(counts.items())]
