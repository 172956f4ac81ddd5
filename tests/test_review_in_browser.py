"""Reviewing by keyboard in Chromium: what is decided is kept, exported, and taken in again."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from report_app import MARKS, AppTab, open_tab, watch
from report_samples import HOSTILE, file_hash, judged, rejected, write_output

from scanner.output import REVIEWED
from scanner.report import render
from scanner.review import merge

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = MARKS

HEADER = ["path", "sha256", "decision", "agrees", "reviewer", "decided_at", "seconds", "note"]
HEADER += ["model"]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four positive images, one normal, one rejected; in this order."""
    records = [judged(f"{n}.dcm", "Pneumonia", 0.6 + n / 100) for n in range(4)]
    records += [judged("n.dcm"), rejected("r.dcm")]
    folder = write_output(tmp_path_factory.mktemp("scan"), records, pictures=True)
    render(folder)
    return folder


def begin(app: AppTab, scan: Path, name: str = "Dr B") -> None:
    """Open the report with the reader's name known."""
    app.open(scan)
    app.page.evaluate(f"localStorage.setItem('cxr-scan/reviewer', {name!r})")


def exported(app: AppTab) -> list[dict[str, str]]:
    with app.page.expect_download() as download:
        app.page.get_by_role("button", name="Export decisions.csv").click()
    text = download.value.path().read_text(encoding="utf-8")
    assert download.value.suggested_filename == "decisions.csv"
    found = csv.DictReader(io.StringIO(text, newline=""))
    assert found.fieldnames == HEADER
    return list(found)


def imported(app: AppTab, path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8", newline="")
    app.page.locator("input[type=file]").set_input_files(path)
    app.settle()
    return app.page.locator(".review .message").inner_text()


def as_csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, HEADER)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def rename(app: AppTab, name: str) -> None:
    app.page.get_by_role("button", name="Change the name").click()
    app.page.get_by_label("Name or initials").fill(name)
    app.press("Enter")


def said(app: AppTab) -> str:
    return app.page.locator(".review .progress").inner_text()


def test_keys_move_and_decide(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("j", "1", "j", "a", "j", "x", "j", "0")
    assert app.current == "3.dcm"
    assert "4 of 6 reviewed, 1 agree with the model" in said(app)
    decided = {row["path"]: (row["decision"], row["agrees"]) for row in exported(app)}
    assert decided == {
        "0.dcm": ("Covid-19", "no"),
        "1.dcm": ("Pneumonia", "yes"),
        "2.dcm": ("", "no"),
        "3.dcm": ("unclear", "no"),
    }
    assert app.complaints == []


def test_k_goes_back_and_the_ends_are_ends(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("j", "j", "k", "k", "k")
    assert app.current == "0.dcm"
    app.press(*"jjjjjjjjj")
    assert app.current == "r.dcm"


def test_naming_the_predicted_class_agrees(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("j", "3")
    assert exported(app)[0]["agrees"] == "yes"


def test_x_keeps_the_class_that_was_named(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("j", "1", "x")
    (row,) = exported(app)
    assert (row["decision"], row["agrees"]) == ("Covid-19", "no")


def test_keys_decide_nothing_on_an_image_that_a_filter_took_away(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("j")
    app.page.get_by_label("Class", exact=True).select_option("Normal")
    app.settle()
    app.press("1", "a", "x")
    assert "0 of 6 reviewed" in said(app)


def test_u_goes_to_what_is_not_reviewed(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("j", "a", "j", "a", "k", "u")
    assert app.current == "2.dcm"
    app.press("a", "u", "a", "u", "a", "u", "a", "u")
    assert "6 of 6 reviewed" in said(app)
    assert app.page.locator("#spoken").inner_text() == "All of these images are reviewed."


def test_z_takes_back_one_after_the_other(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("j", "1", "2", "j", "a", "z")
    assert [row["decision"] for row in exported(app)] == ["Normal"]
    app.press("z")
    assert [row["decision"] for row in exported(app)] == ["Covid-19"]
    assert app.current == "0.dcm"
    app.press("z", "z")
    assert "0 of 6 reviewed" in said(app)


def test_a_note_is_kept_with_and_without_a_decision(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("j", "n")
    app.page.keyboard.type('ask "Dr A", then\n=SUM(1) j a 1')
    app.press("Escape", "j", "n")
    app.page.keyboard.type("=cmd|x")
    app.press("Escape", "a")
    assert app.current == "1.dcm"  # keys in a note are text
    notes = {row["path"]: (row["note"], row["agrees"]) for row in exported(app)}
    assert notes == {
        "0.dcm": ('ask "Dr A", then =SUM(1) j a 1', ""),
        "1.dcm": ("'=cmd|x", "yes"),
    }
    assert "1 of 6 reviewed" in said(app)


def test_a_note_left_by_moving_on_stays_with_its_image(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("j", "n")
    app.page.keyboard.type("left lower lobe")
    app.page.locator(".view .card").nth(2).locator("h3").click()
    app.settle()
    assert [(row["path"], row["note"]) for row in exported(app)] == [("0.dcm", "left lower lobe")]
    assert app.page.get_by_label("Note").input_value() == ""


def test_the_name_is_asked_once(scan: Path, app: AppTab) -> None:
    page = app.open(scan)
    app.press("j", "1")
    page.keyboard.type("Dr Bärbel, 2nd")
    app.press("Enter", "j", "a")
    assert [row["reviewer"] for row in exported(app)] == ["Dr Bärbel, 2nd"] * 2


def test_without_a_name_nothing_is_decided(scan: Path, app: AppTab) -> None:
    app.open(scan)
    app.press("j", "1", "Escape")
    assert "0 of 6 reviewed" in said(app)
    assert "needs a name" in app.page.locator("#spoken").inner_text()


def test_decisions_survive_closing(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("j", "1", "j", "a")
    context = app.page.context
    app.page.close()
    again = watch(context.new_page())
    again.open(scan)
    assert "2 of 6 reviewed" in said(again)
    marks = again.page.locator(".view .decision").all_inner_texts()
    assert marks[:3] == ["✗ Covid-19", "✓ Pneumonia", ""]


def test_two_tabs_add_to_each_other(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    other = watch(app.page.context.new_page())
    other.open(scan)
    app.press("j", "1")
    other.press("j", "j", "2")
    app.press("j", "j", "a")
    for tab in (app, other):
        tab.settle()
        assert [row["path"] for row in exported(tab)] == ["0.dcm", "1.dcm", "2.dcm"]


def test_decisions_are_of_one_run(scan: Path, tmp_path: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("j", "1")
    records = [judged(f"{n}.dcm", "Pneumonia") for n in range(3)]
    render(write_output(tmp_path, records, root="/mnt/another-folder"))
    app.open(tmp_path)
    assert "0 of 3 reviewed" in said(app)


def test_the_export_has_what_the_merge_needs(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("j")
    app.page.wait_for_timeout(1200)
    app.press("1")
    (row,) = exported(app)
    assert row["sha256"] == file_hash("0.dcm")
    assert row["reviewer"] == "Dr B"
    assert row["model"] == "20ee48f61273"
    assert row["decided_at"].endswith("Z")
    assert 1.0 <= float(row["seconds"]) < 30


def test_time_away_from_the_screen_is_not_counted(scan: Path, app: AppTab) -> None:
    app.page.clock.install()
    begin(app, scan)
    app.page.keyboard.press("j")
    app.page.clock.run_for(10_000)
    app.page.mouse.move(300, 300)
    app.page.clock.run_for(3_600_000)  # lunch
    app.page.keyboard.press("1")
    app.page.clock.run_for(1000)
    seconds = float(exported(app)[0]["seconds"])
    assert 65 <= seconds <= 85  # the ten, and a minute at most of the pause


def test_time_in_another_window_is_not_counted(scan: Path, app: AppTab) -> None:
    app.page.clock.install()
    begin(app, scan)
    app.page.keyboard.press("j")
    app.page.clock.run_for(5_000)
    app.page.evaluate("window.dispatchEvent(new Event('blur'))")
    app.page.clock.run_for(50_000)
    app.page.evaluate("window.dispatchEvent(new Event('focus'))")
    app.page.clock.run_for(2_000)
    app.page.keyboard.press("1")
    app.page.clock.run_for(1000)
    assert 6.5 <= float(exported(app)[0]["seconds"]) <= 12


def test_an_export_taken_in_elsewhere_is_the_same(
    scan: Path, tmp_path: Path, app: AppTab, browser: "Browser"
) -> None:
    begin(app, scan)
    app.press("j", "1", "n")
    app.page.keyboard.type("a, \"b\"; 'c'")
    app.press("Escape", "j", "a", "j", "x")
    rows = exported(app)
    for tab in open_tab(browser):
        tab.open(scan)
        said_of_it = imported(tab, tmp_path / "d.csv", as_csv(rows))
        assert said_of_it == "3 decisions taken in."
        assert exported(tab) == rows
        assert "3 known already" in imported(tab, tmp_path / "d.csv", as_csv(rows))


def test_decisions_of_other_readers_and_images_are_left_out(
    scan: Path, tmp_path: Path, app: AppTab
) -> None:
    begin(app, scan)
    lines = [
        ",".join(HEADER),
        f"0.dcm,{file_hash('0.dcm')},Normal,no,dr b,2026-11-20T08:00:00.000Z,3.0,,m",
        f"1.dcm,{file_hash('1.dcm')},Normal,no,Dr A,2026-11-20T08:00:00.000Z,3.0,,m",
        f"2.dcm,{file_hash('9.dcm')},Normal,no,Dr B,2026-11-20T08:00:00.000Z,3.0,,m",
        f"3.dcm,{file_hash('3.dcm')},<b>,no,Dr B,2026-11-20T08:00:00.000Z,3.0,,m",
    ]
    message = imported(app, tmp_path / "d.csv", "\r\n".join(lines))
    assert "1 decisions taken in" in message
    assert "1 of other readers left out" in message
    assert "2 that do not fit this report" in message
    assert [row["path"] for row in exported(app)] == ["0.dcm"]


def test_two_readers_at_one_browser_keep_their_own(scan: Path, app: AppTab) -> None:
    begin(app, scan, "Dr A")
    app.press("j", "1", "n")
    app.page.keyboard.type("of A")
    app.press("Escape", "j", "2")
    rename(app, "Dr B")
    assert "0 of 6 reviewed" in said(app)
    assert not any(app.page.locator(".view .decision").all_inner_texts())
    app.press("k", "3")
    assert "1 of 6 reviewed" in said(app)
    found = [(r["path"], r["reviewer"], r["decision"], r["note"]) for r in exported(app)]
    assert found == [
        ("0.dcm", "Dr A", "Covid-19", "of A"),
        ("0.dcm", "Dr B", "Pneumonia", ""),
        ("1.dcm", "Dr A", "Normal", ""),
    ]
    app.press("z", "z")  # never what another one said
    assert "0 of 6 reviewed" in said(app)
    rename(app, " dr  a")  # as the merge compares names
    assert "2 of 6 reviewed" in said(app)
    app.open(scan)
    assert "2 of 6 reviewed" in said(app)


def test_a_reader_named_in_another_tab_reads_in_this_one_too(scan: Path, app: AppTab) -> None:
    begin(app, scan, "Dr A")
    app.open(scan)
    app.press("j", "1")
    other = watch(app.page.context.new_page())
    other.open(scan)
    rename(other, "Dr/B %2F")
    app.settle()
    assert "0 of 6 reviewed" in said(app)
    app.press("2")
    assert {row["reviewer"]: row["decision"] for row in exported(other)} == {
        "Dr A": "Covid-19",
        "Dr/B %2F": "Normal",
    }
    other.open(scan)
    assert "1 of 6 reviewed" in said(other)


@pytest.mark.parametrize(
    ("changes", "message", "kept"),
    [
        ({"decided_at": "yesterday"}, "1 damaged (the first in row 2: decided_at", {}),
        ({"decided_at": "=1+1"}, "1 damaged", {}),
        ({"seconds": "-3"}, "seconds is no number", {}),
        ({"seconds": "Infinity"}, "seconds is no number", {}),
        ({"sha256": file_hash("0.dcm") + "=1"}, "sha256 is none", {}),
        ({"seconds": "12,5"}, "1 decisions taken in.", {"seconds": "12.5"}),
        (
            {"decided_at": "2026-11-20 09:00:00+01:00"},
            "1 decisions taken in.",
            {"decided_at": "2026-11-20T08:00:00.000Z"},
        ),
        (
            {"decided_at": "2026-11-20T08:00"},
            "1 decisions taken in.",
            {"decided_at": "2026-11-20T08:00:00.000Z"},
        ),
    ],
)
def test_an_import_is_checked_cell_by_cell(
    changes: dict[str, str],
    message: str,
    kept: dict[str, str],
    scan: Path,
    tmp_path: Path,
    app: AppTab,
) -> None:
    begin(app, scan)
    row = dict.fromkeys(HEADER, "") | {"path": "0.dcm", "sha256": file_hash("0.dcm")}
    row |= {"decision": "Normal", "agrees": "no", "reviewer": "Dr B", "seconds": "3.0"}
    row |= {"decided_at": "2026-11-20T08:00:00Z", **changes}
    assert message in imported(app, tmp_path / "d.csv", as_csv([row]))
    if kept:
        (found,) = exported(app)
        assert kept.items() <= found.items()
    else:
        assert "0 of 6 reviewed" in said(app)


def test_the_later_of_two_times_stands_whatever_their_zones(
    scan: Path, tmp_path: Path, app: AppTab
) -> None:
    begin(app, scan)
    row = dict.fromkeys(HEADER, "") | {"path": "0.dcm", "sha256": file_hash("0.dcm")}
    row |= {"agrees": "no", "reviewer": "Dr B", "seconds": "3.0"}
    later = row | {"decision": "Normal", "decided_at": "2026-11-20T08:00:00Z"}
    early = row | {"decision": "Covid-19", "decided_at": "2026-11-20T08:30:00+01:00"}
    imported(app, tmp_path / "d.csv", as_csv([later, early]))
    assert [found["decision"] for found in exported(app)] == ["Normal"]


def test_backslashes_survive_the_merge_and_the_way_back(tmp_path: Path, app: AppTab) -> None:
    note = "'see \\\\server\\x41 \\\\ \u202eü"
    folder = write_output(tmp_path / "scan", [judged(" a\\b.dcm ")])
    render(folder)
    begin(app, folder, "\\Dr")
    app.press("j", "n")
    app.page.get_by_label("Note").fill(note)
    app.press("Escape", "1")
    rows = exported(app)
    (tmp_path / "d.csv").write_text(as_csv(rows), encoding="utf-8", newline="")
    merge(folder, [tmp_path / "d.csv"])
    back = (folder / REVIEWED).read_text(encoding="utf-8")
    app.page.evaluate("localStorage.clear()")
    app.open(folder)
    assert imported(app, tmp_path / "e.csv", back) == "1 decisions taken in."
    app.press("j")
    assert app.page.get_by_label("Note").input_value() == note
    assert exported(app) == rows


def test_an_imported_decision_outlives_its_note(scan: Path, tmp_path: Path, app: AppTab) -> None:
    begin(app, scan)
    row = dict.fromkeys(HEADER, "") | {"path": "0.dcm", "sha256": file_hash("0.dcm")}
    row |= {"decision": "Normal", "reviewer": "Dr B", "decided_at": "2026-11-20", "note": "x"}
    imported(app, tmp_path / "d.csv", as_csv([row]))
    app.press("j", "n", "Backspace", "Escape")
    assert [(r["decision"], r["note"]) for r in exported(app)] == [("Normal", "")]


def test_a_note_being_typed_is_kept_when_the_page_goes(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("j", "n")
    app.page.keyboard.type("not left yet")
    app.open(scan)
    assert [(row["path"], row["note"]) for row in exported(app)] == [("0.dcm", "not left yet")]


def test_the_back_button_leaves_a_note_with_its_image(scan: Path, app: AppTab) -> None:
    app.page.clock.install()
    begin(app, scan)
    page = app.page
    for row in ("n1", "n0"):
        page.evaluate(f"location.hash = '#row={row}'")
        page.clock.run_for(1000)
    assert app.current == "0.dcm"
    page.keyboard.press("n")
    page.keyboard.type("of nought")
    page.go_back()
    page.clock.run_for(1000)
    assert app.current == "1.dcm"
    assert page.get_by_label("Note").input_value() == ""
    page.clock.run_for(20_000)
    page.mouse.move(300, 300)
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    page.clock.run_for(1000)
    rows = {row["path"]: row for row in exported(app)}
    assert (rows["0.dcm"]["note"], rows["1.dcm"]["note"]) == ("of nought", "")
    assert float(rows["1.dcm"]["seconds"]) >= 20


def test_decisions_are_forgotten_after_an_export_only(scan: Path, app: AppTab) -> None:
    begin(app, scan, "Dr A")
    app.press("j", "1")
    rename(app, "Dr B")
    app.press("2")
    page = app.page
    page.evaluate("localStorage.setItem('cxr-scan/0123456789abcdef/dr a//x', '{}')")
    forget = page.get_by_role("button", name="Forget these decisions")
    forget.click()
    dialog = page.get_by_role("dialog", name="Forget these decisions?")
    assert "decisions on this scan (2)" in dialog.inner_text()
    assert dialog.get_by_role("button", name="Forget").is_disabled()
    dialog.get_by_role("button", name="Cancel").click()
    assert len(exported(app)) == 2
    forget.click()
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Export").click()
    assert download.value.path().read_text(encoding="utf-8").count("\n") == 3
    dialog.get_by_role("button", name="Forget").click()
    app.settle()
    assert "0 of 6 reviewed" in said(app)
    kept = page.evaluate("Object.keys(localStorage).sort()")
    assert kept == ["cxr-scan/0123456789abcdef/dr a//x", "cxr-scan/reviewer"]


@pytest.mark.parametrize("text", ["", "a,b\r\n1,2\r\n", "\x00\xff", "path,sha256\r\n"])
def test_what_is_no_decisions_csv_is_refused(
    text: str, scan: Path, tmp_path: Path, app: AppTab
) -> None:
    begin(app, scan)
    assert "no decisions.csv" in imported(app, tmp_path / "d.csv", text)
    assert app.complaints == []


def test_a_row_stays_in_sight_when_it_no_longer_fits_the_filter(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.page.evaluate("location.hash = '#review=no'")
    app.settle()
    app.press("j", "a")
    assert app.current == "0.dcm"
    app.press("j")
    assert app.current == "1.dcm"
    app.page.reload()
    app.settle()
    assert app.shown == "5 of 6 images"


def test_reviews_can_be_filtered_by_their_outcome(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("j", "a", "j", "1", "j", "2")
    app.page.evaluate("location.hash = '#review=disagree'")
    app.settle()
    assert app.paths == ["1.dcm", "2.dcm"]


def test_a_browser_that_keeps_nothing_says_so(scan: Path, app: AppTab) -> None:
    app.page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('denied'); }})"
    )
    app.open(scan)
    assert "keeps nothing" in app.page.locator(".review .warning").inner_text()
    app.press("j", "1")
    app.page.keyboard.type("B")
    app.press("Enter")
    assert [row["decision"] for row in exported(app)] == ["Covid-19"]


def test_a_full_store_says_so_and_loses_nothing(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("j", "1")
    app.page.evaluate(
        "for (let n = 2 ** 22; n; n >>= 1) { try { for (let i = 0; i < 9; i++) "
        "localStorage.setItem('x' + n + i, 'x'.repeat(n)); } catch {} }"
    )
    app.press("j", "2")
    assert "no room" in app.page.locator(".review .warning").inner_text()
    assert [row["path"] for row in exported(app)] == ["0.dcm", "1.dcm"]


def test_what_is_damaged_in_the_store_is_passed_over(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("j", "1", "j", "2")
    app.page.evaluate(
        """() => {
            const keys = Object.keys(localStorage).filter(key => key.endsWith('/0.dcm'));
            localStorage.setItem(keys[0], '{"decision": 1}');
            localStorage.setItem(keys[0] + 'x', '{');
        }"""
    )
    app.open(scan)
    assert "1 of 6 reviewed" in said(app)
    assert app.complaints == []


def test_hostile_notes_and_paths_come_through_export_and_import(
    tmp_path: Path, app: AppTab
) -> None:
    records = [judged(f"{n:02} {text}".replace("/", "")) for n, text in enumerate(HOSTILE)]
    folder = write_output(tmp_path / "scan", records)
    render(folder)
    begin(app, folder)
    title = app.page.title()
    for text in HOSTILE:
        app.press("j", "n")
        app.page.get_by_label("Note").fill(text.encode("utf-8", "replace").decode())
        app.press("Escape")
    rows = exported(app)
    assert len(rows) == len(HOSTILE)
    assert not any(row["note"].startswith(tuple("=+-@")) for row in rows)
    app.page.evaluate("localStorage.clear()")
    app.open(folder)
    message = imported(app, tmp_path / "d.csv", as_csv(rows))
    assert message == f"{len(HOSTILE)} decisions taken in."
    assert app.page.title() == title
    assert app.complaints == []


def test_the_panel_never_lies_over_a_picture(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    for width in (390, 800, 1000, 1400):
        app.page.set_viewport_size({"width": width, "height": 800})
        for place in ("#row=n1", "#row=n1&open=1"):
            app.open(scan, place)
            overlaps = app.page.evaluate(
                """() => {
                    const box = e => e.getBoundingClientRect();
                    const panel = box(document.querySelector('.review.panel'));
                    const shown = document.querySelectorAll(
                        document.querySelector('dialog[open]') ? '.stage' : '.view img');
                    return [...shown].map(box).filter(b => b.width && b.left < panel.right - 1
                        && b.right > panel.left + 1 && b.top < panel.bottom - 1
                        && b.bottom > panel.top + 1).length;
                }"""
            )
            assert overlaps == 0, (width, place)


def test_the_keys_are_listed(scan: Path, app: AppTab) -> None:
    begin(app, scan)
    app.press("?")
    dialog = app.page.get_by_role("dialog", name="Keys")
    assert dialog.is_visible()
    assert "next unreviewed image" in dialog.inner_text()
    app.press("1", "Escape")
    assert not dialog.is_visible()
    assert "0 of 6 reviewed" in said(app)
