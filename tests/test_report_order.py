"""Which image needs a human first: on the worklist, on the pages and in the data of the app."""

from dataclasses import replace
from pathlib import Path

import pytest
from report_data import index_of
from report_samples import failed, judged, judged_paths, read_page, rejected, write_output

from scanner import need
from scanner.records import UNCERTAIN, Record
from scanner.report import render
from scanner.words import FLAGS, REASONS


def uncertain(path: str, confidence: float = 0.5, flags: tuple[str, ...] = ()) -> Record:
    record = judged(path, "Covid-19", confidence, ["uncertain", *flags])
    return replace(record, prediction=UNCERTAIN, prediction_set="Covid-19;Normal")


# As they should stand, with the least sure of a group first.
ORDERED = (
    uncertain("uncertain-less-sure", 0.41),
    uncertain("uncertain-and-outside", 0.45, ("looks_outside_lungs",)),
    uncertain("uncertain-more-sure", 0.52),
    judged("unlike-training", "Normal", 0.97, ["out_of_distribution"]),
    judged("turned-and-outside", "Covid-19", 0.98, ["turned", "looks_outside_lungs"]),
    judged("outside", "Normal", 0.96, ["looks_outside_lungs"]),
    judged("no-evidence", "Normal", 0.99, ["cam_empty", "view_missing"]),
    judged("positive-without-view", "Pneumonia", 0.50, ["view_missing"]),
    judged("positive", "Covid-19", 0.95),
    judged("rest-less-sure", "Normal", 0.40),
    judged("rest-without-view", "Normal", 0.90, ["view_missing"]),
    judged("rest", "Normal", 0.99),
    rejected("rejected-a"),
    rejected("rejected-b"),
    failed("failed-a"),
    failed("failed-b"),
)


def test_uncertain_then_doubtful_then_outside_then_positive_then_the_rest(tmp_path: Path) -> None:
    page = read_page(render(write_output(tmp_path, ORDERED[::-1])))
    assert judged_paths(page) == [record.path for record in ORDERED if record.prediction]


def test_the_data_have_the_order_of_the_pages_then_rejected_then_failed(tmp_path: Path) -> None:
    render(write_output(tmp_path, ORDERED[::-1]))
    index = index_of(tmp_path)
    assert index["columns"]["path"] == [record.path for record in ORDERED]
    assert [(slug, first, count) for slug, _, first, count in index["needs"]] == [
        ("uncertain", 0, 3),
        ("doubtful", 3, 2),
        ("outside", 5, 2),
        ("positive", 7, 2),
        ("rest", 9, 3),
        ("rejected", 12, 2),
        ("failed", 14, 2),
    ]


def test_equal_needs_are_in_the_order_of_paths_not_of_rows(tmp_path: Path) -> None:
    page = read_page(render(write_output(tmp_path, [judged(name) for name in ("c", "a", "b")])))
    assert judged_paths(page) == ["a", "b", "c"]


def test_the_worklist_counts_its_groups_and_leads_to_their_first_image(tmp_path: Path) -> None:
    render(write_output(tmp_path, ORDERED))
    page = read_page(tmp_path / "report" / "index.html")
    rows = page.one("table", "worklist").all("tr")
    assert [row.one("td", "number").text for row in rows] == list("3222322")
    links = [row.one("a").attributes["href"] for row in rows]
    anchors = {card.attributes["id"]: card.one("p", "path").text for card in page.all("article")}
    firsts = [anchors[link.removeprefix("index.html#")] for link in links[:5]]
    assert firsts == [
        "uncertain-less-sure",
        "unlike-training",
        "outside",
        "positive-without-view",
        "rest-less-sure",
    ]
    assert links[5:] == ["#rejected", "#failed"]


def test_the_worklist_leads_to_later_pages(tmp_path: Path) -> None:
    records = [judged(f"{n:03}", "Covid-19", 0.6) for n in range(200)]
    render(write_output(tmp_path, [*records, judged("rest")]))
    index = read_page(tmp_path / "report" / "index.html")
    (link,) = (a for a in index.all("a") if a.attributes.get("data-need") == "rest")
    name, _, anchor = link.attributes["href"].partition("#")
    card = read_page(tmp_path / "report" / name).one("article", id=anchor)
    assert (name, card.one("p", "path").text) == ("page-0002.html", "rest")


def test_a_group_without_images_is_said_and_leads_nowhere(tmp_path: Path) -> None:
    page = read_page(render(write_output(tmp_path, [judged("rest")])))
    rows = page.one("table", "worklist").all("tr")
    assert [row.one("td", "number").text for row in rows] == list("00001")
    assert [len(row.all("a")) for row in rows] == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("flag", sorted(FLAGS.keys() | REASONS.keys() | {"of_a_later_version"}))
def test_only_what_the_header_leaves_out_and_evidence_do_not_doubt_the_picture(flag: str) -> None:
    row = {
        "prediction": "Normal",
        "status": "flagged",
        "flags": flag,
        "confidence": "0.9",
        "path": "a",
    }
    group = need.order(row, "Normal")[0]
    silent = {"modality_unclear", "body_part_missing", "body_part_unclear"}
    silent |= {"view_missing", "view_unclear"}
    expected = need.REST if flag in silent else need.DOUBTFUL
    expected = need.OUTSIDE if flag in {"looks_outside_lungs", "cam_empty"} else expected
    assert group == expected
