"""Files that a CSV names: manifests, and labels beside a folder of DICOM."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from dicom_files import as_bytes
from labelled_data import loaded, picture
from pydicom.dataset import Dataset

from scanner.errors import SetupError
from training.data.dataset import describe

_LABELS = ["COVID", "Normal", "COVID", "Normal"]


def _table(folder: Path, name: str = "list.csv", **columns: Any) -> Path:
    """Write four pictures and a CSV that names them."""
    for index in range(4):
        picture(folder / "pictures" / f"{index}.png", index)
    rows = {"path": [f"pictures/{index}.png" for index in range(4)], "label": _LABELS, **columns}
    kept = {key: values for key, values in rows.items() if values is not None}
    pd.DataFrame(kept).to_csv(folder / name, index=False)
    return folder / name


def test_a_manifest_says_what_is_known_of_each_image(tmp_path: Path) -> None:
    picture(tmp_path / "masks" / "0.png", 9)
    file = _table(
        tmp_path,
        patient=["a", "a", "b", ""],
        source=["here", "here", "there", "there"],
        mask=["masks/0.png", "", "", ""],
        split=["Train", "VAL", "valid", "test"],
    )
    data = loaded(file, tmp_path / "work")
    assert data.labels == ["Covid-19", "Normal", "Covid-19", "Normal"]
    assert data.names[1] == "pictures/1.png"
    assert data.patients == ["a", "a", "b", ""]
    assert data.sources == ["here", "here", "there", "there"]
    assert data.masks == [str(tmp_path / "masks" / "0.png"), "", "", ""]
    assert data.parts == ["train", "validation", "validation", "test"]
    assert {"  here: 1 Covid-19, 1 Normal", "  there: 1 Covid-19, 1 Normal"} <= set(describe(data))


def test_set_counts_before_source(tmp_path: Path) -> None:
    file = _table(tmp_path, set=["one", "one", "two", "two"], source=["a sentence"] * 4)
    assert loaded(file, tmp_path / "work").sources == ["one", "one", "two", "two"]


def test_other_views_than_frontal_ones_are_left_out(tmp_path: Path) -> None:
    file = _table(tmp_path, view=["PA", "ap", "L", ""])
    with pytest.raises(SetupError, match="one image of Covid-19"):
        loaded(file, tmp_path / "work")
    data = loaded(file, tmp_path / "work", least=1)
    assert data.names == ["pictures/0.png", "pictures/1.png", "pictures/3.png"]
    assert data.left_out == {"view other than PA or AP": 1}


def test_numbers_in_a_table_need_their_names(tmp_path: Path) -> None:
    file = _table(tmp_path, label=["1", "0", "1", "0"])
    with pytest.raises(SetupError, match="the labels are the numbers 0, 1 and nothing names them"):
        loaded(file, tmp_path / "work")
    data = loaded(file, tmp_path / "work", classes=("Normal", "COVID"))
    assert data.labels == ["Covid-19", "Normal", "Covid-19", "Normal"]
    assert data.classes == ["Normal", "Covid-19"]


def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    file = _table(tmp_path)
    text = file.read_text().replace(",", ";").replace("path;label", "Path ; Label")
    file.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert len(loaded(file, tmp_path / "work")) == 4


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": None}, "has no column label; its columns are path"),
        ({"path": None, "label": None, "x": [1] * 4}, "no column path and no label"),
        (
            {"path": ["pictures/0.png", "a.png", "b.png", "b.png"]},
            r"names 3 file.*\(of 4\).* a.png",
        ),
        ({"mask": ["m.png", "", "", ""]}, "names 1 file.* that are not there .*m.png"),
        ({"split": ["train", "test", "dev", ""]}, "has 'dev' in its column split where train"),
        ({"split": ["train", "test", "", ""]}, "says for 2 of 4 images whether they are for train"),
    ],
)
def test_a_table_that_will_not_do_is_one_line(
    columns: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SetupError, match=message) as caught:
        loaded(_table(tmp_path, **columns), tmp_path / "work")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_table_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('path,label\n"a\n')
    (tmp_path / "b.csv").write_bytes(b"path,label\n\xff\xfe,x\n")
    (tmp_path / "c.csv").write_bytes(b"")
    for name in "abc":
        with pytest.raises(SetupError, match="cannot be read as CSV: ") as caught:
            loaded(tmp_path / f"{name}.csv", tmp_path / "work")
        assert "\n" not in str(caught.value)


def _dicom_folder(folder: Path, dataset: Dataset) -> Path:
    """Four DICOM files of two patients, and the labels beside them; every third name is bare."""
    folder.mkdir()
    for index, patient in enumerate(("P1", "P2", "P1", "P2")):
        dataset.PatientID, dataset.SOPInstanceUID = patient, f"1.2.3.{index}"
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.PixelData = bytes(1000 * index) + dataset.PixelData[1000 * index :]
        (folder / f"{index}.dcm").write_bytes(as_bytes(dataset))
    (folder / "3.dcm").rename(folder / "3")
    names = ["0.dcm", "1", "2", "3.dcm"]
    pd.DataFrame({"filename": names, "finding": _LABELS}).to_csv(folder / "l.csv", index=False)
    return folder


def test_a_folder_of_dicom_takes_labels_from_its_table_and_patients_from_headers(
    tmp_path: Path, radiograph_dataset: Dataset
) -> None:
    folder = _dicom_folder(tmp_path / "data", radiograph_dataset)
    data = loaded(folder, tmp_path / "work")
    assert data.labels == ["Covid-19", "Normal", "Covid-19", "Normal"]
    first, second = data.patients[:2]
    assert first and second and first != second
    assert data.patients == [first, second, first, second]
    assert "P1" not in first  # a pseudonym, not the identifier


def test_a_patient_column_counts_before_the_header(
    tmp_path: Path, radiograph_dataset: Dataset
) -> None:
    folder = _dicom_folder(tmp_path / "data", radiograph_dataset)
    table = pd.read_csv(folder / "l.csv").assign(patient=["a", "b", "c", ""])
    table.to_csv(folder / "l.csv", index=False)
    patients = loaded(folder, tmp_path / "work").patients
    assert patients[:3] == ["a", "b", "c"]
    assert patients[3] not in ("a", "b", "c", "")


def test_labels_beside_a_folder_may_be_named(tmp_path: Path) -> None:
    file = _table(tmp_path, path=[f"{index}.png" for index in range(4)])
    (tmp_path / "pictures" / "a.csv").write_text("no labels\n")
    (tmp_path / "pictures" / "b.csv").write_text("no labels\n")
    with pytest.raises(SetupError, match=r"holds a.csv, b.csv: --labels FILE says which"):
        loaded(tmp_path / "pictures", tmp_path / "work")
    with pytest.raises(SetupError, match=r"c.csv is not there: --labels names a file relative"):
        loaded(tmp_path / "pictures", tmp_path / "work", labels="c.csv")
    for name in (str(file), "../list.csv"):
        assert len(loaded(tmp_path / "pictures", tmp_path / "work", labels=name)) == 4
