"""DICOM files made and read by the tests."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, ExplicitVRBigEndian

from scanner import decoding, dicom
from scanner.preprocess import PreprocessSpec
from scanner.radiograph import FloatArray
from scanner.reading import Reading, ReadSettings
from scanner.walk import Source

SETTINGS = ReadSettings(PreprocessSpec(), key=bytes(range(32)))


def as_bytes(dataset: Dataset, syntax: UID | None = None) -> bytes:
    """Return a DICOM file with preamble and meta; `syntax` is a native one to write it in."""
    fresh = Dataset(dataset)  # pydicom remembers how a data set was read, and insists on it
    fresh.file_meta = dataset.file_meta
    if syntax is not None:
        fresh.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian and dataset.BitsAllocated == 16:
        fresh.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    buffer = BytesIO()
    fresh.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def claiming(data: bytes, dataset: Dataset, syntax: str) -> bytes:
    """Return the file `data` of `dataset` with a meta that states `syntax`, true or not."""
    fresh = Dataset(dataset)
    fresh.file_meta = dataset.file_meta
    fresh.file_meta.TransferSyntaxUID = UID(syntax)
    meta = BytesIO()
    write_file_meta_info(meta, fresh.file_meta, enforce_standard=False)
    return bytes(128) + b"DICM" + meta.getvalue() + without_meta(data)


def without_meta(data: bytes) -> bytes:
    """Return only the data set of a DICOM file that has preamble and meta."""
    return data[144 + int.from_bytes(data[140:144], "little") :]


def set_pixels(dataset: Dataset, pixels: npt.NDArray[Any], stored: int) -> None:
    """Replace the pixels of `dataset` by unsigned or signed ones with `stored` bits."""
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored, dataset.HighBit = stored, stored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()


def set_frame(dataset: Dataset, frame: bytes, syntax: UID, fragments: int = 1) -> None:
    """Replace the pixels of `dataset` by one compressed frame."""
    dataset.PixelData = encapsulate([frame], fragments_per_frame=fragments)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax


def shown(file: Dataset | bytes) -> FloatArray:
    """Return the display pixels of a DICOM file, or of the file that a data set would become."""
    data = file if isinstance(file, bytes) else as_bytes(file)
    dataset = dicom.parse(data)
    dicom.check_complete(dataset, data)
    return dicom.read_pixels(dataset)[0]


def source(path: Path) -> Source:
    return Source(path, path.name, -1, -1)


def read(path: Path, *, strict: bool = False, include: Sequence[str] = ()) -> Reading:
    """Read one file as a worker does, in this process."""
    settings = ReadSettings(SETTINGS.spec, SETTINGS.key, tuple(include), strict)
    return decoding.read_file(source(path), settings)


def read_bytes(data: bytes, path: Path) -> Reading:
    """Write `data` to `path` and read it as a worker does."""
    path.write_bytes(data)
    return read(path)
