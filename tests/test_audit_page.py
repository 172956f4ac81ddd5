"""The page of the audit, its lines and its part of a card: from findings alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from audit_report_samples import made_audit
from report_samples import read_page
from training_report_samples import full_report

from training.audit.page import AuditPage, render
from training.audit.result import SHARE, as_markdown, for_card, shown
from training.results import report

_HOSTILE = "<script>alert(1)</script>"


def test_texts_from_outside_are_escaped(tmp_path: Path) -> None:
    page = AuditPage(_HOSTILE, made_audit(_HOSTILE), {"classes": [_HOSTILE]}, {"Data": _HOSTILE})
    assert not read_page(render(tmp_path, page)).all("script")


def test_a_test_that_was_not_done_says_why_and_has_no_number(tmp_path: Path) -> None:
    found = read_page(render(tmp_path, AuditPage("title", made_audit(), {})))
    undone = found.one("article", "finding", id="audit-lungs")
    assert "Not done: no masks." in undone.text
    assert not undone.all("b")
    assert not undone.all("img")


def test_number_interval_and_comparison_stand_together(tmp_path: Path) -> None:
    found = read_page(render(tmp_path, AuditPage("title", made_audit(), {})))
    letters = found.one("article", "finding", id="audit-letters").one("p", "headline").text
    assert " ".join(letters.split()) == "1.23 % labels flipped95 %: 0.40 to 2.10 % · 200 images"
    removal = found.one("article", "finding", id="audit-removal").one("p", "headline").text
    assert "−0.334 insertion less deletion" in removal
    assert "in a random order: 0.000 · 20 images" in removal


def test_a_training_report_without_an_audit_has_no_such_section(tmp_path: Path) -> None:
    without = read_page(report.render(tmp_path / "a", full_report()))
    with_it = read_page(report.render(tmp_path / "b", replace(full_report(), audit=made_audit())))
    assert "audit" not in {section.attributes.get("id") for section in without.all("section")}
    assert with_it.one("section", id="audit").one("article", "finding", id="audit-letters")


def test_a_card_has_every_headline_with_its_goals() -> None:
    of_card = for_card(made_audit().figures)
    assert of_card["tests"]["letters"]["value"] == 0.0123
    assert of_card["tests"]["letters"]["interval"] == [0.004, 0.021]
    assert [goal["reached"] for goal in of_card["tests"]["letters"]["goals"]] == [False, True]
    assert of_card["tests"]["lungs"]["value"] is None
    text = "\n".join(as_markdown(of_card))
    assert "## Shortcut audit" in text
    assert (
        "- Letters in the corners: labels flipped 1.23 % (0.40 % to 2.10 %); goal under 0.5 %: "
        "missed; goal mean change of p(Letters in the corners) under 0.01: reached (200 images)"
    ) in text
    assert "in a random order 0.000" in text
    assert as_markdown(None) == []


def test_numbers_are_written_for_people() -> None:
    assert [shown(value, SHARE) for value in (0.00123, 0.123, 1.0, None)] == [
        *("0.12 %", "12.3 %", "100.0 %", "–"),
    ]
    assert [shown(value, "number") for value in (-0.00004, -0.5, np.float64(2))] == [
        *("0.000", "−0.500", "2.000"),
    ]
