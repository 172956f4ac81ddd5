"""A disk that is full while rows, pictures or the report are written: said, and nothing is lost.

Where a small disk may be mounted it is one of memory; everywhere the kernel can refuse to let any
file grow beyond a size (RLIMIT_FSIZE), which is chosen so that it strikes what it is to strike.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_table import FaultTable, by_path, whole_rows
from scanning import only_on_linux, scan
from studies import Studies, write_pictures

pytestmark = only_on_linux()

_PICTURES = 48
# Larger than what a picture, the notes or the manifest take, smaller than the rows; then the page.
_LIMITS = {"thumbnails": 2_800, "CSV": 8_000, "report": 40_000}


@pytest.fixture(scope="module")
def pictures(studies: Studies, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures alone: their thumbnails are small, so that each limit strikes one thing."""
    return write_pictures(tmp_path_factory.mktemp("disk") / "pictures", range(_PICTURES))


@pytest.fixture(scope="module")
def expected(studies: Studies, pictures: Path) -> dict[str, dict[str, str]]:
    output = studies.home / "disk-undisturbed"
    scan(studies.home, *studies.arguments(output, folder=pictures)).says(0)
    return by_path(output)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here (that takes root and CAP_SYS_ADMIN)")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("what", _LIMITS)
def test_files_that_may_not_grow(
    what: str,
    studies: Studies,
    pictures: Path,
    expected: dict[str, dict[str, str]],
    table: FaultTable,
    tmp_path: Path,
) -> None:
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit (Debian package util-linux) is missing")
    output = tmp_path / "out"
    arguments = studies.arguments(output, folder=pictures)
    with table.fault(f"disk full while writing {what} (RLIMIT_FSIZE)") as case:
        ended = scan(studies.home, *arguments, prefix=["prlimit", f"--fsize={_LIMITS[what]}"])
        ended.says(1, "cannot be written (File too large)", "run the same command again")
        rows = whole_rows(output)
        if what == "thumbnails":
            assert not rows
        elif what == "CSV":
            assert 0 < len(rows) < len(expected)
        else:
            case.compare(output, expected)
        case.compare_unfinished(output, {}, expected)
        scan(studies.home, *arguments).says(0, f"{_PICTURES} images")
        case.compare(output, expected)
        assert (output / "report" / "index.html").stat().st_size > _LIMITS["report"]


@pytest.mark.parametrize("room", [0, 40, 260])
def test_a_small_disk_without_room(
    room: int,
    studies: Studies,
    pictures: Path,
    expected: dict[str, dict[str, str]],
    small_disk: Path,
    table: FaultTable,
) -> None:
    """With `room` KB left: none for a row, some for a few pictures, for most of them."""
    output = small_disk / "out"
    arguments = studies.arguments(output, folder=pictures)
    with table.fault("disk full while writing rows and thumbnails (tmpfs)") as case:
        filler = _fill(small_disk, room)
        ended = scan(studies.home, *arguments)
        ended.says(1, "cannot be written (No space left on device)", "run the same command again")
        case.compare_unfinished(output, {}, expected)
        filler.unlink()
        scan(studies.home, *arguments).says(0, f"{_PICTURES} images")
        case.compare(output, expected)


def test_a_small_disk_without_room_for_the_report(
    studies: Studies,
    pictures: Path,
    expected: dict[str, dict[str, str]],
    small_disk: Path,
    table: FaultTable,
) -> None:
    output = small_disk / "out"
    arguments = studies.arguments(output, folder=pictures)
    with table.fault("disk full while writing report (tmpfs)") as case:
        scan(studies.home, *arguments, "--no-report").says(0)
        filler = _fill(small_disk, 40)
        ended = scan(studies.home, *arguments)
        ended.says(1, "report", "cannot be written (No space left", "run the same command again")
        case.compare(output, expected)
        assert not list((output / "report").glob("*.html*")), "half a page is left"
        filler.unlink()
        scan(studies.home, *arguments).says(0, f"{_PICTURES} images")
        case.compare(output, expected)


def _fill(disk: Path, room: int) -> Path:
    """Fill a disk up to `room` KB, and return the file to delete to make room."""
    filler = disk / "filler"
    with filler.open("wb") as handle:
        handle.write(bytes(shutil.disk_usage(disk).free - room * 1024))
    return filler
