"""What identifies a patient stays in the DICOM file: no byte of the results holds any of it."""

import hashlib
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from command_line import rows, run
from PIL import Image, PngImagePlugin
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from report_samples import radiograph_file

from scanner.preprocess import PreprocessSpec
from scanner.reading import ReadSettings, read_file
from scanner.walk import Source

MODEL_ARGUMENTS: list[str] = []

# No English word, and no name of an element, holds it.
_CANARY = "Zq7Kanari"
_PICTURES = ("picture.png", "picture.jpg", "picture.tif")
_UID = "1.2.826.0.1.3680043.7734.977"
_DATE = "19370419"
_TIME = "113719.731"
# What the CSV states by design, and what it takes to decode and admit the image.
_STATED = """
    SOPClassUID Modality BodyPartExamined ViewPosition PhotometricInterpretation Rows Columns
    SpecificCharacterSet PatientOrientation PresentationIntentType ConversionType PixelData
    BitsAllocated BitsStored HighBit PixelRepresentation SamplesPerPixel WindowCenter
    WindowWidth RescaleIntercept RescaleSlope PixelSpacing ImagerPixelSpacing VOILUTFunction
    PresentationLUTShape RescaleType BurnedInAnnotation
"""
# Beside those that the radiograph has already. DICOM PS3.15 table E.1-1 has the whole list.
_IDENTIFYING = """
    PatientName PatientID IssuerOfPatientID OtherPatientIDs OtherPatientNames PatientBirthName
    PatientMotherBirthName PatientBirthDate PatientBirthTime PatientAddress PatientAge
    PatientTelephoneNumbers PatientComments AdditionalPatientHistory EthnicGroup Occupation
    MilitaryRank MedicalRecordLocator ResponsiblePerson ReferringPhysicianName
    PerformingPhysicianName NameOfPhysiciansReadingStudy OperatorsName RequestingPhysician
    InstitutionName InstitutionAddress InstitutionalDepartmentName StationName
    DeviceSerialNumber AccessionNumber StudyID StudyDescription SeriesDescription ProtocolName
    PerformedProcedureStepDescription RequestedProcedureDescription ImageComments StudyComments
    AdmittingDiagnosesDescription DerivationDescription AcquisitionDeviceProcessingDescription
    StudyDate SeriesDate AcquisitionDate ContentDate AcquisitionDateTime StudyTime SeriesTime
    AcquisitionTime ContentTime StudyInstanceUID SeriesInstanceUID SOPInstanceUID
    FrameOfReferenceUID DeviceUID Manufacturer ManufacturerModelName SoftwareVersions DetectorID
    PlateID CassetteID FilterType ResponsibleOrganization TextComments
    RetrieveAETitle ContentCreatorName VerifyingObserverName ReasonForStudy
"""


def canary(keyword: str, representation: str, number: int) -> Any:
    """A value that this element alone has, as its value representation wants it."""
    if representation == "PN":
        return f"{_CANARY}{keyword}^Given"
    if representation == "DA":
        return _DATE
    if representation == "TM":
        return _TIME
    if representation == "DT":
        return f"{_DATE}{_TIME}"
    if representation == "UI":
        return f"{_UID}.{number}"
    if representation == "AS":
        return "093Y"
    if representation in ("SH", "AE", "CS"):
        return f"{_CANARY}{number}".upper()
    return f"{_CANARY}{keyword}"[:64] if representation in ("LO", "ST", "LT", "UT", "UC") else None


def canaried(rows_of_pixels: slice = slice(None)) -> Dataset:
    """The real radiograph, small, with every element that may identify replaced by a canary."""
    image = pydicom.dcmread(radiograph_file())
    pixels = image.pixel_array[::8, ::8][rows_of_pixels]
    image.Rows, image.Columns = pixels.shape
    image.PixelData = pixels.astype("<u2").tobytes()
    image.DataSetTrailingPadding = (_CANARY + "Padding").encode()
    for keyword in _IDENTIFYING.split():
        setattr(image, keyword, "")
    for number, element in enumerate(image):
        value = canary(element.keyword, element.VR, number)
        if element.keyword not in _STATED.split() and value is not None:
            element.value = value
    other = Dataset()
    other.PatientID = _CANARY + "Other"
    request = Dataset()
    request.ScheduledProcedureStepDescription = _CANARY + "Step"
    request.AccessionNumber = _CANARY
    image.OtherPatientIDsSequence = Sequence([other])
    image.RequestAttributesSequence = Sequence([request])
    private = image.private_block(0x0009, _CANARY + "Maker", create=True)
    private.add_new(0x01, "LO", _CANARY + "Private")
    private.add_new(0x02, "UN", (_CANARY + "Unknown").encode())
    image.add_new((0x6000, 0x0022), "LO", _CANARY + "Overlay")
    image.add_new((0x6000, 0x1500), "LO", _CANARY + "OverlayLabel")
    image.add_new((0x6000, 0x3000), "OB", (_CANARY + "Burnt").encode().ljust(32))
    image.add_new((0x5000, 0x0022), "LO", _CANARY + "Curve")
    image.add_new((0x5000, 0x3000), "OW", (_CANARY + "Drawn").encode().ljust(32))
    meta = image.file_meta
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    meta.SourceApplicationEntityTitle = _CANARY + "AE"
    image.preamble = (_CANARY + "Preamble").encode().ljust(128, b"\0")
    return image


def with_length(data: bytes, tag: bytes, length: int) -> bytes:
    """Overstate the length of a short element, so that it swallows those behind it."""
    place = data.index(tag) + 6
    return data[:place] + length.to_bytes(2, "little") + data[place + 2 :]


def build_studies(folder: Path) -> None:
    """Write a file for every way in which a row comes about."""
    folder.mkdir()

    def save(image: Dataset, name: str) -> bytes:
        image.save_as(folder / name, enforce_file_format=True)
        return (folder / name).read_bytes()

    whole = save(canaried(), "judged.dcm")
    (folder / "copy.dcm").write_bytes(whole)
    (folder / "truncated.dcm").write_bytes(whole[:-5000])
    (folder / "cut in the header.dcm").write_bytes(whole[:700])
    # A number, a value representation and a lookup table that are text instead.
    (folder / "spoilt number.dcm").write_bytes(
        whole.replace(b"\x28\x00\x10\x00US\x02\x00", b"\x28\x00\x10\x00IS\x02\x00", 1)
    )
    (folder / "swallowing body part.dcm").write_bytes(with_length(whole, b"\x18\x00\x15\x00", 400))
    (folder / "swallowing modality.dcm").write_bytes(with_length(whole, b"\x08\x00\x60\x00", 400))
    (folder / "swallowing syntax.dcm").write_bytes(with_length(whole, b"\x02\x00\x10\x00", 400))

    flagged = canaried(slice(0, 240))
    flagged.ViewPosition, flagged.SOPInstanceUID = "", f"{_UID}.0.2"
    del flagged.PatientOrientation
    save(flagged, "flagged.dcm")
    lateral = canaried()
    lateral.ViewPosition = "LL"
    save(lateral, "lateral.dcm")
    odd = canaried()
    odd.NumberOfFrames = "2"
    odd.SOPInstanceUID = f"{_UID}.0.1"
    save(odd, "frames.dcm")
    document = canaried()
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(document, keyword)
    document.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    document.file_meta.MediaStorageSOPClassUID = document.SOPClassUID
    document.Modality = "SR"
    save(document, "report.dcm")

    grey = np.random.default_rng(3).integers(0, 256, (40, 40), dtype=np.uint8)
    picture = Image.fromarray(cv2.resize(grey, (200, 200), interpolation=cv2.INTER_CUBIC))
    chunk = PngImagePlugin.PngInfo()
    chunk.add_text("Comment", _CANARY + "Png")
    chunk.add_itxt("Author", _CANARY + "Author")
    chunk.add_text("Title", _CANARY + "Title", zip=True)
    picture.save(folder / "picture.png", pnginfo=chunk)
    exif = Image.Exif()
    exif[0x010E] = _CANARY + "Exif"
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    turned.save(folder / "picture.jpg", exif=exif, comment=_CANARY + "Jpeg")
    flipped = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    # ImageDescription, Make, Artist and Copyright, as a film scanner fills them in.
    tags = {tag: f"{_CANARY}Tiff{tag}" for tag in (270, 271, 315, 33432)}
    flipped.save(folder / "picture.tif", tiffinfo=tags)
    for name in _PICTURES:
        data = (folder / name).read_bytes()
        (folder / f"truncated {name}").write_bytes(data[: len(data) * 2 // 3])


@dataclass(frozen=True)
class Night:
    """One scan: its folder of results, and every byte it left there and on the terminal."""

    home: Path
    output: Path
    results: dict[str, bytes]


def scanned(home: Path, *options: str) -> Night:
    build_studies(home / "studies")
    done = run("studies", "--verbose", *options, *MODEL_ARGUMENTS, home=home)
    assert done.returncode == 3, done.stderr
    output = home / "studies-cxr"
    files = [path for path in output.rglob("*") if path.is_file()]
    results = {path.relative_to(output).as_posix(): path.read_bytes() for path in files}
    results |= {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}
    return Night(home, output, results)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return scanned(tmp_path_factory.mktemp("night"))


@pytest.fixture(scope="module")
def night_including_ids(tmp_path_factory: pytest.TempPathFactory) -> Night:
    home = tmp_path_factory.mktemp("including")
    return scanned(home, "--include", "PatientID", "--log-format", "json")


def traces(results: dict[str, bytes]) -> list[str]:
    """Every place where anything identifying shows, in any writing of it."""
    day = f"{_DATE[:4]}-{_DATE[4:6]}-{_DATE[6:]}"
    words = [_CANARY, _UID, _DATE, day, "11:37:19", _TIME.partition(".")[0], "093Y"]
    # The last characters alone betray that a text was cut at its beginning.
    patterns = [re.escape(w) for w in words] + ["anari", r"7734\.977"]
    patterns += [".".join(w.encode().hex(" ").split()) for w in (_CANARY, _UID)]
    patterns += [r"\0".join(_CANARY)]
    search = re.compile("|".join(patterns).encode(), re.IGNORECASE)
    return [
        f"{name}: {content[max(0, found.start() - 60) : found.end() + 20]!r}"
        for name, content in results.items()
        for found in search.finditer(content)
    ]


def test_the_canaries_are_found_where_they_are(tmp_path: Path) -> None:
    build_studies(tmp_path / "studies")
    files = {path.name: path.read_bytes() for path in (tmp_path / "studies").iterdir()}
    assert len(files) == 18
    for name, content in files.items():
        assert traces({name: content}), name
    text = "".join(traces({"judged.dcm": files["judged.dcm"]}))
    for word in ("PatientName", "Preamble", "Padding", "Private", "Maker", "Burnt", _UID, _DATE):
        assert word in text


def everything_said(path: Path, warned: pytest.WarningsRecorder) -> dict[str, bytes]:
    """Read a file in this process; return its row, and the warnings, which end on the terminal."""
    reading = read_file(Source(path, path.name, -1, -1), ReadSettings(PreprocessSpec(), bytes(32)))
    row = repr((reading.status, reading.reason, reading.detail, asdict(reading.header)))
    messages = repr([str(warning.message) for warning in warned])
    return {"row": row.encode(), "warnings": messages.encode()}


def test_a_value_that_a_library_stumbles_over_is_not_quoted(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "table.dcm"
    image = canaried(slice(0, 16))
    table = Dataset()
    table.add_new((0x0028, 0x3002), "LO", [_CANARY, "0", "12"])  # int() quotes it
    table.add_new((0x0028, 0x3006), "OW", bytes(8))
    image.VOILUTSequence = Sequence([table])
    image.save_as(path, enforce_file_format=True)
    recwarn.clear()
    said = everything_said(path, recwarn)
    assert b"a lookup table in it is damaged" in said["row"]
    assert traces(said) == []


def mutated(data: bytes, random: np.random.Generator) -> bytes:
    """Damage a file as disks, networks and people do: bytes, a length, its end, a piece of it."""
    changed = bytearray(data)
    for _ in range(random.integers(1, 6)):
        # Headers hold what identifies, so they get most of the damage.
        place = int(random.integers(min(len(changed), 4000 if random.random() < 0.8 else 1 << 30)))
        changed[place] = random.integers(256)
    kind = random.integers(4)
    cut, other = sorted(int(place) for place in random.integers(len(changed), size=2))
    if kind == 0:
        return bytes(changed[:other])
    if kind == 1:
        return bytes(changed[:cut] + changed[other:])
    if kind == 2:
        return bytes(changed[:other] + changed[cut:other] + changed[other:])
    return bytes(changed)


@pytest.mark.parametrize("name", ["judged.dcm", "implicit.dcm", "picture.*"])
def test_no_damage_makes_an_error_quote_the_file(
    name: str,
    tmp_path: Path,
    recwarn: pytest.WarningsRecorder,
    capfd: pytest.CaptureFixture[str],
) -> None:
    build_studies(tmp_path / "studies")
    implicit = canaried(slice(0, 16))
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    implicit.save_as(
        tmp_path / "studies" / "implicit.dcm", implicit_vr=True, enforce_file_format=True
    )
    random = np.random.default_rng(20261123)
    for original in sorted((tmp_path / "studies").glob(name)):
        data = original.read_bytes()
        path = tmp_path / original.name
        for number in range(100):
            path.write_bytes(mutated(data, random))
            recwarn.clear()
            said = everything_said(path, recwarn)
            assert traces(said) == [], number
    printed = capfd.readouterr()
    assert traces({"stdout": printed.out.encode(), "stderr": printed.err.encode()}) == []


_SWALLOWED = {
    "modality": b"\x08\x00\x60\x00",
    "body part": b"\x18\x00\x15\x00",
    "view": b"\x18\x00\x01\x51",
    "photometric": b"\x28\x00\x04\x00",
    "transfer syntax": b"\x02\x00\x10\x00",
    "SOP class": b"\x08\x00\x16\x00",
    "frames": b"\x28\x00\x08\x00",
}


@pytest.mark.parametrize("length", [30, 400])
@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("tag", _SWALLOWED.values(), ids=_SWALLOWED)
def test_a_damaged_length_drags_nothing_identifying_into_a_row(
    tag: bytes,
    implicit: bool,
    length: int,
    tmp_path: Path,
    recwarn: pytest.WarningsRecorder,
) -> None:
    image = canaried(slice(0, 16))
    image.NumberOfFrames = "1"
    image.add_new((0x0028, 0x0009), "LO", _CANARY + "BehindFrames")
    image.add_new((0x0028, 0x0005), "LO", _CANARY + "BehindPhotometric")
    image.add_new((0x0018, 0x5102), "LO", _CANARY + "BehindView")
    path = tmp_path / "damaged.dcm"
    if implicit:
        image = Dataset(image)
        image.file_meta = canaried(slice(0, 16)).file_meta
        image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    image.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    place = data.index(tag) + (4 if implicit and tag[:1] != b"\x02" else 6)
    path.write_bytes(data[:place] + length.to_bytes(2, "little") + data[place + 2 :])

    recwarn.clear()
    assert traces(everything_said(path, recwarn)) == []


def test_a_transfer_syntax_that_is_none_is_not_repeated(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "shifted.dcm"
    canaried(slice(0, 16)).save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    stated = str(ExplicitVRLittleEndian).encode()
    path.write_bytes(data.replace(stated, b"1.2." + _CANARY.encode().ljust(len(stated) - 4)))
    recwarn.clear()
    assert traces(everything_said(path, recwarn)) == []


@pytest.mark.slow
def test_every_file_became_the_row_it_was_made_for(night: Night) -> None:
    found = {row["path"]: (row["status"], row["reason"]) for row in rows(night.output)}
    assert found.pop("judged.dcm") == ("rejected", "duplicate")  # of copy.dcm, read before it
    assert found["copy.dcm"][0] in ("ok", "flagged")
    assert found["flagged.dcm"][0] == "flagged"
    assert found["lateral.dcm"] == ("rejected", "lateral_view")
    assert found["frames.dcm"] == ("rejected", "multi_frame")
    assert found["report.dcm"] == ("rejected", "not_an_image")
    assert found["truncated.dcm"] == ("failed", "truncated")
    assert found["truncated picture.png"][0] == found["truncated picture.jpg"][0] == "failed"
    assert found["truncated picture.tif"][0] == "failed"
    assert len(found) == 17
    # The network is shown five; of what it takes for no chest there is the radiograph alone.
    shown = [found[name][0] for name in ("copy.dcm", "flagged.dcm", *_PICTURES)]
    assert set(shown) <= {"ok", "flagged", "rejected"}
    thumbnails = sum(1 if status == "rejected" else 2 for status in shown)
    assert sum(name.endswith(".jpg") for name in night.results) == thumbnails


@pytest.mark.slow
def test_nothing_identifying_is_in_any_result_or_message(night: Night) -> None:
    assert traces(night.results) == []


@pytest.mark.slow
def test_no_plain_hash_of_an_identifier_is_in_the_results(night: Night) -> None:
    image = canaried()
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "SOPInstanceUID"):
        value = str(image[keyword].value).encode()
        for algorithm in ("md5", "sha1", "sha256", "sha512"):
            digest = hashlib.new(algorithm, value).hexdigest()[:16].encode()
            assert not [name for name, content in night.results.items() if digest in content]


@pytest.mark.slow
def test_the_key_of_the_pseudonyms_stays_outside_the_results_for_its_owner_alone(
    night: Night,
) -> None:
    key_file = night.home / "config" / "cxr-scan" / "pseudonym.key"
    assert key_file.stat().st_mode & 0o777 == 0o600
    key = key_file.read_bytes()
    for name, content in night.results.items():
        assert key not in content, name
        assert key.hex().encode() not in content.lower(), name


@pytest.mark.slow
def test_a_scan_writes_nowhere_else(night: Night) -> None:
    files = {path.relative_to(night.home) for path in night.home.rglob("*") if path.is_file()}
    elsewhere = {f for f in files if f.parts[0] not in ("studies", "studies-cxr")}
    assert elsewhere == {Path("config/cxr-scan/pseudonym.key")}


@pytest.mark.slow
def test_rows_of_one_patient_stay_linked(night: Night, night_including_ids: Night) -> None:
    linked = {r["patient"] for r in rows(night.output) if r["format"] == "dicom" and r["study"]}
    assert len(linked) == 1
    # Another site's key gives other pseudonyms.
    assert linked.isdisjoint({row["patient"] for row in rows(night_including_ids.output)})


@pytest.mark.slow
def test_an_element_that_is_asked_for_is_there_and_it_alone(night_including_ids: Night) -> None:
    identifier = str(canaried().PatientID)
    table = rows(night_including_ids.output)
    assert {row["path"]: row for row in table}["copy.dcm"]["dicom_PatientID"] == identifier
    cleaned = {
        name: content.replace(identifier.encode(), b"")
        for name, content in night_including_ids.results.items()
    }
    assert traces(cleaned) == []
    others = [n for n, c in night_including_ids.results.items() if identifier.encode() in c]
    assert others == ["predictions.csv"]


@pytest.mark.slow
def test_the_default_umask_is_respected(night: Night) -> None:
    mask = os.umask(0)
    os.umask(mask)
    assert (night.output / "predictions.csv").stat().st_mode & mask == 0
