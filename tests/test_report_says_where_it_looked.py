"""Lung focus, distance, prediction sets and rejected pictures on the report's pages."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_samples import (
    CLASSES,
    DEFAULT_MANIFEST,
    HOSTILE,
    TRUSTED,
    Element,
    failed,
    judged,
    phantom,
    read_page,
    rejected,
    spot,
    write_output,
)

from scanner import thumbnails
from scanner.output import picture_paths
from scanner.records import Record
from scanner.report import render

CARD = DEFAULT_MANIFEST["card"]
MEASURED = {"lung_focus": 0.718, "lung_area": 0.277, "lung_lift": 2.59, "ood_score": 1.234}
UNSURE = replace(
    judged("a.dcm", "Pneumonia", 0.55, ["uncertain"]),
    prediction="uncertain",
    prediction_set="Covid-19;Pneumonia",
)


def rendered(folder: Path, records: list[Record], card: Any = None, **manifest: Any) -> Element:
    card = CARD | TRUSTED if card is None else card
    return read_page(render(write_output(folder, records, card=card, **manifest)))


def sentences(page: Element) -> list[str]:
    return [item.text for item in page.one("article", "card").one("ul", "trust").all("li")]


def legend(page: Element) -> str:
    (note,) = (p.text for p in page.all("p", "note") if "heat map shows" in p.text)
    return note


def test_a_card_says_focus_lift_and_distance_in_words(tmp_path: Path) -> None:
    page = rendered(tmp_path, [judged("a.dcm", **MEASURED)])
    assert sentences(page) == [
        "72 % of the evidence lies in the lungs, 2.6 times their share of the picture",
        "distance from the training images 1.23",
    ]


def test_what_is_beyond_the_line_is_said_with_the_line(tmp_path: Path) -> None:
    page = rendered(tmp_path, [judged("a.dcm", **MEASURED | {"lung_focus": 0.2, "ood_score": 2})])
    assert [said.partition("; ")[2] for said in sentences(page)] == [
        "below 41 % is flagged",
        "above 1.62 is flagged",
    ]


def test_an_empty_map_says_nothing_of_focus(tmp_path: Path) -> None:
    empty = judged("a.dcm", flags=["cam_empty"], lung_area=0.3, ood_score=1.0)
    assert sentences(rendered(tmp_path, [empty])) == ["distance from the training images 1.00"]


def test_an_uncertain_image_names_the_classes_it_could_be(tmp_path: Path) -> None:
    page = rendered(tmp_path, [UNSURE])
    card = page.one("article", "card")
    assert card.one("h3").text == "uncertain Covid-19 or Pneumonia"


def test_the_heat_map_of_an_uncertain_image_is_that_of_the_most_probable(tmp_path: Path) -> None:
    card = rendered(tmp_path, [UNSURE], pictures=True).one("article", "card")
    captions = card.all("figcaption")
    assert captions[1].text == "evidence for Pneumonia"


def test_uncertain_is_counted_as_a_group_of_its_own(tmp_path: Path) -> None:
    sure = judged("b.dcm", "Normal", prediction_set="Normal")
    page = rendered(tmp_path, [UNSURE, sure])
    counts = {
        row.one("th").text: row.one("td", "number").text
        for row in page.one("table", "histogram").all("tr")
    }
    assert counts == {"Covid-19": "0", "Normal": "1", "Pneumonia": "0", "uncertain": "1"}
    colours = [
        bar.all("rect")[1].attributes["class"] for bar in page.one("table", "histogram").all("svg")
    ]
    assert len(set(colours)) == 4


def test_the_outline_is_explained_once_a_page(tmp_path: Path) -> None:
    note = legend(rendered(tmp_path, [judged(f"{n}.dcm", **MEASURED) for n in range(3)]))
    assert "The thin line is the lung field" in note
    assert "adults 0.93, all 0.95" in note
    assert "where, not why" in note


def test_without_a_lung_field_the_cards_reason_is_given_once(tmp_path: Path) -> None:
    card = CARD | {"lungs": {"text": "It was trained without masks.", "dice": None}}
    page = rendered(tmp_path, [judged("a.dcm"), judged("b.dcm")], card)
    assert page.text.count("Lung focus is off: It was trained without masks.") == 1
    assert "thin line" not in page.text


@pytest.mark.parametrize("card", [CARD, {}])
def test_a_manifest_from_before_there_was_trust_renders(card: Any, tmp_path: Path) -> None:
    page = rendered(tmp_path, [judged("a.dcm"), failed("b.dcm")], card)
    assert "Lung focus is off: this model has no lung head." in page.text
    assert not page.all("ul", "trust") and not page.all("details", "points")


def test_every_operating_point_is_listed_with_how_it_was_chosen(tmp_path: Path) -> None:
    points = rendered(tmp_path, [judged("a.dcm", **MEASURED)]).one("details", "points")
    names = [name.text for name in points.all("dt")]
    assert names == ["Lung focus", "Distance from training", "Uncertain", "Kind of picture"]
    for name, rule in {
        "lung_focus": "flagged below 41 %. ",
        "ood": "flagged above 1.62. ",
        "conformal": "95 % promised. ",
        "gate": "rejected below 5 % for a frontal chest, flagged below 50 %. ",
    }.items():
        assert rule + TRUSTED["trust"][name]["text"] in points.text


def test_points_that_were_left_out_are_said(tmp_path: Path) -> None:
    trust = {"left_out": ["No lung focus: the model has no lung head."]}
    points = rendered(tmp_path, [judged("a.dcm")], {"trust": trust}).one("details", "points")
    assert points.one("dd").text == trust["left_out"][0]


@pytest.mark.parametrize("value", [None, [], "x", 1, {"lung_focus": [], "ood": {"threshold": "x"}}])
def test_a_card_from_elsewhere_does_not_stop_the_report(value: Any, tmp_path: Path) -> None:
    rendered(tmp_path, [judged("a.dcm", **MEASURED)], {"trust": value, "lungs": value})


def test_hostile_texts_of_a_card_stay_texts(tmp_path: Path) -> None:
    for number, text in enumerate(text for text in HOSTILE if text.isprintable()):
        card = json.loads(json.dumps(TRUSTED))
        card["lungs"] = {"text": text, "dice": {text: {"dice": 0.9}}}
        for point in ("lung_focus", "ood", "conformal", "gate"):
            card["trust"][point]["text"] = text
        card["trust"]["left_out"] = [text]
        page = rendered(tmp_path / str(number), [judged("a.dcm", **MEASURED)], card)
        assert " ".join(text.split()) in page.one("details", "points").text
        assert len(page.all("script")) == 1 and len(page.all("h1")) == 1


def turned(name: str = "t.png") -> Record:
    return rejected(name, "turned", "its picture says: turned on its side")


def test_what_its_picture_rejects_is_listed_with_the_picture(tmp_path: Path) -> None:
    thumbnails.save_plain(tmp_path, turned().sha256, phantom())
    copy = replace(rejected("copy.png", "duplicate", "duplicate_of t.png"), sha256=turned().sha256)
    page = rendered(tmp_path, [rejected("lateral.dcm"), turned(), copy])
    table = page.one("section", id="rejected").one("tbody")
    shown = {row.one("td", "path").text: row.all("img") for row in table.all("tr")}
    assert [len(shown[name]) for name in ("lateral.dcm", "t.png", "copy.png")] == [0, 1, 0]
    plain, _ = picture_paths(tmp_path, turned().sha256)
    source = shown["t.png"][0].attributes["src"]
    assert (tmp_path / "report" / source).resolve() == plain.resolve()


def test_a_self_contained_report_embeds_rejected_pictures(tmp_path: Path) -> None:
    write_output(tmp_path, [turned()])
    thumbnails.save_plain(tmp_path, turned().sha256, phantom())
    page = read_page(render(tmp_path, self_contained=True))
    assert page.one("img").attributes["src"].startswith("data:image/jpeg;base64,")


def test_without_rejected_pictures_there_is_no_column_for_them(tmp_path: Path) -> None:
    section = rendered(tmp_path, [rejected("lateral.dcm")]).one("section", id="rejected")
    assert [head.text for head in section.all("th")] == ["File", "Reason", "What was found"]


def test_a_rejected_picture_alone_does_not_stand_for_a_judged_pair(tmp_path: Path) -> None:
    record = judged("a.dcm", classes=CLASSES)
    write_output(tmp_path, [record])
    thumbnails.save(tmp_path, record.sha256, phantom(), spot(3, 3), np.ones((32, 32), np.float32))
    assert len(read_page(render(tmp_path)).all("img")) == 2
    picture_paths(tmp_path, record.sha256)[1].unlink()
    assert "Pictures are missing" in read_page(render(tmp_path)).text
