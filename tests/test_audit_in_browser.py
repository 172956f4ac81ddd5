"""The audit in Chromium, alone and in a training report: it loads, fits a phone, and is legible."""

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from audit_report_samples import made_audit
from browser_questions import OVERFLOW
from training_report_samples import full_report

from training.audit.page import AuditPage, render
from training.results import report

if TYPE_CHECKING:
    from playwright.sync_api import Page

_CHROMIUM = shutil.which("chromium")
_ARTEFACTS = Path(__file__).parents[1] / "artefacts"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(_CHROMIUM is None, reason="chromium is not on PATH: apt-get install it"),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None, reason="pip install playwright"
    ),
]

_BROKEN = "() => [...document.images].filter(i => i.complete && !i.naturalWidth).length"


def _page(folder: Path, text: str = "Letters in the corners") -> Path:
    facts = {"Audited": f"200 of 900 images of {text}"}
    return render(folder, AuditPage(f"Audit of {text}", made_audit(text), {}, facts, [text]))


def test_every_picture_loads_and_nothing_complains(tmp_path: Path, tab: "Page") -> None:
    complaints: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("request", lambda request: asked.append(request.url))
    path = _page(tmp_path)
    tab.goto(path.as_uri())
    assert tab.evaluate("document.images.length") == 3
    assert tab.evaluate(_BROKEN) == 0
    assert complaints == []
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]


@pytest.mark.parametrize("width", [320, 400, 768, 1400])
def test_nothing_makes_the_page_scroll_sideways(width: int, tmp_path: Path, tab: "Page") -> None:
    tab.set_viewport_size({"width": width, "height": 844})
    for text in ("Letters in the corners", "x" * 90):
        tab.goto(_page(tmp_path, text).as_uri())
        tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert tab.evaluate(OVERFLOW) == [0, []]


def test_the_text_is_legible_on_a_phone(tmp_path: Path, tab: "Page") -> None:
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.goto(_page(tmp_path).as_uri())
    tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    sizes = tab.locator("p, td, th, dd, dt, li, summary, figcaption, small").evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 12


def test_a_missed_goal_is_told_from_a_reached_one_by_word_and_colour(
    tmp_path: Path, tab: "Page"
) -> None:
    tab.goto(_page(tmp_path).as_uri())
    goals = tab.locator(".goals li")
    colours = goals.evaluate_all("all => all.map(e => getComputedStyle(e).color)")
    assert [text.split(":")[0] for text in goals.all_inner_texts()] == ["missed", "reached"]
    assert colours == ["rgb(240, 180, 41)", "rgb(127, 180, 230)"]


def test_the_training_report_has_it_as_a_section(tmp_path: Path, tab: "Page") -> None:
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.goto(report.render(tmp_path, replace(full_report(), audit=made_audit())).as_uri())
    tab.locator(".contents a", has_text="Shortcut audit").click()
    assert tab.locator("section#audit .finding").count() == 4
    assert tab.evaluate(OVERFLOW) == [0, []]


@pytest.mark.parametrize(("name", "width"), [("desktop", 1400), ("phone", 390)])
def test_a_picture_of_the_page_is_kept_for_people_to_look_at(
    name: str, width: int, tmp_path: Path, tab: "Page"
) -> None:
    tab.set_viewport_size({"width": width, "height": 844})
    tab.goto(_page(tmp_path).as_uri())
    _ARTEFACTS.mkdir(exist_ok=True)
    target = _ARTEFACTS / f"audit-{name}.png"
    tab.screenshot(path=target, full_page=True)
    assert target.stat().st_size > 20_000
