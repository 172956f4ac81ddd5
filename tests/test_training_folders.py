"""Trees of labelled files: Kaggle's database, a folder for each class, parts above classes."""

from pathlib import Path

import pytest
from dicom_files import as_bytes
from labelled_data import loaded, picture
from pydicom.dataset import Dataset

from scanner.errors import SetupError
from training.data.dataset import describe


def _kaggle(root: Path, classes: tuple[str, ...] = ("COVID", "Normal", "Viral Pneumonia")) -> Path:
    """Kaggle's COVID-19 Radiography Database with two images of each class."""
    for number, name in enumerate(classes):
        for index in (1, 2):
            picture(root / name / "images" / f"{name}-{index}.png", 10 * number + index)
            picture(root / name / "masks" / f"{name}-{index}.png", 99)
    (root / "README.md.txt").write_text("about the data")
    return root


def test_kaggles_folder_gives_images_with_their_masks(tmp_path: Path) -> None:
    root = _kaggle(tmp_path / "data")
    (root / "Normal" / "masks" / "Normal-2.png").unlink()
    data = loaded(root, tmp_path / "work")
    assert data.labels == [n for n in ("Covid-19", "Normal", "Pneumonia") for _ in range(2)]
    assert data.names[0] == "COVID/images/COVID-1.png"
    assert data.masks[0] == str(root / "COVID" / "masks" / "COVID-1.png")
    assert data.masks[3] == ""
    assert data.value_range is None
    said = describe(data)
    assert "data: Kaggle's folders of images and masks" in said
    assert "6 images: 2 Covid-19, 2 Normal, 2 Pneumonia" in said
    assert "lung masks: 5" in said


def test_lung_opacity_is_left_out_unless_named(tmp_path: Path) -> None:
    root = _kaggle(tmp_path / "data", ("COVID", "Lung_Opacity", "Normal"))
    data = loaded(root, tmp_path / "work")
    assert data.classes == ["Covid-19", "Normal"]
    assert data.left_out == {"label 'Lung_Opacity' is none of the classes": 2}
    assert "left out: 2 (label 'Lung_Opacity' is none of the classes)" in describe(data)
    data = loaded(root, tmp_path / "work", classes=("lung opacity", "normal", "covid"))
    assert data.classes == ["lung opacity", "Normal", "Covid-19"]
    assert data.targets.tolist() == [2, 2, 0, 0, 1, 1]
    data = loaded(root, tmp_path / "work", classes=("Lung_Opacity", "Normal"))
    assert data.left_out == {"label 'COVID' is none of the classes": 2}


def test_classes_of_a_bundle_are_labels_and_may_be_absent(tmp_path: Path) -> None:
    root = _kaggle(tmp_path / "data", ("COVID", "Lung_Opacity", "Normal"))
    data = loaded(root, tmp_path / "work", known=("Covid-19", "Lung Opacity", "Edema"))
    assert data.classes == ["Covid-19", "Normal", "Lung Opacity"]


def test_a_zip_unpacked_into_folders_of_its_name_is_looked_into(tmp_path: Path) -> None:
    root = tmp_path / "archive" / "COVID-19_Radiography_Dataset"
    _kaggle(root / "COVID-19_Radiography_Dataset")
    (tmp_path / "archive" / "__MACOSX").mkdir()
    assert len(loaded(tmp_path / "archive", tmp_path / "work")) == 6


def test_parts_above_the_classes_are_the_images_parts(tmp_path: Path) -> None:
    for number, part in enumerate(("train", "Val", "test")):
        for index, name in enumerate(("NORMAL", "PNEUMONIA")):
            for copy in range(2):
                picture(tmp_path / "data" / part / name / f"{copy}.png", 100 + 10 * number + index)
    data = loaded(tmp_path / "data", tmp_path / "work")
    parts = dict(zip(data.names, data.parts, strict=True))
    assert parts["train/NORMAL/0.png"] == "train"
    assert parts["Val/PNEUMONIA/1.png"] == "validation"
    assert parts["test/NORMAL/1.png"] == "test"
    said = describe(data)
    assert "data: a folder for each class, in parts" in said
    assert "parts of the data's own: 4 train, 4 validation, 4 test" in said


def test_classes_of_other_names_are_learnt_when_named(tmp_path: Path) -> None:
    for index, name in enumerate(("edema", "Pleural_Effusion")):
        for copy in range(2):
            picture(tmp_path / "data" / name / "deep" / f"{copy}.png", 10 * index + copy)
    message = r"no folder whose name is a class .* but Pleural_Effusion, edema: --classes names"
    with pytest.raises(SetupError, match=message):
        loaded(tmp_path / "data", tmp_path / "work")
    names = ("Pleural Effusion", "Edema")
    data = loaded(tmp_path / "data", tmp_path / "work", classes=names)
    assert data.classes == ["Pleural Effusion", "Edema"]
    assert data.counts() == {("", "Pleural Effusion"): 2, ("", "Edema"): 2}


def test_what_a_scan_would_not_judge_is_left_out_by_reason(
    tmp_path: Path, radiograph_dataset: Dataset
) -> None:
    root = _kaggle(tmp_path / "data")
    whole = (root / "COVID" / "images" / "COVID-1.png").read_bytes()
    (root / "COVID" / "images" / "half.png").write_bytes(whole[:-900])
    (root / "Normal" / "images" / "Thumbs.db").write_bytes(b"none")
    radiograph_dataset.ViewPosition = "LL"
    (root / "Normal" / "images" / "lateral.dcm").write_bytes(as_bytes(radiograph_dataset))
    (root / "Normal" / "images" / "link.png").symlink_to(root / "COVID" / "images" / "COVID-1.png")
    data = loaded(root, tmp_path / "work")
    assert len(data) == 6
    assert data.left_out == {
        "truncated": 1, "no image": 1, "lateral_view": 1, "symbolic_link": 1
    }  # fmt: skip


def test_a_label_table_beside_class_folders_must_be_chosen_or_moved(tmp_path: Path) -> None:
    root = _kaggle(tmp_path / "data")
    (root / "list.csv").write_text("path,label\nCOVID/images/0.png,Normal\n")
    with pytest.raises(SetupError, match=r"class folders and list\.csv, which has labels too"):
        loaded(root, tmp_path / "work")
    (root / "list.csv").write_text("name,size\nx,3\n")  # a table of something else
    assert loaded(root, tmp_path / "work").form.startswith("Kaggle")


def test_a_label_without_images_is_one_line(tmp_path: Path) -> None:
    root = _kaggle(tmp_path / "data")
    for file in (root / "Normal" / "images").iterdir():
        file.unlink()
    (root / "Normal" / "images" / "readme.txt").write_text("none yet")
    with pytest.raises(SetupError, match=r"data/Normal holds no image: a label without images"):
        loaded(root, tmp_path / "work")


def test_a_class_that_loses_its_images_in_reading_is_one_line(tmp_path: Path) -> None:
    root = _kaggle(tmp_path / "data")
    for file in (root / "Normal" / "images").iterdir():
        file.write_bytes(file.read_bytes()[:-900])
    message = r"no image of Normal that can be used; it takes 2 \(left out: 2 \(truncated\)\)"
    with pytest.raises(SetupError, match=message):
        loaded(root, tmp_path / "work")


def test_a_single_image_of_a_class_will_do_to_evaluate_only(tmp_path: Path) -> None:
    root = _kaggle(tmp_path / "data", ("COVID", "Normal"))
    (root / "Normal" / "images" / "Normal-1.png").unlink()
    with pytest.raises(SetupError, match="one image of Normal that can be used; it takes 2"):
        loaded(root, tmp_path / "work")
    assert len(loaded(root, tmp_path / "work", least=1)) == 3


def test_an_empty_folder_and_other_files_are_no_data(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SetupError, match=r"no folder whose name is a class .*: expected a folder"):
        loaded(tmp_path / "empty", tmp_path / "work")
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(SetupError, match=r"notes.txt is no training data: expected a folder with"):
        loaded(tmp_path / "notes.txt", tmp_path / "work")
