#!/usr/bin/env python3
"""How quick a large report is in a browser: report_in_browser.py [FOLDER] [--rows 100000]

FOLDER is the output folder of a scan; without it, one of so many rows is made (report_size.py,
which takes some minutes). Opens it in Chromium from its file and prints, as medians of --rounds:
when the first page can be used, how long filters take until their rows are drawn, how many
elements exist, and what memory the page takes.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

MOST_FIRST_MS, MOST_FILTER_MS = 1000, 300

# A place, and what a reader does to get there.
FILTERS = {
    "words over all rows": "#q=lungs+0",
    "words that find nothing": "#q=zzz",
    "class": "#group=Normal",
    "status and confidence": "#status=flagged&conf=50-80",
    "sort by confidence": "#sort=unsure",
    "sort by path": "#sort=path",
    "table": "#layout=table",
    "all again": "#",
}

# From the change of the address until two frames later, when its rows are on the screen.
_TIME = """async place => {
    const start = performance.now();
    location.hash = place;
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    return performance.now() - start;
}"""
# Usable: the app has counted, and the list is there to be reached.
_FIRST = """() => new Promise(done => {
    const look = () => document.querySelector('#app .shown')?.textContent
        && document.querySelector('#app .card') ? done(performance.now()) : setTimeout(look, 5);
    look();
})"""


def measured(browser: Browser, index: Path) -> dict[str, float]:
    """Open a report in a fresh profile and return what was measured, by what it is."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.goto(index.as_uri(), wait_until="commit")
    found: dict[str, float] = {"first page, ms": page.evaluate(_FIRST)}
    page.locator("#app").scroll_into_view_if_needed()
    # Typed at once: texts to search are not prepared yet.
    found["first search, ms"] = page.evaluate(_TIME, "#q=000")
    page.wait_for_timeout(3000)
    for name, place in FILTERS.items():
        found[f"{name}, ms"] = page.evaluate(_TIME, place)
    found["scroll by one window, ms"] = _scroll(page)
    found["elements of the app"] = page.evaluate("document.querySelectorAll('#app *').length")
    found["elements in all"] = page.evaluate("document.querySelectorAll('*').length")
    found["memory of scripts, MB"] = page.evaluate("performance.memory.usedJSHeapSize / 1e6")
    context.close()
    return found


def _scroll(page: Page) -> float:
    """Return the median time from scrolling by a window to the next frame but one."""
    times: list[Any] = page.evaluate(
        """async () => {
            const times = [];
            for (let n = 0; n < 30; n++) {
                const start = performance.now();
                scrollBy(0, innerHeight);
                await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
                times.push(performance.now() - start);
            }
            return times;
        }"""
    )
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="output folder of a scan")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder
        if folder is None:
            folder = Path(temporary) / "night"
            size = [sys.executable, Path(__file__).with_name("report_size.py")]
            subprocess.run([*size, "--rows", str(options.rows), "--keep", folder], check=True)
        index = (folder / "report" / "index.html").resolve()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            rounds = [measured(browser, index) for _ in range(options.rounds)]
            browser.close()
    for name in rounds[0]:
        print(f"{statistics.median(each[name] for each in rounds):10.0f}  {name}")
    filters = [statistics.median(each[f"{name}, ms"] for each in rounds) for name in FILTERS]
    first = statistics.median(each["first page, ms"] for each in rounds)
    print(f"goal: first page {MOST_FIRST_MS} ms, got {first:.0f}")
    print(f"goal: filters {MOST_FILTER_MS} ms, the slowest took {max(filters):.0f}")


if __name__ == "__main__":
    main()
