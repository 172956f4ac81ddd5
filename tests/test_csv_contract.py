"""predictions.csv: its columns, what a cell may hold, and that a file is written whole or not."""

import csv
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd
import pytest
from report_samples import CLASSES, HOSTILE, failed, judged, rejected, write_rows

from scanner.errors import SetupError
from scanner.records import COLUMNS, Record, describe_columns, header_row, read_rows
from scanner.storage import write_atomically
from scanner.text import cell

# As they are promised; whoever reads the CSV by position relies on it.
_PROMISED = """
    path status reason detail sha256 format prediction confidence prediction_set lung_focus
    lung_area lung_lift cam_empty ood_score flags modality body_part view photometric
    transfer_syntax voi rows columns patient study instance model scanned_at seconds
"""

_TEXTS = [f.name for f in fields(Record) if f.type == "str" or f.type is str]

_NASTY = (
    *HOSTILE,
    *("=1+1", "+1", "-1", "@SUM(A1)", "'quoted", "''", "'=1", "\t=1", "\r=1", "\n=1"),
    *("", " ", " a ", 'say "hi", twice', "a,b;c", "NA", "null", "nan", "None", "007", "1e5"),
    *("\\", "\\\\", "\\n", "\\x0a", "a\\", "\x00", "\x85", "\udc85", "\ud800", "\u2029"),
    *("Röntgen", "胸部X線", "صدر", "🫁", "e\u0301", "\u200b", "\ufeff"),
)


def test_the_columns_are_those_promised() -> None:
    assert list(COLUMNS) == _PROMISED.split()


def test_probabilities_follow_the_columns_and_included_elements_come_last() -> None:
    assert header_row(("A", "B"), ("PatientID", "StudyDate")) == [
        *_PROMISED.split(),
        *("prob_A", "prob_B"),
        *("dicom_PatientID", "dicom_StudyDate"),
    ]


def test_every_column_is_described() -> None:
    described = dict(describe_columns())
    assert list(described) == _PROMISED.split()
    assert all(described.values())


def test_a_file_begins_with_its_header(tmp_path: Path) -> None:
    path = write_rows(tmp_path, [judged("a.dcm")], include=("PatientID",))
    assert path.read_text().splitlines()[0].split(",") == header_row(CLASSES, ("PatientID",))


def full_record() -> Record:
    return judged(
        "ward 3/a,b.dcm",
        "Covid-19",
        0.81234567,
        flags=("view_missing", "cam_empty"),
        lung_focus=0.25,
        lung_area=0.5,
        ood_score=-1.5,
        seconds=0.1234,
        included=("P1, the first", "20261120"),
    )


def test_a_record_comes_back_from_the_csv_module(tmp_path: Path) -> None:
    path = write_rows(tmp_path, [full_record()], include=("PatientID", "StudyDate"))
    with path.open(encoding="utf-8", newline="") as handle:
        (row,) = csv.DictReader(handle)
    assert row["path"] == "ward 3/a,b.dcm"
    assert row["status"] == "flagged"
    assert row["flags"] == "view_missing;cam_empty"
    assert float(row["confidence"]) == pytest.approx(0.812346, abs=1e-9)
    assert (row["lung_focus"], row["lung_area"], row["ood_score"]) == (
        *("0.250000", "0.500000", "-1.500000"),
    )
    assert (row["rows"], row["columns"], row["seconds"]) == ("2840", "2330", "0.123")
    assert [float(row[f"prob_{name}"]) for name in CLASSES] == pytest.approx(
        [0.812346, 0.093827, 0.093827], abs=1e-6
    )
    assert (row["dicom_PatientID"], row["dicom_StudyDate"]) == ("P1, the first", "20261120")
    for name in ("sha256", "modality", "voi", "patient", "instance", "model", "scanned_at"):
        assert row[name] == getattr(full_record(), name)


def test_a_record_comes_back_from_pandas(tmp_path: Path) -> None:
    first = replace(full_record(), included=())
    path = write_rows(tmp_path, [first, failed("b.dcm"), rejected("c.dcm")])
    table = pd.read_csv(path)
    assert list(table.columns) == header_row(CLASSES, ())
    assert table["path"].tolist() == ["ward 3/a,b.dcm", "b.dcm", "c.dcm"]
    numbers = ("confidence", "lung_focus", "ood_score", "rows", "columns", "seconds", "prob_Normal")
    assert all(table[name].dtype.kind == "f" for name in numbers)
    assert table["confidence"][0] == pytest.approx(0.81234567, abs=1e-6)
    assert table["rows"][0] == 2840
    assert table.loc[1:, ["confidence", "prediction", "prob_Normal", "rows"]].isna().all(axis=None)


def test_what_does_not_apply_is_an_empty_cell(tmp_path: Path) -> None:
    path = write_rows(tmp_path, [failed("b.dcm")], include=("PatientID",))
    (row,) = read_rows(path)
    filled = {name for name, value in row.items() if value}
    assert filled == {
        *("path", "status", "reason", "detail", "sha256", "format", "model", "scanned_at"),
        "seconds",
    }


def test_included_elements_of_an_unjudged_file_stay_in_their_columns(tmp_path: Path) -> None:
    record = Record(path="a.dcm", status="failed", included=("P1", "A7"))
    path = write_rows(tmp_path, [record], include=("PatientID", "AccessionNumber"))
    (row,) = read_rows(path)
    assert [row[f"prob_{name}"] for name in CLASSES] == ["", "", ""]
    assert (row["dicom_PatientID"], row["dicom_AccessionNumber"]) == ("P1", "A7")


def plain(text: str) -> str:
    """What a reader does to get the text back from its cell, as text.py describes it."""

    def character(match: re.Match[str]) -> str:
        code = match[1]
        if code == "\\":
            return "\\"
        value = int(code[1:], 16)
        return chr(value + 0xDC00 if code[0] == "x" and value >= 0x80 else value)

    return re.sub(
        r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4})", character, text[1:] if text[:1] == "'" else text
    )


@pytest.mark.parametrize("text", _NASTY)
def test_a_text_can_be_got_back_from_its_cell(text: str) -> None:
    assert plain(cell(text)) == text


def test_different_texts_never_become_the_same_cell() -> None:
    texts = {*_NASTY, *map(chr, range(0x300)), *map(chr, range(0xDC00, 0xE000))}
    texts |= {cell(text) for text in texts}  # a name may look like an escaped one
    assert len({cell(text) for text in texts}) == len(texts)


@pytest.mark.parametrize("text", _NASTY)
def test_no_cell_holds_a_line_break_or_a_control_character(text: str, tmp_path: Path) -> None:
    record = Record(**dict.fromkeys(_TEXTS, text), included=(text,))  # type: ignore[arg-type]
    content = write_rows(tmp_path, [record], include=("PatientID",)).read_bytes().decode()
    assert content.endswith("\n")
    assert len(content.splitlines()) == 2  # splits at every character Unicode calls a line end
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", content)


@pytest.mark.parametrize(
    "character",
    # Unicode's Bidi_Control: each can make a name read as another
    [chr(code) for code in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))],
    ids=ascii,
)
def test_direction_characters_are_escaped(character: str) -> None:
    assert character not in cell(f"abc{character}gnp.exe")


@pytest.mark.parametrize("text", _NASTY)
def test_any_text_survives_being_written(text: str, tmp_path: Path) -> None:
    record = Record(**dict.fromkeys(_TEXTS, text), included=(text,))  # type: ignore[arg-type]
    (row,) = read_rows(write_rows(tmp_path, [record], include=("PatientID",)))
    assert {row[name] for name in (*_TEXTS, "dicom_PatientID")} == {cell(text)}


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "\r=1+1", "\n=1+1", "\0=1+1", "'=1"]
)
@pytest.mark.parametrize("read", [str, lambda text: text.lstrip("'")], ids=["cell", "unquoted"])
def test_no_cell_is_a_formula(text: str, read: Callable[[str], str], tmp_path: Path) -> None:
    record = Record(**dict.fromkeys(_TEXTS, text), included=(text,))  # type: ignore[arg-type]
    (row,) = read_rows(write_rows(tmp_path, [record], include=("PatientID",)))
    for name in (*_TEXTS, "dicom_PatientID"):
        assert row[name][0] in "'\\"
        assert read is str or row[name] != read(row[name]) or row[name][0] == "\\"


def test_numbers_are_not_taken_for_formulas(tmp_path: Path) -> None:
    (row,) = read_rows(write_rows(tmp_path, [judged("a.dcm", ood_score=-2.5)]))
    assert row["ood_score"] == "-2.500000"


def test_a_csv_from_before_there_were_prediction_sets_is_read(tmp_path: Path) -> None:
    path = write_rows(tmp_path, [judged("a.dcm")])
    pd.read_csv(path).drop(columns=["prediction_set", "lung_lift"]).to_csv(path, index=False)
    (row,) = read_rows(path)
    assert (row["path"], row["prediction_set"], row["lung_lift"]) == ("a.dcm", "", "")


@pytest.mark.parametrize("name", ["missing.csv", "folder"])
def test_a_csv_that_cannot_be_read_is_said(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(SetupError, match=name):
        read_rows(tmp_path / name)


@pytest.mark.parametrize("content", ["new\n", "ümlaut\n", b"\x00\xff"])
def test_a_file_is_replaced_whole(content: str | bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("an older and longer content")
    write_atomically(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [found.name for found in tmp_path.iterdir()] == ["a.txt"]


def write_where_only_1000_bytes_fit(path: Path) -> subprocess.CompletedProcess[str]:
    """Try `write_atomically` in a process that may make no file longer than 1000 bytes."""
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from scanner.storage import write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    write_atomically(Path(sys.argv[1]), 'new' * 1000)\n"
        "except OSError as error:\n"
        "    print(error.strerror)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )


def test_a_full_disk_leaves_the_old_file_and_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    assert "too large" in write_where_only_1000_bytes_fit(path).stdout
    assert path.read_text() == "old"


def test_a_full_disk_leaves_no_part_of_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    write_where_only_1000_bytes_fit(path)
    assert [found.name for found in tmp_path.iterdir()] == ["a.txt"]
