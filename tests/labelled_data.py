"""Small labelled pictures in every form that training reads, and their loading."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scanner.preprocess import PreprocessSpec
from training.data.dataset import Dataset, DataSettings, load

SPEC = PreprocessSpec(size=32)
LABELS = ["COVID", "Normal", "Normal", "Viral Pneumonia", "COVID", "Viral Pneumonia"]


def noise(count: int, seed: int = 0, side: int = 64) -> npt.NDArray[np.uint8]:
    """Return pictures (count, side, side) of 0..255."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side), dtype=np.uint8)


def picture(place: Path, seed: int) -> Path:
    """Write one picture, the same for the same seed."""
    place.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(place), noise(1, seed)[0])
    return place


def arrays(folder: Path, images: npt.NDArray[Any], labels: Any = LABELS) -> Path:
    """Write images.npy and labels.npy."""
    folder.mkdir(exist_ok=True)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", np.array(labels))
    return folder


def loaded(path: Path, work: Path, **settings: Any) -> Dataset:
    """Load labelled data at 32 pixels, its inputs below `work`."""
    work.mkdir(exist_ok=True)
    return load(DataSettings(path, **settings), SPEC, work)
