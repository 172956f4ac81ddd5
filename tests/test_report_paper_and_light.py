"""The report on paper, and in the light: Chromium prints and shows it as a reader would see it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser_questions import CONTRASTS
from report_samples import failed, judged, realistic_night, rejected, write_output
from test_report_in_browser import _ARTEFACTS, pytestmark

from scanner.report import render

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["pytestmark"]

_GROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    context = browser.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


def sheets(page: "Page", index: Path) -> int:
    page.goto(index.as_uri())
    return len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4")))


def test_every_image_is_printed_on_a_sheet_of_its_own(tmp_path: Path, page: "Page") -> None:
    def printed(name: str, images: int) -> int:
        records = [judged(f"{n}") for n in range(images)]
        return sheets(page, render(write_output(tmp_path / name, records, pictures=True)))

    assert printed("seven", 7) - printed("two", 2) == 5


def test_failed_and_rejected_begin_sheets_of_their_own(tmp_path: Path, page: "Page") -> None:
    without = sheets(page, render(write_output(tmp_path / "a", [judged("a")])))
    records = [judged("a"), failed("b"), rejected("c")]
    assert sheets(page, render(write_output(tmp_path / "b", records))) == without + 2


def test_a_printed_image_says_that_it_is_for_research(tmp_path: Path, page: "Page") -> None:
    page.goto(render(write_output(tmp_path, [judged("a")])).as_uri())
    said = "getComputedStyle(document.querySelector('article'), '::after').content"
    assert page.evaluate(said) == "none"
    page.emulate_media(media="print")
    assert "Not a medical device" in page.evaluate(said)


def test_it_is_dark_unless_the_reader_chose_light_and_white_on_paper(
    tmp_path: Path, page: "Page"
) -> None:
    page.goto(render(write_output(tmp_path, [judged("a")])).as_uri())
    assert page.evaluate(_GROUND) == "rgb(14, 17, 22)"
    page.emulate_media(media="print")
    assert page.evaluate(_GROUND) == "rgb(255, 255, 255)"
    page.emulate_media(media="screen")
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    assert page.evaluate(_GROUND) == "rgb(243, 245, 248)"


def test_a_self_contained_page_is_switched_to_light_without_a_script(
    tmp_path: Path, page: "Page"
) -> None:
    index = render(write_output(tmp_path, [judged("a")]), self_contained=True)
    page.goto(index.as_uri())
    page.get_by_label("light").check()
    assert page.evaluate(_GROUND) == "rgb(243, 245, 248)"


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_text_and_marks_stand_out_in_both_themes(theme: str, tmp_path: Path, page: "Page") -> None:
    page.set_viewport_size({"width": 1400, "height": 1900})
    page.goto(render(realistic_night(tmp_path)).as_uri())
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    ratios = page.locator("h1, h2, h3, p, td, th, dd, dt, li, code, a, svg text").evaluate_all(
        CONTRASTS
    )
    assert min(ratios) >= 4.5  # WCAG 2.2, 1.4.3
    _ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=_ARTEFACTS / f"report-first-screen-{theme}.png")
