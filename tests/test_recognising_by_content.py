"""What a file is shows in its first bytes; its name only counts when they say nothing."""

import gzip
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from dicom_files import as_bytes, without_meta
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from scanner.walk import HEAD_BYTES, recognise

SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


def picture(file_format: str, mode: str = "L") -> bytes:
    buffer = BytesIO()
    Image.new(mode, (32, 32), 1).save(buffer, file_format)
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.dcm", b"DICM")
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["x.dcm", "IM0001", "1.2.840.113619", "x.txt", "x.png"])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.keyword)
def test_dicom_is_known_whatever_its_name(
    radiograph_dataset: Dataset, syntax: str, name: str
) -> None:
    assert recognise(as_bytes(radiograph_dataset, syntax)[:HEAD_BYTES], name) == "dicom"


@pytest.mark.parametrize("syntax", SYNTAXES[:3], ids=lambda uid: uid.keyword)
def test_dicom_is_known_without_preamble_and_without_meta(
    radiograph_dataset: Dataset, syntax: str
) -> None:
    data = as_bytes(radiograph_dataset, syntax)
    assert recognise(data[132:HEAD_BYTES], "IM0001") == "dicom"
    assert recognise(without_meta(data)[:HEAD_BYTES], "IM0001") == "dicom"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("png", picture("PNG")),
        ("jpeg", picture("JPEG")),
        ("tiff", picture("TIFF")),
        ("tiff", b"MM\x00*\x00\x00\x00\x08" + bytes(32)),
        ("tiff", b"II+\x00\x08\x00\x00\x00" + bytes(32)),
        ("bmp", picture("BMP")),
        ("unsupported", picture("GIF")),
        ("unsupported", picture("WEBP", "RGB")),
        ("unsupported", picture("JPEG2000")),
        ("unsupported", b"\x00\x00\x00\x18ftypheic" + bytes(32)),
        ("archive", zipped()),
        ("archive", gzip.compress(b"DICM")),
        ("archive", b"7z\xbc\xaf\x27\x1c" + bytes(32)),
        ("archive", b"Rar!\x1a\x07\x01\x00" + bytes(32)),
        ("other", b"%PDF-1.7\n"),
        ("other", b"\x7fELF\x02\x01\x01" + bytes(100)),
        ("other", b"patient,view\n1,PA\n"),
        ("other", b"BM is how this text begins, and it is long enough"),
        ("other", b""),
        ("other", bytes(1000)),
        ("other", b"\x00"),
    ],
)
@pytest.mark.parametrize("name", ["x", "x.bin", "DICOM"])
def test_content_is_known_without_an_extension(kind: str, data: bytes, name: str) -> None:
    assert recognise(data[:HEAD_BYTES], name) == kind


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "bmp"])
def test_content_outweighs_a_wrong_extension(kind: str) -> None:
    assert recognise(picture(kind.upper()), "x.dcm") == kind
    assert recognise(zipped(), "x.dcm") == "archive"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.dcm", "dicom"),
        ("x.DCM", "dicom"),
        ("ward/x.dicom", "dicom"),
        ("x.dic", "dicom"),
        ("x.png", "png"),
        ("x.JPG", "jpeg"),
        ("x.jpeg", "jpeg"),
        ("x.tif", "tiff"),
        ("x.bmp", "bmp"),
        ("x.txt", "other"),
        ("x", "other"),
        ("dcm", "other"),
        ("x.dcm/notes", "other"),
    ],
)
@pytest.mark.parametrize("data", [b"", b"no image at all, just text"])
def test_a_name_that_claims_an_image_counts_when_the_content_says_nothing(
    name: str, kind: str, data: bytes
) -> None:
    assert recognise(data, name) == kind


def test_a_dicomdir_is_no_image() -> None:
    head = bytes(128) + b"DICM" + bytes(20)
    directory = head + b"1.2.840.10008.1.3.10" + bytes(100)
    assert recognise(directory, "DICOMDIR") == "dicomdir"
    assert recognise(directory, "cd1/index") == "dicomdir"
    assert recognise(head + bytes(100), "DICOMDIR") == "dicom"  # an image that is called so


def test_every_dicom_file_at_hand_is_known(pydicom_data: Path) -> None:
    files = sorted(pydicom_data.glob("*.dcm"))
    assert len(files) > 40
    for path in files:
        with path.open("rb") as handle:
            assert recognise(handle.read(HEAD_BYTES), "x") == "dicom", path.name
