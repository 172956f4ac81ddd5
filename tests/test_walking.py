"""A folder is walked in one order, whole, without following, opening or losing anything."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scanner.walk import list_files


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content of " + name.encode())


def names(root: Path, skip: Path | None = None) -> list[str]:
    return [source.relative for source in list_files(root, skip).sources]


def test_files_come_sorted_from_every_level(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.dcm", "b/10.dcm", "a.txt", "a/z/deep.dcm", "a/B", "ä", "Z", ".hidden/x")
    assert names(tmp_path) == [
        ".hidden/x",
        "Z",
        "a/B",
        "a/z/deep.dcm",
        "a.txt",
        "b/10.dcm",
        "b/2.dcm",
        "ä",
    ]


def test_a_source_states_path_size_and_time(tmp_path: Path) -> None:
    touch(tmp_path, "ward/x.dcm")
    (found,) = list_files(tmp_path).sources
    facts = (tmp_path / "ward" / "x.dcm").stat()
    assert (found.path, found.relative) == (tmp_path / "ward" / "x.dcm", "ward/x.dcm")
    assert (found.size, found.modified) == (facts.st_size, facts.st_mtime_ns)


def test_symbolic_links_are_counted_and_not_followed(tmp_path: Path) -> None:
    touch(tmp_path, "root/a", "elsewhere/secret")
    root = tmp_path / "root"
    (root / "to_file").symlink_to(tmp_path / "elsewhere" / "secret")
    (root / "to_folder").symlink_to(tmp_path / "elsewhere")
    (root / "to_itself").symlink_to(root)
    (root / "broken").symlink_to("nowhere")
    listing = list_files(root)
    assert [source.relative for source in listing.sources] == ["a"]
    assert listing.passed_over == {"symbolic_link": 4}


def test_pipes_and_sockets_are_counted_and_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a")
    os.mkfifo(tmp_path / "pipe.dcm")  # opening it would wait for ever
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.dcm")
        listing = list_files(tmp_path)
    assert [source.relative for source in listing.sources] == ["a"]
    assert listing.passed_over == {"not_a_regular_file": 2}


def test_folders_may_be_nested_deeper_than_python_recurses(tmp_path: Path) -> None:
    folders = [str(tmp_path)]
    try:
        for _ in range(1500):
            folders.append(folders[-1] + "/d")
            os.mkdir(folders[-1])  # noqa: PTH102 - pathlib takes a second for paths this long
        Path(folders[-1], "x").write_bytes(b"x")
    except OSError as error:
        pytest.skip(f"this file system refuses such folders: {error}")
    try:
        assert names(tmp_path) == ["d/" * 1500 + "x"]
    finally:  # pytest's own clearing recurses
        Path(folders[-1], "x").unlink()
        for folder in reversed(folders[1:]):
            os.rmdir(folder)  # noqa: PTH106


@contextmanager
def as_nobody() -> Iterator[None]:
    """Do without root's right to read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_folders_that_cannot_be_read_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a", "closed/b", "open/shut/c", "z")
    (tmp_path / "closed").chmod(0)
    (tmp_path / "open" / "shut").chmod(0)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # the folders above it are closed to others
    with as_nobody():
        listing = list_files(Path())
    for folder in (tmp_path / "closed", tmp_path / "open" / "shut"):
        folder.chmod(0o755)
    assert [source.relative for source in listing.sources] == ["a", "z"]
    assert listing.unreadable_folders == ["closed/", "open/shut/"]


def test_the_folder_to_skip_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a", "output/thumb.jpg", "ward/output/b")
    assert names(tmp_path, skip=tmp_path / "output") == ["a", "ward/output/b"]


def test_the_output_of_earlier_scans_is_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a", "old-cxr/predictions.csv", "old-cxr/sources.csv", "old-cxr/report/t.jpg")
    touch(tmp_path, "ward/predictions.csv", "ward/b")
    listing = list_files(tmp_path)
    found = [source.relative for source in listing.sources]
    assert found == ["a", "ward/b", "ward/predictions.csv"]
    assert listing.passed_over == {"output_of_a_scan": 1}


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    name = b"r\xf6ntgen \xff.dcm"
    Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(b"pixels")
    (found,) = list_files(tmp_path).sources
    assert os.fsencode(found.relative) == name
    assert found.path.read_bytes() == b"pixels"


def test_a_single_file_is_a_listing_of_one(tmp_path: Path) -> None:
    touch(tmp_path, "ward/x.dcm", "ward/y.dcm")
    (found,) = list_files(tmp_path / "ward" / "x.dcm").sources
    assert (found.relative, found.size) == ("x.dcm", len(b"content of ward/x.dcm"))


def test_an_empty_folder_is_an_empty_listing(tmp_path: Path) -> None:
    listing = list_files(tmp_path)
    assert (listing.sources, listing.unreadable_folders) == ([], [])
