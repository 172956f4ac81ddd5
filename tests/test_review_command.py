"""`cxr-scan review` merges exported decisions, loses none silently, and holds them to the model."""

from pathlib import Path

import pytest
from command_line import loaded, run
from filelock import FileLock
from report_samples import judged
from review_samples import MODEL, Said, export, merged, scanned

from scanner.decisions import EXPORTED, MERGED
from scanner.errors import SetupError
from scanner.output import LOCK, REVIEWED
from scanner.review import merge
from scanner.review_lines import lines, warnings

_HOSTILE = "=1+1\x1b[2J.dcm"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return scanned(tmp_path / "out")


def _said(output: Path, *said: Said) -> list[str]:
    file = export(output.parent / "decisions.csv", said)
    return list(lines(merge(output, [file]), 1))


def test_a_decision_is_kept_with_the_answer_it_was_about(output: Path) -> None:
    _said(output, Said("c0.dcm", "Normal", note="=SUM(A1)\nsee \\ left", seconds="12.34"))
    (row,) = merged(output)
    assert tuple(row) == MERGED
    assert row["path"] == "c0.dcm" and len(row["sha256"]) == 64
    assert (row["decision"], row["prediction"], row["agrees"]) == ("Normal", "Covid-19", "no")
    assert (row["reviewer"], row["decided_at"]) == ("Anna", "2026-11-23T07:00:00.123Z")
    assert (row["seconds"], row["model"], row["conflict"]) == ("12.3", MODEL, "")
    assert row["note"] == "'=SUM(A1)\\x0asee \\\\ left"


def test_a_path_may_begin_and_end_with_a_blank(tmp_path: Path) -> None:
    output = scanned(tmp_path / "out", [judged(" a.dcm"), judged("b.dcm ")])
    assert "merged: 2 new" in _said(output, Said(" a.dcm", "Normal"), Said("b.dcm ", "Normal"))
    assert [row["path"] for row in merged(output)] == [" a.dcm", "b.dcm "]


def test_merging_twice_is_merging_once(output: Path) -> None:
    said = [
        Said("c0.dcm", "Covid-19", note="'quoted' \\x41 \x07 ü\u202e\n", minute=3),
        Said(_HOSTILE, "unclear", reviewer="=Ben"),
        Said("u0.dcm", "", agrees="no", seconds=""),
    ]
    assert "merged: 3 new" in _said(output, *said)
    first = (output / REVIEWED).read_bytes()
    assert "merged: 3 as before" in _said(output, *said)
    merge(output, [output / REVIEWED])
    merge(output, [])
    assert (output / REVIEWED).read_bytes() == first


def test_the_later_decision_of_a_reviewer_stands_in_whatever_order_it_comes(output: Path) -> None:
    early, late = Said("c0.dcm", "Normal", minute=1), Said("c0.dcm", "Covid-19", "ANNA ", minute=2)
    for said in ([early, late], [late, early]):
        _said(output, *said)
        assert [row["decision"] for row in merged(output)] == ["Covid-19"]
    assert "merged: 1 earlier" in _said(output, early)
    assert [row["decision"] for row in merged(output)] == ["Covid-19"]


def test_a_later_note_withdraws_a_decision(output: Path) -> None:
    _said(output, Said("c0.dcm", "Normal"))
    assert "merged: 1 changed" in _said(output, Said("c0.dcm", "", minute=1, note="not mine"))
    assert [row["decision"] for row in merged(output)] == [""]


def test_reviewers_who_differ_are_listed_until_one_changes_it(output: Path) -> None:
    ben = Said("c0.dcm", "Normal", "Ben")
    said = _said(output, Said("c0.dcm", "Covid-19"), ben, Said("c1.dcm", "Covid-19"))
    assert "conflicts: 1, without a label until one of the reviewers changes it" in said
    assert "  c0.dcm: Anna Covid-19, Ben Normal" in said
    assert [row["conflict"] for row in merged(output)] == ["yes", "yes", ""]
    assert "model: reviewers agree with its answer on 1 of 1 images" in said  # c1 alone
    said = _said(output, Said("c0.dcm", "Covid-19", "Ben", minute=1))
    assert not [line for line in said if line.startswith("conflicts")]
    assert [row["conflict"] for row in merged(output)] == ["", "", ""]


@pytest.mark.parametrize(
    ("other", "conflict"),
    [
        (Said("c0.dcm", "", "Ben", agrees="no"), False),  # both say that it is not Covid-19
        (Said("c0.dcm", "unclear", "Ben"), True),
        (Said("c0.dcm", "", "Ben", note="look at the hilum"), False),
    ],
)
def test_what_is_a_conflict_with_another_class(output: Path, other: Said, conflict: bool) -> None:
    _said(output, Said("c0.dcm", "Normal"), other)
    assert {row["conflict"] for row in merged(output)} == {"yes" if conflict else ""}


def test_who_agrees_with_an_answer_differs_from_who_does_not(output: Path) -> None:
    said = _said(output, Said("c0.dcm", "Covid-19"), Said("c0.dcm", "", "Ben", agrees="no"))
    assert "  c0.dcm: Anna Covid-19, Ben not Covid-19" in said


def test_people_and_model_are_held_against_each_other(output: Path) -> None:
    said = _said(
        output,
        *(Said(f"c{n}.dcm", "Covid-19", seconds=str(n)) for n in range(3)),
        Said("c3.dcm", "Normal", seconds="30,5"),
        *(Said(f"n{n}.dcm", "Normal") for n in range(3)),
        Said("n3.dcm", "", agrees="no"),
        Said("u0.dcm", "Covid-19"),
        Said("u1.dcm", "unclear", agrees="yes"),
        Said("lateral.dcm", "", agrees="yes"),
        Said("torn.dcm", "", agrees="no"),
    )
    at = said.index("model: reviewers agree with its answer on 7 of 10 images")
    assert [line.split() for line in said[at + 1 : at + 7]] == [
        ["reviewers", "\\", "model", "Covid-19", "Normal", "Pneumonia", "uncertain"],
        ["Covid-19", "3", "0", "0", "1"],
        ["Normal", "1", "3", "0", "0"],
        ["Pneumonia", "0", "0", "0", "0"],
        ["unclear", "0", "0", "0", "1"],
        ["disagrees", "0", "1", "0", "0"],
    ]
    # Of seven images 3 + 3 agree; chance alone gives (3 * 4 + 4 * 3) / 49.
    kappa = (6 / 7 - 24 / 49) / (1 - 24 / 49)
    assert f"kappa of reviewers and model: {kappa:.3f} on 7 images that both gave a class" in said
    at = said.index("  Covid-19 from 0.5 (balanced, sensitive):")
    # u0 has a probability of 0.3 each: Covid-19 to a person, missed at 0.5, found at 0.05.
    assert said[at + 1] == "    sensitivity 0.750 (0.301 to 0.954) on 4 images"
    assert said[at + 2] == "    specificity 0.750 (0.301 to 0.954) on 4 images"
    assert said[at + 3] == "  Pneumonia from 0.05 (sensitive):"
    assert said[at + 4] == "    sensitivity - on 0 images"
    assert "rejected or failed: reviewers agree on 1 of 2" in said
    assert "time: 4.0 s an image (median)" in said


def test_whoever_only_says_that_a_found_class_is_wrong_counts_against_it(output: Path) -> None:
    said = _said(output, Said("c0.dcm", "", agrees="no"), Said("c1.dcm", "Covid-19"))
    at = said.index("  Covid-19 from 0.5 (balanced, sensitive):")
    assert said[at + 2] == "    specificity 0.000 (0.000 to 0.793) on 1 images"


def test_two_reviewers_are_held_against_each_other(output: Path) -> None:
    both = {"c0": "Covid-19", "c1": "Covid-19", "n0": "Normal", "n1": "Normal"}
    said = [Said(f"{name}.dcm", decision) for name, decision in both.items()]
    said += [Said(f"{name}.dcm", decision, "Ben") for name, decision in both.items()]
    said[-1] = Said("n1.dcm", "Covid-19", "Ben")
    said += [Said("c3.dcm", "unclear", "Ben"), Said("c3.dcm", "Covid-19", "Eva")]
    assert "Anna and Ben: 0.500 on 4 images that both gave a class" in _said(output, *said)


def test_kappa_of_one_class_alone_is_undefined(output: Path) -> None:
    said = _said(output, Said("c0.dcm", "Covid-19"))
    words = "undefined, 1 images that both gave a class are of one class alone"
    assert f"kappa of reviewers and model: {words}" in said


def test_what_is_of_no_image_here_is_left_out_and_said(output: Path) -> None:
    file = export(
        output.parent / "decisions.csv",
        [
            Said("c0.dcm", "Covid-19"),
            Said("elsewhere.dcm", "Normal"),
            Said("c1.dcm", "Normal", sha256="f" * 64),
        ],
    )
    review = merge(output, [file])
    assert [row["path"] for row in merged(output)] == ["c0.dcm"]
    said = list(warnings(review))
    assert len(said) == 2
    assert "1 decision(s) left out, no such image in this scan" in said[0]
    assert "line 3, elsewhere.dcm" in said[0]
    assert "1 decision(s) left out, the file is another one since" in said[1]


def test_a_file_of_another_scan_is_refused(output: Path) -> None:
    file = export(output.parent / "decisions.csv", [Said("elsewhere.dcm", "Normal")] * 3)
    with pytest.raises(SetupError, match=r"None of the 3 decision\(s\) is of an image in .*/out"):
        merge(output, [file])
    assert not (output / REVIEWED).exists()


def test_twelve_digits_of_a_hash_and_a_name_without_its_guard_are_enough(output: Path) -> None:
    full = Said(_HOSTILE, "Normal").cells()
    file = export(output.parent / "decisions.csv", [])
    with file.open("a") as handle:
        handle.write(",".join([full[0].removeprefix("'"), full[1][:12], *full[2:]]) + "\n")
    merge(output, [file])
    (row,) = merged(output)
    assert row["path"] == "'=1+1\\x1b[2J.dcm" and len(row["sha256"]) == 64
    short = export(output.parent / "short.csv", [Said("c0.dcm", "Normal", sha256="")])
    with pytest.raises(SetupError, match="None of the 1"):
        merge(output, [short])


def test_decisions_on_the_answers_of_another_model_are_kept_but_not_compared(output: Path) -> None:
    said = _said(output, Said("c0.dcm", "Tuberculosis", model="another"), Said("c1.dcm", "Normal"))
    assert "model: reviewers agree with its answer on 0 of 1 images" in said
    assert "kept but not compared: 1 decision(s) on another model's answer" in said[-3]
    assert [row["decision"] for row in merged(output)] == ["Tuberculosis", "Normal"]


def test_a_table_that_a_spreadsheet_saved_is_read(output: Path) -> None:
    file = export(output.parent / "decisions.csv", [Said("c0.dcm", "covid-19", seconds="4.5")])
    text = file.read_text().replace(",", ";").replace("4.5", "4,5").replace("\n", "\r\n")
    file.write_text("\ufeff" + text.replace("path", "PATH") + "\r\n", newline="")
    merge(output, [file])
    (row,) = merged(output)
    assert (row["decision"], row["seconds"], row["agrees"]) == ("Covid-19", "4.5", "yes")


_GOOD = Said("c0.dcm", "Normal").cells()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "it lacks the columns path, sha256, decision"),
        (b"path,decision\nc0.dcm,Normal\n", "it lacks the columns sha256, agrees"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (",".join(_GOOD[:4]).encode(), "line 2: 4 cells where 9 are expected"),
        (b'"c0.dcm,', "line 2: this is damaged as CSV"),
        (",".join(["c0.dcm", "zz", *_GOOD[2:]]).encode(), "line 2: sha256 is 'zz', expected hex"),
        (",".join([*_GOOD[:2], "Covid19", *_GOOD[3:]]).encode(), "Did you mean Covid-19"),
        (",".join([*_GOOD[:3], "maybe", *_GOOD[4:]]).encode(), "agrees is 'maybe'"),
        (",".join([*_GOOD[:4], "", *_GOOD[5:]]).encode(), "line 2: no reviewer"),
        (",".join([*_GOOD[:5], "23.11.", *_GOOD[6:]]).encode(), "decided_at is '23.11.'"),
        (",".join([*_GOOD[:6], "nan", *_GOOD[7:]]).encode(), "seconds is 'nan'"),
    ],
)
def test_what_cannot_be_taken_is_one_line_and_changes_nothing(
    content: bytes, complaint: str, output: Path
) -> None:
    _said(output, Said("c0.dcm", "Covid-19"))
    before = (output / REVIEWED).read_bytes()
    file = output.parent / "damaged.csv"
    header = b"" if b"path" in content or not content else ",".join(EXPORTED).encode() + b"\n"
    file.write_bytes(header + content)
    good = export(output.parent / "good.csv", [Said("c1.dcm", "Normal")])
    with pytest.raises(SetupError) as error:
        merge(output, [good, file])
    assert complaint in str(error.value) and "\n" not in str(error.value)
    assert (output / REVIEWED).read_bytes() == before


def test_a_reviewed_csv_that_is_none_of_ours_is_not_overwritten(output: Path) -> None:
    (output / REVIEWED).write_text("path,decision\nc0.dcm,Normal\n")
    with pytest.raises(SetupError, match=r"Nothing was merged: mend reviewed\.csv or move it"):
        _said(output, Said("c0.dcm", "Covid-19"))
    assert (output / REVIEWED).read_text() == "path,decision\nc0.dcm,Normal\n"


def test_the_folder_is_held_while_it_is_merged(output: Path) -> None:
    with FileLock(output / LOCK), pytest.raises(SetupError, match="wait for it, then merge again"):
        _said(output, Said("c0.dcm", "Normal"))


def test_a_folder_that_cannot_be_written_is_one_line(output: Path) -> None:
    (output / f"{REVIEWED}.part").mkdir()  # no user may write a file there, root neither
    with pytest.raises(SetupError, match=r"written \(Is a directory\), nothing was merged"):
        _said(output, Said("c0.dcm", "Normal"))


def test_the_command_says_what_it_did_and_ends_with_what_was_left_out(tmp_path: Path) -> None:
    scanned(tmp_path / "out")
    hostile = Said(_HOSTILE, "Covid-19", "A\x1b[2J\u202e", note="\x07")
    export(tmp_path / "a.csv", [hostile, Said(_HOSTILE, "Normal", "Ben")])
    done = run("review", "out", "a.csv", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(line.isprintable() for line in done.stdout.splitlines())
    assert "  '=1+1\\x1b[2J.dcm: A\\x1b[2J\\u202e Covid-19, Ben Normal" in done.stdout
    export(tmp_path / "b.csv", [Said("c0.dcm", "Normal"), Said("no\x1b[2J.dcm", "Normal")])
    done = run("review", "out", "a.csv", "b.csv", "--quiet", home=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("warning: 1 decision(s) left out") and "\x1b" not in done.stderr
    assert len(merged(tmp_path / "out")) == 3
    for wrong, code in (("nowhere", 2), (".", 1)):
        assert run("review", wrong, "a.csv", home=tmp_path).returncode == code
    assert not (tmp_path / LOCK).exists()  # nothing is left in a folder that is no output
    done = run("review", "out", "c.csv", home=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "c.csv cannot be read (No such file or directory)" in done.stderr


def test_an_output_without_decisions_says_where_they_come_from(tmp_path: Path) -> None:
    scanned(tmp_path / "out")
    done = run("review", "out", home=tmp_path)
    assert done.stdout == "reviewed: nothing yet; the report exports decisions.csv\n"
    assert not (tmp_path / "out" / REVIEWED).exists()


def test_merging_loads_nothing_heavy(tmp_path: Path) -> None:
    scanned(tmp_path / "out")
    export(tmp_path / "a.csv", [Said("c0.dcm", "Normal")])
    names = {"tensorflow", "sklearn", "scipy", "numpy", "pandas"}
    assert loaded("review", "out", "a.csv", "-q", names=names, home=tmp_path) == "set()"
