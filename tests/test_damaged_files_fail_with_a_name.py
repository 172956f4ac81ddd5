"""A damaged file ends as `failed` with a stable reason: never judged, and never an exception."""

import csv
import time
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from dicom_files import (
    as_bytes,
    claiming,
    read,
    read_bytes,
    set_frame,
    set_pixels,
    shown,
    without_meta,
)
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from scanner import words

# Reasons for damage; `unexpected_error` is none: it says that nobody thought of it.
DAMAGE = {
    "empty_file",
    "truncated",
    "damaged_header",
    "damaged_pixels",
    "no_pixel_data",
    "unsupported_transfer_syntax",
    "too_large",
}


def with_lossless_jpeg(dataset: Dataset) -> bytes:
    frame = imagecodecs.jpeg_encode(dataset.pixel_array, lossless=True, predictor=1)
    set_frame(dataset, frame, JPEGLosslessSV1)
    return as_bytes(dataset)


def with_baseline_jpeg(dataset: Dataset) -> bytes:
    set_pixels(dataset, (dataset.pixel_array >> 7).astype("u1"), 8)
    frame = imagecodecs.jpeg8_encode(dataset.pixel_array, level=90)
    set_frame(dataset, frame, JPEGBaseline8Bit)
    return as_bytes(dataset)


def with_extended_jpeg(dataset: Dataset) -> bytes:
    set_pixels(dataset, dataset.pixel_array >> 3, 12)
    frame = imagecodecs.jpeg_encode(dataset.pixel_array, level=90, bitspersample=12)
    set_frame(dataset, frame, JPEGExtended12Bit)
    return as_bytes(dataset)


def compressed(syntax: UID) -> Callable[[Dataset], bytes]:
    def encode(dataset: Dataset) -> bytes:
        dataset.compress(syntax, encoding_plugin="pydicom" if syntax == RLELossless else "")
        return as_bytes(dataset)

    return encode


ENCODINGS: dict[str, Callable[[Dataset], bytes]] = {
    "explicit": lambda dataset: as_bytes(dataset, ExplicitVRLittleEndian),
    "implicit": lambda dataset: as_bytes(dataset, ImplicitVRLittleEndian),
    "big endian": lambda dataset: as_bytes(dataset, ExplicitVRBigEndian),
    "deflated": lambda dataset: as_bytes(dataset, DeflatedExplicitVRLittleEndian),
    "no meta": lambda dataset: without_meta(as_bytes(dataset, ImplicitVRLittleEndian)),
    "RLE": compressed(RLELossless),
    "JPEG-LS": compressed(JPEGLSLossless),
    "JPEG 2000": compressed(JPEG2000Lossless),
    "JPEG lossless": with_lossless_jpeg,
    "JPEG baseline": with_baseline_jpeg,
    "JPEG extended": with_extended_jpeg,
}


def element_boundaries(data: bytes) -> list[int]:
    """Every offset at which a data element of an undeflated file begins."""
    dataset = pydicom.dcmread(BytesIO(data), force=True)
    raw = [dataset.get_item(tag) for tag in dataset.keys()]  # noqa: SIM118 - its own iterator parses
    return [element.value_tell - 8 for element in raw if isinstance(element, RawDataElement)]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_truncated_file_fails_wherever_it_ends(
    encoding: str, radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    data = ENCODINGS[encoding](radiograph_dataset)
    assert read_bytes(data, tmp_path / "whole.dcm").status == ""
    header = min(len(data) - 10, 2600)
    ends = {*range(0, header, 41), *range(header, len(data) - 10, (len(data) - header) // 20)}
    ends |= {len(data) - missing for missing in (10, 17, 100)}
    if encoding != "deflated":
        ends |= {end for end in element_boundaries(data) if 0 <= end < len(data)}
    for end in sorted(ends):
        reading = read_bytes(data[:end], tmp_path / "x.dcm")
        assert (reading.kind, reading.status) == ("dicom", "failed"), end
        assert reading.reason in DAMAGE, (end, reading.reason, reading.detail)
        assert reading.model_input is None, end


@pytest.mark.parametrize(
    "encoding", ["JPEG-LS", "JPEG 2000", "JPEG lossless", "JPEG baseline", "JPEG extended"]
)
def test_a_frame_that_is_cut_short_inside_a_whole_file_fails(
    encoding: str, radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    ENCODINGS[encoding](radiograph_dataset)
    syntax = radiograph_dataset.file_meta.TransferSyntaxUID
    (frame,) = pydicom.encaps.generate_frames(radiograph_dataset.PixelData, number_of_frames=1)
    for share in (0, 0.01, 0.5):
        set_frame(radiograph_dataset, frame[: 2 + int(len(frame) * share)], syntax)
        reading = read_bytes(as_bytes(radiograph_dataset), tmp_path / "x.dcm")
        assert (reading.status, reading.reason) == ("failed", "damaged_pixels"), share


@pytest.mark.parametrize("encoding", ["explicit", "JPEG lossless", "RLE"])
def test_noise_in_the_header_neither_raises_nor_warns(
    encoding: str,
    radiograph_dataset: Dataset,
    tmp_path: Path,
    recwarn: pytest.WarningsRecorder,
) -> None:
    data = ENCODINGS[encoding](radiograph_dataset)
    header = len(data) - len(radiograph_dataset.PixelData)
    random = np.random.default_rng(7)
    for _ in range(150):
        noisy = bytearray(data)
        for position in random.integers(132, header, size=3):
            noisy[position] = random.integers(256)
        reading = read_bytes(bytes(noisy), tmp_path / "x.dcm")
        assert reading.status in ("", "failed", "rejected")
        assert reading.reason in words.REASONS or not reading.reason
        assert reading.reason != "unexpected_error", reading.detail
    # They would go to the terminal, with what the file holds, over the progress bar.
    assert not [str(warning.message) for warning in recwarn.list]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty_file"),
        (b"\0", None),
        (b"This was a radiograph once. Then somebody saved it from a text editor.\n", None),
        (b"<html><body>404 Not Found</body></html>" * 20, None),
        (bytes(5_000), "damaged_header"),
        (bytes(128) + b"DICM", "truncated"),
        (b"1.2.840.10008.1.2.1.99".ljust(128, b"\0") + b"DICM\x02\0", None),
    ],
    ids=["empty", "one byte", "text", "html", "zeros", "preamble", "preamble claims deflated"],
)
def test_what_only_claims_to_be_dicom_fails(
    data: bytes, reason: str | None, tmp_path: Path
) -> None:
    reading = read_bytes(data, tmp_path / "x.dcm")
    assert (reading.kind, reading.status) == ("dicom", "failed")
    assert reading.reason in ({reason} if reason else DAMAGE), reading.detail


@pytest.mark.parametrize("begins", ["with nothing", "with half a header"])
def test_megabytes_of_zeros_fail_at_once(
    begins: str, radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    """What a full disk leaves behind; pydicom alone would need seconds for each megabyte."""
    start = as_bytes(radiograph_dataset)[:1000] if begins == "with half a header" else b""
    started = time.process_time()
    reading = read_bytes(start + bytes(4_000_000), tmp_path / "x.dcm")
    assert (reading.kind, reading.status) == ("dicom", "failed")
    assert reading.reason in ("damaged_header", "truncated")
    assert time.process_time() - started < 0.5


def test_a_deflate_bomb_is_too_large(radiograph_dataset: Dataset, tmp_path: Path) -> None:
    deflater = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(1 << 20)
    bomb = b"".join(deflater.compress(zeros) for _ in range(513)) + deflater.flush()
    meta = as_bytes(radiograph_dataset, DeflatedExplicitVRLittleEndian)
    start = 144 + int.from_bytes(meta[140:144], "little")
    reading = read_bytes(meta[:start] + bomb, tmp_path / "x.dcm")
    assert (reading.status, reading.reason) == ("failed", "too_large")


@pytest.mark.parametrize(("rows", "columns"), [(60_000, 60_000), (9_500, 9_500)])
def test_an_image_of_too_many_pixels_is_too_large(
    radiograph_dataset: Dataset, tmp_path: Path, rows: int, columns: int
) -> None:
    radiograph_dataset.compress(RLELossless, encoding_plugin="pydicom")
    radiograph_dataset.Rows, radiograph_dataset.Columns = rows, columns
    reading = read_bytes(as_bytes(radiograph_dataset), tmp_path / "x.dcm")
    assert (reading.status, reading.reason) == ("failed", "too_large")


@pytest.mark.parametrize(
    ("keyword", "value", "reason"),
    [
        ("Rows", 0, "damaged_header"),
        ("Rows", None, "damaged_header"),
        ("Columns", None, "damaged_header"),
        ("Rows", 489, "truncated"),
        ("BitsAllocated", None, "damaged_header"),
        ("BitsAllocated", 32, "truncated"),
        ("BitsAllocated", 12, "damaged_pixels"),
        ("BitsStored", 17, "damaged_pixels"),
        ("SamplesPerPixel", 3, "truncated"),
        ("PhotometricInterpretation", "HSV", "damaged_header"),
        ("PixelData", None, "no_pixel_data"),
        ("PixelData", b"", "truncated"),
    ],
)
def test_a_header_that_cannot_be_true_is_named(
    keyword: str, value: object, reason: str, radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    if value is None:
        delattr(radiograph_dataset, keyword)
    else:
        radiograph_dataset[keyword].value = value
    data = as_bytes(radiograph_dataset, ExplicitVRLittleEndian)
    reading = read_bytes(data, tmp_path / "x.dcm")
    assert (reading.status, reading.reason) == ("failed", reason), reading.detail


def test_native_pixels_said_to_be_compressed_are_damaged(
    radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    data = claiming(as_bytes(radiograph_dataset), radiograph_dataset, JPEG2000Lossless)
    reading = read_bytes(data, tmp_path / "x.dcm")
    assert (reading.status, reading.reason) == ("failed", "damaged_pixels")


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [("1.2.840.10008.5.1.4.1.1.88.11", "SR"), ("1.2.840.10008.5.1.4.1.1.11.1", "PR")],
)
def test_objects_without_pixels_by_nature_are_rejected_and_not_damaged(
    radiograph_dataset: Dataset, tmp_path: Path, sop_class: str, modality: str
) -> None:
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(radiograph_dataset, keyword)
    radiograph_dataset.SOPClassUID, radiograph_dataset.Modality = sop_class, modality
    radiograph_dataset.file_meta.MediaStorageSOPClassUID = sop_class
    reading = read_bytes(as_bytes(radiograph_dataset), tmp_path / "x.dcm")
    assert (reading.status, reading.reason) == ("rejected", "not_an_image")


def test_what_was_known_before_the_damage_is_kept(
    radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    reading = read_bytes(as_bytes(radiograph_dataset)[:-1000], tmp_path / "x.dcm")
    assert (reading.header.modality, reading.header.view) == ("CR", "PA")
    assert reading.header.patient
    assert len(reading.sha256) == 64


def test_a_file_that_is_gone_is_unreadable(tmp_path: Path) -> None:
    reading = read(tmp_path / "gone.dcm")
    assert (reading.status, reading.reason) == ("failed", "unreadable")


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("SamplesPerPixel", None),
        ("BitsStored", None),
        ("HighBit", None),
        ("PixelRepresentation", None),
        ("NumberOfFrames", "1"),
        ("NumberOfFrames", "0"),
        ("NumberOfFrames", ""),
        ("SOPClassUID", None),
        ("WindowCenter", "15000\\"),
        ("PatientName", "\udcff"),
    ],
)
def test_careless_headers_cost_nothing(
    keyword: str, value: str | None, radiograph_dataset: Dataset
) -> None:
    expected = shown(radiograph_dataset)
    if value is None:
        delattr(radiograph_dataset, keyword)
    else:
        data = value.encode("utf-8", "surrogateescape")
        radiograph_dataset.add_new(keyword, "UN", data + b" " * (len(data) % 2))
    np.testing.assert_array_equal(
        shown(as_bytes(radiograph_dataset, ExplicitVRLittleEndian)), expected
    )


def test_zeros_after_the_pixels_cost_nothing(radiograph_dataset: Dataset) -> None:
    data = as_bytes(radiograph_dataset)
    np.testing.assert_array_equal(shown(data + bytes(4096)), shown(data))


CORPUS_FAILS = {
    "bombs/deflate_700MB.dcm": "too_large",
    "bombs/j2k_60000_hdr.dcm": "too_large",
    "bombs/j2k_tiles.dcm": "damaged_pixels",
    "bombs/png_20000x20000_1bit.png": "too_large",
    "bombs/png_40000x40000_1bit.png": "too_large",
    "bombs/png_header_100000x100000.png": "too_large",
    "bombs/png_header_30000x30000.png": "too_large",
    "chr_japmulti_cr_chest_pa.dcm": "no_pixel_data",
    "path_badVR.dcm": "damaged_header",
    "path_bigendian_undef.dcm": "damaged_header",
    "path_meta_missing_ts.dcm": "damaged_header",
    "path_rtplan_truncated.dcm": "truncated",
    "path_truncated_pixels.dcm": "truncated",
    "ts_cxr/jpeg_progressive_12bit_retired.dcm": "unsupported_transfer_syntax",
    "ts_cxr/preamble_only.dcm": "truncated",
    "ts_cxr/truncated_half.dcm": "truncated",
    "ts_cxr/truncated_header.dcm": "truncated",
    "ts_cxr/truncated_j2k.dcm": "truncated",
    "ts_cxr/truncated_jpegll.dcm": "truncated",
    "ts_cxr/zero_byte.dcm": "empty_file",
}
CORPUS_REJECTED = {
    "bombs/frames_100000.dcm": "multi_frame",
    "dx_thorax_dog_mono1.dcm": "not_human",
    "neg_cr_extremity_j2ki.dcm": "other_body_part",
    "neg_cr_hip_jls.dcm": "other_body_part",
    "neg_cr_hip_jpegext12.dcm": "other_body_part",
    "neg_cr_hip_jpegll_sv1.dcm": "other_body_part",
    "path_j2k_pixelrep_mismatch.dcm": "other_modality",
    "path_jpeg_lossy_bad.dcm": "other_modality",
    "path_overlay_oob.dcm": "other_modality",
    "ts_bigendian.dcm": "other_modality",
    "ts_jpeg_ext12.dcm": "other_modality",
    "ts_overlay_6000.dcm": "other_modality",
    "ts_palette.dcm": "other_modality",
    "ts_rle.dcm": "other_modality",
    "ts_ybr_multiframe.dcm": "multi_frame",
}
CORPUS_PASSED_OVER = {"DICOMDIR", "ts_cxr/rle.dcm.gz", "zipMR.gz"}


def manifest(shared: Path) -> dict[str, str]:
    with (shared / "dicom" / "manifest.csv").open(encoding="utf-8", newline="") as handle:
        return {row["file"]: row["decode_result"] for row in csv.DictReader(handle)}


@pytest.mark.shared
def test_every_file_of_the_corpus_ends_as_it_should(shared: Path) -> None:
    readings = {name: read(shared / "dicom" / name) for name in manifest(shared)}
    failed = {name: r.reason for name, r in readings.items() if r.status == "failed"}
    # One byte too many at its start: both words are true of it.
    assert failed.pop("path_no_meta.dcm") in ("truncated", "damaged_header")
    rejected = {name: r.reason for name, r in readings.items() if r.status == "rejected"}
    passed_over = {name for name, r in readings.items() if r.status == "not_an_image"}
    assert failed == CORPUS_FAILS
    assert rejected == CORPUS_REJECTED
    assert passed_over == CORPUS_PASSED_OVER
    judged = {name for name, r in readings.items() if not r.status}
    assert len(judged) == len(readings) - len(failed) - 1 - len(rejected) - len(passed_over)
    assert all(readings[name].model_input is not None for name in judged)


@pytest.mark.shared
def test_every_file_of_the_corpus_that_others_decode_is_decoded(shared: Path) -> None:
    decodable = [name for name, result in manifest(shared).items() if result.startswith("pass")]
    assert len(decodable) > 50
    assert not CORPUS_FAILS.keys() & set(decodable)
    colour = {"ts_palette.dcm", "ts_ybr_multiframe.dcm"}
    for name in set(decodable) - colour:
        pixels = shown((shared / "dicom" / name).read_bytes())
        assert pixels.ndim == 2, name
        assert np.ptp(pixels) > 0.1, name
