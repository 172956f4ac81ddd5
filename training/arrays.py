"""The Kaggle arrays: `images.npy` and `labels.npy`, memory-mapped, an image at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scanner.errors import SetupError
from scanner.preprocess import PreprocessSpec, model_input


def read(
    folder: Path, spec: PreprocessSpec
) -> Iterator[tuple[npt.NDArray[np.uint8], str, str, str]]:
    """Yield (model input, label, patient, source) for each image; the last two are empty.

    ``images.npy`` is (N, S, S) or (N, S, S, 1|3), uint8, or float in 0..1; ``labels.npy`` is (N,)
    text. Raises `SetupError` over any other form.
    """
    images = _load(folder / "images.npy")
    labels_file = folder / "labels.npy"
    if not labels_file.is_file():
        raise SetupError(f"{folder} has images.npy but no labels.npy beside it.")
    labels = _load(labels_file)
    _check(images, labels)
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    for image, label in zip(images, labels, strict=True):
        grey = image if image.ndim == 2 else image.mean(axis=-1)
        pixels = np.asarray(grey, dtype=np.float32) / np.float32(scale)
        if scale == 1.0 and not (pixels.min() >= 0 and pixels.max() <= 1):
            raise SetupError("images.npy is of floats beyond 0..1: divide them by their range.")
        yield model_input(pixels, spec), str(label), "", ""


def _load(file: Path) -> npt.NDArray[Any]:
    try:
        return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        hint = "; save labels as text: labels.astype(str)" if "pickle" in str(error) else ""
        raise SetupError(f"{file} cannot be read as an array ({error}){hint}.") from error


def _check(images: npt.NDArray[np.generic], labels: npt.NDArray[np.generic]) -> None:
    channels = images.shape[3:] or (1,)
    if images.ndim not in (3, 4) or channels[0] not in (1, 3):
        raise SetupError(
            f"images.npy has shape {images.shape} where (N, S, S) or (N, S, S, 1 or 3) is expected."
        )
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise SetupError(f"images.npy is of {images.dtype} where uint8 or float is expected.")
    if labels.shape != images.shape[:1] or labels.dtype.kind != "U":
        raise SetupError(
            f"labels.npy is {labels.dtype} of shape {labels.shape} where {images.shape[0]} texts "
            "are expected, one for each image."
        )
