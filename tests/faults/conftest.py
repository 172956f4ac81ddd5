"""The fault suite, `make faults`: what faults are tried on, and the table of what came of it."""

import pytest
from fault_table import FaultTable
from pydicom.dataset import Dataset
from studies import Studies, build, build_light

_TABLE = pytest.StashKey[FaultTable]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--faults-scale",
        type=int,
        default=1,
        help="how many times as many kill points, damages and entries (with `pytest tests/faults`)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TABLE] = FaultTable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    table = terminalreporter.config.stash[_TABLE]
    if table.lines:
        terminalreporter.section("faults")
        for line in table.text():
            terminalreporter.write_line(line)


@pytest.fixture
def table(pytestconfig: pytest.Config) -> FaultTable:
    return pytestconfig.stash[_TABLE]


@pytest.fixture(scope="session")
def scale(pytestconfig: pytest.Config) -> int:
    # Without a path pytest reads this file too late to know the option.
    return int(pytestconfig.getoption("--faults-scale", 1))


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory, _small_radiograph: Dataset) -> Studies:
    """Some of everything, with the rows of a scan that nothing disturbed; not to be changed."""
    return build(tmp_path_factory.mktemp("faults"), _small_radiograph)


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory, _small_radiograph: Dataset) -> Studies:
    """The same without images to be judged, for faults of which the network knows nothing."""
    return build_light(tmp_path_factory.mktemp("faults"), _small_radiograph)
