"""What the report's app is given: an index of all rows, and their details in pieces."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from report_data import details_of, index_of
from report_samples import (
    CLASSES,
    DEFAULT_MANIFEST,
    HOSTILE,
    failed,
    judged,
    phantom,
    read_page,
    rejected,
    write_output,
)
from test_report_is_safe import hostile_page

from scanner import output, thumbnails
from scanner.errors import SetupError
from scanner.output import picture_paths
from scanner.report import render
from scanner.text import cell
from scanner.words import in_words


def columns(folder: Path, *names: str) -> list[tuple[object, ...]]:
    found = index_of(folder)["columns"]
    return list(zip(*(found[name] for name in names), strict=True))


def test_every_row_is_in_the_index_and_in_a_piece(tmp_path: Path) -> None:
    records = [*(judged(f"{n:04}") for n in range(1001)), rejected("r"), failed("f")]
    render(write_output(tmp_path, records))
    index, details = index_of(tmp_path), details_of(tmp_path)
    assert index["total"] == len(details) == 1003
    assert index["chunk"] == 500 and len(list((tmp_path / "report/data").glob("rows-*"))) == 3
    assert sorted(index["columns"]["path"]) == sorted(record.path for record in records)
    assert {len(column) for column in index["columns"].values()} == {1003}
    hashes = {record.path: record.sha256 for record in records}
    for path, short, row in zip(
        index["columns"]["path"], index["columns"]["sha"], details, strict=True
    ):
        assert row["sha256"] == hashes[path] and hashes[path].startswith(short)
        assert len(short) == 12


def test_numbers_are_thousandths_and_words_are_looked_up(tmp_path: Path) -> None:
    seen = judged("a", "Covid-19", 0.87349, ["view_missing", "cam_empty"], lung_focus=0.4996)
    render(write_output(tmp_path, [seen, rejected("b"), failed("c", "truncated")]))
    index = index_of(tmp_path)
    names = ("path", "status", "group", "confidence", "focus", "reason", "patient")
    judged_row, rejected_row, failed_row = columns(tmp_path, *names)
    assert judged_row == ("a", 0, 0, 873, 500, -1, "cc94235d")
    assert index["statuses"] == ["flagged", "ok", "rejected", "failed"]
    assert rejected_row[1:5] == (2, -1, -1, -1) and failed_row[1:5] == (3, -1, -1, -1)
    for row, slug in ((rejected_row, "lateral_view"), (failed_row, "truncated")):
        assert index["reasons"][row[5]] == [slug, in_words(slug)]
    bits = index["columns"]["flags"]
    shown = [slug for number, (slug, _) in enumerate(index["flags"]) if bits[0] >> number & 1]
    assert shown == ["view_missing", "cam_empty"] and bits[1:] == [0, 0]


@pytest.mark.parametrize("cell_of_a_number", ["inf", "-inf", "nan"])
@pytest.mark.parametrize("column", ["confidence", "lung_focus"])
def test_a_number_that_is_none_is_damage(
    column: str, cell_of_a_number: str, tmp_path: Path
) -> None:
    seen = replace(judged("a"), **{column: float(cell_of_a_number)})
    with pytest.raises(SetupError, match="damaged"):
        render(write_output(tmp_path, [seen]))


def test_index_and_pieces_name_their_rendering(tmp_path: Path) -> None:
    folder = write_output(tmp_path, [judged("a")])
    names = []
    for _ in range(2):
        render(folder)
        assert len(details_of(folder)) == 1  # which compares the names
        names.append(index_of(folder)["rendering"])
    assert names[0] != names[1] and len(names[0]) == 16


def test_an_unknown_status_or_class_is_no_error(tmp_path: Path) -> None:
    render(write_output(tmp_path, [replace(judged("a"), status="odd", prediction="Elsewhere")]))
    assert columns(tmp_path, "status", "group") == [(-1, -1)]


def test_more_flags_than_bits_share_the_last(tmp_path: Path) -> None:
    records = [judged(f"{n:02}", flags=[f"flag_{n:02}"]) for n in range(40)]
    render(write_output(tmp_path, records))
    index = index_of(tmp_path)
    assert len(index["flags"]) == 31 and index["flags"][30][0] == "other"
    assert index["columns"]["flags"] == [1 << min(n, 30) for n in range(40)]
    assert max(index["columns"]["flags"]) < 2**31


def test_the_index_says_which_scan_it_is(tmp_path: Path) -> None:
    render(write_output(tmp_path, [judged("a")]))
    index = index_of(tmp_path)
    assert index["format"] == 1 and index["classes"] == list(CLASSES)
    assert index["groups"] == list(CLASSES)
    assert index["model"] == "20ee48f61273"


def test_the_key_of_decisions_is_the_scans_own_and_survives_its_next_run(tmp_path: Path) -> None:
    def key(root: str, *starts: str) -> str:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        runs = [{**DEFAULT_MANIFEST["runs"][0], "started": start} for start in starts]
        render(write_output(folder, [judged("a")], root=root, runs=runs))
        found = index_of(folder)["run"]
        assert isinstance(found, str) and len(found) == 16
        return found

    first = key("/a", "2026-11-20T20:00:00Z")
    assert key("/a", "2026-11-20T20:00:00Z", "2026-11-21T20:00:00Z") == first
    assert key("/a", "2026-11-22T20:00:00Z") != first
    assert key("/b", "2026-11-20T20:00:00Z") != first


def test_a_row_has_what_its_card_says(tmp_path: Path) -> None:
    record = judged("a.dcm", "Covid-19", 0.8, lung_focus=0.7, lung_area=0.3, lung_lift=2.3)
    write_output(tmp_path, [record], pictures=True)
    page = read_page(render(tmp_path))
    card, (row,) = page.one("article", "card"), details_of(tmp_path)
    assert [img.attributes["src"] for img in card.all("img")] == row["pictures"]
    assert [item.text for item in card.one("ul", "trust").all("li")] == [
        said.replace("\N{NARROW NO-BREAK SPACE}", " ") for said in row["trust"]
    ]
    assert card.one("p", "facts").text == row["facts"]
    assert row["probabilities"] == [["Covid-19", 0.8], ["Normal", 0.1], ["Pneumonia", 0.1]]
    assert (row["best"], row["camEmpty"], row["detail"]) == ("Covid-19", False, None)
    assert row["patient"] == "cc94235d"


def test_a_larger_picture_is_named_where_there_is_one(tmp_path: Path) -> None:
    records = [judged("a"), judged("b")]
    write_output(tmp_path, records, pictures=True)
    place = output.detail_path(tmp_path, records[0].sha256)
    place.write_bytes(phantom())
    render(tmp_path)
    shown = [row["detail"] for row in details_of(tmp_path)]
    assert shown == [place.relative_to(tmp_path / "report").as_posix(), None]


def test_a_rejected_picture_is_in_the_data_but_not_a_duplicates(tmp_path: Path) -> None:
    turned = rejected("a", "turned")
    copy = replace(rejected("b", "duplicate"), sha256=turned.sha256)
    write_output(tmp_path, [turned, copy])
    thumbnails.save_plain(tmp_path, turned.sha256, phantom())
    render(tmp_path)
    plain = picture_paths(tmp_path, turned.sha256)[0].relative_to(tmp_path / "report").as_posix()
    assert [row["pictures"] for row in details_of(tmp_path)] == [[plain], None]


@pytest.mark.parametrize("link", ["../../secret", "/etc/passwd", "%2e%2e"])
def test_a_hash_that_is_none_names_no_file(link: str, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(phantom())
    render(write_output(tmp_path, [replace(judged("a"), sha256=link)]))
    assert details_of(tmp_path)[0]["pictures"] is None


def test_what_an_earlier_longer_report_left_goes(tmp_path: Path) -> None:
    render(write_output(tmp_path, [judged(f"{n:04}") for n in range(501)]))
    notes = tmp_path / "report" / "data" / "notes.js"
    notes.write_text("a reader's own")
    for name in ("predictions.csv", "sources.csv"):
        (tmp_path / name).unlink()
    render(write_output(tmp_path, [judged("a")]))
    names = sorted(path.name for path in (tmp_path / "report" / "data").iterdir())
    assert names == ["index.js", "notes.js", "rows-0001.js"]


def test_hostile_texts_stay_texts_in_a_script(tmp_path: Path) -> None:
    hostile_page(tmp_path, HOSTILE)
    index, details = index_of(tmp_path), details_of(tmp_path)
    assert {cell(f"{n} {text}") for n, text in enumerate(HOSTILE)} <= set(index["columns"]["path"])
    assert {cell(text) for text in HOSTILE} <= {row["detailText"] for row in details}
    for path in (tmp_path / "report" / "data").iterdir():
        assert "<" not in path.read_text(encoding="ascii")


def test_the_data_files_are_calls_that_a_script_engine_understands(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not on PATH: apt-get install nodejs")
    hostile_page(tmp_path, HOSTILE)
    data = tmp_path / "report" / "data"
    program = (
        "const fs = require('fs'), vm = require('vm'); let calls = [];"
        "const cxrScan = {index: v => calls.push(v.total), rows: (k, v) => calls.push(v.length)};"
        f"for (const name of ['index.js', 'rows-0001.js']) vm.runInNewContext("
        f"fs.readFileSync({str(data)!r} + '/' + name, 'utf8'), {{cxrScan}});"
        "console.log(calls.join())"
    )
    done = subprocess.run([node, "-e", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{2 * len(HOSTILE)},{2 * len(HOSTILE)}\n"
