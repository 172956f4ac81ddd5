"""The report's pictures: the radiograph as it is, and the heat map where it belongs."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from report_samples import phantom, radiograph, radiograph_file, spot

from scanner import thumbnails
from scanner.output import picture_paths
from scanner.preprocess import PreprocessSpec
from scanner.radiograph import FloatArray
from scanner.reading import ReadSettings, read_file
from scanner.walk import Source

# What JPEG at quality 85 moves a grey level by.
_NOISE = 12


def grey(picture: bytes) -> npt.NDArray[np.int16]:
    decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert decoded is not None
    return decoded.astype(np.int16)


def colours(picture: bytes) -> npt.NDArray[np.int16]:
    """(H, W, 3), red first."""
    decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded[..., ::-1].astype(np.int16)


def colourfulness(picture: bytes) -> npt.NDArray[np.int16]:
    """How far from grey every pixel is, smoothed against JPEG's blocks."""
    channels = cv2.blur(colours(picture).astype(np.float32), (5, 5))
    return (channels.max(axis=-1) - channels.min(axis=-1)).astype(np.int16)


def flat(height: int = 320, width: int = 240, level: float = 0.5) -> bytes:
    return thumbnails.thumbnail(np.full((height, width), level, np.float32))


@pytest.mark.parametrize(
    ("height", "width", "shown"),
    [
        (2840, 2330, (512, 420)),
        (2330, 2840, (420, 512)),
        (3000, 3000, (512, 512)),
        (512, 512, (512, 512)),
        (100, 50, (100, 50)),  # never enlarged
        (5000, 4, (512, 1)),  # never nothing
        (1, 1, (1, 1)),
    ],
)
def test_a_thumbnail_keeps_the_proportions(height: int, width: int, shown: tuple[int, int]) -> None:
    assert grey(thumbnails.thumbnail(np.zeros((height, width), np.float32))).shape == shown


@pytest.mark.parametrize("shape", [(320, 263), (263, 320), (100, 50)])
def test_an_overlay_has_the_size_of_its_thumbnail(shape: tuple[int, int]) -> None:
    assert colours(thumbnails.overlay(flat(*shape), spot(3, 3))).shape == (*shape, 3)


def test_a_pair_of_pictures_of_a_real_radiograph_is_small() -> None:
    plain = thumbnails.thumbnail(radiograph())
    both = len(plain) + len(thumbnails.overlay(plain, spot(8, 5)))
    assert 10_000 < both < 90_000  # 200 pairs on a page


def test_a_thumbnail_shows_the_grey_levels_it_is_given() -> None:
    ramp = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (200, 1))
    shown = grey(thumbnails.thumbnail(ramp))
    assert np.abs(shown - np.arange(256)).max() <= 4


def test_a_thumbnail_is_neither_mirrored_nor_turned() -> None:
    quarters = np.zeros((400, 300), np.float32)
    quarters[:200, :150], quarters[:200, 150:] = 0.2, 0.4
    quarters[200:, :150], quarters[200:, 150:] = 0.6, 0.8
    shown = grey(thumbnails.thumbnail(quarters)) / 255
    height, width = shown.shape
    found = [shown[y * height // 4, x * width // 4] for y in (1, 3) for x in (1, 3)]
    assert found == pytest.approx([0.2, 0.4, 0.6, 0.8], abs=0.02)


@pytest.mark.parametrize("stored", ["MONOCHROME1", "MONOCHROME2"])
def test_air_is_dark_and_bone_bright_however_it_is_stored(stored: str, tmp_path: Path) -> None:
    image = pydicom.dcmread(radiograph_file())  # MONOCHROME1
    pixels = image.pixel_array[::8, ::8]
    highest = 2**image.BitsStored - 1
    if stored == "MONOCHROME2":
        pixels = highest - pixels
        image.WindowCenter = highest - float(image.WindowCenter)
    image.PhotometricInterpretation = stored
    image.Rows, image.Columns = pixels.shape
    image.PixelData = pixels.astype("<u2").tobytes()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = tmp_path / "chest.dcm"
    image.save_as(path, enforce_file_format=True)

    facts = path.stat()
    settings = ReadSettings(PreprocessSpec(), key=bytes(32))
    reading = read_file(Source(path, path.name, facts.st_size, facts.st_mtime_ns), settings)
    shown = grey(reading.thumbnail)
    height, width = shown.shape
    middle = shown[height // 2 : height * 3 // 4, width * 45 // 100 : width * 55 // 100]
    lungs = shown[height // 3 : height // 2, width // 5 : width * 2 // 5]
    assert middle.mean() > lungs.mean() + 30  # the heart over the lung
    assert np.abs(shown - grey(thumbnails.thumbnail(radiograph()[::8, ::8]))).mean() < 4


def test_an_empty_map_leaves_the_radiograph_bare() -> None:
    bare = thumbnails.overlay(phantom(), np.zeros((16, 16), np.float32))
    assert np.abs(colours(bare) - grey(phantom())[..., None]).max() <= _NOISE


@pytest.mark.parametrize(
    ("row", "column"), [(0, 0), (0, 15), (15, 0), (15, 15), (3, 11), (11, 3), (8, 8)]
)
@pytest.mark.parametrize("shape", [(320, 240), (240, 320)])
def test_the_map_is_coloured_where_it_is_hot_and_nowhere_else(
    row: int, column: int, shape: tuple[int, int]
) -> None:
    cam = np.zeros((16, 16), np.float32)
    cam[row, column] = 1
    found = colourfulness(thumbnails.overlay(flat(*shape), cam))
    height, width = shape
    cell_height, cell_width = height / 16, width / 16
    y, x = int((row + 0.5) * cell_height), int((column + 0.5) * cell_width)
    assert found[y, x] > 40
    rows, columns = np.nonzero(found > 25)
    assert abs(rows - y).max() <= 1.5 * cell_height
    assert abs(columns - x).max() <= 1.5 * cell_width


def test_the_hottest_place_is_warm_and_still_shows_the_radiograph() -> None:
    cam = np.ones((16, 16), np.float32)
    dark, bright = flat(level=0.1), flat(level=0.9)
    red, _, blue = colours(thumbnails.overlay(dark, cam))[160, 120]
    assert red > blue + 30
    difference = grey(thumbnails.overlay(bright, cam)) - grey(thumbnails.overlay(dark, cam))
    assert difference.mean() > 60  # of 204 grey levels between the two


def test_a_warmer_place_is_coloured_more() -> None:
    cam = np.tile(np.linspace(0, 1, 16, dtype=np.float32), (16, 1))
    shown = colours(thumbnails.overlay(flat(level=0.2), cam))
    red = shown[160, ::40, 0]
    assert (np.diff(red) >= -_NOISE).all()
    assert red[-1] > red[0] + 80


def test_the_map_is_shown_relative_to_its_own_maximum() -> None:
    cam = spot(4, 9)
    weak = thumbnails.overlay(phantom(), cam * 1e-4)
    strong = thumbnails.overlay(phantom(), cam * 1e4)
    assert np.abs(colours(weak) - colours(strong)).max() <= 2


def test_drawing_does_not_change_the_map() -> None:
    cam = spot(4, 9)
    before = cam.copy()
    thumbnails.overlay(phantom(), cam)
    assert np.array_equal(cam, before)


@pytest.mark.parametrize("value", [1e-38, 1e30])
def test_any_scale_of_the_map_can_be_drawn(value: float) -> None:
    cam: FloatArray = spot(8, 8) * np.float32(value)
    assert colourfulness(thumbnails.overlay(flat(), cam))[170, 127] > 40


def test_pictures_are_kept_under_the_hash_of_the_file(tmp_path: Path) -> None:
    name = "ab" * 32
    thumbnails.save(tmp_path, name, phantom(), spot(2, 2))
    plain, heat = picture_paths(tmp_path, name)
    assert plain.relative_to(tmp_path).as_posix() == f"report/thumbs/ab/{name}.jpg"
    assert plain.read_bytes() == phantom()
    assert colourfulness(heat.read_bytes()).max() > 40


def lungs_left() -> FloatArray:
    """Lung probabilities (32, 32): one lung, rows 8 to 24, columns 4 to 12."""
    field = np.full((32, 32), 0.05, np.float32)
    field[8:24, 4:12] = 0.95
    return field


@pytest.mark.parametrize("level", [0.02, 0.5, 0.98])
def test_the_lung_field_is_outlined_and_not_filled(level: float) -> None:
    empty = np.zeros((16, 16), np.float32)
    bare = thumbnails.overlay(flat(level=level), empty)
    drawn = thumbnails.overlay(flat(level=level), empty, lungs_left())
    changed = np.abs(colours(drawn) - colours(bare)).max(axis=-1) > 40
    # The field is 80 to 240 down and 30 to 90 across.
    for y, x in ((80, 60), (240, 60), (160, 30), (160, 90)):
        assert changed[y - 5 : y + 6, x - 5 : x + 6].any()
    assert not changed[95:225, 45:75].any()
    assert not changed[:, 110:].any()
    assert 0.005 < changed.mean() < 0.06


def test_the_outline_shows_on_dark_and_on_bright() -> None:
    for level in (0.02, 0.98):
        drawn = grey(
            thumbnails.overlay(flat(level=level), np.zeros((16, 16), np.float32), lungs_left())
        )
        across = drawn[160, 20:40]
        assert across.max() - across.min() > 80


def test_the_outline_lies_over_the_hottest_place() -> None:
    hot = np.ones((16, 16), np.float32)
    blue = colours(thumbnails.overlay(flat(), hot, lungs_left()))[160, 28:33, 2].max()
    plain = colours(thumbnails.overlay(flat(), hot))[160, 30, 2]
    assert blue > plain + 60


@pytest.mark.parametrize("shape", [(1, 1), (512, 1), (40, 30)])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_any_field_can_be_drawn_on_any_thumbnail(shape: tuple[int, int], value: float) -> None:
    field = np.full((32, 32), value, np.float32)
    assert colours(thumbnails.overlay(flat(*shape), spot(3, 3), field)).shape == (*shape, 3)
