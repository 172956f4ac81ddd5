"""Decisions of a review of a scan are labels: alone, or joined to other data, where they win."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from dicom_files import as_bytes
from labelled_data import loaded, picture
from pydicom.dataset import Dataset

from scanner.errors import SetupError
from scanner.output import MANIFEST, PREDICTIONS, SOURCES
from scanner.text import cell, printable, unescaped


def _review(output: Path, root: Path, decisions: dict[str, str]) -> Path:
    """Write the output folder of a scan of `root` in which these decisions were made."""
    output.mkdir()
    (output / PREDICTIONS).write_text("path,status,reason\n")
    (output / SOURCES).write_text("")
    (output / MANIFEST).write_text(json.dumps({"root": printable(str(root))}))
    with (output / "reviewed.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(("path", "decision"))
        writer.writerows((cell(path), decision) for path, decision in decisions.items())
    return output


def _studies(root: Path) -> dict[str, str]:
    """Write six pictures, three with names that a CSV guards, and return decisions."""
    names = ["=1+1.png", "-x/a.png", "b\\c.png", "d.png", "e.png", "f.png"]
    for index, name in enumerate(names):
        picture(root / name, index)
    decisions = ["Covid-19", "Normal", "Covid-19", "Normal", "", "exclude"]
    return dict(zip(names, decisions, strict=True))


@pytest.mark.parametrize("place", ["studies-cxr", "studies-cxr/reviewed.csv"])
def test_a_review_is_labelled_data(place: str, tmp_path: Path) -> None:
    decisions = _studies(tmp_path / "stu\\dies")
    _review(tmp_path / "studies-cxr", tmp_path / "stu\\dies", decisions)
    data = loaded(tmp_path / place, tmp_path / "work")
    assert dict(zip(data.names, data.labels, strict=True)) == dict(list(decisions.items())[:4])
    assert set(data.sources) == {"reviewed"}
    assert data.left_out == {"no decision": 1, "label 'exclude' is none of the classes": 1}


def test_reviewed_images_join_other_data_and_their_label_wins(tmp_path: Path) -> None:
    decisions = _studies(tmp_path / "studies")
    _review(tmp_path / "out", tmp_path / "studies", decisions)
    for index in (1, 10, 11):  # 1 is the picture that was judged Normal
        picture(tmp_path / "data" / "COVID" / f"{index}.png", index)
        picture(tmp_path / "data" / "Normal" / f"{index}.png", index + 50)
    data = loaded(tmp_path / "data", tmp_path / "work", reviewed=(tmp_path / "out",))
    found = dict(zip(data.names, data.labels, strict=True))
    assert len(data) == 9
    assert found["COVID/1.png"] == "Normal"
    assert "-x/a.png" not in found
    assert found["=1+1.png"] == "Covid-19"
    assert data.left_out["the same image was reviewed"] == 1
    assert data.duplicates == 0
    assert "decisions in" in data.form and data.form.startswith("a folder for each class and")


def test_what_gives_no_label_is_left_out_and_counted(tmp_path: Path) -> None:
    _studies(tmp_path / "studies")
    output = _review(tmp_path / "out", tmp_path / "studies", {})
    hashes = {
        name: hashlib.sha256((tmp_path / "studies" / name).read_bytes()).hexdigest()
        for name in ("-x/a.png", "d.png", "e.png", "f.png", "=1+1.png")
    }
    header = "path,sha256,decision,reviewer,conflict\n"
    rows = [
        ("d.png", "Normal", "Anna", ""),
        ("d.png", "Normal", "Ben", ""),
        ("e.png", "Normal", "Anna", "yes"),
        ("e.png", "Covid-19", "Ben", "yes"),
        ("f.png", "unclear", "Anna", ""),
        ("=1+1.png", "", "Anna", ""),  # a note
        ("-x/a.png", "Covid-19", "Anna", ""),
        ("-x/a.png", "", "Ben", ""),
        ("b\\c.png", "Covid-19", "Anna", ""),  # of a file that had another hash
    ]
    table = header + "".join(
        f"{cell(name)},{hashes.get(name, '0' * 64)},{decision},{who},{conflict}\n"
        for name, decision, who, conflict in rows
    )
    (output / "reviewed.csv").write_text(table)
    data = loaded(output, tmp_path / "work", least=1)
    labels = dict(zip(data.names, data.labels, strict=True))
    assert labels == {"d.png": "Normal", "-x/a.png": "Covid-19"}
    assert data.left_out == {
        "reviewers differ": 1,
        "decision unclear": 1,
        "no decision": 1,
        "the file is another one since it was reviewed": 1,
    }


def test_a_disagreement_about_an_answer_gives_no_label(tmp_path: Path) -> None:
    decisions = _studies(tmp_path / "studies")
    output = _review(tmp_path / "out", tmp_path / "studies", decisions)
    table = (output / "reviewed.csv").read_text().splitlines()
    marked = [row + (",yes" if row.startswith("d.png") else ",") for row in table[1:]]
    (output / "reviewed.csv").write_text("\n".join(["path,decision,conflict", *marked]))
    data = loaded(output, tmp_path / "work", least=1)
    assert "d.png" not in data.names and data.left_out["reviewers differ"] == 1


def test_a_scan_with_hidden_paths_says_what_to_do(tmp_path: Path) -> None:
    output = _review(tmp_path / "out", tmp_path / "studies", {"9d4be0b1a2c3d4e5.png": "Normal"})
    (output / MANIFEST).write_text(json.dumps({"root": "0" * 16, "hide_paths": True}))
    words = r"CSV with the columns path and label .* `cxr-scan paths FOLDER .*/out` prints"
    with pytest.raises(SetupError, match=words):
        loaded(output, tmp_path / "work")


def _with_table(folder: Path, **columns: list[str]) -> Path:
    folder.mkdir()
    names = [str(picture(folder / f"{index}.png", index)) for index in (0, 1, 20, 21)]
    labels = ["Normal", "Normal", "COVID", "COVID"]
    with (folder / "list.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(("path", "label", *columns))
        writer.writerows(zip(names, labels, *columns.values(), strict=True))
    return folder / "list.csv"


def test_what_the_data_knows_of_a_reviewed_image_stays(tmp_path: Path) -> None:
    _review(tmp_path / "out", tmp_path / "studies", _studies(tmp_path / "studies"))
    file = _with_table(
        tmp_path / "data",
        patient=["p", "q", "r", "s"],
        source=["there"] * 4,
        split=["test", "train", "train", "validation"],
    )
    data = loaded(file, tmp_path / "work", reviewed=(tmp_path / "out",))
    at = data.names.index(str(tmp_path / "data" / "0.png"))
    known: tuple[Any, ...] = (data.labels[at], data.patients[at], data.sources[at], data.parts[at])
    assert known == ("Covid-19", "p", "there", "test")
    alone = data.names.index("d.png")
    assert (data.sources[alone], data.parts[alone]) == ("reviewed", "train")


def test_of_two_reviews_the_later_one_stands(tmp_path: Path) -> None:
    decisions = _studies(tmp_path / "studies")
    _review(tmp_path / "first", tmp_path / "studies", decisions)
    changed = {**decisions, "d.png": "Pneumonia", "e.png": "Pneumonia"}
    _review(tmp_path / "second", tmp_path / "studies", changed)
    file = _with_table(tmp_path / "data")
    reviews = (tmp_path / "first", tmp_path / "second")
    data = loaded(file, tmp_path / "work", reviewed=reviews, least=1)
    found = dict(zip(data.names, data.labels, strict=True))
    assert found["d.png"] == "Pneumonia"
    assert len(data) == 7


def test_reviewed_dicom_images_share_patients_with_the_data(
    tmp_path: Path, radiograph_dataset: Dataset
) -> None:
    for folder, count in (("studies", 2), ("data/Normal", 2), ("data/COVID", 2)):
        (tmp_path / folder).mkdir(parents=True)
        for index in range(count):
            offset = 1000 * (len(folder) + index)
            radiograph_dataset.PixelData = bytes(offset) + radiograph_dataset.PixelData[offset:]
            place = tmp_path / folder / f"{index}.dcm"
            place.write_bytes(as_bytes(radiograph_dataset))
    _review(tmp_path / "out", tmp_path / "studies", {"0.dcm": "Covid-19", "1.dcm": "Normal"})
    data = loaded(tmp_path / "data", tmp_path / "work", reviewed=(tmp_path / "out",))
    assert len(data) == 6
    assert len(set(data.patients)) == 1 and data.patients[0]


def test_a_review_that_will_not_do_is_one_line(tmp_path: Path) -> None:
    decisions = _studies(tmp_path / "studies")
    output = _review(tmp_path / "out", tmp_path / "studies", decisions)
    (tmp_path / "studies" / "d.png").unlink()
    with pytest.raises(
        SetupError, match=r"names 1 file\(s\) .*\(of 5\), the first is d.png: paths"
    ):
        loaded(output, tmp_path / "work")
    (output / MANIFEST).unlink()
    with pytest.raises(SetupError, match=r"manifest.json does not say which folder was scanned"):
        loaded(output, tmp_path / "work")
    (output / "reviewed.csv").write_text("path,verdict\nx,y\n")
    with pytest.raises(SetupError, match="is no review: it needs the columns path and decision"):
        loaded(output, tmp_path / "work")
    (output / "reviewed.csv").unlink()
    with pytest.raises(
        SetupError, match=r"out is of a scan but holds no reviewed.csv: `cxr-scan review` makes it"
    ):
        loaded(output, tmp_path / "work")
    with pytest.raises(SetupError, match="studies is no output folder of a scan: holds no"):
        loaded(output, tmp_path / "work", reviewed=(tmp_path / "studies",))


@pytest.mark.parametrize(
    "text", ["plain", "a\\b", "a\\\\x41", "line\nbreak\x1b", "ümlaut \u202e \x85", "\udcff\udc80"]
)
def test_escaped_paths_become_what_they_were(text: str) -> None:
    assert unescaped(printable(text)) == text
