"""What is read from one file: pixels in display polarity, and header facts."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Header:
    """Facts about one image as the CSV states them; empty text where the file says nothing.

    `patient`, `study` and `instance` are keyed pseudonyms, never the identifiers themselves.
    `rows` and `columns` are those stored in the file, in pixels.
    """

    format: str = ""
    modality: str = ""
    body_part: str = ""
    view: str = ""
    photometric: str = ""
    transfer_syntax: str = ""
    voi: str = ""
    rows: int | None = None
    columns: int | None = None
    patient: str = ""
    study: str = ""
    instance: str = ""
    included: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Radiograph:
    """One radiograph as a viewer shows it.

    `pixels` is (H, W) float32 in 0..1 in display polarity: air dark, bone bright; square pixels.
    `flags` are reasons for a human to look that were found while reading.
    """

    pixels: FloatArray
    header: Header
    flags: tuple[str, ...] = ()
