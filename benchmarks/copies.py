"""Files in quantity, made from one: the same pixels, but no two alike: copies are not judged."""

import importlib.util
from collections.abc import Callable
from copy import deepcopy
from io import BytesIO
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

# Of the name under which a data set is known: all its files' differ in these last digits.
_DIGITS = 8


def number(data: bytes, which: int) -> bytes:
    """Return an image file's bytes as another image's, with the same pixels.

    JPEG and PNG get a comment, DICOM another SOP Instance UID; it must end in `_DIGITS` zeros, as
    `radiograph` has it. Raises ValueError over other kinds of files.
    """
    mark = f"{which:0{_DIGITS}}".encode()
    if data.startswith(b"\xff\xd8"):
        return data[:2] + b"\xff\xfe" + (2 + len(mark)).to_bytes(2, "big") + mark + data[2:]
    if data.startswith(b"\x89PNG"):
        body = b"tEXt" + b"Comment\0" + mark
        chunk = (len(body) - 4).to_bytes(4, "big") + body
        chunk += imagecodecs.deflate_crc32(body).to_bytes(4, "big")
        return data[:33] + chunk + data[33:]  # behind IHDR, which is always first and as long
    if data[128:132] == b"DICM":
        uid = pydicom.dcmread(BytesIO(data), stop_before_pixels=True).SOPInstanceUID
        if uid.endswith("0" * _DIGITS):
            return data.replace(uid.encode(), uid.encode()[:-_DIGITS] + mark)
    raise ValueError("no JPEG, PNG, or DICOM file whose UID may be changed")


def write(data: bytes, folder: Path, suffix: str, count: int) -> None:
    """Write so many images with the pixels of one into a new folder."""
    folder.mkdir(parents=True)
    for which in range(count):
        (folder / f"{which:05}{suffix}").write_bytes(number(data, which))


def radiograph(name: str = "RG1_UNCR.dcm") -> Dataset:
    """Return a real radiograph of PyPI's pydicom-data: RG1 is a chest, RG3 a hand."""
    spec = importlib.util.find_spec("data_store")
    if spec is None or spec.origin is None:
        raise SystemExit("The samples are missing: pip install pydicom-data")
    dataset = pydicom.dcmread(Path(spec.origin).parent / "data" / name)
    stem = str(dataset.SOPInstanceUID).rpartition(".")[0][: 63 - _DIGITS]
    dataset.SOPInstanceUID = f"{stem.rstrip('.')}.1{'0' * _DIGITS}"[:64]
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def as_bytes(dataset: Dataset) -> bytes:
    """Return the DICOM file of a data set."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _compressed(syntax: str) -> Callable[[Dataset], bytes]:
    def encode(original: Dataset) -> bytes:
        dataset = deepcopy(original)
        if syntax == JPEGLosslessSV1:
            frame = imagecodecs.ljpeg_encode(dataset.pixel_array, bitspersample=16)
            dataset.PixelData = encapsulate([frame])
            dataset["PixelData"].VR = "OB"
            dataset.file_meta.TransferSyntaxUID = syntax
        else:
            dataset.compress(syntax, generate_instance_uid=False)
        return as_bytes(dataset)

    return encode


def _raster(suffix: str) -> Callable[[Dataset], bytes]:
    """Return what makes 1024 x 1024 pixels of 8 bits of a radiograph, as data sets have them."""

    def encode(original: Dataset) -> bytes:
        grey = original.pixel_array.astype(np.float32)
        if original.PhotometricInterpretation == "MONOCHROME1":
            grey = grey.max() - grey
        grey = cv2.resize(grey, (1024, 1024), interpolation=cv2.INTER_AREA)
        low, high = np.percentile(grey, (0.5, 99.5))
        eight = np.clip((grey - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
        return cv2.imencode(suffix, eight)[1].tobytes()

    return encode


# Kinds of files that hospitals and data sets have: suffix, and how a radiograph becomes one.
KINDS: dict[str, tuple[str, Callable[[Dataset], bytes]]] = {
    "PNG 1024": (".png", _raster(".png")),
    "JPEG 1024": (".jpg", _raster(".jpg")),
    "DICOM uncompressed": (".dcm", as_bytes),
    "DICOM RLE": (".dcm", _compressed(RLELossless)),
    "DICOM JPEG lossless": (".dcm", _compressed(JPEGLosslessSV1)),
    "DICOM JPEG-LS": (".dcm", _compressed(JPEGLSLossless)),
    "DICOM JPEG 2000": (".dcm", _compressed(JPEG2000Lossless)),
}
