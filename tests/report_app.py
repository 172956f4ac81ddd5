"""The report's app in a browser tab: how the tests open it and what they ask it."""

import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ARTEFACTS = Path(__file__).parents[1] / "artefacts"

MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(
        shutil.which("chromium") is None, reason="chromium is not on PATH: apt-get install it"
    ),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None, reason="pip install playwright"
    ),
]

# Typing and scrolling are taken in after a pause of about 100 ms; drawing follows.
_PAUSE_MS = 250
_PATIENCE_MS = 8_000


@dataclass
class AppTab:
    """A tab with the app in it, and everything it did that a report must not do."""

    page: "Page"
    complaints: list[str] = field(default_factory=list)

    def open(self, folder: Path, place: str = "") -> "Page":
        """Open the report of an output folder at a place (`#…`) and wait for its first rows."""
        self.page.goto("about:blank")
        self.page.goto((folder / "report" / "index.html").as_uri() + place)
        self.page.locator("#app .shown").wait_for()
        self.settle()
        return self.page

    def settle(self) -> None:
        self.page.wait_for_timeout(_PAUSE_MS)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()

    @property
    def shown(self) -> str:
        """How many images the app says it shows."""
        return self.page.locator(".shown").inner_text().replace("\u202f", "")

    @property
    def paths(self) -> list[str]:
        """The paths of the cards, or of the lines of the table, that exist."""
        return self.page.locator(".view [data-slot=path], .rows td.file").all_text_contents()

    @property
    def current(self) -> str:
        """The path of the current row."""
        found = self.page.locator(".view .current :is([data-slot=path], .file bdi)")
        return found.inner_text() if found.count() else ""


def watch(page: "Page") -> AppTab:
    """Return a tab that notes errors, warnings, dialogs, and requests to elsewhere."""
    tab = AppTab(page)
    tab.page.on("console", lambda message: tab.complaints.append(f"console: {message.text}"))
    tab.page.on("pageerror", lambda error: tab.complaints.append(f"error: {error}"))
    tab.page.on("dialog", lambda dialog: (tab.complaints.append("dialog"), dialog.dismiss()))

    def note_request(url: str) -> None:
        if not url.startswith(("file:", "data:", "about:", "blob:")):
            tab.complaints.append(f"request of {url}")

    tab.page.on("request", lambda request: note_request(request.url))
    return tab


def open_tab(browser: "Browser", width: int = 1400, height: int = 900) -> Iterator[AppTab]:
    """Yield a watched tab in a browser profile of its own."""
    context = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(_PATIENCE_MS)
    yield watch(context.new_page())
    context.close()
