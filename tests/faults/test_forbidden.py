"""Files, folders and outputs without permission: said, one row each, mended by the same command."""

from pathlib import Path

import pytest
from fault_table import FaultTable, by_path
from scanning import Scan, as_a_user, only_on_linux, scan
from studies import Studies, write_blanks

pytestmark = only_on_linux()


@pytest.fixture(scope="module")
def pictures(light: Studies, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_blanks(tmp_path_factory.mktemp("forbidden") / "pictures", range(20))
    write_blanks(folder / "z-ward", range(20, 23))
    return folder


@pytest.fixture(scope="module")
def expected(light: Studies, pictures: Path) -> dict[str, dict[str, str]]:
    output = light.home / "forbidden-undisturbed"
    scan(light.home, *light.arguments(output, folder=pictures)).says(0)
    return by_path(output)


def test_an_output_folder_that_is_read_only(
    light: Studies,
    expected: dict[str, dict[str, str]],
    pictures: Path,
    table: FaultTable,
    tmp_path: Path,
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    arguments = light.arguments(output, folder=pictures)
    with table.fault("output folder read-only") as case:
        output.chmod(0o555)
        ended = scan(light.home, *arguments, prefix=as_a_user())
        ended.says(1, "cannot be written (Permission denied)", "run the same command again")
        assert not list(output.iterdir())
        output.chmod(0o755)
        scan(light.home, *arguments, prefix=as_a_user()).says(0)
        case.compare(output, expected)


def test_an_output_folder_that_becomes_read_only(
    light: Studies,
    expected: dict[str, dict[str, str]],
    pictures: Path,
    table: FaultTable,
    tmp_path: Path,
) -> None:
    output = tmp_path / "out"
    arguments = light.arguments(output, folder=pictures)
    with table.fault("output folder becomes read-only") as case:
        with Scan(light.home, arguments, as_a_user()) as running:
            assert running.wait_until(lambda: running.has_open("predictions.csv"))
            output.chmod(0o555)
            running.finish().says(1, "cannot be written (Permission denied)")
        case.compare_unfinished(output, {}, expected)
        output.chmod(0o755)
        scan(light.home, *arguments, prefix=as_a_user()).says(0)
        case.compare(output, expected)


def test_files_that_may_not_be_read(
    light: Studies,
    expected: dict[str, dict[str, str]],
    pictures: Path,
    table: FaultTable,
    tmp_path: Path,
) -> None:
    output = tmp_path / "out"
    arguments = light.arguments(output, folder=pictures)
    forbidden = [pictures / "001.png", pictures / "019.png"]
    with table.fault("permission denied on files") as case:
        for path in forbidden:
            path.chmod(0)
        ended = scan(light.home, *arguments, prefix=as_a_user())
        ended.says(3, "2 failed")
        case.compare(output, expected, {path.name: "unreadable" for path in forbidden})
        for path in forbidden:
            path.chmod(0o644)
        scan(light.home, *arguments, prefix=as_a_user()).says(0)
        case.compare(output, expected)


def test_folders_that_may_not_be_opened(
    light: Studies,
    expected: dict[str, dict[str, str]],
    pictures: Path,
    table: FaultTable,
    tmp_path: Path,
) -> None:
    output = tmp_path / "out"
    arguments = light.arguments(output, folder=pictures)
    ward = pictures / "z-ward"
    with table.fault("permission denied on folders") as case:
        ward.chmod(0)
        ended = scan(light.home, *arguments, prefix=as_a_user())
        ward.chmod(0o755)
        ended.says(3, "z-ward/ cannot be opened")
        case.compare(output, {k: v for k, v in expected.items() if not k.startswith("z-ward")})
        scan(light.home, *arguments, prefix=as_a_user()).says(0)
        case.compare(output, expected)


@pytest.mark.parametrize("what", ["itself", "its parent"])
def test_a_scanned_folder_that_may_not_be_opened(
    what: str, light: Studies, table: FaultTable, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    folder = closed if what == "itself" else closed / "studies"
    folder.mkdir(parents=True)
    write_blanks(folder, range(3))
    output = tmp_path / "out"
    arguments = light.arguments(output, folder=folder)
    with table.fault("permission denied on the scanned folder") as case:
        closed.chmod(0)
        ended = scan(light.home, *arguments, prefix=as_a_user())
        closed.chmod(0o755)
        ended.says(1, "check its permissions")
        assert not (output / "predictions.csv").exists()
        scan(light.home, *arguments, prefix=as_a_user()).says(0)
        expected = by_path(output)
        assert sorted(expected) == ["000.png", "001.png", "002.png"]
        closed.chmod(0)
        scan(light.home, *arguments, prefix=as_a_user()).says(1, "check its permissions")
        closed.chmod(0o755)
        case.compare(output, expected)
