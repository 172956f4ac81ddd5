"""What a second run keeps of the first one's rows, and what it makes again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from report_samples import CLASSES, failed, judged, rejected, source

from scanner.errors import SetupError
from scanner.records import Record, RecordFile, header_row, read_rows
from scanner.text import cell
from scanner.walk import Source
from scanner.words import REASONS

HEADER = header_row(CLASSES, ())
MODEL = "20ee48f61273"  # of the sample rows
_RETRIED = {"unreadable", "timeout", "changed", "decoder_crashed"}


def resume(folder: Path, sources: list[Source]) -> list[str]:
    """Resume as a second run does and return the names whose rows stand."""
    with RecordFile(folder, HEADER, MODEL) as rows:
        return [row["path"] for row in rows.resume(sources)]


def first_run(folder: Path, rows: list[tuple[Source, Record]]) -> None:
    with RecordFile(folder, HEADER, MODEL) as records:
        records.resume([])
        records.append(rows)


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """An output folder with rows of a, ü and c."""
    first_run(tmp_path, [(source(name), judged(name)) for name in ("a", "ü", "c")])
    return tmp_path


THREE = [source("a"), source("ü"), source("c")]


def intact(folder: Path) -> bool:
    """Whether every line of the CSV is a whole row."""
    content = (folder / "predictions.csv").read_bytes()
    rows = read_rows(folder / "predictions.csv")
    return content.endswith(b"\n") and content.count(b"\n") == len(rows) + 1


def test_rows_of_unchanged_files_stand_in_their_order(three: Path) -> None:
    assert resume(three, list(reversed(THREE))) == ["a", "ü", "c"]


def test_a_new_folder_gets_a_header_and_no_rows(tmp_path: Path) -> None:
    assert resume(tmp_path, [source("a")]) == []
    assert (tmp_path / "predictions.csv").read_text() == ",".join(HEADER) + "\n"


def test_resuming_without_changes_writes_nothing(three: Path) -> None:
    before = {path.name: path.stat() for path in three.iterdir()}
    resume(three, THREE)
    after = {path.name: path.stat() for path in three.iterdir()}
    assert {n: (s.st_ino, s.st_mtime_ns) for n, s in before.items()} == {
        n: (s.st_ino, s.st_mtime_ns) for n, s in after.items()
    }


@pytest.mark.parametrize("lost", [1, 2, 20, 150])
def test_a_torn_last_line_is_cut_off(lost: int, three: Path) -> None:
    csv = three / "predictions.csv"
    csv.write_bytes(csv.read_bytes()[:-lost])
    assert resume(three, THREE) == ["a", "ü"]
    assert intact(three)


def test_a_line_torn_inside_a_character_is_cut_off(three: Path) -> None:
    csv = three / "predictions.csv"
    content = csv.read_bytes()
    csv.write_bytes(content[: content.index("ü".encode()) + 1])
    assert resume(three, THREE) == ["a"]
    assert intact(three)


def test_a_torn_header_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_text("path,status,rea")
    with pytest.raises(SetupError, match="--fresh"):
        resume(tmp_path, [source("a")])


@pytest.mark.parametrize(
    "garbage", [b"\0" * 300, b"\0" * 299 + b"\n", b"a,ok\0,\n", b"x,y\n", b"\n"]
)
def test_garbage_after_a_power_cut_is_dropped(garbage: bytes, three: Path) -> None:
    with (three / "predictions.csv").open("ab") as handle:
        handle.write(garbage)
    assert resume(three, THREE) == ["a", "ü", "c"]
    assert intact(three)
    assert b"\0" not in (three / "predictions.csv").read_bytes()


def test_a_row_overwritten_with_zeros_is_made_again(three: Path) -> None:
    csv = three / "predictions.csv"
    lines = csv.read_bytes().splitlines(keepends=True)
    lines[2] = bytes(len(lines[2]) - 1) + b"\n"
    csv.write_bytes(b"".join(lines))
    assert resume(three, THREE) == ["a", "c"]
    assert intact(three)


def test_a_row_with_zeros_in_a_cell_is_made_again(three: Path) -> None:
    csv = three / "predictions.csv"
    csv.write_bytes(csv.read_bytes().replace(judged("ü").sha256[:8].encode(), bytes(8)))
    assert resume(three, THREE) == ["a", "c"]
    assert intact(three)


@pytest.mark.parametrize("changed", [source("a", size=1001), source("a", modified=2)])
def test_a_changed_file_is_read_again(changed: Source, three: Path) -> None:
    assert resume(three, [changed, *THREE[1:]]) == ["ü", "c"]
    assert [row["path"] for row in read_rows(three / "predictions.csv")] == ["ü", "c"]


def test_a_file_that_became_older_is_read_again(three: Path) -> None:
    assert resume(three, [source("a", modified=0), *THREE[1:]]) == ["ü", "c"]


def test_the_row_of_a_file_that_is_gone_stands(three: Path) -> None:
    assert resume(three, THREE[:1]) == ["a", "ü", "c"]


@pytest.mark.parametrize("reason", sorted(_RETRIED))
def test_what_failed_on_the_way_to_the_file_is_tried_again(reason: str, tmp_path: Path) -> None:
    first_run(tmp_path, [(source("a"), failed("a", reason)), (source("b"), judged("b"))])
    assert resume(tmp_path, [source("a"), source("b")]) == ["b"]


@pytest.mark.parametrize("reason", sorted(set(REASONS) - _RETRIED - {"duplicate"}))
def test_what_failed_because_of_the_file_stands(reason: str, tmp_path: Path) -> None:
    first_run(tmp_path, [(source("a"), failed("a", reason)), (source("b"), rejected("b", reason))])
    assert resume(tmp_path, [source("a"), source("b")]) == ["a", "b"]


def duplicate_of(original: Record, path: str) -> Record:
    return Record(
        path=path,
        status="rejected",
        reason="duplicate",
        detail=f"duplicate_of {original.path}",
        sha256=original.sha256,
        instance=original.instance,
        model=original.model,
    )


@pytest.mark.parametrize("name", ["a", "=a", "'a", "a\nb", "a\\b", "R\udcf6ntgen"])
def test_a_duplicate_stands_while_its_original_does(name: str, tmp_path: Path) -> None:
    original = judged(name)
    rows = [(source(name), original), (source("b"), duplicate_of(original, "b"))]
    first_run(tmp_path, rows)
    assert resume(tmp_path, [source(name), source("b")]) == [cell(name), "b"]


def test_a_duplicate_of_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    # Otherwise no row with a prediction would be left for the image that both were.
    original = judged("a")
    rows = [(source("a"), original), (source("b"), duplicate_of(original, "b"))]
    first_run(tmp_path, rows)
    assert resume(tmp_path, [source("a", modified=2), source("b")]) == []


@pytest.mark.parametrize(
    "other",
    [
        header_row(("Normal", "Covid-19", "Pneumonia"), ()),
        header_row(CLASSES, ("PatientID",)),
        header_row(CLASSES, ())[1:],
    ],
    ids=["classes", "include", "version"],
)
def test_other_columns_are_refused_with_the_way_out(other: list[str], three: Path) -> None:
    before = (three / "predictions.csv").read_bytes()
    with (
        pytest.raises(SetupError, match=r"other columns.*--output.*--fresh"),
        RecordFile(three, other, MODEL) as rows,
    ):
        rows.resume(THREE)
    assert (three / "predictions.csv").read_bytes() == before


def test_without_the_notes_every_file_is_read_again(three: Path) -> None:
    (three / "sources.csv").unlink()
    assert resume(three, THREE) == []
    assert read_rows(three / "predictions.csv") == []


@pytest.mark.parametrize("place", range(3, 150, 7))
def test_a_row_with_one_bit_flipped_is_made_again(place: int, three: Path) -> None:
    csv = three / "predictions.csv"
    content = bytearray(csv.read_bytes())
    content[content.index("ü".encode()) + place] ^= 1
    csv.write_bytes(content)
    assert {"a", "c"} >= set(resume(three, THREE)) >= {"a"}  # a flipped line break costs two
    assert intact(three)


def test_a_row_without_its_note_is_made_again(three: Path) -> None:
    notes = three / "sources.csv"
    notes.write_text("".join(notes.read_text().splitlines(keepends=True)[1:]))
    assert resume(three, THREE) == ["ü", "c"]


def test_a_note_without_its_row_is_forgotten(three: Path) -> None:
    with (three / "sources.csv").open("a") as handle:
        handle.write("d,1000,1,00000000\n")
    assert resume(three, [*THREE, source("d")]) == ["a", "ü", "c"]


def test_rows_appended_after_resuming_are_whole_lines(three: Path) -> None:
    csv = three / "predictions.csv"
    csv.write_bytes(csv.read_bytes()[:-20])
    with RecordFile(three, HEADER, MODEL) as rows:
        rows.resume(THREE)
        rows.append([(source("c"), judged("c", "Covid-19"))])
        rows.append([(source("d"), failed("d"))])
    assert intact(three)
    found = [(row["path"], row["prediction"]) for row in read_rows(csv)]
    assert found == [("a", "Normal"), ("ü", "Normal"), ("c", "Covid-19"), ("d", "")]
    assert resume(three, [*THREE, source("d")]) == ["a", "ü", "c", "d"]


def test_of_two_rows_of_one_file_the_later_stands(three: Path) -> None:
    with RecordFile(three, HEADER, MODEL) as rows:
        rows.resume(THREE)
        rows.append([(source("a"), judged("a", "Covid-19"))])
    assert sorted(resume(three, THREE)) == ["a", "c", "ü"]
    found = {row["path"]: row["prediction"] for row in read_rows(three / "predictions.csv")}
    assert found == {"a": "Covid-19", "ü": "Normal", "c": "Normal"}
    assert intact(three)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a\nb", "a\\x0ab"),
        ("=a", "'=a"),
        ("a\udc85", "a\x85"),  # a byte that is not UTF-8, and the same number as a character
        ("a\\", "a\\\\"),
        ("e\u0301", "é"),
        ("a", "A"),
        ("a", "a "),
    ],
)
def test_files_whose_names_differ_by_an_escape_stay_two(
    one: str, other: str, tmp_path: Path
) -> None:
    sources = [source(one, size=1), source(other, size=2)]
    first_run(tmp_path, [(s, judged(s.relative)) for s in sources])
    assert len(set(resume(tmp_path, sources))) == 2
    assert len(resume(tmp_path, [source(one, size=1), source(other, size=3)])) == 1


def test_rows_survive_the_kill_of_the_process(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from report_samples import CLASSES, judged, source\n"
        "from scanner.records import RecordFile, header_row\n"
        "rows = RecordFile(Path(sys.argv[1]), header_row(CLASSES, ()), '20ee48f61273')\n"
        "rows.resume([])\n"
        "rows.append([(source('a'), judged('a')), (source('b'), judged('b'))])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert intact(tmp_path)
    assert resume(tmp_path, [source("a"), source("b")]) == ["a", "b"]


def test_no_draft_is_left_beside_the_results(three: Path) -> None:
    resume(three, [source("a", size=5)])
    assert sorted(path.name for path in three.iterdir()) == ["predictions.csv", "sources.csv"]
