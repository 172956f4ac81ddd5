"""The report in Chromium, opened from a file: what loads, what links, what must not run.

Most tests are of the pages as they are without JavaScript; the app has its own.
"""

import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser_questions import CONTRASTS
from report_samples import HOSTILE, failed, judged, realistic_night, write_output
from test_report_is_safe import hostile_page

from scanner.report import render

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_CHROMIUM = shutil.which("chromium")
_ARTEFACTS = Path(__file__).parents[1] / "artefacts"
_SETTLE_MS = 15_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(_CHROMIUM is None, reason="chromium is not on PATH: apt-get install it"),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None, reason="pip install playwright"
    ),
]

_ALL_TRIED = "() => [...document.images].every(image => image.complete)"
_BROKEN = "() => [...document.images].filter(i => !i.naturalWidth).map(i => i.src.slice(0, 200))"
_OVERFLOW = """() => {
    const root = document.documentElement;
    const wide = [...document.body.querySelectorAll('*')].filter(
        e => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest('.scroll'));
    const texts = wide.slice(0, 5).map(e => e.outerHTML.slice(0, 99));
    return [root.scrollWidth - root.clientWidth, texts];
}"""


@dataclass
class Visit:
    """A page in the browser, and everything it did that a report must not do."""

    page: "Page"
    complaints: list[str] = field(default_factory=list)

    def open(self, path: Path) -> "Page":
        self.page.goto(path.as_uri())
        return self.page

    def load_pictures(self) -> None:
        for image in self.page.locator("img").all():  # they are lazy
            image.scroll_into_view_if_needed()
        self.page.wait_for_function(_ALL_TRIED, timeout=_SETTLE_MS)


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Visit]:
    yield from visiting(browser, java_script=False)


@pytest.fixture
def visit_with_script(browser: "Browser") -> Iterator[Visit]:
    yield from visiting(browser, java_script=True)


def visiting(browser: "Browser", java_script: bool) -> Iterator[Visit]:
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, java_script_enabled=java_script
    )
    visit = Visit(context.new_page())

    def note_request(url: str) -> None:
        if not url.startswith(("file:", "data:")):
            visit.complaints.append(f"request of {url}")

    page = visit.page
    page.on("console", lambda message: visit.complaints.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: visit.complaints.append(f"error: {error}"))
    page.on("request", lambda request: note_request(request.url))
    page.on(
        "requestfailed",
        lambda request: visit.complaints.append(f"{request.failure}: {request.url[:99]}"),
    )
    page.on("dialog", lambda dialog: (visit.complaints.append("dialog"), dialog.dismiss()))
    yield visit
    context.close()


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = realistic_night(tmp_path_factory.mktemp("night"))
    render(folder)
    return folder


@pytest.fixture(scope="module")
def long_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = realistic_night(tmp_path_factory.mktemp("long"), long_names=True)
    render(folder)
    return folder


@pytest.fixture(scope="module")
def two_pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    records = [judged(f"{number:03}.dcm") for number in range(205)]
    folder = tmp_path_factory.mktemp("pages")
    render(write_output(folder, [*records, failed("f.dcm")], pictures=True))
    return folder


@pytest.mark.parametrize(("name", "pictures"), [("index.html", 400), ("page-0002.html", 10)])
def test_every_picture_loads_and_nothing_complains(
    name: str, pictures: int, two_pages: Path, visit: Visit
) -> None:
    page = visit.open(two_pages / "report" / name)
    visit.load_pictures()
    assert page.locator("img").count() == pictures
    assert page.evaluate(_BROKEN) == []
    assert visit.complaints == []


def test_the_style_sheet_is_applied(night: Path, visit: Visit) -> None:
    page = visit.open(night / "report" / "index.html")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 17, 22)"
    bars = page.locator(".histogram rect:not(.track)")
    colours = bars.evaluate_all("bars => bars.map(bar => getComputedStyle(bar).fill)")
    assert len(set(colours)) == 4  # three classes and uncertain


def test_the_pages_link_to_each_other(two_pages: Path, visit: Visit) -> None:
    page = visit.open(two_pages / "report" / "index.html")
    page.get_by_text("next →").first.click()
    page.wait_for_url("**/page-0002.html")
    assert page.locator("article").count() == 5
    page.get_by_text("← previous").first.click()
    page.wait_for_url("**/index.html")
    assert page.locator("article").count() == 200
    assert visit.complaints == []


@pytest.mark.parametrize("which", [0, 1])
def test_a_thumbnail_opens(which: int, night: Path, visit: Visit) -> None:
    page = visit.open(night / "report" / "index.html")
    page.locator("article .pictures a").nth(which).click()
    page.wait_for_url("**/thumbs/**.jpg")
    assert page.evaluate("document.images[0].naturalWidth") > 200
    assert visit.complaints == []


def test_the_tile_of_failures_leads_to_their_list(night: Path, visit: Visit) -> None:
    page = visit.open(night / "report" / "index.html")
    page.locator(".tiles a[href='#failed']").click()
    assert page.locator("#failed h2").bounding_box() is not None
    assert page.evaluate("document.querySelector('#failed h2').getBoundingClientRect().top") < 900


def test_the_link_to_the_csv_leads_to_the_csv(night: Path, visit: Visit) -> None:
    page = visit.open(night / "report" / "index.html")
    target = page.locator("a", has_text="predictions.csv").evaluate("link => link.href")
    assert target == (night / "predictions.csv").as_uri()


def test_hostile_texts_do_nothing(tmp_path: Path, visit: Visit) -> None:
    index = hostile_page(tmp_path, HOSTILE)
    page = visit.open(index)
    title = page.title()
    assert title.startswith("cxr-scan: ")
    visit.load_pictures()
    for shown in page.locator("article, td, li, dd, h1").all():
        shown.hover(force=True)
    page.keyboard.press("Tab")
    assert page.title() == title
    assert page.url == index.as_uri()
    assert page.evaluate(_BROKEN) == []
    assert visit.complaints == []


def test_hostile_texts_add_no_element_for_the_browser_either(tmp_path: Path, visit: Visit) -> None:
    elements = """() => [...document.querySelectorAll('*')].map(
        e => [e.tagName, ...e.getAttributeNames()].join(' '))"""
    harmless = tuple(f"{n:03}" if t.isprintable() else f"{n:03}\x07" for n, t in enumerate(HOSTILE))
    visit.open(hostile_page(tmp_path / "hostile", HOSTILE))
    found = visit.page.evaluate(elements)
    visit.open(hostile_page(tmp_path / "harmless", harmless))
    assert found == visit.page.evaluate(elements)


def test_hostile_texts_do_nothing_where_scripts_run(
    tmp_path: Path, visit_with_script: Visit
) -> None:
    visit = visit_with_script
    page = visit.open(hostile_page(tmp_path, HOSTILE))
    page.wait_for_function("document.title.startsWith('cxr-scan: ')")
    page.wait_for_timeout(500)
    assert page.title().startswith("cxr-scan: ")
    assert visit.complaints == []


def test_the_policy_stops_what_would_get_in(tmp_path: Path, visit_with_script: Visit) -> None:
    visit = visit_with_script
    index = render(write_output(tmp_path, [judged("a")]))
    html = index.read_text(encoding="utf-8")
    planted = (
        "<script>document.title = 'owned'</script><img src='http://127.0.0.1:9/x.png' "
        "onerror=\"document.title = 'owned'\"><b style='position: fixed' id='styled'>b</b></body>"
    )
    index.write_text(html.replace("</body>", planted), encoding="utf-8")
    page = visit.open(index)
    page.wait_for_timeout(200)
    assert page.title() != "owned"
    assert page.evaluate("getComputedStyle(document.querySelector('#styled')).position") == "static"
    assert "csp: http://127.0.0.1:9/x.png" in visit.complaints  # stopped before it went out
    assert len([c for c in visit.complaints if "Content Security Policy" in c]) >= 3


@pytest.mark.parametrize("width", [320, 390, 600, 768, 1440])
def test_nothing_makes_a_page_scroll_sideways(width: int, night: Path, visit: Visit) -> None:
    visit.page.set_viewport_size({"width": width, "height": 844})
    page = visit.open(night / "report" / "index.html")
    assert page.evaluate(_OVERFLOW) == [0, []]


@pytest.mark.parametrize("width", [390, 1440])
def test_long_names_do_not_make_a_page_scroll_sideways(
    width: int, long_night: Path, visit: Visit
) -> None:
    visit.page.set_viewport_size({"width": width, "height": 844})
    page = visit.open(long_night / "report" / "index.html")
    assert page.evaluate(_OVERFLOW) == [0, []]


def test_long_class_names_do_not_make_a_page_scroll_sideways(tmp_path: Path, visit: Visit) -> None:
    classes = ("Lung opacity without consolidation", "No finding", "Bacterial_or_viral_pneumonia")
    records = [judged(f"{n}.dcm", name, classes=classes) for n, name in enumerate(classes)]
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.open(render(write_output(tmp_path, records, classes, pictures=True)))
    assert page.evaluate(_OVERFLOW) == [0, []]


def test_the_text_is_legible_on_a_phone(night: Path, visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.open(night / "report" / "index.html")
    sizes = page.locator("p, td, th, dd, dt, li, h3").evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 12
    assert page.locator("article img").first.bounding_box()["width"] >= 150  # type: ignore[index]


def test_a_self_contained_page_shows_its_pictures_alone_in_another_folder(
    tmp_path: Path, visit: Visit
) -> None:
    records = [judged(f"{number}.dcm") for number in range(3)]
    index = render(write_output(tmp_path / "out", records, pictures=True), self_contained=True)
    alone = tmp_path / "elsewhere" / "mailed.html"
    alone.parent.mkdir()
    shutil.move(index, alone)
    shutil.rmtree(tmp_path / "out")
    page = visit.open(alone)
    visit.load_pictures()
    assert page.locator("img").count() == 6
    assert page.evaluate(_BROKEN) == []
    assert visit.complaints == []


def test_no_link_of_a_self_contained_page_is_dead(tmp_path: Path, visit: Visit) -> None:
    index = render(write_output(tmp_path, [judged("a.dcm")], pictures=True), self_contained=True)
    page = visit.open(index)
    # Browsers refuse to open data: URLs in the address bar.
    assert page.locator("a[href^='data:']").count() == 0


def test_every_picture_says_what_it_is_to_those_who_do_not_see_it(
    night: Path, visit: Visit
) -> None:
    page = visit.open(night / "report" / "index.html")
    names = page.locator("article .pictures a").evaluate_all(
        "all => all.map(a => a.querySelector('img').alt)"
    )
    assert len(names) == 80
    assert all(names)
    assert page.locator("html").get_attribute("lang") == "en"


def test_the_text_stands_out_from_its_ground(night: Path, visit: Visit) -> None:
    page = visit.open(night / "report" / "index.html")
    ratios = page.locator("h1, h2, h3, p, td, th, dd, dt, li, code, a").evaluate_all(CONTRASTS)
    assert min(ratios) >= 4.5  # WCAG 2.2, 1.4.3


@pytest.mark.parametrize(("name", "width"), [("desktop", 1440), ("phone", 390)])
def test_a_picture_of_the_report_is_kept_for_people_to_look_at(
    name: str, width: int, night: Path, visit: Visit
) -> None:
    visit.page.set_viewport_size({"width": width, "height": 2400})
    page = visit.open(night / "report" / "index.html")
    visit.load_pictures()
    page.evaluate("scrollTo(0, 0)")
    _ARTEFACTS.mkdir(exist_ok=True)
    target = _ARTEFACTS / f"report-{name}.png"
    page.screenshot(path=target)
    assert target.stat().st_size > 50_000
