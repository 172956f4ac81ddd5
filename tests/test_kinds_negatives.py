"""Pictures of other kinds come from a table of files, whatever their headers say."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from dicom_files import as_bytes
from pydicom.dataset import Dataset

from scanner.errors import SetupError
from scanner.preprocess import PreprocessSpec
from training import negatives

SPEC = PreprocessSpec(size=64)


def picture(path: Path, colour: bool = False) -> None:
    shape = (90, 70, 3) if colour else (90, 70)
    cv2.imwrite(str(path), np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8))


def table(folder: Path, *rows: str, header: str = "path,kind") -> Path:
    file = folder / "negatives.csv"
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return file


def refusal(file: Path) -> str:
    with pytest.raises(SetupError) as raised:
        negatives.read(negatives.read_table(file), SPEC)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_files_are_found_beside_their_table(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    picture(tmp_path / "inner" / "hand.png")
    found = negatives.read_table(table(tmp_path, "inner/hand.png,other_body_part"))
    read = negatives.read(found, SPEC)
    assert [(one.kind, one.origin) for one in read] == [("other_body_part", "inner/hand.png")]
    assert read[0].image.shape == (64, 64)
    assert read[0].image.dtype == np.uint8


def test_a_patient_is_the_origin_of_all_their_pictures(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        picture(tmp_path / name)
    rows = ("p1,a.png,lateral_view", "p1,b.png,ct_slice", ",c.png,ct_slice")
    found = negatives.read_table(table(tmp_path, *rows, header="patient,path,kind"))
    assert [one.origin for one in found] == ["p1", "p1", "c.png"]


def test_a_header_that_a_scan_rejects_does_not_hide_the_picture(
    tmp_path: Path, radiograph_dataset: Dataset
) -> None:
    radiograph_dataset.ViewPosition = "LL"
    radiograph_dataset.BodyPartExamined = "HIP"
    (tmp_path / "a.dcm").write_bytes(as_bytes(radiograph_dataset))
    read = negatives.read(negatives.read_table(table(tmp_path, "a.dcm,lateral_view")), SPEC)
    assert len(read) == 1
    assert np.ptp(read[0].image) == 255


def test_what_a_scan_rejects_before_the_network_sees_it_is_left_out(tmp_path: Path) -> None:
    picture(tmp_path / "grey.png")
    picture(tmp_path / "photograph.png", colour=True)
    cv2.imwrite(str(tmp_path / "blank.png"), np.zeros((90, 70), np.uint8))
    rows = [f"{name}.png,not_a_radiograph" for name in ("photograph", "grey", "blank")]
    read = negatives.read(negatives.read_table(table(tmp_path, *rows)), SPEC)
    assert [one.origin for one in read] == ["grey.png"]
    assert "coloured or blank" in refusal(table(tmp_path, rows[0]))


def test_an_unknown_kind_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    message = refusal(table(tmp_path, "a.png,lateral"))
    assert "'lateral'" in message
    assert "lateral_view, upside_down" in message
    assert "'frontal'" in refusal(table(tmp_path, "a.png,frontal"))


def test_missing_files_and_columns_are_named(tmp_path: Path) -> None:
    assert "gone.png" in refusal(table(tmp_path, "gone.png,ct_slice"))
    assert "no kind" in refusal(table(tmp_path, "a.png,ct_slice", header="path,label"))
    assert "no path and no kind" in refusal(table(tmp_path))
    assert "no kind" in refusal(table(tmp_path, "a.png"))
    assert "cannot be read as CSV" in refusal(tmp_path / "absent.csv")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    message = refusal(table(tmp_path, "torn.png,ct_slice"))
    assert "torn.png" in message
    assert "1 of 1" in message
