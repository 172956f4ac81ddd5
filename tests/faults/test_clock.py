"""A clock that goes backwards: rows are told apart by their files, not by when they were made."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fault_table import FaultTable, whole_rows
from scanning import PATIENCE, Scan, only_on_linux, scan
from stalling import stalled
from studies import Studies, write_blanks

pytestmark = only_on_linux()

_YEAR = 365 * 24 * 3600


def test_a_clock_set_back_between_runs(light: Studies, table: FaultTable, tmp_path: Path) -> None:
    """The first run, of a part, was in a year to come; the second is now."""
    if shutil.which("faketime") is None:
        pytest.skip("faketime is missing (Debian package faketime)")
    expected = light.rows
    output = tmp_path / "out"
    arguments = light.arguments(output)
    before: dict[str, str] = {}
    with table.fault("clock going backwards between runs (faketime)") as case:
        ended = scan(light.home, *arguments, "--limit", 20, prefix=["faketime", "-f", "+365d"])
        ended.says(0, "20 images")
        case.compare_unfinished(output, before, expected)
        soon = time.strftime("%Y-%m-%d", time.gmtime(time.time() + _YEAR / 2))
        assert all(row["scanned_at"] > soon for row in whole_rows(output))
        scan(light.home, *arguments).says(3)
        case.compare(output, expected)
        case.compare_unfinished(output, before, expected)  # none was made again


_WORKER = """
import sys
from pathlib import Path
from scanner import decoding
from scanner.limits import Limits
from scanner.preprocess import PreprocessSpec
from scanner.walk import Source
path = Path(sys.argv[1])
facts = path.stat()
limits = Limits(seconds=1)
decoding._start_worker(decoding.ReadSettings(PreprocessSpec(), bytes(32), limits=limits))
decoding._read_in_worker(Source(path, path.name, facts.st_size, facts.st_mtime_ns), 512)
"""


def test_a_clock_set_back_while_a_file_hangs(
    light: Studies, table: FaultTable, tmp_path: Path
) -> None:
    """A worker ends itself, by a timer that no clock moves, and its scan takes it for a timeout.

    The pool, which counts by the time of day, is left out or waits for as long as it likes.
    """
    expected = light.rows
    stuck = next(path for path in expected if path.endswith("030.png"))
    with table.fault("clock set back while a file hangs (the worker's alarm)") as case:
        with stalled(light.folder / stuck):
            command = [sys.executable, "-c", _WORKER, str(light.folder / stuck)]
            assert subprocess.run(command, timeout=PATIENCE).returncode == -signal.SIGALRM
        output = tmp_path / "out"
        arguments = light.arguments(output, "--workers", 1)
        with stalled(light.folder / stuck) as file, Scan(light.home, arguments) as running:
            assert running.wait_until(file.is_wanted)
            (worker,) = running.workers()
            os.kill(worker, signal.SIGALRM)
            running.finish().says(3)
        case.compare(output, expected, {stuck: "timeout"})
        scan(light.home, *arguments).says(3)
        case.compare(output, expected)


def test_results_and_files_from_the_future(
    light: Studies, table: FaultTable, tmp_path: Path
) -> None:
    """What a clock set back leaves behind, without setting it."""
    output = light.copy_of_finished(tmp_path / "out")
    before: dict[str, str] = {}
    with table.fault("clock going backwards (results from the future)") as case:
        case.compare_unfinished(output, before, light.rows)
        later = time.time() + _YEAR
        for path in output.rglob("*"):
            os.utime(path, (later, later))
        scan(light.home, *light.arguments(output)).says(3, "(0 new in")
        case.compare(output, light.rows)
        case.compare_unfinished(output, before, light.rows)


def test_files_from_the_future(light: Studies, table: FaultTable, tmp_path: Path) -> None:
    folder = write_blanks(tmp_path / "studies", range(6))
    output = tmp_path / "out"
    arguments = light.arguments(output, folder=folder)
    with table.fault("files from the future") as case:
        later = time.time() + _YEAR
        os.utime(folder / "001.png", (later, later))
        os.utime(folder / "002.png", (0, 0))
        os.utime(folder / "003.png", (-later, -later))
        scan(light.home, *arguments).says(0)
        expected = {row["path"]: row for row in whole_rows(output)}
        assert sorted(expected) == sorted(path.name for path in folder.iterdir())
        scan(light.home, *arguments).says(0, "(0 new in")
        case.compare(output, expected)
