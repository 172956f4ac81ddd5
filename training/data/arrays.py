"""Images and labels in arrays, as the Kaggle competition hands them out: .npy files or an .npz."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from scanner.errors import SetupError
from scanner.preprocess import PreprocessSpec, model_input
from training.data.array_files import ArrayFile, open_npy, open_npz
from training.data.forms import Found, Item, Picture
from training.data.value_range import check_within, value_range

IMAGES, LABELS = "images.npy", "labels.npy"
# Keys of .npz files, in any case, that say what they hold.
_IMAGE_KEYS = ("images", "image", "x", "data")
_LABEL_KEYS = ("labels", "label", "y", "target", "targets")
# Below this a side is taken for channels or something else that is no picture.
_MIN_SIDE = 16
_MAX_CLASSES = 1000

Range = tuple[float, float]


def in_npy(images: Path, labels: Path, stated: Range | None) -> Found:
    """Return the images and labels in two .npy files.

    Images are (N, H, W) or (N, H, W, 1|3) of integers or floats in a range that can be told or is
    `stated`; labels are N texts or numbers, or (N, C) one-hot. Nothing but labels and a sample of
    the images is read yet. Raises `SetupError` over any other form.
    """
    for file, option in ((images, "--images"), (labels, "--labels")):
        if not file.is_file():
            raise SetupError(
                f"{file} is not there: images and labels are expected in {IMAGES} and {LABELS}; "
                f"{option} names another file."
            )
    return _found(open_npy(images), open_npy(labels), stated)


def in_npz(file: Path, images: str, labels: str, stated: Range | None) -> Found:
    """Return the images and labels in an .npz file, under the keys named or recognised.

    Without names they are the arrays whose keys say so, or the only one that may be images and
    the only one with a label for each of them. Otherwise as `in_npy`.
    """
    stored = open_npz(file)
    pictures = {key: array for key, array in stored.items() if len(array.shape) in (3, 4)}
    chosen = _pick(file, stored, pictures, images, _IMAGE_KEYS, "--images")
    if labels and labels not in stored and (file.parent / labels).is_file():
        return _found(chosen, open_npy(file.parent / labels), stated)
    rest = {key: array for key, array in stored.items() if len(array.shape) in (1, 2)}
    alike = {key: a for key, a in rest.items() if a.shape[0] == chosen.shape[0]}
    by_name = {key: a for key, a in rest.items() if key.lower() in _LABEL_KEYS}
    picked = _pick(file, stored, by_name or alike, labels, _LABEL_KEYS, "--labels")
    return _found(chosen, picked, stated)


def _pick(
    file: Path,
    stored: dict[str, ArrayFile],
    candidates: dict[str, ArrayFile],
    asked: str,
    usual: Sequence[str],
    option: str,
) -> ArrayFile:
    if asked in stored:
        return stored[asked]
    named = [array for key, array in candidates.items() if key.lower() in usual]
    for choice in (named, list(candidates.values())):
        if len(choice) == 1 and not asked:
            return choice[0]
    held = "; ".join(map(str, list(stored.values())[:6])) + ("; …" if len(stored) > 6 else "")
    raise SetupError(
        f"{file} is no training data that can be told: it holds "
        f"{held or 'no array'}; {option} KEY says which is meant"
        f"{f', and {asked!r} is none of them' if asked else ''}."
    )


def _found(images: ArrayFile, labels: ArrayFile, stated: Range | None) -> Found:
    _check_images(images)
    texts = _label_texts(labels, images)
    low, high = value_range(images, stated)
    items = [Item(f"{images.name}[{i}]", label) for i, label in enumerate(texts)]
    form = f"arrays {images.name} {images.dtype} {images.shape} and {labels.name}"
    return Found(form, items, partial(_read, images, (low, high)), value_range=(low, high))


def _check_images(images: ArrayFile) -> None:
    name, shape = images.name, images.shape
    expected = "where (N, H, W) or (N, H, W, 1 or 3) is expected"
    if images.dtype.hasobject:
        raise SetupError(
            f"{name} holds Python objects {expected}: save one array, np.stack(images)."
        )
    if images.dtype.kind not in "uif":
        raise SetupError(f"{name} is of {images.dtype} where integers or floats are expected.")
    if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3):
        raise SetupError(
            f"{name} has shape {shape}, channels first, {expected}: save np.moveaxis(images, 1, -1)"
            "."
        )
    if len(shape) not in (3, 4) or shape[3:] not in ((), (1,), (3,)):
        raise SetupError(f"{name} has shape {shape} {expected}.")
    if not shape[0]:
        raise SetupError(f"{name} has shape {shape}: it holds no image.")
    if min(shape[1:3]) < _MIN_SIDE:
        raise SetupError(
            f"{name} has shape {shape} {expected}, and sides of at least {_MIN_SIDE} pixels: is it "
            "a single image, or are its axes in another order?"
        )
    if images.fortran:
        raise SetupError(
            f"{name} is stored in Fortran order, in which an image cannot be read without all "
            "others: save np.ascontiguousarray(images)."
        )


def _label_texts(labels: ArrayFile, images: ArrayFile) -> list[str]:
    """Return the label of each image as text, a number as its digits."""
    name, count = labels.name, images.shape[0]
    if labels.dtype.hasobject:
        raise SetupError(
            f"{name} holds Python objects: save its labels as text, labels.astype(str)."
        )
    if labels.shape[:1] != (count,):
        raise SetupError(
            f"{name} has shape {labels.shape} but {images.name} {images.shape}: one label for each "
            "image is expected."
        )
    columns = labels.shape[1] if len(labels.shape) == 2 else 1
    if len(labels.shape) > 2 or columns > _MAX_CLASSES or labels.dtype.kind not in "USuifb":
        raise SetupError(
            f"{name} is {labels.dtype} of shape {labels.shape} where {count} texts or numbers, or "
            f"one-hot rows ({count}, classes), are expected."
        )
    values = labels.whole()
    if values.shape[1:] == (1,):
        values = values[:, 0]
    if values.ndim == 2:
        return _from_one_hot(values, name)
    if values.dtype.kind == "S":
        return [bytes(value).decode(errors="replace") for value in values]
    if values.dtype.kind == "U":
        return list(map(str, values))
    whole = np.isfinite(values) & (values == np.trunc(values))
    if not whole.all():
        at = int(np.argmin(whole))
        raise SetupError(f"{name} holds {values[at]} for image {at} where a class is expected.")
    return [str(int(value)) for value in values]


def _from_one_hot(values: npt.NDArray[np.generic], name: str) -> list[str]:
    if values.dtype.kind in "US":
        raise SetupError(f"{name} holds {values.shape[1]} texts for each image; one is expected.")
    hot = values == 1
    wrong = (hot.sum(axis=1) != 1) | ((values != 0).sum(axis=1) != 1)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise SetupError(
            f"{name} is no one-hot array: the row of image {at} is "
            f"{np.array2string(values[at], threshold=6)} where a single 1 is expected."
        )
    return [str(column) for column in hot.argmax(axis=1)]


def _read(
    images: ArrayFile, limits: Range, positions: Sequence[int], spec: PreprocessSpec
) -> Iterator[Picture]:
    low, high = limits
    for position, image in zip(positions, images.rows(positions), strict=True):
        if check_within(image, position, images, limits) == 0:
            yield Picture(None, "blank_image")
        else:
            pixels = (image.astype(np.float32) - np.float32(low)) / np.float32(high - low)
            yield Picture(model_input(_grey(np.clip(pixels, 0, 1)), spec))


def _grey(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return (H, W) of (H, W) or (H, W, 1|3), by the weights of Rec. 601 as for files."""
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    return pixels.reshape(pixels.shape[:2])
