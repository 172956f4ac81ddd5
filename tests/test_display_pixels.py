"""Stored values are shown as DICOM PS3.3 C.11 and C.7.6.3 say, air dark and bone bright.

The expected values are worked out here pixel by pixel from the standard's own pseudo-code.
"""

import math
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from dicom_files import as_bytes, read_bytes, set_frame, set_pixels, shown
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from scanner.display import to_display
from scanner.errors import ReadError, Rejection

# Every 12-bit value once.
RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def header(photometric: str = "MONOCHROME2", **elements: Any) -> Dataset:
    dataset = Dataset()
    dataset.PhotometricInterpretation = photometric
    dataset.PixelRepresentation = 0
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def window(centre: float, width: float, function: str | None = None) -> dict[str, Any]:
    values = {"WindowCenter": centre, "WindowWidth": width, "VOILUTFunction": function}
    return {keyword: value for keyword, value in values.items() if value is not None}


def lut(entries: list[int], first: int, bits: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US" if first >= 0 else "SS", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return item


def linear(x: float, centre: float, width: float) -> float:
    """C.11.2.1.2.1, with ymin 0 and ymax 1."""
    if x <= centre - 0.5 - (width - 1) / 2:
        return 0.0
    if x > centre - 0.5 + (width - 1) / 2:
        return 1.0
    return (x - (centre - 0.5)) / (width - 1) + 0.5


def linear_exact(x: float, centre: float, width: float) -> float:
    """C.11.2.1.3.2."""
    if x <= centre - width / 2:
        return 0.0
    if x > centre + width / 2:
        return 1.0
    return (x - centre) / width + 0.5


def sigmoid(x: float, centre: float, width: float) -> float:
    """C.11.2.1.3.1."""
    return 1 / (1 + math.exp(-4 * (x - centre) / width))


def each(function: Callable[[float], float], values: npt.NDArray[Any] = RAMP) -> npt.NDArray[Any]:
    return np.array([function(float(x)) for x in values.ravel()]).reshape(values.shape)


def assert_shows(
    expected: npt.NDArray[Any], dataset: Dataset, stored: npt.NDArray[Any] = RAMP
) -> None:
    pixels = to_display(stored, dataset)[0]
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("centre", "width"), [(2048, 4096), (1800, 1500), (100, 2), (2048.5, 1), (4000, 30000)]
)
def test_linear_window(centre: float, width: float) -> None:
    expected = each(lambda x: linear(x, centre, width))
    assert_shows(expected, header(**window(centre, width)))
    assert_shows(expected, header(**window(centre, width, "LINEAR")))


@pytest.mark.parametrize(("centre", "width"), [(1800, 1500), (100, 1), (100, 0.5)])
def test_linear_exact_window(centre: float, width: float) -> None:
    expected = each(lambda x: linear_exact(x, centre, width))
    assert_shows(expected, header(**window(centre, width, "LINEAR_EXACT")))


@pytest.mark.parametrize(("centre", "width"), [(1800, 1500), (100, 20)])
def test_sigmoid_window(centre: float, width: float) -> None:
    expected = each(lambda x: sigmoid(x, centre, width))
    assert_shows(expected, header(**window(centre, width, "SIGMOID")))


def test_a_linear_window_of_width_1_is_a_threshold() -> None:
    pixels, voi, _ = to_display(RAMP, header(**window(1800, 1)))
    assert voi == "window 1800/1"
    np.testing.assert_array_equal(pixels, RAMP >= 1800)


@pytest.mark.parametrize("width", [0, -100, 0.5])
def test_a_window_without_width_is_passed_over(width: float) -> None:
    pixels, voi, _ = to_display(RAMP, header(**window(1800, width)))
    assert voi == "minmax"
    np.testing.assert_allclose(pixels, RAMP / 4095, atol=1e-6)


@pytest.mark.parametrize("function", ["", " ", "linear ", "VENDOR_CURVE"])
def test_an_empty_or_unknown_voi_function_is_linear(function: str) -> None:
    expected = each(lambda x: linear(x, 1800, 1500))
    assert_shows(expected, header(**window(1800, 1500, function)))


def test_the_first_of_two_windows_is_applied() -> None:
    dataset = header(WindowCenter=[1800, 40], WindowWidth=[1500, 400])
    assert to_display(RAMP, dataset)[1] == "window 1800/1500"
    assert_shows(each(lambda x: linear(x, 1800, 1500)), dataset)


def test_a_voi_lut_goes_before_a_window() -> None:
    entries = [(4095 - x) ** 2 // 4095 for x in range(4096)]
    dataset = header(**window(1800, 1500), VOILUTSequence=[lut(entries, 0, 12)])
    assert to_display(RAMP, dataset)[1] == "lut"
    assert_shows(each(lambda x: entries[int(x)] / 4095), dataset)


@pytest.mark.parametrize(("first", "bits"), [(1000, 12), (0, 10), (3000, 16)])
def test_a_voi_lut_begins_at_its_first_value_and_holds_its_ends(first: int, bits: int) -> None:
    top = (1 << bits) - 1
    entries = [top * i // 499 for i in range(500)]
    expected = each(lambda x: entries[min(max(int(x) - first, 0), 499)] / top)
    assert_shows(expected, header(VOILUTSequence=[lut(entries, first, bits)]))


def test_a_voi_lut_sees_the_values_of_the_modality_lut() -> None:
    dataset = header(RescaleSlope=2, RescaleIntercept=-1024, RescaleType="US")
    entries = [i * 4 for i in range(1000)]
    dataset.VOILUTSequence = [lut(entries, -500, 12)]
    expected = each(lambda x: entries[min(max(int(2 * x - 1024 + 500), 0), 999)] / 4095)
    assert_shows(expected, dataset)


def test_a_voi_lut_is_scaled_alike_whatever_values_an_image_uses() -> None:
    """It states 10 bits and holds 12: the image's own values must not decide the brightness."""
    dataset = header(VOILUTSequence=[lut(list(range(4096)), 0, 10)])
    whole = to_display(RAMP, dataset)[0]
    dark_part = to_display(RAMP[:8], dataset)[0]
    np.testing.assert_allclose(dark_part, whole[:8])


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("vr", ["US", "OW"])
@pytest.mark.parametrize("sequence", ["VOILUTSequence", "ModalityLUTSequence"])
def test_a_lut_reads_the_same_from_every_native_syntax(
    radiograph_dataset: Dataset, sequence: str, vr: str, syntax: Any
) -> None:
    entries = [int(i**0.5 * 24) for i in range(27_000)]  # fits 64 kB, as VR US must
    item = lut(entries, 0, 12)
    if vr == "OW":
        order = ">u2" if syntax == ExplicitVRBigEndian else "<u2"
        item.add_new("LUTData", "OW", np.array(entries, order).tobytes())
    setattr(radiograph_dataset, sequence, [item])
    radiograph_dataset.WindowCenter, radiograph_dataset.WindowWidth = 2048, 4096
    stored = radiograph_dataset.pixel_array
    expected = 1 - np.array(entries)[stored] / 4095  # MONOCHROME1
    found = shown(as_bytes(radiograph_dataset, syntax))
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("words", [False, True])
def test_a_lut_of_8_bits_is_read_from_bytes_and_from_words(words: bool) -> None:
    entries = [255 - i for i in range(256)]
    item = lut(entries, 0, 8)
    item.add_new("LUTData", "OW", np.array(entries, "<u2" if words else "u1").tobytes())
    stored = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert_shows(1 - stored / 255, header(VOILUTSequence=[item]), stored)


@pytest.mark.parametrize("missing", ["LUTDescriptor", "LUTData"])
def test_a_damaged_lut_is_named(missing: str) -> None:
    item = lut([1, 2, 3], 0, 12)
    delattr(item, missing)
    with pytest.raises(ReadError, match="lookup table") as caught:
        to_display(RAMP, header(VOILUTSequence=[item]))
    assert caught.value.reason == "damaged_header"


def test_the_modality_lut_goes_before_the_window() -> None:
    entries = [(4095 - x) // 2 for x in range(4096)]
    dataset = header(**window(1000, 800), ModalityLUTSequence=[lut(entries, 0, 16)])
    assert_shows(each(lambda x: linear(entries[int(x)], 1000, 800)), dataset)


def test_rescaling_goes_before_the_window() -> None:
    dataset = header(**window(500, 3000), RescaleSlope="1.5", RescaleIntercept="-1024")
    assert_shows(each(lambda x: linear(1.5 * x - 1024, 500, 3000)), dataset)


def test_a_rescale_slope_of_0_is_passed_over() -> None:
    dataset = header(**window(500, 3000), RescaleSlope=0, RescaleIntercept=0)
    assert_shows(each(lambda x: linear(x, 500, 3000)), dataset)


def test_without_a_window_the_values_are_spread_from_least_to_greatest() -> None:
    stored = np.array([[1000, 1500], [2000, 3000]], dtype=np.uint16)
    assert_shows(np.array([[0, 0.25], [0.5, 1]]), header(), stored)


@pytest.mark.parametrize(
    "padding",
    [
        {"PixelPaddingValue": 0},
        {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 5},
        {"PixelPaddingValue": 5, "PixelPaddingRangeLimit": 0},
    ],
)
def test_padding_takes_no_part_in_the_spread(padding: dict[str, int]) -> None:
    stored = np.array([[0, 0], [1000, 1500], [2000, 3000]], dtype=np.uint16)
    dataset = header()
    for keyword, value in padding.items():
        dataset.add_new(keyword, "US", value)
    assert_shows(np.array([[0, 0], [0, 0.25], [0.5, 1]]), dataset, stored)


def test_bright_padding_takes_no_part_in_the_spread() -> None:
    stored = np.array([[4095, 4095], [1000, 1500], [2000, 3000]], dtype=np.uint16)
    dataset = header("MONOCHROME1")
    dataset.add_new("PixelPaddingValue", "US", 4095)
    assert_shows(np.array([[0, 0], [1, 0.75], [0.5, 0]]), dataset, stored)


def test_a_constant_image_is_shown_without_dividing_by_zero() -> None:
    pixels = to_display(np.full((4, 4), 700, np.uint16), header())[0]
    assert np.isfinite(pixels).all()


@pytest.mark.parametrize("dtype", ["i1", "<i2"])
def test_signed_values_keep_their_order(radiograph_dataset: Dataset, dtype: str) -> None:
    bits = 8 * np.dtype(dtype).itemsize
    values = np.linspace(-(1 << (bits - 1)), (1 << (bits - 1)) - 1, 4096).astype(dtype)
    set_pixels(radiograph_dataset, values.reshape(64, 64), bits)
    radiograph_dataset.PhotometricInterpretation = "MONOCHROME2"
    radiograph_dataset.WindowCenter, radiograph_dataset.WindowWidth = 0, 1 << (bits - 1)
    expected = each(lambda x: linear(x, 0, 1 << (bits - 1)), values.reshape(64, 64))
    np.testing.assert_allclose(shown(radiograph_dataset), expected, atol=1e-6)


@pytest.mark.parametrize("signed", [False, True])
def test_dirt_above_the_stored_bits_is_not_seen(radiograph_dataset: Dataset, signed: bool) -> None:
    clean = RAMP.astype(np.int32) - (2048 if signed else 0)
    dirt = np.random.default_rng(1).integers(0, 16, RAMP.shape) << 12
    words = ((clean & 0x0FFF) | dirt).astype("<u2")
    set_pixels(radiograph_dataset, words, 12)
    radiograph_dataset.PixelRepresentation = int(signed)
    radiograph_dataset.PhotometricInterpretation = "MONOCHROME2"
    radiograph_dataset.WindowCenter, radiograph_dataset.WindowWidth = 100, 1500
    expected = each(lambda x: linear(x, 100, 1500), clean)
    np.testing.assert_allclose(shown(radiograph_dataset), expected, atol=1e-6)


def test_monochrome1_shows_what_its_monochrome2_twin_shows() -> None:
    one = to_display(RAMP, header("MONOCHROME1", **window(1800, 1500)))[0]
    two = to_display(4095 - RAMP, header("MONOCHROME2", **window(4096 - 1800, 1500)))[0]
    assert one[0, 0] == 1.0
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_the_radiograph_shows_air_dark_and_mediastinum_bright(radiograph_dataset: Dataset) -> None:
    pixels = shown(radiograph_dataset)
    right_lung, mediastinum = pixels[150:250, 90:150], pixels[150:250, 210:250]
    assert right_lung.mean() + 0.1 < mediastinum.mean()


@pytest.mark.parametrize(
    ("photometric", "shape", "conflict"),
    [
        ("MONOCHROME1", "INVERSE", False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME1", "", False),
        ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME2", "INVERSE", True),
    ],
)
def test_photometric_decides_and_a_contradicting_presentation_lut_is_flagged(
    photometric: str, shape: str, conflict: bool
) -> None:
    plain = to_display(RAMP, header(photometric, **window(1800, 1500)))[0]
    dataset = header(photometric, **window(1800, 1500), PresentationLUTShape=shape)
    pixels, _, flags = to_display(RAMP, dataset)
    np.testing.assert_array_equal(pixels, plain)
    assert flags == (("polarity_conflict",) if conflict else ())


@pytest.mark.parametrize(
    ("keyword", "value", "shape"),
    [
        ("PixelSpacing", [0.3, 0.15], (128, 64)),
        ("PixelSpacing", [0.15, 0.3], (64, 128)),
        ("ImagerPixelSpacing", [0.3, 0.2], (96, 64)),
        ("PixelAspectRatio", [4, 3], (85, 64)),
        ("PixelSpacing", [0.15, 0.1501], (64, 64)),
        ("PixelSpacing", [0, 0], (64, 64)),
        ("PixelSpacing", [-0.3, 0.15], (64, 64)),
        ("PixelSpacing", [], (64, 64)),
        ("PixelAspectRatio", [1, 0], (64, 64)),
    ],
)
def test_pixels_are_made_square(keyword: str, value: Any, shape: tuple[int, int]) -> None:
    pixels = to_display(RAMP, header(**{keyword: value}))[0]
    assert pixels.shape == shape
    # The ramp is kept: dark above, bright below.
    assert pixels[0].max() < 0.05 < 0.95 < pixels[-1].min()


def test_impossible_pixel_proportions_are_flagged_and_not_followed() -> None:
    pixels, _, flags = to_display(RAMP, header(PixelSpacing=[0.1, 10]))
    assert pixels.shape == RAMP.shape
    assert flags == ("odd_pixel_aspect",)


def test_left_aligned_pixels_are_shown_as_right_aligned_ones(
    radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    stored = radiograph_dataset.pixel_array >> 3  # to 12 bits
    set_pixels(radiograph_dataset, stored, 12)
    expected = read_bytes(as_bytes(radiograph_dataset), tmp_path / "right.dcm")
    set_pixels(radiograph_dataset, stored << 4, 12)
    radiograph_dataset.HighBit = 15
    found = read_bytes(as_bytes(radiograph_dataset), tmp_path / "left.dcm")
    assert expected.model_input is not None
    np.testing.assert_array_equal(found.model_input, expected.model_input)


@pytest.mark.parametrize("bits", [0, 17, 2000])
def test_a_lut_of_impossible_bits_is_a_damaged_header(bits: int) -> None:
    item = Dataset()
    item.LUTDescriptor, item.LUTData = [4, 0, bits], [0, 1, 2, 3]
    with pytest.raises(ReadError) as caught:
        to_display(RAMP, header(VOILUTSequence=[item]))
    assert caught.value.reason == "damaged_header"


def coloured(dataset: Dataset, rgb: npt.NDArray[np.uint8], planar: int = 0) -> Dataset:
    set_pixels(dataset, rgb, 8)
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, planar
    dataset.PhotometricInterpretation = "RGB"
    dataset.PixelData = (rgb.transpose(2, 0, 1) if planar else rgb).tobytes()
    del dataset.WindowCenter, dataset.WindowWidth
    return dataset


def grey_image() -> npt.NDArray[np.uint8]:
    return np.tile(np.arange(256, dtype=np.uint8), (64, 1))


@pytest.mark.parametrize("planar", [0, 1])
def test_rgb_with_equal_channels_is_a_grey_image(radiograph_dataset: Dataset, planar: int) -> None:
    rgb = np.repeat(grey_image()[..., None], 3, axis=-1)
    found = shown(coloured(radiograph_dataset, rgb, planar))
    np.testing.assert_allclose(found, grey_image() / 255, atol=1e-6)


@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_grey_image_in_colour_jpeg_is_a_grey_image(
    radiograph_dataset: Dataset, subsampling: int
) -> None:
    rgb = np.repeat(grey_image()[..., None], 3, axis=-1)
    coloured(radiograph_dataset, rgb)
    jpeg = BytesIO()
    Image.fromarray(rgb).save(jpeg, "JPEG", quality=95, subsampling=subsampling)
    set_frame(radiograph_dataset, jpeg.getvalue(), JPEGBaseline8Bit)
    radiograph_dataset.PhotometricInterpretation = "YBR_FULL_422" if subsampling else "YBR_FULL"
    np.testing.assert_allclose(shown(radiograph_dataset), grey_image() / 255, atol=0.02)


def test_a_palette_of_greys_is_a_grey_image(radiograph_dataset: Dataset) -> None:
    set_pixels(radiograph_dataset, grey_image(), 8)
    radiograph_dataset.PhotometricInterpretation = "PALETTE COLOR"
    del radiograph_dataset.WindowCenter, radiograph_dataset.WindowWidth
    for colour in ("Red", "Green", "Blue"):
        keyword = f"{colour}PaletteColorLookupTable"
        radiograph_dataset.add_new(keyword + "Descriptor", "US", [256, 0, 16])
        table = (255 - np.arange(256)).astype("<u2") * 257
        radiograph_dataset.add_new(keyword + "Data", "OW", table.tobytes())
    np.testing.assert_allclose(shown(radiograph_dataset), 1 - grey_image() / 255, atol=1e-6)


def test_a_colour_image_is_rejected(radiograph_dataset: Dataset) -> None:
    rgb = np.repeat(grey_image()[..., None], 3, axis=-1)
    rgb[:8, :8, 0] ^= 0x40
    with pytest.raises(Rejection) as caught:
        shown(coloured(radiograph_dataset, rgb))
    assert caught.value.reason == "colour_image"
