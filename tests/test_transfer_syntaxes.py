"""A radiograph looks the same whatever transfer syntax it was sent in."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from dicom_files import (
    as_bytes,
    claiming,
    read_bytes,
    set_frame,
    set_pixels,
    shown,
    without_meta,
)
from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from scanner import codecs
from scanner.errors import ReadError

NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
)


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda uid: uid.keyword)
def test_native_syntaxes_show_the_same_pixels(radiograph_dataset: Dataset, syntax: UID) -> None:
    expected = shown(radiograph_dataset)
    assert np.ptp(expected) > 0.5
    np.testing.assert_array_equal(shown(as_bytes(radiograph_dataset, syntax)), expected)


@pytest.mark.parametrize(
    ("syntax", "plugin"),
    [
        (RLELossless, "pydicom"),
        (JPEGLSLossless, "pyjpegls"),
        (JPEG2000Lossless, "pylibjpeg"),
    ],
    ids=lambda value: getattr(value, "keyword", value),
)
def test_lossless_syntaxes_show_the_same_pixels(
    radiograph_dataset: Dataset, syntax: UID, plugin: str
) -> None:
    expected = shown(radiograph_dataset)
    radiograph_dataset.compress(syntax, encoding_plugin=plugin)
    np.testing.assert_array_equal(shown(radiograph_dataset), expected)


@pytest.mark.parametrize("bits", [15, 16])
@pytest.mark.parametrize("predictor", range(1, 8))
def test_lossless_jpeg_shows_the_same_pixels(
    radiograph_dataset: Dataset, predictor: int, bits: int
) -> None:
    expected = shown(radiograph_dataset)
    frame = imagecodecs.jpeg_encode(
        radiograph_dataset.pixel_array, lossless=True, predictor=predictor, bitspersample=bits
    )
    assert b"\xff\xc3" in frame, "not the lossless process (ISO 10918-1 table B.1)"
    scan = frame.index(b"\xff\xda")
    assert frame[scan + 7] == predictor, "not the selection value asked for (ISO 10918-1 B.2.3)"
    set_frame(radiograph_dataset, frame, JPEGLosslessSV1 if predictor == 1 else JPEGLossless)
    np.testing.assert_array_equal(shown(radiograph_dataset), expected)


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_high_throughput_jpeg_2000_shows_the_same_pixels(
    radiograph_dataset: Dataset, syntax: UID
) -> None:
    expected = shown(radiograph_dataset)
    frame = imagecodecs.htj2k_encode(radiograph_dataset.pixel_array, reversible=True)
    set_frame(radiograph_dataset, frame, syntax)
    np.testing.assert_array_equal(shown(radiograph_dataset), expected)


def test_one_frame_in_several_fragments_is_put_together(radiograph_dataset: Dataset) -> None:
    expected = shown(radiograph_dataset)
    frame = imagecodecs.jpeg_encode(radiograph_dataset.pixel_array, lossless=True, predictor=1)
    set_frame(radiograph_dataset, frame, JPEGLosslessSV1, fragments=5)
    np.testing.assert_array_equal(shown(radiograph_dataset), expected)


@pytest.mark.parametrize(
    ("syntax", "options", "tolerance"),
    [(JPEGLSNearLossless, {"jls_error": 3}, 0.0002), (JPEG2000, {"j2k_cr": [10]}, 0.02)],
    ids=["JPEGLSNearLossless", "JPEG2000"],
)
def test_lossy_syntaxes_stay_within_their_loss(
    radiograph_dataset: Dataset, syntax: UID, options: dict[str, object], tolerance: float
) -> None:
    expected = shown(radiograph_dataset)
    radiograph_dataset.compress(syntax, **options)
    found = shown(radiograph_dataset)
    assert not np.array_equal(found, expected), "it was not lossy at all"
    np.testing.assert_allclose(found, expected, atol=tolerance)


@pytest.mark.parametrize(
    ("syntax", "bits"), [(JPEGExtended12Bit, 12), (JPEGExtended12Bit, 8), (JPEGBaseline8Bit, 8)]
)
def test_jpeg_of_8_and_12_bits_stays_within_its_loss(
    radiograph_dataset: Dataset, syntax: UID, bits: int
) -> None:
    scale = 1 << (15 - bits)
    pixels = radiograph_dataset.pixel_array // scale
    set_pixels(radiograph_dataset, pixels.astype("u1" if bits == 8 else "<u2"), bits)
    radiograph_dataset.WindowCenter, radiograph_dataset.WindowWidth = 15000 / scale, 30000 / scale
    expected = shown(radiograph_dataset)
    frame = imagecodecs.jpeg_encode(
        radiograph_dataset.pixel_array, level=98, bitspersample=bits, subsampling="444"
    )
    set_frame(radiograph_dataset, frame, syntax)
    np.testing.assert_allclose(shown(radiograph_dataset), expected, atol=6 / (1 << bits))


def test_every_decoder_listed_was_tried_here() -> None:
    tried = {*NATIVE, RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1, JPEGLossless}
    tried |= {HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K, JPEGLSNearLossless, JPEG2000}
    tried |= {JPEGExtended12Bit, JPEGBaseline8Bit}
    assert set(codecs.DECODERS) == tried


@pytest.mark.parametrize("syntax", NATIVE[:2], ids=lambda uid: uid.keyword)
def test_a_file_without_preamble_and_meta_shows_the_same_pixels(
    radiograph_dataset: Dataset, syntax: UID
) -> None:
    expected = shown(radiograph_dataset)
    data = without_meta(as_bytes(radiograph_dataset, syntax))
    np.testing.assert_array_equal(shown(data), expected)


def test_a_file_with_meta_but_no_preamble_shows_the_same_pixels(
    radiograph_dataset: Dataset,
) -> None:
    data = as_bytes(radiograph_dataset)
    np.testing.assert_array_equal(shown(data[132:]), shown(data))


def test_big_endian_without_meta_shows_the_same_pixels(radiograph_dataset: Dataset) -> None:
    expected = shown(radiograph_dataset)
    data = without_meta(as_bytes(radiograph_dataset, ExplicitVRBigEndian))
    np.testing.assert_array_equal(shown(data), expected)


@pytest.mark.parametrize("syntax", NATIVE[:2], ids=lambda uid: uid.keyword)
def test_a_meta_without_transfer_syntax_is_made_up_for(
    radiograph_dataset: Dataset, syntax: UID
) -> None:
    expected = shown(radiograph_dataset)
    data = as_bytes(radiograph_dataset, syntax)
    assert data.count(b"\x02\x00\x10\x00UI") == 1
    start = data.index(b"\x02\x00\x10\x00UI")
    length = 8 + int.from_bytes(data[start + 6 : start + 8], "little")
    group = int.from_bytes(data[140:144], "little") - length
    data = data[:140] + group.to_bytes(4, "little") + data[144:start] + data[start + length :]
    np.testing.assert_array_equal(shown(data), expected)


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.1.2.4.55",  # JPEG, full progression: retired
        "1.2.840.10008.1.2.4.52",  # JPEG extended, process 3 and 5: retired
        "1.2.840.10008.1.2.4.93",  # JPEG 2000 part 2 multi-component
        "1.2.840.10008.1.2.4.100",  # MPEG2
        "1.2.840.10008.1.2.4.110",  # JPEG XL
        "1.2.840.113619.5.2",  # GE, private
        "1.2.3.4",  # nobody's
        "1.2.840.10008.5.1.4.1.1.1",  # a SOP class by mistake
    ],
)
def test_an_unknown_transfer_syntax_is_named(
    radiograph_dataset: Dataset, uid: str, tmp_path: Path
) -> None:
    frame = imagecodecs.jpeg_encode(radiograph_dataset.pixel_array, lossless=True)
    set_frame(radiograph_dataset, frame, JPEGLossless)
    data = claiming(as_bytes(radiograph_dataset), radiograph_dataset, uid)
    reading = read_bytes(data, tmp_path / "x.dcm")
    assert (reading.status, reading.reason) == ("failed", "unsupported_transfer_syntax")
    assert f"transfer syntax {uid}" in reading.detail
    assert ("(retired)" in reading.detail) == (uid in RETIRED)


RETIRED = ("1.2.840.10008.1.2.4.55", "1.2.840.10008.1.2.4.52")


def test_pixels_in_another_encoding_than_stated_are_damaged(radiograph_dataset: Dataset) -> None:
    radiograph_dataset.compress(JPEGLSLossless)
    data = claiming(as_bytes(radiograph_dataset), radiograph_dataset, str(JPEG2000Lossless))
    with pytest.raises(ReadError, match="cannot be decoded") as caught:
        shown(data)
    assert caught.value.reason == "damaged_pixels"
