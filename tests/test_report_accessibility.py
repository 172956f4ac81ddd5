"""axe-core on the report: no violation of WCAG 2.2 AA in any view, either theme, any width."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from report_app import MARKS, AppTab
from training_report_samples import full_report

from training.results import report as training_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_AXE = Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

pytestmark = [
    *MARKS,
    pytest.mark.skipif(not _AXE.is_file(), reason="axe-core is not here: npm ci --ignore-scripts"),
]


def violations(app: AppTab) -> list[str]:
    app.page.evaluate(_AXE.read_text(encoding="utf-8"))
    found: list[str] = app.page.evaluate(
        """async rules => (await axe.run({runOnly: rules})).violations.flatMap(
            ({id, nodes}) => nodes.slice(0, 3).map(
                n => `${id}: ${n.html.slice(0, 150)} ${n.failureSummary}`))""",
        _RULES,
    )
    return found


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize(
    "place", ["#row=n1", "#layout=table&row=n1", "#row=n1&open=1", "#need=failed"]
)
def test_axe_finds_nothing(place: str, width: int, theme: str, night: Path, app: AppTab) -> None:
    app.page.set_viewport_size({"width": width, "height": 900})
    page = app.open(night)
    page.evaluate("localStorage.setItem('cxr-scan/reviewer', 'B')")
    page.evaluate(f"localStorage.setItem('cxr-scan/theme', '{theme}')")
    app.open(night, place)
    app.press("a", "x")
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    app.settle()
    assert violations(app) == []


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("keys", [["?"], ["j", "1"]])
def test_axe_finds_nothing_in_the_small_dialogs(
    keys: list[str], theme: str, night: Path, app: AppTab
) -> None:
    page = app.open(night)
    page.evaluate(f"localStorage.setItem('cxr-scan/theme', '{theme}')")
    app.open(night)
    app.press(*keys)
    assert page.locator("dialog.small").is_visible()
    assert violations(app) == []


@pytest.mark.parametrize("width", [1400, 390])
def test_axe_finds_nothing_in_the_printed_pages_and_the_training_report(
    width: int, night: Path, tmp_path: Path, browser: "Browser"
) -> None:
    # Not java_script_enabled=False: then axe could not run either.
    context = browser.new_context(viewport={"width": width, "height": 900})
    context.route("**/app.js", lambda route: route.abort())
    app = AppTab(context.new_page())
    pages = [night / "report" / "index.html", training_report.render(tmp_path, full_report())]
    for page in pages:
        app.page.goto(page.as_uri())
        assert violations(app) == []
    context.close()


def test_everything_can_be_reached_and_used_without_a_mouse(night: Path, app: AppTab) -> None:
    page = app.open(night)
    seen: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                """() => { const e = document.activeElement;
                return e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent
                    || e.tagName; }"""
            )
        )
    for name in ("Find", "Worklist", "Class", "Sort by", "Cards", "Table", "Import"):
        assert name in seen
    assert any(text.startswith("uncertain") for text in seen)  # the first card


def test_counts_and_decisions_are_told_to_screen_readers(night: Path, app: AppTab) -> None:
    page = app.open(night)
    page.evaluate("localStorage.setItem('cxr-scan/reviewer', 'B')")
    assert page.locator(".shown").get_attribute("role") == "status"
    app.press("j", "1")
    assert page.locator("#spoken").inner_text() == "Covid-19 disagrees with the model"
    card = page.locator(".card.current")
    assert (card.get_attribute("aria-label") or "").startswith("uncertain Covid-19 or Normal, ")
    assert card.get_attribute("aria-posinset") == "1"
    assert card.get_attribute("aria-setsize") == "46"
