"""File and folder names as they may be: long, not UTF-8, with line breaks, made to mislead."""

import os
from pathlib import Path

import pytest
from fault_table import FaultTable, by_path
from scanning import only_on_linux, scan
from studies import Studies, write_blanks

from scanner.text import cell

pytestmark = only_on_linux()

_NAMES = (
    b"a" * 251 + b".png",
    "ü".encode() * 125 + b"b.png",  # 255 bytes, half as many characters
    b"R\xf6ntgen \xff\xfe.png",
    b"two\nlines\r\n.png",
    b"\n",
    bytes(range(1, 32)) + b".png",
    b"\x1b]0;owned\x07\x1b[2J.png",
    "abc\u202egnp.\u2028exe".encode(),
    b"\xc2\x85next\xc2\xa0line.png",
    b"=HYPERLINK(1),2.png",
    b"'quoted' \"twice\",, .png",
    b"-x; rm.png",
    b"@a\tb|c.png",
    b" leading and trailing .png ",
    b"..png",
    b"~",
    b"%2e%2e%2f%00.png",
    b"path,status,reason.png",
    b"predictions.csv",
    b"back\\slash\\x0a.png",
    "e\u0301.png".encode(),
    "\u00e9.png".encode(),
    b"CON.png",
)


@pytest.fixture
def folder(light: Studies, tmp_path: Path) -> Path:
    """Each name once as that of a picture, and some as that of a folder with a picture."""
    place = write_blanks(tmp_path / "studies", range(len(_NAMES) + 4))
    pictures = sorted(place.iterdir())
    for picture, name in zip(pictures, _NAMES, strict=False):
        os.rename(picture, os.fsencode(place) + b"/" + name)  # noqa: PTH104
    for picture, name in zip(pictures[len(_NAMES) :], _NAMES[:4], strict=True):
        inner = os.fsencode(place) + b"/d" + name[1:]
        os.mkdir(inner)  # noqa: PTH102
        os.rename(picture, inner + b"/" + name)  # noqa: PTH104
    return place


def test_a_folder_of_odd_names(
    folder: Path, light: Studies, table: FaultTable, tmp_path: Path
) -> None:
    undisturbed, output = tmp_path / "undisturbed", tmp_path / "out"
    arguments = light.arguments(output, folder=folder)
    before: dict[str, str] = {}
    with table.fault("255 bytes, not UTF-8, line breaks, control characters in names") as case:
        scan(light.home, *light.arguments(undisturbed, folder=folder)).says(0)
        expected = by_path(undisturbed)
        files = [Path(base) / name for base, _, names in os.walk(folder) for name in names]
        assert sorted(expected) == sorted(cell(str(f.relative_to(folder))) for f in files)
        scan(light.home, *arguments, "--limit", 8).says(0, "8 images")
        case.compare_unfinished(output, before, expected)
        ended = scan(light.home, *arguments, "--verbose")
        ended.says(0, f"{len(files)} images")
        case.compare(output, expected)
        case.compare_unfinished(output, before, expected)
        said = ended.stdout + ended.stderr + (output / "run.log").read_text(encoding="utf-8")
        assert not {c for c in said if ord(c) < 32 or c in "\x7f\u202e\u2028"} - {"\n", "\r"}
        ended = scan(light.home, *arguments)
        ended.says(0, "(0 new in")
