"""The lightbox in Chromium: one image in full, with its heat map, window, zoom, and neighbours."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from report_app import MARKS, AppTab, open_tab
from report_samples import judged, phantom, rejected, write_output

from scanner import output
from scanner.report import render

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = MARKS


def style(app: AppTab, selector: str, name: str) -> str:
    found: str = app.page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).{name}")
    return found


def grey(app: AppTab) -> float:
    """The mean grey level of what the stage shows, 0 to 255."""
    import cv2
    import numpy as np

    box = app.page.locator(".stage").bounding_box()
    assert box is not None
    middle = {"x": box["x"] + box["width"] / 2 - 100, "y": box["y"] + 150}
    shot = app.page.screenshot(clip={**middle, "width": 200, "height": 200})  # type: ignore[typeddict-item]
    return float(cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_GRAYSCALE).mean())


def test_enter_and_a_click_open_it_and_escape_closes(night: Path, app: AppTab) -> None:
    page = app.open(night)
    dialog = page.locator("dialog.lightbox")
    app.press("j", "Enter")
    assert dialog.is_visible()
    app.press("Escape")
    assert not dialog.is_visible()
    page.locator(".view .card img").nth(3).click()
    app.settle()
    assert dialog.is_visible()
    assert page.locator(".bar-top .where").inner_text() == "2 of 46"
    page.wait_for_function("document.querySelector('.stage .plain').naturalWidth > 200")
    assert app.complaints == []


def test_the_focus_is_held_and_given_back(night: Path, app: AppTab) -> None:
    page = app.open(night)
    app.press("j", "j", "Enter")
    inside = """() => document.activeElement === document.body
        || document.activeElement.closest('dialog') !== null"""
    for _ in range(40):
        page.keyboard.press("Tab")
        assert page.evaluate(inside)
    page.locator(".stage").focus()  # in a note, Escape leaves the note
    app.press("Escape")
    assert page.evaluate("document.activeElement.matches('.card.current')")


def test_the_radiograph_comes_first_and_space_brings_the_heat_map(night: Path, app: AppTab) -> None:
    page = app.open(night, "#row=n0&open=1")
    assert style(app, ".overlay", "opacity") == "0"
    app.press(" ")
    assert style(app, ".overlay", "opacity") == "0.6"
    page.get_by_label("Evidence for").fill("85")
    assert style(app, ".overlay", "opacity") == "0.85"
    page.locator(".stage").focus()
    app.press(" ", " ")
    assert style(app, ".overlay", "opacity") == "0.85"


def test_it_says_what_grad_cam_is_and_is_not(night: Path, app: AppTab) -> None:
    page = app.open(night, "#row=n0&open=1")
    said = page.locator(".tools .note").inner_text()
    assert "where" in said
    assert "not show why" in said


def test_the_full_size_picture_is_taken_where_there_is_one(tmp_path: Path, app: AppTab) -> None:
    records = [judged("a.dcm", "Pneumonia", 0.5), judged("b.dcm", "Pneumonia", 0.9)]
    folder = write_output(tmp_path, records, pictures=True)
    output.detail_path(folder, records[0].sha256).write_bytes(phantom(3))
    render(folder)
    page = app.open(folder, "#row=n0&open=1")
    source = "document.querySelector('.stage .plain').getAttribute('src')"
    assert page.evaluate(source).endswith("-detail.jpg")
    app.press("j")
    assert page.evaluate(source).endswith(f"{records[1].sha256}.jpg")


def test_inverting_swaps_black_and_white(night: Path, app: AppTab) -> None:
    app.open(night, "#row=n0&open=1")
    app.page.wait_for_timeout(300)
    before = grey(app)
    app.press("i")
    assert grey(app) == pytest.approx(255 - before, abs=3)
    app.press("i")
    assert grey(app) == pytest.approx(before, abs=1)


def test_dragging_windows_the_picture_and_r_resets_it(night: Path, app: AppTab) -> None:
    page = app.open(night, "#row=n0&open=1")
    page.wait_for_timeout(300)
    before = grey(app)
    box: Any = page.locator(".stage").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 320, steps=4)
    page.mouse.up()
    app.settle()
    assert int(page.get_by_label("Level").input_value()) == 74  # 120 of 500 pixels above 50 %
    assert grey(app) < before - 30
    app.press("r")
    assert grey(app) == pytest.approx(before, abs=1)


def test_a_window_is_exact(night: Path, app: AppTab) -> None:
    """Level 60 %, window 50 %: from 35 % black to 85 % white, linear between."""
    page = app.open(night, "#row=n0&open=1")
    page.get_by_label("Level").fill("60")
    page.get_by_label("Window").fill("50")
    function = page.locator("#window feFuncG")
    assert float(function.get_attribute("slope") or 0) == pytest.approx(2)
    assert float(function.get_attribute("intercept") or 0) == pytest.approx(-0.7)


def test_wheel_and_keys_zoom_and_shift_moves(night: Path, app: AppTab) -> None:
    page = app.open(night, "#row=n0&open=1")
    assert style(app, ".film", "transform") == "matrix(1, 0, 0, 1, 0, 0)"
    app.press("+", "+")
    assert style(app, ".film", "transform").startswith("matrix(1.5625, 0, 0, 1.5625, 0, 0")
    app.press("Shift+ArrowLeft")
    assert style(app, ".film", "transform").endswith("60, 0)")
    app.press("-", "-", "-")
    assert style(app, ".film", "transform") == "matrix(1, 0, 0, 1, 0, 0)"
    box: Any = page.locator(".stage").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.wheel(0, -400)
    app.settle()
    scale, x = (float(style(app, ".film", "transform")[7:-1].split(",")[n]) for n in (0, 4))
    assert scale == pytest.approx(2.718, abs=0.01)
    # What was under the pointer is still there: it lies left of the middle, so all moves right.
    assert x == pytest.approx((box["width"] / 2 - 100) * (scale - 1), abs=2)


def test_next_and_previous_keep_window_and_heat_map(night: Path, app: AppTab) -> None:
    page = app.open(night, "#row=n0&open=1")
    app.press("i", " ", "ArrowRight")
    assert page.locator(".bar-top .where").inner_text() == "2 of 46"
    assert style(app, ".overlay", "opacity") == "0.6"
    assert page.get_by_role("button", name="Invert").get_attribute("aria-pressed") == "true"
    app.press("ArrowLeft")
    assert page.locator(".bar-top .where").inner_text() == "1 of 46"
    assert page.get_by_role("button", name="Previous").is_disabled()


def test_an_image_can_be_decided_there(night: Path, app: AppTab) -> None:
    page = app.open(night, "#row=n0&open=1")
    page.evaluate("localStorage.setItem('cxr-scan/reviewer', 'B')")
    app.press("1", "j", "a")
    assert "2 of 46 reviewed" in page.locator("dialog .progress").inner_text()
    app.press("Escape")
    assert "2 of 46 reviewed" in page.locator(".columns .progress").inner_text()


def test_the_back_button_closes_it(night: Path, app: AppTab) -> None:
    page = app.open(night)
    app.press("j", "Enter")
    page.go_back()
    app.settle()
    assert not page.locator("dialog.lightbox").is_visible()
    page.go_forward()
    app.settle()
    assert page.locator("dialog.lightbox").is_visible()


def test_an_open_image_is_a_link(night: Path, app: AppTab) -> None:
    page = app.open(night)
    app.press("j", "j", "j", "Enter")
    link = page.url
    app.open(night)
    page.goto(link)
    app.settle()
    assert page.locator(".bar-top .where").inner_text() == "3 of 46"


def test_what_was_not_judged_says_that_there_is_no_picture(tmp_path: Path, app: AppTab) -> None:
    render(write_output(tmp_path, [judged("a.dcm"), rejected("r.dcm")]))
    page = app.open(tmp_path, "#row=n1&open=1")
    assert page.locator(".stage .missing").inner_text() == "No picture."
    assert "a lateral view" in page.locator(".about").inner_text()
    assert page.get_by_label("Heat map").is_disabled()


def test_two_fingers_enlarge(night: Path, browser: "Browser") -> None:
    for app in open_tab(browser, 390, 844):
        page = app.open(night, "#row=n0&open=1")
        page.evaluate(
            """() => {
                const stage = document.querySelector('.stage');
                stage.setPointerCapture = () => {};
                const send = (type, id, x) => stage.dispatchEvent(new PointerEvent(
                    type, {pointerId: id, clientX: x, clientY: 200, bubbles: true}));
                send('pointerdown', 1, 150); send('pointerdown', 2, 250);
                send('pointermove', 2, 350);
            }"""
        )
        assert style(app, ".film", "transform").startswith("matrix(2, 0, 0, 2,")
