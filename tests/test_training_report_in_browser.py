"""The training report in Chromium, opened from a file: it loads, fits a phone, and is legible."""

import importlib.util
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser_questions import OVERFLOW
from training_report_samples import full_report

from training.results.report import render

if TYPE_CHECKING:
    from playwright.sync_api import Page

_CHROMIUM = shutil.which("chromium")
_ARTEFACTS = Path(__file__).parents[1] / "artefacts"
_LONG = ("Lung opacity without consolidation", "No finding", "Bacterial_or_viral_pneumonia_of_any")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(_CHROMIUM is None, reason="chromium is not on PATH: apt-get install it"),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None, reason="pip install playwright"
    ),
]

# Brings every lazy picture into view once.
_SCROLL = """async () => {
    for (const image of document.images) {
        image.scrollIntoView();
        await new Promise(requestAnimationFrame);
    }
    scrollTo(0, 0);
}"""
_ALL_TRIED = "() => [...document.images].every(image => image.complete)"
_BROKEN = "() => [...document.images].filter(i => !i.naturalWidth).map(i => i.src.slice(0, 99))"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(tmp_path_factory.mktemp("report"), full_report())


def test_every_picture_loads_and_nothing_complains(path: Path, tab: "Page") -> None:
    complaints: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(path.as_uri())
    tab.evaluate(_SCROLL)
    tab.wait_for_function(_ALL_TRIED)
    assert tab.evaluate(_BROKEN) == []
    assert complaints == []
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 17, 22)"


@pytest.mark.parametrize("width", [320, 390, 768, 1400])
def test_nothing_makes_the_page_scroll_sideways(width: int, path: Path, tab: "Page") -> None:
    tab.set_viewport_size({"width": width, "height": 844})
    tab.goto(path.as_uri())
    assert tab.evaluate(OVERFLOW) == [0, []]


def test_long_names_do_not_either(tmp_path: Path, tab: "Page") -> None:
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.goto(render(tmp_path, full_report(_LONG, ("x" * 80, "b"), "y" * 120)).as_uri())
    assert tab.evaluate(OVERFLOW) == [0, []]


def test_the_text_is_legible_on_a_phone(path: Path, tab: "Page") -> None:
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.goto(path.as_uri())
    sizes = tab.locator("p, td, th, dd, dt, li, h4, small").evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 12
    # Letters of 11 points in a figure 331 points wide.
    widths = tab.locator(".plot img").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect().width)"
    )
    assert min(widths) * 11 / 331 >= 11


def test_the_contents_lead_to_the_sections(path: Path, tab: "Page") -> None:
    tab.goto(path.as_uri())
    for link in tab.locator(".contents a").all():
        link.click()
        target = (link.get_attribute("href") or "").removeprefix("#")
        box = tab.locator(f"[id='{target}'] h2").bounding_box()
        assert box is not None
        assert 0 <= box["y"] < 900


_GROUND = "getComputedStyle(document.body).backgroundColor"
_FIGURE = "getComputedStyle(document.querySelector('.plot img')).filter"


def test_a_switch_without_a_script_makes_the_page_and_its_figures_light(
    path: Path, tab: "Page"
) -> None:
    tab.goto(path.as_uri())
    assert tab.evaluate(_FIGURE) == "none"
    tab.keyboard.press("Tab")
    tab.keyboard.press("Space")
    assert tab.evaluate(_GROUND) == "rgb(243, 245, 248)"
    assert "invert(1)" in tab.evaluate(_FIGURE)
    assert tab.evaluate("getComputedStyle(document.querySelector('.card img')).filter") == "none"


def test_paper_is_light_whatever_the_screen_is(path: Path, tab: "Page") -> None:
    tab.goto(path.as_uri())
    tab.emulate_media(media="print")
    red, green, blue = re.findall(r"\d+", tab.evaluate(_GROUND))[:3]
    assert min(int(red), int(green), int(blue)) > 240
    assert "invert(1)" in tab.evaluate(_FIGURE)
    assert not tab.locator(".theme").is_visible()


@pytest.mark.parametrize(("name", "width"), [("desktop", 1400), ("phone", 390)])
def test_a_picture_of_the_report_is_kept_for_people_to_look_at(
    name: str, width: int, path: Path, tab: "Page"
) -> None:
    tab.set_viewport_size({"width": width, "height": 844})
    tab.goto(path.as_uri())
    tab.evaluate(_SCROLL)
    tab.wait_for_function(_ALL_TRIED)
    _ARTEFACTS.mkdir(exist_ok=True)
    target = _ARTEFACTS / f"training-report-{name}.png"
    tab.screenshot(path=target, full_page=True)
    assert target.stat().st_size > 50_000
