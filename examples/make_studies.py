#!/usr/bin/env python3
"""Build a realistic folder of studies: make_studies.py [FOLDER]   (default: examples/studies)

Everything is made from the real chest radiograph RG1 and the real hand radiograph RG3 in PyPI's
package pydicom-data (MIT): transfer syntaxes as hospitals send them, raster exports, and the files
that are in every share but should not be judged.
"""

import importlib.util
import shutil
import sys
from copy import deepcopy
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)


def sample(name: str) -> Dataset:
    """Read a file of pydicom-data where pip put it, without asking the network."""
    spec = importlib.util.find_spec("data_store")
    if spec is None or spec.origin is None:
        sys.exit("The samples are missing: pip install pydicom-data")
    return pydicom.dcmread(Path(spec.origin).parent / "data" / name)


def new_image(original: Dataset, name: str, patient: str) -> Dataset:
    """Return a copy that is an image of its own, of an invented patient."""
    image = deepcopy(original)
    image.SOPInstanceUID = generate_uid(entropy_srcs=["cxr-scan example", name])
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.StudyInstanceUID = generate_uid(entropy_srcs=["cxr-scan example", patient])
    image.PatientID, image.PatientName = patient, f"Example^{patient}"
    return image


def half_size(original: Dataset) -> Dataset:
    """Return the image at half its resolution, so that the whole example stays small."""
    image = deepcopy(original)
    height, width = image.Rows // 2 * 2, image.Columns // 2 * 2
    blocks = image.pixel_array[:height, :width].reshape(height // 2, 2, width // 2, 2)
    set_pixels(image, blocks.mean(axis=(1, 3)).astype(np.uint16))
    return image


def set_pixels(image: Dataset, pixels: np.ndarray) -> None:
    """Put uncompressed 16-bit pixels into a data set."""
    image.Rows, image.Columns = pixels.shape
    image.PixelData = pixels.astype("<u2").tobytes()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def save(image: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> None:
    """Write a DICOM file in a transfer syntax."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
        image.compress(syntax)
    elif syntax == JPEGLosslessSV1:
        frame = imagecodecs.ljpeg_encode(image.pixel_array, bitspersample=16)
        image.PixelData = encapsulate([frame])
        image["PixelData"].VR = "OB"
    image.file_meta.TransferSyntaxUID = syntax
    image.save_as(path, enforce_file_format=True)


def grey_levels(image: Dataset, highest: int) -> np.ndarray:
    """Return the radiograph as a raster export shows it, 0..highest, bones bright."""
    low = float(image.WindowCenter) - float(image.WindowWidth) / 2
    shown = 1 - np.clip((image.pixel_array - low) / float(image.WindowWidth), 0, 1)
    return np.rint(shown * highest)


def build(folder: Path) -> None:
    """Write the whole tree below `folder`, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    chest, hand = half_size(sample("RG1_UNCR.dcm")), sample("RG3_UNCR.dcm")

    ward = folder / "2026-11-20" / "ward-3"
    save(new_image(chest, "plain", "P001"), ward / "P001" / "IM0001.dcm")
    save(new_image(chest, "implicit", "P001"), ward / "P001" / "IM0002", ImplicitVRLittleEndian)
    shutil.copy(ward / "P001" / "IM0001.dcm", ward / "P001" / "copy of IM0001.dcm")

    twin = new_image(chest, "monochrome2", "P002")
    highest = 2**twin.BitsStored - 1
    set_pixels(twin, highest - twin.pixel_array)
    twin.PhotometricInterpretation = "MONOCHROME2"
    twin.WindowCenter = highest - float(twin.WindowCenter)
    save(twin, ward / "P002" / "monochrome2.dcm")

    archive = folder / "archive"
    for name, syntax in {
        "rle": RLELossless,
        "jpeg-ls": JPEGLSLossless,
        "jpeg-2000": JPEG2000Lossless,
        "jpeg-lossless": JPEGLosslessSV1,
        "deflated": DeflatedExplicitVRLittleEndian,
    }.items():
        save(new_image(chest, name, "P003"), archive / f"{name}.dcm", syntax)

    no_view = new_image(chest, "no view", "P004")
    no_view.ViewPosition = ""
    save(no_view, archive / "header without view.dcm")

    lateral = new_image(chest, "lateral", "P004")
    lateral.ViewPosition = "LL"
    save(lateral, archive / "lateral.dcm")
    save(new_image(hand, "hand", "P005"), archive / "hand.dcm")

    exports = folder / "exports"
    exports.mkdir()
    eight_bits = grey_levels(chest, 255).astype(np.uint8)
    cv2.imwrite(str(exports / "chest-8-bit.png"), eight_bits)
    cv2.imwrite(str(exports / "chest-16-bit.png"), grey_levels(chest, 65535).astype(np.uint16))
    cv2.imwrite(str(exports / "chest.jpg"), eight_bits, [cv2.IMWRITE_JPEG_QUALITY, 92])
    whole = (ward / "P001" / "IM0001.dcm").read_bytes()
    (exports / "sent incompletely.dcm").write_bytes(whole[: len(whole) // 2])
    (exports / "notes.txt").write_text("Not an image; counted, without a row.\n", encoding="utf-8")


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "studies"
    build(place)
    files = [path for path in place.rglob("*") if path.is_file()]
    print(f"{place}: {len(files)} files, {sum(p.stat().st_size for p in files) >> 20} MB")
