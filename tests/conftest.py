"""What the tests start from: one real chest radiograph, made small, and where the rest lies."""

import copy
import importlib.util
import shutil
import signal
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
import pytest
from dicom_files import as_bytes
from pydicom.dataset import Dataset
from report_app import AppTab, open_tab
from report_samples import realistic_night

from scanner.report import render

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


_SAID = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz-files", type=int, default=20_000, help="how many damaged files to try")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SAID] = []
    # A shell that starts this in the background has it ignore Ctrl-C, and so what it starts.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in terminalreporter.config.stash[_SAID]:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Print a line of figures behind the tests."""
    return pytestconfig.stash[_SAID].append


@pytest.fixture(scope="session")
def pydicom_data() -> Path:
    """The folder of the package pydicom-data (real images, MIT); nothing is downloaded."""
    spec = importlib.util.find_spec("data_store")
    assert spec is not None and spec.origin is not None, "pip install -e .[test]"
    return Path(spec.origin).parent / "data"


@pytest.fixture(scope="session")
def _small_radiograph(pydicom_data: Path) -> Dataset:
    """RG1 (CR CHEST PA, MONOCHROME1, 15 bits), averaged over 4 x 4 pixels to 488 x 460."""
    dataset = pydicom.dcmread(pydicom_data / "RG1_UNCR.dcm")
    rows, columns = dataset.Rows // 4, dataset.Columns // 4
    pixels = dataset.pixel_array[: rows * 4, : columns * 4]
    small = pixels.reshape(rows, 4, columns, 4).mean(axis=(1, 3)).astype("<u2")
    dataset.Rows, dataset.Columns, dataset.PixelData = rows, columns, small.tobytes()
    del dataset.DataSetTrailingPadding
    return pydicom.dcmread(BytesIO(as_bytes(dataset)))


@pytest.fixture
def radiograph_dataset(_small_radiograph: Dataset) -> Dataset:
    """A copy of the small radiograph to change at will: explicit VR little endian, valid meta."""
    return copy.deepcopy(_small_radiograph)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real radiographs beside the repository."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: it holds real radiographs that are not redistributed")
    return folder


@pytest.fixture(scope="session")
def dcmtk() -> None:
    """Skip unless dcmtk's renderers are installed."""
    if shutil.which("dcmj2pnm") is None or shutil.which("dcml2pnm") is None:
        pytest.skip("dcmj2pnm or dcml2pnm is not on PATH: apt-get install dcmtk")


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium without a window; tests that need it say so by their marks."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def tab(browser: "Browser") -> Iterator["Page"]:
    """A fresh page of 1400 x 900 pixels."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture
def app(browser: "Browser") -> Iterator[AppTab]:
    """A tab for the report's app, which notes what it complains of."""
    yield from open_tab(browser)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a night's scan, with its report; to be read, not changed."""
    folder = realistic_night(tmp_path_factory.mktemp("night"))
    render(folder)
    return folder
