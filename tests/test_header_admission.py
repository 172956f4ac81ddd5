"""What a header states plainly admits or rejects; what it leaves open is flagged."""

from pathlib import Path
from typing import Any

import pytest
from dicom_files import as_bytes, read, read_bytes
from pydicom.dataset import Dataset

from scanner import words
from scanner.errors import ReadError, Rejection
from scanner.gate import admit_header

# Some of these headers are as wrong as they come, and pydicom says so.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"


def frontal_chest(**changes: Any) -> Dataset:
    """A header nothing can be said against; a change to None takes the element out."""
    elements = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1",
        "Modality": "CR",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "PatientOrientation": ["L", "F"],
    }
    dataset = Dataset()
    for keyword, value in (elements | changes).items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


def coded(meaning: str) -> list[Dataset]:
    item = Dataset()
    item.CodeMeaning = meaning
    return [item]


ADMITTED = [
    {},
    {"Modality": "DX"},
    {"Modality": "RG"},
    {"ViewPosition": "AP"},
    {"ViewPosition": "pa"},
    {"ViewPosition": "PA ERECT"},
    {"ViewPosition": "AP_PORTABLE"},
    {"ViewPosition": None, "ViewCodeSequence": coded("postero-anterior")},
    {"BodyPartExamined": "Thorax"},
    {"BodyPartExamined": "TÓRAX"},
    {"BodyPartExamined": "LUNG"},
    {"BodyPartExamined": "CHEST_ABDOMEN"},
    {"BodyPartExamined": None, "AnatomicRegionSequence": coded("Chest")},
    {"PatientOrientation": None},
    {"PatientOrientation": ["", ""]},
    {"PatientOrientation": ["LEFT", "FEET"]},
    {"NumberOfFrames": 1},
    {"NumberOfFrames": 0},
    {"PresentationIntentType": "FOR PRESENTATION"},
    {"Manufacturer": "Philips Medical Systems", "SoftwareVersions": ["3.1", "AI-7"]},
    {"PatientSpeciesDescription": "Homo sapiens"},
    {"PatientSpeciesDescription": "Human"},
    {"PatientSpeciesDescription": "human being"},
    {"ImageComments": "red dot: right base, heat map to follow"},
    {"SeriesDescription": "Chest PA and lateral"},
    {"SeriesDescription": "Thorax lateral decubitus", "ViewPosition": "PA"},
]


@pytest.mark.parametrize("changes", ADMITTED, ids=str)
def test_a_frontal_chest_radiograph_is_admitted_without_a_flag(changes: dict[str, Any]) -> None:
    assert admit_header(frontal_chest(**changes)) == ()


FLAGGED = [
    ("modality_unclear", {"Modality": ""}),
    ("modality_unclear", {"Modality": None}),
    ("modality_unclear", {"Modality": "OT"}),
    ("body_part_missing", {"BodyPartExamined": None}),
    ("body_part_missing", {"BodyPartExamined": "  "}),
    ("body_part_unclear", {"BodyPartExamined": "ROUTINE"}),
    ("view_missing", {"ViewPosition": None}),
    ("view_missing", {"ViewPosition": "", "PatientOrientation": None}),
    ("view_missing", {"ViewPosition": None, "SeriesDescription": "XR chest PA and lateral"}),
    ("view_missing", {"ViewPosition": None, "ProtocolName": "CHEST PA + LATERAL"}),
    ("view_unclear", {"ViewPosition": "STEHEND"}),
    ("view_decubitus", {"ViewPosition": "LLD"}),
    ("view_decubitus", {"ViewPosition": "LEFT LATERAL DECUBITUS"}),
    ("view_unclear", {"ViewPosition": "PA LAT"}),
    ("species_unclear", {"PatientSpeciesDescription": "UNKNOWN"}),
    ("orientation_unusual", {"PatientOrientation": ["R", "F"]}),
    ("orientation_unusual", {"PatientOrientation": ["F", "R"]}),
    ("orientation_unusual", {"PatientOrientation": ["L", "H"]}),
]


@pytest.mark.parametrize(("flag", "changes"), FLAGGED, ids=str)
def test_what_the_header_leaves_open_is_flagged(flag: str, changes: dict[str, Any]) -> None:
    assert admit_header(frontal_chest(**changes)) == (flag,)


REJECTED = [
    ("multi_frame", {"NumberOfFrames": 2}),
    ("other_modality", {"Modality": "CT"}),
    ("other_modality", {"Modality": "MG"}),
    ("ai_result", {"Manufacturer": "Lunit Inc."}),
    ("ai_result", {"SeriesDescription": "AI results"}),
    ("ai_result", {"SeriesDescription": "Grad-CAM overlay"}),
    ("ai_result", {"SoftwareVersions": ["1.0", "qXR 4.1"]}),
    ("ai_result", {"DerivationDescription": "Frontal view, patient standing, deep inspiration; "
                                            "shown is the heat map of the suspected opacity"}),
    ("not_human", {"PatientSpeciesDescription": "Canis lupus familiaris"}),
    ("not_human", {"PatientSpeciesDescription": "DOG"}),
    ("not_human", {"SeriesDescription": "feline thorax"}),
    ("not_human", {"InstitutionName": "Veterinary clinic"}),
    ("for_processing", {"SOPClassUID": FOR_PROCESSING}),
    ("for_processing", {"PresentationIntentType": "FOR PROCESSING"}),
    ("other_body_part", {"BodyPartExamined": "HIP"}),
    ("other_body_part", {"BodyPartExamined": "hand"}),
    ("other_body_part", {"BodyPartExamined": "TSPINE"}),
    ("other_body_part", {"BodyPartExamined": "THORACIC_SPINE"}),
    ("other_body_part", {"BodyPartExamined": "THORACOLUMBAR SPINE"}),
    ("other_body_part", {"BodyPartExamined": "BRUSTWIRBELSÄULE"}),
    ("other_body_part", {"BodyPartExamined": None, "AnatomicRegionSequence": coded("Knee")}),
    ("lateral_view", {"ViewPosition": "LL"}),
    ("lateral_view", {"ViewPosition": "LATERAL"}),
    ("lateral_view", {"ViewPosition": "left lateral"}),
    ("lateral_view", {"ViewPosition": "L LAT"}),
    ("lateral_view", {"ViewPosition": "lat."}),
    ("lateral_view", {"ViewPosition": None, "SeriesDescription": "LAT"}),
    ("lateral_view", {"ViewPosition": None, "SeriesDescription": "W Chest Lat."}),
    ("oblique_view", {"ViewPosition": None, "SeriesDescription": "chest oblique"}),
    ("lateral_view", {"ViewPosition": None, "ViewCodeSequence": coded("left lateral")}),
    ("lateral_view", {"ViewPosition": None, "SeriesDescription": "Chest lateral"}),
    ("lateral_view", {"ViewPosition": None, "PatientOrientation": ["A", "F"]}),
    ("lateral_view", {"ViewPosition": "", "PatientOrientation": ["P", "F"]}),
    ("oblique_view", {"ViewPosition": "RAO"}),
    ("oblique_view", {"ViewPosition": "Left anterior oblique"}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "changes"), REJECTED, ids=str)
def test_what_the_header_states_plainly_rejects(reason: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Rejection) as caught:
        admit_header(frontal_chest(**changes))
    assert caught.value.reason == reason
    assert caught.value.detail


def test_every_word_of_the_gate_is_explained_and_tried_here() -> None:
    """The docstring is the list: what it names is in the report's glossary and in these tables."""
    named = set((admit_header.__doc__ or "").split("``")[1::2])
    assert named == {word for word, _ in FLAGGED + REJECTED}
    assert named <= words.FLAGS.keys() | words.REASONS.keys()


def test_several_flags_are_raised_together() -> None:
    dataset = frontal_chest(Modality="OT", BodyPartExamined=None, ViewPosition=None)
    assert admit_header(dataset) == ("modality_unclear", "body_part_missing", "view_missing")


def test_a_frame_count_that_is_no_number_is_a_damaged_header() -> None:
    dataset = frontal_chest()
    dataset.add_new("NumberOfFrames", "LO", "many")
    with pytest.raises(ReadError) as caught:
        admit_header(dataset)
    assert caught.value.reason == "damaged_header"


def test_strict_rejects_what_is_flagged(radiograph_dataset: Dataset, tmp_path: Path) -> None:
    radiograph_dataset.ViewPosition = ""
    lax = read_bytes(as_bytes(radiograph_dataset), tmp_path / "x.dcm")
    assert (lax.status, lax.flags) == ("", ("view_missing",))
    strict = read(tmp_path / "x.dcm", strict=True)
    assert (strict.status, strict.reason) == ("rejected", "view_missing")
    assert strict.model_input is None


def test_strict_admits_what_is_not_flagged(radiograph_dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_bytes(as_bytes(radiograph_dataset))
    reading = read(tmp_path / "x.dcm", strict=True)
    assert (reading.status, reading.reason, reading.flags) == ("", "", ())


@pytest.mark.parametrize("level", [0, 700])
def test_a_blank_image_is_rejected(radiograph_dataset: Dataset, tmp_path: Path, level: int) -> None:
    count = radiograph_dataset.Rows * radiograph_dataset.Columns
    radiograph_dataset.PixelData = level.to_bytes(2, "little") * count
    reading = read_bytes(as_bytes(radiograph_dataset), tmp_path / "x.dcm")
    assert (reading.status, reading.reason) == ("rejected", "blank_image")


def test_an_image_of_few_pixels_is_flagged(radiograph_dataset: Dataset, tmp_path: Path) -> None:
    small = radiograph_dataset.pixel_array[::4, ::4]
    radiograph_dataset.Rows, radiograph_dataset.Columns = small.shape
    radiograph_dataset.PixelData = small.tobytes()
    reading = read_bytes(as_bytes(radiograph_dataset), tmp_path / "x.dcm")
    assert (reading.status, reading.flags) == ("", ("low_resolution",))
