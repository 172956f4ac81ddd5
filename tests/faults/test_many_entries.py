"""A folder with more entries than a person would put into one."""

import json
import os
import signal
from pathlib import Path

import pytest
from fault_table import FaultTable, by_path
from scanning import Scan, only_on_linux, scan
from studies import Studies, write_blanks

pytestmark = [only_on_linux(), pytest.mark.slow]

_ENTRIES = 200_000
# One in so many is a file that must be opened to see what it is (a hard link, of which ext4 allows
# 65,000 to a file), the others are symbolic links: a file takes a worker a fraction of a
# millisecond, and 200,000 of them would take most of the suite's time.
_ONE_FILE_IN = 5
_MOST_LINKS = 50_000


def test_a_folder_of_many_entries(
    light: Studies, scale: int, table: FaultTable, tmp_path: Path
) -> None:
    """Pictures at the end of it; killed on the way there, and continued."""
    folder, undisturbed = tmp_path / "studies", tmp_path / "undisturbed"
    write_blanks(folder, range(6))
    scan(light.home, *light.arguments(undisturbed, folder=folder)).says(0)
    expected = by_path(undisturbed)
    entries = _ENTRIES * scale
    files = _fill(folder, entries)
    output = tmp_path / "out"
    arguments = light.arguments(output, folder=folder)
    with table.fault(f"a folder of {entries:,} entries") as case:
        with Scan(light.home, arguments) as running:
            assert running.wait_until(lambda: running.has_open("predictions.csv"))
            running.strike(signal.SIGKILL)
            running.finish().says(-signal.SIGKILL)
        scan(light.home, *arguments).says(0, f"{len(expected)} images")
        case.compare(output, expected)
        passed_over = json.loads((output / "manifest.json").read_text())["passed_over"]
        assert passed_over == {"other": files, "symbolic_link": entries - files}


def _fill(folder: Path, entries: int) -> int:
    """Make so many entries, of which those returned are files."""
    files, original = 0, folder
    for index in range(entries):
        path = folder / f"!{index:07}.txt"  # before the pictures
        if index % _ONE_FILE_IN:
            path.symlink_to(original.name)
        else:
            if files % _MOST_LINKS == 0:
                original = path
                original.write_text("no image")
            else:
                os.link(original, path)
            files += 1
    return files
