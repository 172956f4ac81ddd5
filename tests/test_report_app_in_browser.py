"""The report's app in Chromium, opened from a file: filters, order, views, links, long lists."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser_questions import OVERFLOW
from report_app import ARTEFACTS, MARKS, AppTab
from report_samples import HOSTILE, judged, write_output
from test_report_is_safe import hostile_page

from scanner.report import render

if TYPE_CHECKING:
    pass

pytestmark = MARKS

ROWS = 900


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows enough for two files of details; confidence falls with the number."""
    records = [
        judged(f"{n:04}.dcm", "Pneumonia" if n % 3 else "Normal", 0.99 - n / 1000)
        for n in range(ROWS)
    ]
    folder = write_output(tmp_path_factory.mktemp("long"), records)
    render(folder)
    return folder


def choose(app: AppTab, label: str, value: str) -> None:
    app.page.get_by_label(label, exact=True).select_option(value)
    app.settle()


def test_the_app_takes_the_place_of_the_printed_rows(night: Path, app: AppTab) -> None:
    page = app.open(night)
    assert not page.locator("#images").is_visible()
    assert app.shown == "46 images"
    assert app.paths
    assert app.complaints == []


def test_a_card_shows_pictures_bars_flags_facts_and_file(night: Path, app: AppTab) -> None:
    page = app.open(night, "#row=n0")
    card = page.locator("#app .card").first
    assert card.locator("img").count() == 2
    page.wait_for_function("[...document.querySelectorAll('#app .card img')][1].naturalWidth > 200")
    assert card.locator(".probabilities tr").count() == 3
    assert float(card.locator("rect:not(.track)").first.get_attribute("width") or 0) > 20
    assert "could be of several classes" in card.locator(".flags").inner_text()
    assert card.locator("[data-slot=path]").inner_text().endswith(".dcm")
    assert "CHEST" in card.locator("[data-slot=facts]").inner_text()


@pytest.mark.parametrize("width", [390, 768, 1400])
def test_nothing_of_a_card_is_cut_off(width: int, night: Path, app: AppTab) -> None:
    app.page.set_viewport_size({"width": width, "height": 3000})
    page = app.open(night)
    page.locator("#app").scroll_into_view_if_needed()
    app.settle()
    page.wait_for_function("!document.querySelector('.view .card.waiting')")
    cut = page.evaluate(
        """() => [...document.querySelectorAll('.view .card')].filter(
            card => card.scrollHeight > card.clientHeight + 1).map(card => card.textContent)"""
    )
    assert cut == []


@pytest.mark.parametrize(
    ("label", "value", "count"),
    [
        ("Class", "Covid-19", "1 of 46 images"),
        ("Worklist", "uncertain", "13 of 46 images"),
        ("Review", "no", "46 of 46 images"),
    ],
)
def test_a_filter_leaves_what_it_says(
    label: str, value: str, count: str, night: Path, app: AppTab
) -> None:
    page = app.open(night)
    option = page.get_by_label(label, exact=True).locator(f"option[value='{value}']")
    said = (option.text_content() or "").rsplit("(", 1)[1].rstrip(")")
    choose(app, label, value)
    assert app.shown == count
    assert count.startswith(f"{said} of")


def test_filters_of_status_flag_reason_and_ranges(night: Path, app: AppTab) -> None:
    page = app.open(night)
    page.get_by_text("More filters").click()
    choose(app, "Status", "rejected")
    assert app.shown == "4 of 46 images"
    choose(app, "Flag or reason", "r:turned")
    assert app.shown == "1 of 46 images"
    page.get_by_role("button", name="Clear filters").click()
    choose(app, "Flag or reason", "f:view_missing")
    flags = page.locator(".view .card .flags").all_inner_texts()
    assert flags
    assert all("does not state the view" in text for text in flags)
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_label("Confidence from per cent").fill("90")
    app.settle()
    sure = page.locator(".view .confidence").all_inner_texts()
    assert all(float(text.strip("> %")) >= 90 for text in sure)
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_label("Lung focus to per cent").fill("41")
    app.settle()
    assert "outside the lungs" in page.locator(".view .card .flags").first.inner_text()


def test_counts_of_a_filter_follow_the_other_filters(night: Path, app: AppTab) -> None:
    page = app.open(night, "#need=rejected")
    options = page.get_by_label("Worklist", exact=True).locator("option").all_text_contents()
    assert "failed, not read (2)" in options  # what choosing it instead would show
    classes = page.get_by_label("Class", exact=True).locator("option").all_text_contents()
    assert "Normal (0)" in classes


@pytest.mark.parametrize(
    ("words", "count"),
    [("P012", 2), ("ward-1 IM00", 8), ("WARD-1 im00", 8), ("turned", 3), ("no such thing", 0)],
)
def test_words_are_found_in_paths_flags_and_reasons(
    words: str, count: int, night: Path, app: AppTab
) -> None:
    page = app.open(night)
    page.get_by_label("Find").fill(words)
    app.settle()
    found = int(app.shown.split()[0])
    assert found == count if words != "turned" else found >= count
    assert all(words.split()[0].lower() in path.lower() for path in app.paths if "ward" in words)


def test_a_patient_is_found_by_the_pseudonym(night: Path, app: AppTab) -> None:
    page = app.open(night, "#layout=table")
    patient = page.locator("td.patient").first.inner_text()
    page.get_by_label("Find").fill(patient)
    app.settle()
    assert set(page.locator("td.patient").all_inner_texts()) == {patient}


def test_rows_can_be_sorted(long: Path, app: AppTab) -> None:
    app.open(long)
    choose(app, "Sort by", "unsure")
    assert app.paths[0] == f"{ROWS - 1:04}.dcm"
    choose(app, "Sort by", "sure")
    assert app.paths[0] == "0000.dcm"
    choose(app, "Sort by", "path")
    assert app.paths == sorted(app.paths)


def test_a_heading_of_the_table_sorts_both_ways(long: Path, app: AppTab) -> None:
    page = app.open(long, "#layout=table")
    heading = page.locator("th", has_text="Confidence")
    heading.locator("button").click()
    app.settle()
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("Confidence")
    assert app.paths[0] == f"{ROWS - 1:04}.dcm"
    page.locator("th", has_text="Confidence").locator("button").click()
    app.settle()
    assert app.paths[0] == "0000.dcm"


def test_cards_and_table_show_the_same_rows(night: Path, app: AppTab) -> None:
    page = app.open(night, "#need=positive")
    cards = app.paths
    page.get_by_role("button", name="Table").click()
    app.settle()
    assert app.paths == cards
    assert page.locator("table.rows").get_attribute("aria-rowcount") == str(len(cards) + 1)


def test_a_view_is_a_link(night: Path, app: AppTab) -> None:
    page = app.open(night)
    choose(app, "Class", "Normal")
    choose(app, "Sort by", "sure")
    page.get_by_role("button", name="Table").click()
    app.press("j", "j")
    app.settle()
    link, shown, current = page.url, app.shown, app.current
    assert current
    page.goto("about:blank")
    page.goto(link)
    app.settle()
    assert (app.shown, app.current) == (shown, current)
    assert page.locator("th[aria-sort]").inner_text().startswith("Confidence")
    assert page.get_by_label("Class", exact=True).input_value() == "Normal"


def test_the_back_button_goes_back(night: Path, app: AppTab) -> None:
    page = app.open(night)
    choose(app, "Class", "Normal")
    some = app.shown
    choose(app, "Worklist", "rest")
    page.go_back()
    app.settle()
    assert app.shown == some
    page.go_back()
    app.settle()
    assert app.shown == "46 images"
    page.go_forward()
    app.settle()
    assert app.shown == some


@pytest.mark.parametrize("place", ["#class=%", "#group=none&sort=x&conf=a-b&row=n99", "#nothing"])
def test_a_link_that_makes_no_sense_breaks_nothing(place: str, night: Path, app: AppTab) -> None:
    app.open(night, place)
    assert "46 images" in app.shown
    assert app.complaints == []


def test_the_first_screen_leads_to_groups_of_the_worklist(night: Path, app: AppTab) -> None:
    page = app.open(night)
    page.locator("a[data-need=uncertain]").first.click()
    app.settle()
    assert app.shown == "13 of 46 images"
    assert "need=uncertain" in page.url


@pytest.mark.parametrize("layout", ["cards", "table"])
def test_only_rows_near_the_window_exist(layout: str, long: Path, app: AppTab) -> None:
    page = app.open(long, f"#layout={layout}&sort=path")
    page.locator("#app").scroll_into_view_if_needed()
    app.settle()
    assert 0 < len(app.paths) < 60
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_function(
        f"document.querySelector('.view').textContent.includes('{ROWS - 1:04}.dcm')"
    )
    assert len(app.paths) < 60
    assert "0000.dcm" not in app.paths


def test_details_are_loaded_when_they_are_about_to_be_seen(long: Path, app: AppTab) -> None:
    loaded: list[str] = []
    app.page.on("request", lambda request: loaded.append(request.url.rsplit("/", 1)[1]))
    page = app.open(long)
    page.locator("#app").scroll_into_view_if_needed()
    app.settle()
    assert "rows-0001.js" in loaded
    assert "rows-0002.js" not in loaded
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    app.settle()
    assert loaded.count("rows-0002.js") == 1


def test_moving_by_keyboard_brings_rows_into_the_window(long: Path, app: AppTab) -> None:
    page = app.open(long, "#layout=table&sort=path")
    app.press(*"j" * 40)
    assert app.current == "0039.dcm"
    box = page.locator(".current").bounding_box()
    covered = page.locator(".toolbar").bounding_box()
    assert box is not None
    assert covered is not None
    assert covered["y"] + covered["height"] <= box["y"] <= 900 - box["height"]
    app.press(*"k" * 39)
    assert app.current == "0000.dcm"


def test_a_list_too_long_for_a_browser_comes_in_parts(tmp_path: Path, app: AppTab) -> None:
    records = [judged(f"{n:04}.dcm") for n in range(100)]
    index = render(write_output(tmp_path, records))
    script = index.parent / "app.js"
    made = script.read_text(encoding="utf-8")
    assert made.count("8_000_000") == 1
    script.write_text(made.replace("8_000_000", "2_000"), encoding="utf-8")  # about 38 lines
    page = app.open(tmp_path, "#layout=table&sort=path")
    parts = page.get_by_role("navigation", name="Parts of the list")
    assert "1 to 38" in parts.inner_text()
    parts.get_by_role("button", name="next").click()
    app.settle()
    assert app.paths[0] == "0038.dcm"
    app.press("j")
    assert app.current == "0038.dcm"
    app.press("k")
    assert app.current == "0037.dcm"
    assert "1 to 38" in parts.inner_text()


@pytest.mark.parametrize("added", [["b2.dcm"], []])
def test_details_of_another_report_are_not_shown(
    added: list[str], tmp_path: Path, app: AppTab
) -> None:
    # Beside a page that is open, the report is made anew, and a row has come in between: the first
    # row of the piece is the same, and those behind it would have their neighbour's picture.
    old, new = (
        render(write_output(tmp_path / name, [judged(path) for path in paths], pictures=True))
        for name, paths in (
            ("old", ["a.dcm", "b.dcm", "c.dcm"]),
            ("new", ["a.dcm", "b.dcm", *added, "c.dcm"]),
        )
    )
    shutil.copy(new.parent / "data/rows-0001.js", old.parent / "data/rows-0001.js")
    page = app.open(tmp_path / "old", "#row=n0")
    assert page.get_by_text("made anew while this page was open: reload it").is_visible()
    assert page.locator("#app .card img[src]").count() == 0


def test_a_piece_that_lacks_rows_is_not_shown(tmp_path: Path, app: AppTab) -> None:
    index = render(write_output(tmp_path, [judged("a.dcm"), judged("b.dcm")], pictures=True))
    rows = index.parent / "data" / "rows-0001.js"
    text = rows.read_text(encoding="ascii")
    rows.write_text(text[: text.rindex(',{"sha256"')] + text[text.rindex("]") :])
    page = app.open(tmp_path)
    assert page.get_by_text("made anew while this page was open: reload it").is_visible()
    assert page.locator("#app .card img[src]").count() == 0


def test_every_row_of_a_tall_window_has_its_details(
    tmp_path: Path, app: AppTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a large report sorted by path: each row on the screen lies in another piece.
    monkeypatch.setattr("scanner.report_index.ROWS_PER_PIECE", 1)
    records = [judged(f"{n:03}.dcm", confidence=0.9 - n / 1000) for n in range(90)]
    render(write_output(tmp_path, records, pictures=True))
    app.page.set_viewport_size({"width": 1400, "height": 3000})
    page = app.open(tmp_path, "#sort=path&layout=table")
    page.locator("#app").evaluate("app => app.scrollIntoView()")
    page.wait_for_timeout(2000)
    drawn = ".rows tr[aria-rowindex]:has(td)"
    assert page.locator(drawn).count() > 30
    assert page.locator(f"{drawn}:not(.waiting) img[src]").count() >= page.locator(drawn).count()
    assert page.locator(f"{drawn}.waiting, {drawn} img[hidden]").count() == 0


def test_a_range_may_end_at_nought(night: Path, app: AppTab) -> None:
    page = app.open(night)
    page.get_by_text("More filters").click()
    page.get_by_label("Confidence to per cent").fill("0")
    app.settle()
    assert app.shown == "0 of 46 images"
    assert "conf=-0" in page.url


def test_without_its_index_the_printed_page_stays_and_says_why(tmp_path: Path, app: AppTab) -> None:
    index = render(write_output(tmp_path, [judged("a.dcm")]))
    (index.parent / "data" / "index.js").unlink()
    app.page.goto(index.as_uri())
    app.page.get_by_text("data/index.js cannot be loaded").wait_for()
    assert app.page.locator("#images article").is_visible()
    assert not app.page.locator("#app").is_visible()


def test_a_missing_file_of_details_is_said_where_they_would_be(tmp_path: Path, app: AppTab) -> None:
    index = render(write_output(tmp_path, [judged("a.dcm"), judged("b.dcm")]))
    (index.parent / "data" / "rows-0001.js").unlink()
    page = app.open(tmp_path, "#row=n0")
    assert "rows-0001.js cannot be loaded" in page.locator(".view .card").first.inner_text()
    assert app.paths == ["a.dcm", "b.dcm"]


def test_a_file_of_details_that_comes_late_is_asked_for_again(tmp_path: Path, app: AppTab) -> None:
    index = render(write_output(tmp_path, [judged("a.dcm"), judged("b.dcm")], pictures=True))
    rows = index.parent / "data" / "rows-0001.js"
    away = rows.rename(tmp_path / "away.js")
    page = app.open(tmp_path, "#row=n0")
    assert "rows-0001.js cannot be loaded" in page.locator(".view .card").first.inner_text()
    away.rename(rows)
    page.wait_for_timeout(5200)
    app.press("j")
    assert "rows-0001.js cannot be loaded" not in page.locator(".view").inner_text()
    assert page.locator(".view .card img[src]").count() == 4


def test_hostile_texts_do_nothing_in_any_view(tmp_path: Path, app: AppTab) -> None:
    index = hostile_page(tmp_path, HOSTILE)
    folder = index.parents[1]
    for place in ("#row=n0", "#layout=table&row=n1", "#row=n2&open=1"):
        page = app.open(folder, place)
        title = page.title()
        for _ in range(4):
            app.press("j")
        assert page.title() == title
        assert page.evaluate("document.querySelectorAll('#app script, #app iframe').length") == 0
    page.keyboard.press("Escape")
    for text in HOSTILE:
        page.get_by_label("Find").fill(text.replace("\0", "").splitlines()[0])
        app.settle()
    assert app.complaints == []


def test_the_app_needs_no_more_than_its_policy_allows(night: Path, app: AppTab) -> None:
    page = app.open(night)
    policy = page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content") or ""
    assert "unsafe" not in policy
    assert (
        page.evaluate("document.querySelectorAll('#app [onclick], #app [style*=url]').length") == 0
    )
    assert page.locator("script").count() == 1  # those of data are taken away again
    assert app.complaints == []


@pytest.mark.parametrize("width", [320, 390, 768, 1000, 1400])
@pytest.mark.parametrize("place", ["", "#layout=table", "#row=n0&open=1"])
def test_nothing_makes_the_app_scroll_sideways(
    width: int, place: str, night: Path, app: AppTab
) -> None:
    app.page.set_viewport_size({"width": width, "height": 844})
    page = app.open(night, place)
    assert page.evaluate(OVERFLOW) == [0, []]


def test_paper_gets_the_printed_pages(night: Path, app: AppTab) -> None:
    page = app.open(night, "#layout=table")
    page.emulate_media(media="print")
    assert page.locator("#images article").count() == 40
    assert page.locator("#images article").first.is_visible()
    assert not page.locator("#app").is_visible()


def test_the_light_theme_is_kept(night: Path, app: AppTab) -> None:
    page = app.open(night)
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Light theme").click()
    light = page.evaluate(ground)
    assert dark != light
    app.open(night)
    assert page.evaluate(ground) == light


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize(("name", "width"), [("desktop", 1400), ("phone", 390)])
@pytest.mark.parametrize(
    ("what", "place"),
    [("cards", "#row=n1"), ("table", "#layout=table&row=n1"), ("lightbox", "#row=n1&open=1")],
)
def test_pictures_of_the_app_are_kept_for_people_to_look_at(
    what: str, place: str, name: str, width: int, theme: str, night: Path, app: AppTab
) -> None:
    page = app.page
    page.set_viewport_size({"width": width, "height": 900})
    app.open(night)
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    page.evaluate(f"location.hash = '{place}'")
    app.settle()
    if what == "lightbox":
        app.press(" ")
    else:
        page.evaluate("document.querySelector('#app').scrollIntoView()")
    page.wait_for_timeout(400)
    ARTEFACTS.mkdir(exist_ok=True)
    target = ARTEFACTS / f"app-{what}-{name}-{theme}.png"
    page.screenshot(path=target)
    assert target.stat().st_size > 20_000
