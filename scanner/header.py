"""The header of a DICOM image: single elements, read so that damage and absence cost nothing more.

What is read here may reach the CSV, so nothing but the element asked for may come out.
"""

import re
import warnings
from collections.abc import Sequence

from pydicom import config
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from scanner.errors import ReadError
from scanner.pseudonyms import pseudonym
from scanner.radiograph import Header

_MAX_TEXT = 64
# Careless anonymisers write identifiers longer than the standard allows; their ends differ.
_MAX_IDENTIFIER = 1024
# What a code string and a unique identifier may hold (PS3.5 table 6.2-1; lower case occurs). An
# element with a damaged length drags in those behind it, names included; they hold other bytes.
_CODE = re.compile(r"[^\x00-\x1f\x7f-\x9f]{0,16}")
_UNIQUE_IDENTIFIER = re.compile(r"[0-9.]{0,64}")


def facts(dataset: Dataset, key: bytes, include: Sequence[str]) -> Header:
    """Return the header facts of the CSV; `include` names further elements by DICOM keyword."""
    patient = text(dataset, "PatientID", _MAX_IDENTIFIER)
    issuer = text(dataset, "IssuerOfPatientID", _MAX_IDENTIFIER)
    return Header(
        format="dicom",
        modality=code(dataset, "Modality"),
        body_part=code(dataset, "BodyPartExamined"),
        view=code(dataset, "ViewPosition"),
        photometric=code(dataset, "PhotometricInterpretation"),
        transfer_syntax=str(_stated_transfer_syntax(dataset)),
        rows=optional_number(dataset, "Rows"),
        columns=optional_number(dataset, "Columns"),
        patient=pseudonym(key, "patient", f"{issuer}\0{patient}" if patient else ""),
        study=pseudonym(key, "study", text(dataset, "StudyInstanceUID", _MAX_IDENTIFIER)),
        instance=pseudonym(key, "instance", text(dataset, "SOPInstanceUID", _MAX_IDENTIFIER)),
        included=tuple((keyword, text(dataset, keyword, _MAX_IDENTIFIER)) for keyword in include),
    )


def text(dataset: Dataset, keyword: str, longest: int = _MAX_TEXT) -> str:
    """Return an element as one short line of text; empty if absent or too damaged to read."""
    return re.sub(r"\s+", " ", _value(dataset, keyword)).strip()[:longest]


def code(dataset: Dataset, keyword: str) -> str:
    """Return a code string as the CSV may state it; empty if absent or damaged into other text."""
    value = _value(dataset, keyword).strip()
    return value if _CODE.fullmatch(value) else ""


def unique_identifier(dataset: Dataset, keyword: str) -> UID:
    """Return a unique identifier; empty if it is absent or none (pydicom would quote it)."""
    value = _value(dataset, keyword).strip()
    return UID(value if _UNIQUE_IDENTIFIER.fullmatch(value) else "", config.IGNORE)


def _value(dataset: Dataset, keyword: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = dataset.get(keyword)
            return "" if value is None else str(value)
    except Exception:  # an optional element's damage must not cost the image; it reads as blank
        return ""


def optional_number(dataset: Dataset, keyword: str) -> int | None:
    """Return an element as a whole number of 0 or more; None if it is absent or no number."""
    value = text(dataset, keyword)
    return int(value) if value.isascii() and value.isdigit() else None


def frame_count(dataset: Dataset) -> int:
    """Return NumberOfFrames, 1 if absent; raises `ReadError` if it is no number."""
    value = text(dataset, "NumberOfFrames")
    if not value:
        return 1
    if not (value.isascii() and value.isdigit()):
        raise ReadError("damaged_header", "NumberOfFrames is no whole number")
    return int(value)


def required_number(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    """Return an element as a whole number above 0; raises `ReadError` without one or `default`."""
    value = optional_number(dataset, keyword) or default
    if value is None:
        found = "no number above 0" if text(dataset, keyword) else "missing"
        raise ReadError("damaged_header", f"{keyword} is {found}")
    return value


def _stated_transfer_syntax(dataset: Dataset) -> UID:
    meta = getattr(dataset, "file_meta", None)
    return unique_identifier(meta, "TransferSyntaxUID") if meta is not None else UID("")


def transfer_syntax(dataset: Dataset) -> UID:
    """Return the transfer syntax, inferred from how the header was written if it is not stated."""
    stated = _stated_transfer_syntax(dataset)
    if stated:
        return stated
    implicit, little_endian = dataset.original_encoding
    if not little_endian:
        return ExplicitVRBigEndian
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
