"""Images and labels in arrays: every form that can be told is read alike, others are refused."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled_data import LABELS, SPEC, arrays, loaded, noise

from scanner.errors import SetupError
from scanner.preprocess import model_input
from training.data.dataset import describe

_CLASSES = ["Covid-19", "Normal", "Normal", "Pneumonia", "Covid-19", "Pneumonia"]
_NAMED = ("COVID", "Normal", "Viral Pneumonia")
_NUMBERS = [0, 1, 1, 2, 0, 2]


def _expected(images: np.ndarray) -> np.ndarray:
    return np.stack([model_input(i.astype(np.float32) / np.float32(255), SPEC) for i in images])


@pytest.mark.parametrize(
    ("store", "white"),
    [
        (lambda images: images, 255),
        (lambda images: np.asfortranarray(images[:, :, :, None]).copy("C"), 255),
        (lambda images: np.repeat(images[..., None], 3, axis=-1), 255),
        (lambda images: images.astype(np.uint16), 255),
        (lambda images: images.astype(np.uint16) * 257, 65535),
        (lambda images: images.astype(">i4"), 255),
        (lambda images: images.astype(np.int64), 255),
        (lambda images: images.astype(np.float64) / 255, 1),
        (lambda images: (images / 255).astype(np.float32), 1),
        (lambda images: images.astype(np.float16), 255),
        (lambda images: np.repeat(images[..., None] / np.float32(255), 3, axis=-1), 1),
    ],
)
def test_every_kind_of_number_and_shape_gives_the_same_inputs(
    store: Callable[[np.ndarray], np.ndarray], white: float, tmp_path: Path
) -> None:
    images = noise(6)
    data = loaded(arrays(tmp_path / "data", store(images)), tmp_path / "work")
    difference = data.inputs[:].astype(int) - _expected(images)
    assert np.abs(difference).max() <= 1  # ties of rounding
    assert data.value_range == (0, white)
    assert data.labels == _CLASSES
    assert data.classes == ["Covid-19", "Normal", "Pneumonia"]
    assert data.targets.tolist() == _NUMBERS
    assert data.names[3] == "images.npy[3]"


def test_half_precision_is_told_as_0_to_1(tmp_path: Path) -> None:
    images = noise(6)
    data = loaded(arrays(tmp_path / "data", (images / 255).astype(np.float16)), tmp_path / "work")
    assert np.abs(data.inputs[:].astype(int) - _expected(images)).max() <= 2


def test_colours_weigh_as_in_files(tmp_path: Path) -> None:
    from PIL import Image

    images = np.random.default_rng(1).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    grey = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in images])
    data = loaded(arrays(tmp_path / "data", images), tmp_path / "work")
    assert np.abs(data.inputs[:].astype(int) - _expected(grey)).max() <= 2


@pytest.mark.parametrize(
    "labels",
    [
        _NUMBERS,
        np.array(_NUMBERS, float),
        np.array(_NUMBERS)[:, None],
        np.eye(3)[_NUMBERS],
        np.eye(3, dtype=bool)[_NUMBERS],
        np.array(list(map(str, _NUMBERS))),
        np.array(LABELS, "S"),
    ],
)
def test_numbers_one_hot_rows_and_bytes_are_labels(labels: Any, tmp_path: Path) -> None:
    data = loaded(arrays(tmp_path / "data", noise(6), labels), tmp_path / "work", classes=_NAMED)
    assert data.labels == _CLASSES


def test_the_order_of_classes_gives_numbers_their_meaning(tmp_path: Path) -> None:
    folder = arrays(tmp_path / "data", noise(6), [0, 1, 2, 3, 2, 3])
    names = ("normal", "lung opacity", "COVID", "Viral Pneumonia")
    with pytest.raises(SetupError, match="one image of Normal"):
        loaded(folder, tmp_path / "work", classes=names)
    folder = arrays(tmp_path / "data", noise(6), [0, 1, 0, 1, 2, 2])
    data = loaded(folder, tmp_path / "work", classes=names[:3])
    assert data.classes == ["Normal", "lung opacity", "Covid-19"]
    assert data.labels[:2] == ["Normal", "lung opacity"]


def test_files_may_have_other_names_and_places(tmp_path: Path) -> None:
    folder = arrays(tmp_path / "data", noise(6))
    (folder / "images.npy").rename(folder / "X.npy")
    (folder / "labels.npy").rename(tmp_path / "y.npy")
    with pytest.raises(SetupError, match=r"labels.npy is not there: .*--labels"):
        loaded(folder, tmp_path / "work", images="X.npy")
    with pytest.raises(SetupError, match="has no folder whose name is a class"):
        loaded(folder, tmp_path / "work")
    by_option = loaded(folder, tmp_path / "work", images="X.npy", labels=str(tmp_path / "y.npy"))
    as_data = loaded(folder / "X.npy", tmp_path / "work", labels="../y.npy")
    assert by_option.labels == as_data.labels == _CLASSES
    (tmp_path / "y.npy").rename(folder / "y.npy")
    with pytest.raises(SetupError, match=r"holds X.npy, y.npy but no images.npy: .*--images"):
        loaded(folder, tmp_path / "work")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    ("images", "labels"),
    [("images", "labels"), ("X", "y"), ("data", "target"), ("arr_0", "arr_1"), ("train", "of_it")],
)
def test_an_npz_is_read_by_looking(
    save: Callable[..., None], images: str, labels: str, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    pictures = noise(6)
    save(folder / "all.npz", **{images: pictures, labels: np.array(LABELS)})
    for place in (folder, folder / "all.npz"):
        data = loaded(place, tmp_path / "work")
        assert (data.inputs[:] == _expected(pictures)).all()
        assert data.labels == _CLASSES


def test_keys_of_an_npz_are_named_where_several_would_do(tmp_path: Path) -> None:
    file = tmp_path / "all.npz"
    pictures = noise(6)
    np.savez(file, a=noise(6, 1), b=pictures, c=np.array(LABELS), d=np.array(LABELS[::-1]))
    with pytest.raises(SetupError, match=r"it holds a uint8 \(6, 64, 64\); b .*--images KEY"):
        loaded(file, tmp_path / "work")
    with pytest.raises(SetupError, match="--labels KEY says which is meant"):
        loaded(file, tmp_path / "work", images="b")
    np.savez(tmp_path / "short.npz", images=pictures, labels=np.array(LABELS[1:]))
    with pytest.raises(SetupError, match=r"short.npz\[labels\] has shape \(5,\) but .* one label"):
        loaded(tmp_path / "short.npz", tmp_path / "work")
    with pytest.raises(SetupError, match="and 'e' is none of them"):
        loaded(file, tmp_path / "work", images="e")
    data = loaded(file, tmp_path / "work", images="b", labels="d")
    assert (data.inputs[:] == _expected(pictures)).all()
    assert data.labels == _CLASSES[::-1]


_TEXT = np.array(LABELS)
_STANDARD = np.random.default_rng(0).normal(0, 1, (6, 64, 64))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (_STANDARD, _TEXT, r"from -\d.*standardised\?.*--value-range LOW,HIGH"),
        (np.abs(_STANDARD) / 5 * 3.7, _TEXT, r"float64 with values from .*--value-range"),
        (noise(6) * np.float32(16), _TEXT, r"float32 with values from 0 to 40.*--value-range"),
        (noise(6) > 99, _TEXT, "is of bool where integers or floats are expected"),
        ((noise(6) > 99).astype(np.uint8), _TEXT, r"uint8 with values from 0 to 1 \(a mask, or"),
        (noise(6).astype(np.int16) - 128, _TEXT, r"int16 with values from -128"),
        (np.zeros((6, 3, 64, 64), np.uint8), _TEXT, r"channels first.*np.moveaxis\(images, 1, -1"),
        (np.zeros((6, 64, 64, 4), np.uint8), _TEXT, r"has shape \(6, 64, 64, 4\) where \(N, H, W"),
        (np.zeros((6, 4096), np.uint8), _TEXT, r"has shape \(6, 4096\) where \(N, H, W"),
        (np.zeros((64, 64, 3), np.uint8), _TEXT, "is it a single image"),
        (np.zeros((0, 64, 64), np.uint8), _TEXT, "it holds no image"),
        (np.asfortranarray(noise(6)), _TEXT, r"Fortran order.*np.ascontiguousarray\(images\)"),
        (noise(6).astype(object), _TEXT, r"images.npy holds Python objects .*np.stack\(images\)"),
        (noise(6), _TEXT.astype(object), r"labels.npy holds Python objects.*labels.astype\(str\)"),
        (noise(6), _TEXT[:5], r"labels.npy has shape \(5,\) but images.npy \(6, 64, 64\): one lab"),
        (noise(6), _NUMBERS, r"are the numbers 0, 1, 2 and nothing .* Covid-19,Normal,Pneumonia"),
        (noise(6), np.eye(4)[_NUMBERS] * 2, r"no one-hot array: the row of image 0 is \[2. 0."),
        (noise(6), np.ones((6, 3)), r"the row of image 0 is \[1. 1. 1.\] where a single 1"),
        (noise(6), [0, 1, 0.5, 1, 0, 0], "labels.npy holds 0.5 for image 2 where a class is"),
        (noise(6), ["COVID"] * 6, "has images of one class, Covid-19; it takes 2"),
        (noise(6), ["a", "b"] * 3, r"images of no known class; .*3 \(label 'a' is none.*--classes"),
        (noise(6), ["COVID"] + ["Normal"] * 5, "has one image of Covid-19 that can be used"),
    ],
)
def test_what_cannot_be_told_is_one_line(
    images: np.ndarray, labels: Any, message: str, tmp_path: Path
) -> None:
    folder = arrays(tmp_path / "data", images, labels)
    with pytest.raises(SetupError, match=message) as caught:
        loaded(folder, tmp_path / "work")
    assert "\n" not in str(caught.value)


def test_numbers_beyond_the_classes_are_refused(tmp_path: Path) -> None:
    folder = arrays(tmp_path / "data", noise(6), [1, 2, 3, 1, 2, 3])
    with pytest.raises(SetupError, match=r"the numbers 1 to 3, but classes .*: subtract 1"):
        loaded(folder, tmp_path / "work", classes=_NAMED)
    with pytest.raises(SetupError, match=r"the numbers 1, 2, 3 and --classes names 2: .*from 0"):
        loaded(folder, tmp_path / "work", classes=_NAMED[:2])
    with pytest.raises(SetupError, match="no image of Covid-19"):
        loaded(folder, tmp_path / "work", classes=(*_NAMED, "Lung_Opacity"))


def test_a_stated_value_range_decides_and_is_checked(tmp_path: Path) -> None:
    images = noise(6)
    folder = arrays(tmp_path / "data", images / 255 * 6 - 3)
    data = loaded(folder, tmp_path / "work", value_range=(-3.0, 3.0))
    assert (data.inputs[:] == _expected(images)).mean() > 0.99
    assert data.value_range == (-3, 3)
    with pytest.raises(SetupError, match="image 0 has values from -3 to 3 where all are expected"):
        loaded(folder, tmp_path / "work", value_range=(-2.0, 3.0))
    with pytest.raises(SetupError, match="LOW must be below HIGH"):
        loaded(folder, tmp_path / "work", value_range=(3.0, -3.0))


def test_every_image_is_held_against_the_range_of_the_sample(tmp_path: Path) -> None:
    images = np.tile(noise(10).astype(np.float32) / 255, (20, 1, 1))
    images[100] *= 255  # the sample is of every third image
    folder = arrays(tmp_path / "data", images, np.tile(["COVID", "Normal"], 100))
    with pytest.raises(
        SetupError, match=r"image 100 has values from 0 to 255 .* from 0 to 1: --va"
    ):
        loaded(folder, tmp_path / "work")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_image_that_is_not_of_numbers_is_named(value: float, tmp_path: Path) -> None:
    images = noise(6).astype(np.float32)
    images[4] = value
    images[2, 5, 5] = value
    folder = arrays(tmp_path / "data", images)
    with pytest.raises(SetupError, match="holds NaN or infinity, first in image 2"):
        loaded(folder, tmp_path / "work")
    images[:] = value
    with pytest.raises(SetupError, match="holds NaN or infinity, first in image 0"):
        loaded(arrays(folder, images), tmp_path / "work")


def test_files_cut_short_or_of_something_else_are_one_line(tmp_path: Path) -> None:
    folder = arrays(tmp_path / "data", noise(6))
    whole = (folder / "images.npy").read_bytes()
    (folder / "images.npy").write_bytes(whole[:-1000])
    with pytest.raises(SetupError, match=r"has \d+ bytes where uint8 \(6, 64, 64\) takes"):
        loaded(folder, tmp_path / "work")
    (folder / "images.npy").write_bytes(b"no array")
    with pytest.raises(SetupError, match="cannot be read as arrays of NumPy"):
        loaded(folder, tmp_path / "work")
    np.savez_compressed(tmp_path / "all.npz", images=noise(6), labels=_TEXT)
    packed = bytearray((tmp_path / "all.npz").read_bytes())
    packed[5000:5100] = bytes(100)
    (tmp_path / "all.npz").write_bytes(packed)
    with pytest.raises(SetupError, match="cannot be read as arrays of NumPy"):
        loaded(tmp_path / "all.npz", tmp_path / "work")


def test_blank_images_are_left_out_and_copies_counted(tmp_path: Path) -> None:
    images = noise(8)
    images[2] = 7
    images[4] = images[0]
    images[7] = images[1]
    labels = [*LABELS, "Normal", "COVID"]
    data = loaded(arrays(tmp_path / "data", images, labels), tmp_path / "work")
    assert data.left_out == {"blank_image": 1}
    assert (data.duplicates, data.contradictions) == (2, 1)
    said = "\n".join(describe(data))
    assert "data: arrays images.npy uint8 (8, 64, 64) and labels.npy" in said
    assert "7 images: 3 Covid-19, 2 Normal, 2 Pneumonia" in said
    assert "left out: 1 (blank_image)" in said
    assert "value range: 0 to 255" in said
    assert "exact duplicates: 2, 1 of them with another label" in said
    assert f"fingerprint: {data.fingerprint}" in said


def test_the_fingerprint_is_of_pixels_and_labels(tmp_path: Path) -> None:
    def of(images: np.ndarray, labels: list[str]) -> str:
        return loaded(arrays(tmp_path / "data", images, labels), tmp_path / "work").fingerprint

    first = of(noise(6), LABELS)
    assert len(first) == 16
    assert first == of(noise(6).astype(np.float64), LABELS)
    assert first != of(noise(6, 1), LABELS)
    assert first != of(noise(6), LABELS[::-1])


_MEASURED = """
import resource, sys
from pathlib import Path
from labelled_data import loaded
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
loaded(Path(sys.argv[1]), Path(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("name", ["images.npy", "stored.npz", "compressed.npz"])
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KB on Linux")
def test_arrays_are_streamed_whatever_their_size(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    images = np.broadcast_to(noise(1)[:, None].repeat(8, 2).repeat(8, 3), (300, 1, 512, 512))
    images = images.reshape(300, 512, 512, 1).repeat(3, axis=-1)  # 236 MB
    labels = np.array(["COVID", "Normal"] * 150)
    arrays(folder, images, labels)
    if name == "stored.npz":
        np.savez(folder / name, images=images, labels=labels)
    if name == "compressed.npz":
        np.savez_compressed(folder / name, images=images, labels=labels)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(folder / name), str(tmp_path)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parent)},
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100_000  # KB
