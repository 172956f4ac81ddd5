"""Files that are deleted, cut or replaced between the walk and the reading of them."""

import os
from collections.abc import Callable
from pathlib import Path

from fault_table import FaultTable, by_path
from scanning import Scan, only_on_linux, scan
from studies import Studies, write_blanks

pytestmark = only_on_linux()


def _deleted(path: Path) -> None:
    path.unlink()


def _truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _grown(path: Path) -> None:
    with path.open("ab") as handle:
        handle.write(b"more")


def _replaced_by_another(path: Path) -> None:
    write_blanks(path.parent.parent / "elsewhere", [1000 + int(path.stem)])
    (path.parent.parent / "elsewhere" / f"{1000 + int(path.stem)}.png").replace(path)


def _replaced_by_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)  # nobody ever writes to it: whoever opens it to read waits for ever


def _replaced_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _replaced_by_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


# What is done, and the reasons that the row may then give.
_CHANGES: dict[Callable[[Path], None], str] = {
    _deleted: "unreadable|changed",
    _truncated: "changed",
    _grown: "changed",
    _replaced_by_another: "changed",
    _replaced_by_a_pipe: "changed|unreadable|timeout",
    _replaced_by_a_folder: "changed|unreadable",
    _replaced_by_a_link: "changed|unreadable",
}


def test_files_that_change_between_walk_and_read(
    light: Studies, table: FaultTable, tmp_path: Path
) -> None:
    folder = write_blanks(tmp_path / "studies", range(30))
    undisturbed = tmp_path / "undisturbed"
    scan(light.home, *light.arguments(undisturbed, folder=folder)).says(0)
    expected = by_path(undisturbed)
    output = tmp_path / "out"
    arguments = light.arguments(output, "--workers", 1, folder=folder)
    changes = dict(zip(sorted(path.name for path in folder.iterdir())[-7:], _CHANGES, strict=True))
    struck = {name: _CHANGES[change] for name, change in changes.items()}
    with Scan(light.home, arguments) as running:
        # The walk is over, and nothing is read until the workers have started.
        assert running.wait_until(lambda: running.has_open("predictions.csv"))
        for name, change in changes.items():
            change(folder / name)
        ended = running.finish()
    ended.says(3, f"{len(struck)} failed")
    for name, change in changes.items():
        with table.fault(f"input file {change.__name__[1:].replace('_', ' ')}") as case:
            case.compare(output, expected, struck, only=name)
    with table.fault("input files changed: the others' rows") as case:
        case.compare(output, expected, struck)
    with table.fault("input files changed, then the same command") as case:
        # It has of the changed folder what a scan has that begins anew.
        anew = tmp_path / "anew"
        code = scan(light.home, *light.arguments(anew, folder=folder)).code
        scan(light.home, *arguments).says(code)
        case.compare(output, by_path(anew))
