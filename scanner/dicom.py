"""A DICOM file's bytes become a data set that is whole, and its pixels as a viewer shows them."""

import warnings
import zlib
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import parse_basic_offsets
from pydicom.filereader import read_partial
from pydicom.pixels.processing import apply_color_lut
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
)

from scanner import codecs, display
from scanner.errors import ReadError, Rejection
from scanner.header import (
    code,
    frame_count,
    optional_number,
    required_number,
    text,
    transfer_syntax,
    unique_identifier,
)
from scanner.radiograph import MAX_PIXELS, FloatArray
from scanner.walk import HEAD_BYTES, recognise

# A deflated data set may not grow beyond this: 90 million 16-bit pixels and a generous header.
MAX_INFLATED_BYTES = 256 * 1024 * 1024
_UNDEFINED_LENGTH = 0xFFFFFFFF
# JPEG rounds chroma: channels that differ by no more than this many grey levels of 255 are equal.
_EQUAL_CHANNELS_TOLERANCE = 2

codecs.register()


def parse(data: bytes) -> Dataset:
    """Return the data set of a DICOM file with or without preamble and file meta (PS3.10).

    Raises `ReadError`: ``too_large`` when a deflated data set inflates beyond the limit,
    ``damaged_header`` when no data set can be made out, ``truncated`` when there is none at all.
    """
    if recognise(data[:HEAD_BYTES], "") != "dicom":
        raise ReadError("damaged_header", "it does not begin like a DICOM file")
    _check_inflated_size(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is checked below and by the caller
            dataset = _read_until_filler(data)
            if "PixelData" not in dataset and not dataset.get("SOPClassUID"):
                # A truncated encapsulated image comes back empty; its header can still be read.
                dataset = pydicom.dcmread(BytesIO(data), force=True, stop_before_pixels=True)
            elements = list(dataset.elements())
            _drop_unreadable_elements(dataset)
    except zlib.error as error:
        raise ReadError("truncated", f"its deflated data set is incomplete ({error})") from error
    except (MemoryError, ReadError):
        raise
    except Exception as error:  # pydicom raises whatever a damaged element makes it stumble on
        raise ReadError("damaged_header", f"its DICOM header cannot be parsed ({error})") from error
    if not elements:
        raise ReadError("truncated", f"it ends after {len(data)} bytes, before any data element")
    return dataset


def _drop_unreadable_elements(dataset: Dataset) -> None:
    """Take out what cannot be parsed of group 0028: an optional element is then just absent."""
    for tag in [tag for tag in dataset.keys() if tag >> 16 == 0x0028]:  # noqa: SIM118
        try:
            dataset[tag]
        except Exception:
            del dataset[tag]


def _read_until_filler(data: bytes) -> Dataset:
    """Read a data set, but not the megabytes of zeros a full disk puts in the place of its end.

    pydicom takes each eight zeros for an empty element, which costs seconds for each megabyte.
    """
    filler = False

    def is_filler(tag: BaseTag, vr: str | None, length: int) -> bool:
        nonlocal filler
        filler = bool(tag == 0)
        return filler

    dataset = read_partial(BytesIO(data), stop_when=is_filler, force=True)
    if filler and "PixelData" not in dataset:
        raise ReadError("truncated", "its header goes over into zeros")
    return dataset


def _check_inflated_size(data: bytes) -> None:
    """Inflate a deflated data set piece by piece, keeping nothing, before pydicom does it whole."""
    if data[128:132] != b"DICM" or str(DeflatedExplicitVRLittleEndian).encode() not in data[:1024]:
        return
    if data[132:136] != b"\x02\x00\x00\x00":
        return  # no group length to find the data set by; the worker's memory limit remains
    meta_length = int.from_bytes(data[140:144], "little")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    rest, size = data[144 + meta_length :], 0
    try:
        while rest and not inflater.eof and size <= MAX_INFLATED_BYTES:
            size += len(inflater.decompress(rest, 1 << 20))
            rest = inflater.unconsumed_tail
    except zlib.error as error:
        raise ReadError("damaged_header", f"its data set cannot be inflated ({error})") from error
    if size > MAX_INFLATED_BYTES:
        raise ReadError(
            "too_large",
            f"its {len(data)} bytes inflate to more than {MAX_INFLATED_BYTES >> 20} MB",
        )
    if not inflater.eof:
        raise ReadError("truncated", "its deflated data set ends too early")


def check_complete(dataset: Dataset, data: bytes) -> None:
    """Raise `ReadError` if the file ends in the middle of an element or of its pixel data.

    Raises `Rejection` with reason ``not_an_image`` for objects that carry no pixels by nature
    (SR, presentation states, key objects, PDF, plans).
    """
    _check_element_lengths(dataset)
    if "PixelData" not in dataset:
        _explain_missing_pixels(dataset, data)
    frame_count(dataset)
    syntax = transfer_syntax(dataset)
    # pydicom cannot say whether a syntax it does not know is encapsulated; `read_pixels` names it.
    if syntax in codecs.DECODERS and not syntax.is_encapsulated:
        _check_native_length(dataset)


def _check_element_lengths(dataset: Dataset) -> None:
    for element in dataset.elements():
        if isinstance(element, RawDataElement) and element.value is not None:
            missing = element.length - len(element.value)
            if element.length != _UNDEFINED_LENGTH and missing > 0:
                raise ReadError(
                    "truncated", f"it ends {missing} bytes before the end of element {element.tag}"
                )


def _explain_missing_pixels(dataset: Dataset, data: bytes) -> None:
    stream = BytesIO(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = pydicom.dcmread(stream, force=True, stop_before_pixels=True)
    _check_element_lengths(header)  # elements of `dataset` that were looked at know no length
    if data[stream.tell() : stream.tell() + 4] in (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10"):
        raise ReadError("truncated", "it ends in the middle of its compressed pixel data")
    sop_class = unique_identifier(dataset, "SOPClassUID")
    is_image = "Image Storage" in sop_class.name or "Rows" in dataset
    if is_image:
        raise ReadError("no_pixel_data", "its header describes an image but it holds no PixelData")
    if sop_class or text(dataset, "Modality"):
        kind = sop_class.name if sop_class.type else "of an unknown kind"
        raise Rejection("not_an_image", f"it is a DICOM object without pixels ({kind})")
    raise ReadError("damaged_header", "it has neither a SOP class nor pixel data")


def _check_native_length(dataset: Dataset) -> None:
    rows, columns = required_number(dataset, "Rows"), required_number(dataset, "Columns")
    bits = required_number(dataset, "BitsAllocated")
    samples = required_number(dataset, "SamplesPerPixel", default=1)
    # YBR_FULL_422 shares chroma between two pixels (PS3.3 C.7.6.3.1.2).
    share = 2 / 3 if text(dataset, "PhotometricInterpretation") == "YBR_FULL_422" else 1
    needed = int(rows * columns * samples * bits * share) // 8
    held = len(dataset.PixelData or b"")
    if held < needed:
        raise ReadError("truncated", f"its pixel data has {held} bytes where {needed} are needed")


def read_pixels(dataset: Dataset) -> tuple[FloatArray, str, tuple[str, ...]]:
    """Decode and return display pixels (H, W) float32 in 0..1, the VOI applied, and flags.

    Raises `ReadError` (``too_large``, ``unsupported_transfer_syntax``, ``damaged_pixels``,
    ``damaged_header``) or `Rejection` (``colour_image``).
    """
    rows, columns = required_number(dataset, "Rows"), required_number(dataset, "Columns")
    if rows * columns > MAX_PIXELS:
        raise ReadError(
            "too_large",
            f"{columns} x {rows} pixels; the limit is {MAX_PIXELS // 1_000_000} million",
        )
    syntax = transfer_syntax(dataset)
    if syntax not in codecs.DECODERS:
        retired = " (retired)" if syntax.is_retired else ""
        raise ReadError(
            "unsupported_transfer_syntax", f"transfer syntax {syntax}{retired} has no decoder"
        )
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax.is_encapsulated:
        _check_offset_table(dataset)
    _supply_defaults(dataset)
    shift = 0 if syntax.is_encapsulated else _bits_below(dataset)
    dataset.BitsStored += shift  # pydicom drops what is above BitsStored, not above HighBit
    stored = _one_channel(_decode(dataset, syntax), dataset) >> shift
    return display.to_display(stored, dataset)


def _check_offset_table(dataset: Dataset) -> None:
    """A basic offset table that is damaged makes pydicom guess; say so before it does."""
    try:
        parse_basic_offsets(dataset.PixelData)
    except Exception as error:  # struct.error, ValueError, IndexError: the table is unreadable
        raise ReadError(
            "damaged_pixels", f"its pixel data is not encapsulated ({error})"
        ) from error


def _supply_defaults(dataset: Dataset) -> None:
    """Fill in elements of the Image Pixel module that careless writers leave out."""
    if not dataset.get("SamplesPerPixel"):
        dataset.SamplesPerPixel = 1
    if not dataset.get("PhotometricInterpretation"):
        dataset.PhotometricInterpretation = "MONOCHROME2"
    if dataset.get("PixelRepresentation") not in (0, 1):
        dataset.PixelRepresentation = 0
    if not dataset.get("BitsStored"):
        dataset.BitsStored = dataset.BitsAllocated
    if dataset.SamplesPerPixel > 1 and dataset.get("PlanarConfiguration") not in (0, 1):
        dataset.PlanarConfiguration = 0


def _bits_below(dataset: Dataset) -> int:
    """Return how many unused bits lie below the stored ones: 0 but for left-aligned pixels."""
    high_bit = optional_number(dataset, "HighBit")
    if high_bit is None or high_bit >= dataset.BitsAllocated:
        return 0
    return int(max(high_bit + 1 - dataset.BitsStored, 0))


def _decode(dataset: Dataset, syntax: UID) -> npt.NDArray[np.integer]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(dataset.pixel_array)
    except MemoryError:
        raise
    except Exception as error:  # every decoder has error classes of its own
        reason = " ".join(str(error).split())
        raise ReadError(
            "damaged_pixels", f"its {syntax.name} pixel data cannot be decoded ({reason})"
        ) from error


def _one_channel(pixels: npt.NDArray[np.integer], dataset: Dataset) -> npt.NDArray[np.integer]:
    """Return (H, W); colour whose channels are equal is grey, other colour is rejected."""
    photometric = code(dataset, "PhotometricInterpretation")
    if photometric == "PALETTE COLOR":
        pixels = np.asarray(apply_color_lut(pixels, dataset))
    if pixels.ndim == 3 and pixels.shape[-1] == 3:
        spread = pixels.max(axis=-1).astype(np.int64) - pixels.min(axis=-1)
        if spread.max() > _EQUAL_CHANNELS_TOLERANCE:
            raise Rejection("colour_image", f"it is a colour image ({photometric})")
        dataset.PhotometricInterpretation = "MONOCHROME2"
        pixels = pixels[..., 1]
    elif photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise ReadError("damaged_header", f"PhotometricInterpretation is {photometric!r}")
    if pixels.ndim != 2 or not pixels.size or pixels.dtype.kind not in "ui":
        raise ReadError(
            "damaged_pixels", f"it decodes to {pixels.dtype} of shape {pixels.shape}, not one image"
        )
    return pixels
