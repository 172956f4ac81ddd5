"""What is decided in the report's own pages is what `cxr-scan review` merges."""

import importlib.util
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from report_samples import judged
from review_samples import merged, scanned

from scanner.report import render
from scanner.review import merge
from scanner.review_lines import lines

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        shutil.which("chromium") is None, reason="chromium is not on PATH: apt-get install it"
    ),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None, reason="pip install playwright"
    ),
]


def test_decisions_made_by_keyboard_are_merged_as_they_were_made(
    tmp_path: Path, tab: "Page"
) -> None:
    odd = judged('=x, "y"\\z\x1b.dcm', "Covid-19", flags=("out_of_distribution",))
    output = scanned(tmp_path / "out", [odd])
    tab.goto(render(output).as_uri())
    tab.wait_for_selector("html.app")
    for key in "ja":
        tab.keyboard.press(key)
    tab.get_by_label("Name or initials").fill("=Dr. Ünal")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("dialog[open]", state="detached")
    for key in "jxj2":
        tab.keyboard.press(key)
    tab.keyboard.press("n")
    tab.keyboard.type('=a "note", with \\ and; more')
    tab.keyboard.press("Escape")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Export decisions.csv").click()
    download.value.save_as(tmp_path / "decisions.csv")

    said = list(lines(merge(output, [tmp_path / "decisions.csv"]), 1))
    assert said[:2] == [
        "merged: 3 new",
        "reviewed: 3 images, 3 decisions by =Dr. Ünal 3",
    ]
    # In the order of need: the two that could be of several classes, then the flagged one.
    found = {row["path"]: row for row in merged(output)}
    decided = [
        (found[path]["decision"], found[path]["agrees"])
        for path in ("u0.dcm", "u1.dcm", '\'=x, "y"\\\\z\\x1b.dcm')
    ]
    assert decided == [("unclear", "yes"), ("", "no"), ("Normal", "no")]
    assert [row["note"] for row in found.values() if row["note"]] == [
        '\'=a "note", with \\\\ and; more'
    ]
    assert all(float(row["seconds"]) >= 0 and len(row["sha256"]) == 64 for row in found.values())
