"""No page weighs more than 2 MB without its pictures, whatever the names and the model are."""

from pathlib import Path

import pytest
from report_samples import failed, judged, judged_paths, read_page, rejected, write_output

from scanner.records import Record
from scanner.report import render

_MOST_BYTES = 2_000_000


def sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in sorted((folder / "report").glob("*.html"))]


@pytest.mark.parametrize("length", [60, 1500, 14_000])
def test_long_names_make_more_pages_not_larger_ones(length: int, tmp_path: Path) -> None:
    name = "<'&\"" * (length // 4)
    records: list[Record] = []
    for number in range(250):
        path = f"{number:03}{name}"
        records += [judged(path), failed(f"f{path}"), rejected(f"r{path}", detail=path)]
    render(write_output(tmp_path, records))
    assert max(sizes(tmp_path)) < _MOST_BYTES
    pages = sorted((tmp_path / "report").glob("*.html"))
    shown = [path for page in pages for path in judged_paths(read_page(page))]
    assert len(shown) == len(set(shown)) == 250


def test_many_classes_make_more_pages_not_larger_ones(tmp_path: Path) -> None:
    classes = tuple(f"finding number {number:03}" for number in range(120))
    records = [judged(f"{n:03}", classes[0], classes=classes) for n in range(60)]
    render(write_output(tmp_path, records, classes))
    assert len(sizes(tmp_path)) == 4
    assert max(sizes(tmp_path)) < _MOST_BYTES


def test_a_list_whose_texts_are_long_is_capped_and_says_so(tmp_path: Path) -> None:
    records = [failed(f"{n:03}" + "x" * 10_000) for n in range(100)]
    page = read_page(render(write_output(tmp_path, records)))
    section = page.one("section", id="failed")
    assert len(section.one("tbody").all("tr")) == 19
    assert "The first 19 are listed; predictions.csv has all 100." in section.text
