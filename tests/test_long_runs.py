"""What grows with the number of images is a list of files and a few hundred bytes for each row."""

import importlib.util
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from command_line import rows
from report_samples import CLASSES, failed, judged, rejected, source, write_output

from scanner import pipeline, report
from scanner.duplicates import Originals
from scanner.output import MANIFEST
from scanner.progress import Silence
from scanner.records import Record, RecordFile, header_row
from scanner.settings import ScanSettings
from scanner.storage import Table, line, write_atomically

# What 100 MB are, shared by the 190,000 images between the 10,000th and the 200,000th.
_BYTES_PER_IMAGE = 100 * 2**20 / 190_000


def _long_run() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "long_run.py"
    spec = importlib.util.spec_from_file_location("long_run", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


long_run = _long_run()


def traced(work: Callable[[], Any]) -> tuple[int, int]:
    """Return what is left of the memory that `work` took, and the most it took, in bytes."""
    tracemalloc.start()
    try:
        result = work()
        left, most = tracemalloc.get_traced_memory()
        del result
        return left, most
    finally:
        tracemalloc.stop()


def sample_rows(count: int) -> list[Record]:
    """Rows as of a long night: most judged, some failed, some copies."""
    made: list[Record] = []
    for number in range(count):
        path = f"2026-11-20/ward-{number % 7}/IM{number:06}.dcm"
        if number % 10 == 0:
            made.append(failed(path))
        elif number % 10 == 1:
            made.append(rejected(path, "lateral_view", "its view is LL, not PA or AP"))
        else:
            made.append(judged(path, CLASSES[number % 3], 0.5 + number % 500 / 1000))
    return made


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    long_run.make_images(tmp_path / "images", 3000)
    found = long_run.step("scan", tmp_path / "images", tmp_path / "results", 1000)
    assert found["rows"] == len(rows(tmp_path / "results")) == 3000
    # The inputs of 2,000 images are 125 MB, their rows as dictionaries 12 MB.
    assert found["last_mb"] - found["milestone_mb"] < 10
    again = long_run.step("scan", tmp_path / "images", tmp_path / "results", 1000)
    assert (again["to_read"], again["rows"]) == (0, 3000)


def test_a_scan_in_pieces_leaves_the_rows_of_one_in_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    long_run.make_images(tmp_path / "images", 210)  # copies of earlier ones among them
    (tmp_path / "images" / "0000" / "empty.dcm").touch()

    def scan(place: str, limit: int | None) -> list[dict[str, str]]:
        settings = ScanSettings(tmp_path / "images", tmp_path / place, batch_size=16, limit=limit)
        pipeline.scan(settings, Silence(), long_run.StubPredictor)
        found = rows(tmp_path / place)
        for row in found:
            del row["scanned_at"], row["seconds"]
        return found

    whole = scan("whole", None)
    assert len(whole) == 211
    assert {row["reason"] for row in whole} == {"", "duplicate", "empty_file"}
    for limit in (70, 70, 1, 70):
        pieces = scan("pieces", limit)
    assert pieces == whole


def test_the_originals_of_many_images_are_small() -> None:
    count = 50_000
    paths = [f"ward/IM{number:06}.dcm" for number in range(count)]

    def remember() -> Originals:
        originals = Originals()
        for number, path in enumerate(paths):
            originals.remember(f"{number:064x}", f"{number:016x}", path)
        return originals

    left, _ = traced(remember)
    assert left / count < 0.6 * _BYTES_PER_IMAGE


@pytest.fixture
def many(tmp_path: Path) -> tuple[Path, list[Record]]:
    """An output folder of 5,000 rows."""
    made = sample_rows(5000)
    return write_output(tmp_path / "out", made), made


@pytest.mark.parametrize("changed", [0, 100], ids=["unchanged", "to be rewritten"])
def test_resuming_holds_one_row_at_a_time(changed: int, many: tuple[Path, list[Record]]) -> None:
    folder, made = many
    sources = [source(r.path, size=7 if n < changed else 1000) for n, r in enumerate(made)]

    def resume() -> int:
        with RecordFile(folder, header_row(CLASSES, ()), "20ee48f61273") as records:
            return sum(1 for _ in records.resume(sources))

    _, most = traced(resume)
    assert len(rows(folder)) == 5000 - changed
    # As dictionaries rows are 3,000 bytes each; two indices of paths and positions are not.
    assert most / len(made) < 1000


def test_a_report_holds_the_rows_of_one_page(tmp_path: Path) -> None:
    def most_memory(count: int) -> int:
        write_output(tmp_path / str(count), sample_rows(count))
        return traced(lambda: report.render(tmp_path / str(count)))[1]

    most_memory(10)  # the template is compiled once
    # Both have more judged images than a page, and fewer of the rest than are listed.
    few, many = most_memory(1000), most_memory(4000)
    listed = (4000 - 1000) * 0.2  # failed and rejected ones, until there are 1,000 of each
    assert (many - few - 4000 * listed) / 3000 < 1000


def test_a_table_keeps_the_rows_asked_for_in_the_order_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x,y\n1,a\n2,b\n3,\xff\n4,torn")
    table = Table(path, 2, ["x", "y"])
    found = list(table.rows())
    assert [row for _, row in found] == [["1", "a"], ["2", "b"], ["3", "\N{REPLACEMENT CHARACTER}"]]
    table.keep([found[2][0], found[0][0]])
    assert path.read_text(encoding="utf-8") == "x,y\n3,\N{REPLACEMENT CHARACTER}\n1,a\n"


@pytest.mark.parametrize(
    "content",
    [
        b"x,y\n1,a",
        b"x,y\n1,a\n\n",
        b"x,y\n1,a\r\n",
        b"x,y\n1,a\nx,y\n",
        b'x,y\n"1",a\n',
        b"x,y\n1,a\n1,2,3\n",
        b"x,y\n1,a\n" + b"z" * (5 << 20) + b"1,b\n",
        b"x,y\n1,a\n1," + b"z" * 200_000 + b"\n",
        b"x,y\n1,a\n1,b\rc\n",
    ],
    ids=["torn", "blank", "crlf", "header", "quoted", "wide", "endless", "long cell", "return"],
)
def test_whatever_is_not_a_row_is_taken_out(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    table = Table(path, 2, ["x", "y"])
    positions = [position for position, _ in table.rows()]
    table.keep(positions)
    expected = b"x,y\n1,a\n" if content != b"x,y\n1,a" else b"x,y\n"
    assert path.read_bytes() == expected


def test_a_file_written_in_pieces_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")

    def pieces(last: bytes | None) -> Any:
        yield line(["1", "a"])
        if last is None:
            raise ValueError("the source of it failed")
        yield last

    with pytest.raises(ValueError):
        write_atomically(path, pieces(None))
    assert path.read_text() == "old"
    write_atomically(path, pieces(b"2,b\n"))
    assert path.read_text() == "1,a\n2,b\n"
    assert [found.name for found in tmp_path.iterdir()] == ["a.csv"]


def make_folders_too_deep_to_open(folder: Path, count: int) -> None:
    """Make folders whose paths are longer than 4096 bytes, which not even root can open by them."""
    place = os.open(folder, os.O_RDONLY)
    for _ in range((4000 - len(os.fsencode(folder))) // 201):
        os.mkdir("d" * 200, dir_fd=place)
        inside = os.open("d" * 200, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inside
    for number in range(count):
        os.mkdir(f"{number:02}" + "d" * 250, dir_fd=place)
    os.close(place)


def test_many_closed_folders_are_counted_and_some_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "images").mkdir()
    make_folders_too_deep_to_open(tmp_path / "images", 30)
    settings = ScanSettings(tmp_path / "images", tmp_path / "out")
    summary = pipeline.scan(settings, Silence(), long_run.StubPredictor)
    assert summary.unreadable_folders == 30
    warnings = json.loads((tmp_path / "out" / MANIFEST).read_text())["warnings"]
    assert sum("the files in it have no rows" in warning for warning in warnings) == 20
    assert "10 more folders cannot be opened; run.log names them" in warnings
    log = (tmp_path / "out" / "run.log").read_text()
    assert log.count("the files in it have no rows") == 30
