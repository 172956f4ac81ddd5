"""The folders that are scanned while faults strike: small, but of everything that has rows."""

import copy
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from dicom_files import as_bytes
from fault_table import by_path
from pydicom.dataset import Dataset
from scanning import scan
from small_models import save_cnn10

_PICTURES = 44
_SIDE = 96
_RADIOGRAPHS = 4
_BLANKS = 44
# The walk of the images alone is over before a signal can hit it.
_EMPTY_FOLDERS = 3000


@dataclass(frozen=True)
class Studies:
    """A folder to scan, a model, and the home of the user who does it."""

    home: Path
    folder: Path
    model: Path

    def arguments(self, output: Path, *more: object, folder: Path | None = None) -> list[object]:
        """Return the arguments of a scan of the folder, or of another one."""
        place = folder or self.folder
        return [place, "--output", output, "--model", self.model, "--batch-size", 2, *more]

    @cached_property
    def images(self) -> list[Path]:
        """Return the files that have rows, in the order of the walk."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return sorted((f for f in files if f.suffix != ".txt"), key=lambda f: str(f).encode())

    @cached_property
    def rows(self) -> dict[str, dict[str, str]]:
        """Return the rows of a scan that nothing disturbed, by path."""
        scan(self.home, *self.arguments(self.finished)).says(3, "images")
        rows = by_path(self.finished)
        assert sorted(rows) == sorted(str(f.relative_to(self.folder)) for f in self.images)
        return rows

    @property
    def finished(self) -> Path:
        """Return the output folder of that scan; to be copied, not changed."""
        return self.home / f"{self.folder.name}-undisturbed"

    def copy_of_finished(self, output: Path) -> Path:
        """Copy a finished scan's output to `output`."""
        assert self.rows
        shutil.copytree(self.finished, output)
        return output


def build_light(home: Path, radiograph: Dataset) -> Studies:
    """Make a folder of images that are read and rejected or fail: no scan waits for TensorFlow."""
    studies = Studies(home, home / "light", home / "light-model")
    save_cnn10(studies.model)
    write_blanks(studies.folder / "b-blanks", range(_BLANKS))
    write_odd_ones(studies.folder / "c-odd", radiograph)
    return studies


def build(home: Path, radiograph: Dataset) -> Studies:
    studies = Studies(home, home / "studies", home / "model")
    save_cnn10(studies.model)
    write_pictures(studies.folder / "b-pictures", range(_PICTURES))
    place = studies.folder / "a-radiographs"
    place.mkdir()
    for index in range(_RADIOGRAPHS):
        (place / f"{index}.dcm").write_bytes(as_bytes(_another(radiograph, index)))
    write_odd_ones(studies.folder / "c-odd", radiograph)
    for index in (3, _PICTURES - 1):
        copied = studies.folder / "c-odd" / f"copy of {index}.png"
        shutil.copy(_picture(studies.folder / "b-pictures", index), copied)
    for index in range(_EMPTY_FOLDERS):
        (studies.folder / "d-empty" / f"{index:04}").mkdir(parents=True)
    return studies


def write_odd_ones(folder: Path, radiograph: Dataset) -> None:
    """Write files that are rejected or fail, each for a reason of its own."""
    folder.mkdir(parents=True)
    lateral = _another(radiograph, _RADIOGRAPHS)
    lateral.ViewPosition = "LL"
    whole = as_bytes(lateral)
    (folder / "lateral.dcm").write_bytes(whole)
    (folder / "truncated.dcm").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "no image.png").write_text("this is no picture")
    (folder / "notes.txt").write_text("neither is this, and it does not say so")


def write_blanks(folder: Path, numbers: Iterable[int]) -> Path:
    """Write pictures that are read and found blank, no two alike, named by number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        picture = np.full((64, 65 + number), 128, np.uint8)
        assert cv2.imwrite(str(_picture(folder, number)), picture)
    return folder


def write_pictures(folder: Path, numbers: Iterable[int]) -> Path:
    """Write pictures that no two are alike, named by number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        noise = np.random.default_rng(number).integers(0, 256, (24, 24), dtype=np.uint8)
        picture = cv2.resize(noise, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(_picture(folder, number)), picture)
    return folder


def _picture(folder: Path, number: int) -> Path:
    return folder / f"{number:03}.png"


def _another(radiograph: Dataset, index: int) -> Dataset:
    """Return another image than `radiograph`: its pixels shifted, its instance its own."""
    other = copy.deepcopy(radiograph)
    pixels = np.frombuffer(other.PixelData, "<u2").reshape(other.Rows, other.Columns)
    other.PixelData = np.roll(pixels, 7 * (index + 1), axis=1).tobytes()
    other.SOPInstanceUID = f"1.2.826.0.1.3680043.8.498.{index + 1}"
    other.file_meta.MediaStorageSOPInstanceUID = other.SOPInstanceUID
    return other
