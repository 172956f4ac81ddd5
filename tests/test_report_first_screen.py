"""The report's first screen: what was scanned, what needs a human, can I trust it?"""

from pathlib import Path
from typing import Any

import pytest
from report_samples import (
    DEFAULT_MANIFEST,
    POINTS,
    TRUSTED,
    Element,
    failed,
    judged,
    read_page,
    rejected,
    write_output,
)

from scanner import charts
from scanner.records import Record
from scanner.report import render

CARD = DEFAULT_MANIFEST["card"] | TRUSTED | POINTS
RUN = DEFAULT_MANIFEST["runs"][0]


def rendered(folder: Path, records: list[Record], **manifest: Any) -> Element:
    return read_page(render(write_output(folder, records, **{"card": CARD} | manifest)))


def texts(page: Element, tag: str, css_class: str) -> list[str]:
    return [element.text for element in page.all(tag, css_class)]


def cautions(page: Element) -> str:
    return page.one("ul", "cautions").text


def unusual(count: int, of: int) -> list[Record]:
    flags = ["out_of_distribution"]
    return [judged(f"{n:04}", flags=flags if n < count else []) for n in range(of)]


@pytest.mark.parametrize(("count", "of", "warned"), [(3, 60, True), (2, 3, False), (4, 100, False)])
def test_a_share_of_unusual_images_far_above_the_models_own_is_warned_of(
    count: int, of: int, warned: bool, tmp_path: Path
) -> None:
    found = texts(rendered(tmp_path, unusual(count, of)), "p", "warning")
    assert bool(found) == warned
    if warned:
        assert found[0].startswith("3 of 60 judged images (5 %) are unlike those that the model")
        assert "1 % would be usual" in found[0]


def test_the_line_that_the_card_draws_says_what_is_usual(tmp_path: Path) -> None:
    card = CARD | {"trust": CARD["trust"] | {"ood": {"threshold": 1.6, "quantile": 0.9}}}
    assert not texts(rendered(tmp_path, unusual(20, 60), card=card), "p", "warning")


def test_a_folder_that_was_mostly_rejected_is_warned_of_but_not_for_duplicates(
    tmp_path: Path,
) -> None:
    copies = [rejected(f"copy-{n}", "duplicate") for n in range(9)]
    some = [judged("a"), judged("b"), *copies]
    assert not texts(rendered(tmp_path / "copies", some), "p", "warning")
    laterals = [rejected("c"), rejected("d")]
    (found,) = texts(rendered(tmp_path / "laterals", [*some, *laterals]), "p", "warning")
    assert found.startswith("2 of 4 images were rejected")


@pytest.mark.parametrize("card", [CARD, {}])
def test_it_always_says_that_the_model_was_not_validated_here(card: Any, tmp_path: Path) -> None:
    assert "not validated in this hospital" in cautions(rendered(tmp_path, [], card=card))


@pytest.mark.parametrize(("device", "said"), [("CPU Example", True), ("GPU Example", False)])
def test_a_run_without_a_gpu_is_said(device: str, said: bool, tmp_path: Path) -> None:
    page = rendered(tmp_path, [judged("a")], runs=[RUN | {"device": device}])
    assert ("No GPU was used (CPU Example)" in cautions(page)) == said


def test_the_precision_is_said_with_what_the_card_measured_of_it(tmp_path: Path) -> None:
    measured = {"precisions": {"bfloat16": {"images": 1865, "label_agreement": 0.9965}}}
    said = "Computed in bfloat16: of 1 865 images 99.7 % get the same class as in full precision."
    assert said in cautions(rendered(tmp_path / "a", [], card=CARD | measured))
    runs = [RUN | {"precision": "float32"}]
    page = rendered(tmp_path / "b", [], card=CARD | measured, runs=runs)
    assert "Computed in" not in cautions(page)


def test_a_goal_that_the_audit_missed_is_said_and_one_that_it_reached_is_not(
    tmp_path: Path,
) -> None:
    tests = {
        "letters": {"goals": [{"reached": False}], "text": "Letters: labels flipped 3.5 %"},
        "focus": {"goals": [{"reached": True}], "text": "Lung focus 0.91"},
        "frame": {"goals": [], "text": "The border alone"},
    }
    said = cautions(rendered(tmp_path, [], card=CARD | {"audit": {"tests": tests}}))
    assert "Its audit missed a goal. Letters: labels flipped 3.5 %." in said
    assert "Lung focus" not in said and "border" not in said


def test_each_class_has_its_operating_point_with_how_often_that_is_right(tmp_path: Path) -> None:
    model = rendered(tmp_path, []).one("details", "model")
    names = [name.text for name in model.all("dt")]
    says = dict(zip(names, (dd.text for dd in model.all("dd")), strict=True))
    assert says["Covid-19"] == (
        "found at 49 % or more: sensitivity 95 % (91 to 98), specificity 94 % (92 to 96) on "
        "held-out images"
    )
    assert names.count("Pneumonia") == 1  # the balanced point, not the sensitive one too


@pytest.mark.parametrize(
    "foreign",
    [None, 1, "x", [1], {"x": 1}, [{"rule": "balanced"}], [{"rule": "balanced", "threshold": "x"}]],
)
def test_cards_and_manifests_from_elsewhere_do_not_stop_the_first_screen(
    foreign: Any, tmp_path: Path
) -> None:
    names = ("operating_points", "audit", "precisions", "trust", "lungs")
    page = rendered(tmp_path, [judged("a")], card=dict.fromkeys(names, foreign), runs=[])
    assert "not validated" in cautions(page)


def chart(page: Element, name: str) -> list[str]:
    """What every bar says when it is pointed at."""
    return [bar.one("title").text for bar in page.one(id=f"chart-{name}").all("rect")]


def test_confidence_and_focus_are_drawn_as_histograms(tmp_path: Path) -> None:
    records = [judged("a", confidence=0.52), judged("b", confidence=0.549), judged("c")]
    records.append(judged("d", confidence=1.0, lung_focus=0.0, flags=["looks_outside_lungs"]))
    page = rendered(tmp_path, [*records, judged("e", lung_focus=0.41)])
    assert chart(page, "confidence") == ["50 to 55 %: 2", "90 to 95 %: 2", "95 to 100 %: 1"]
    assert chart(page, "focus") == ["0 to 5 %: 1", "40 to 45 %: 1"]
    about = page.one("figcaption", id="chart-focus-about").text
    assert about.endswith("1 below 41 %, flagged.")


def test_the_line_below_which_focus_is_flagged_stands_at_its_share(tmp_path: Path) -> None:
    drawn = rendered(tmp_path, [judged("a", lung_focus=0.7)]).one(id="chart-focus")
    line = drawn.one("line", "limit").attributes
    assert float(line["x1"]) == float(line["x2"]) == pytest.approx(0.41 * charts.WIDTH, abs=0.1)
    assert drawn.one("text", "limit").text == "flagged below 41 %"


def test_every_chart_has_a_sentence_for_those_who_do_not_see_it(tmp_path: Path) -> None:
    times = ("2026-11-20T22:00:00Z", "2026-11-21T03:00:00Z")
    records = [judged(f"{n}", lung_focus=0.7, scanned_at=at) for n, at in enumerate(times)]
    page = rendered(tmp_path, records)
    figures = page.all("figure", "chart")
    assert len(figures) == 3
    for figure in figures:
        svg = figure.one("svg")
        assert svg.attributes["role"] == "img"
        assert figure.one("figcaption", id=svg.attributes["aria-labelledby"]).text.endswith(".")


@pytest.mark.parametrize(
    ("seconds", "bars", "span"),
    [(30, 4, "10 s"), (450, 46, "10 s"), (9 * 3600, 19, "30 min"), (90 * 86400, 46, "2 days")],
)
def test_rows_over_time_are_counted_in_spans_that_fit_the_night(
    seconds: int, bars: int, span: str
) -> None:
    times = {"2026-11-20T20:00:05Z": 7, "1970-01-01T00:00:00Z": 0}
    begin = charts._seconds("2026-11-20T20:00:05Z")
    times = {charts._when(begin + s).isoformat(): 2 for s in range(0, seconds + 1, seconds // 3)}
    drawn = charts.over_time("throughput", "Rows", times)
    assert drawn is not None
    assert len(drawn.bars) == pytest.approx(bars, abs=1) and len(drawn.bars) <= 48
    assert drawn.about.startswith("8 rows from 2026-11-20 20:00")
    assert drawn.about.endswith(f"in {span}.")
    assert sum(bar.height > 0 for bar in drawn.bars) == 4


def test_rows_of_one_moment_are_not_drawn_over_time(tmp_path: Path) -> None:
    assert not rendered(tmp_path, [judged("a"), judged("b")]).all(id="chart-throughput")


def test_a_small_count_beside_a_large_one_is_seen() -> None:
    counts = [100_000, 1, 0] + [0] * (charts.BINS - 3)
    large, one, none = charts.shares("x", "x", "x", counts).bars[:3]
    assert large.height == charts.HEIGHT and one.height > 1 and none.height == 0


def test_a_scan_of_failures_alone_draws_no_empty_charts(tmp_path: Path) -> None:
    assert not rendered(tmp_path, [failed("a")]).all("figure", "chart")


def test_the_legend_has_the_colours_of_the_last_run(tmp_path: Path) -> None:
    def scale(name: str, settings: Any) -> str:
        runs = [RUN | {"settings": {"colormap": "magma"}}, RUN | {"settings": settings}]
        page = rendered(tmp_path / name, [], runs=runs)
        return page.one("span", "scale").attributes["class"]

    assert scale("chosen", {"colormap": "viridis"}) == "scale viridis"
    assert scale("old", None) == "scale inferno"
    assert scale("hostile", {"colormap": "x' onload='"}) == "scale inferno"
