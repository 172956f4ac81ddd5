"""A DICOM file's bytes become a data set that is whole, and its pixels as a viewer shows them."""

import warnings
import zlib
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.filereader import _read_file_meta_info, read_partial, read_preamble
from pydicom.pixels import pixel_array
from pydicom.pixels.processing import apply_color_lut
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    RLELossless,
)

from scanner import codecs, codestream, display
from scanner.errors import ReadError, Rejection, kind_of
from scanner.header import (
    code,
    frame_count,
    optional_number,
    required_number,
    text,
    transfer_syntax,
    unique_identifier,
)
from scanner.limits import STANDARD, Limits
from scanner.radiograph import FloatArray
from scanner.walk import HEAD_BYTES, recognise

# Files of scanners have some hundred; each takes 300 bytes and some microseconds.
_MAX_ELEMENTS = 100_000
# What decoding takes for a sample beside its PixelData, measured: stored values, 32-bit display
# pixels and, of compressed frames, what the decoder needs itself.
_NATIVE_BYTES, _COMPRESSED_BYTES = 8, 11
# Of more than 16 bits, which may go through 64-bit arithmetic.
_DEEP_BYTES = 56
_PIECE = 1 << 20
_UNDEFINED_LENGTH = 0xFFFFFFFF
# JPEG rounds chroma: channels that differ by no more than this many grey levels of 255 are equal.
_EQUAL_CHANNELS_TOLERANCE = 2

codecs.register()


def parse(data: bytes, limits: Limits = STANDARD) -> Dataset:
    """Return the data set of a DICOM file with or without preamble and file meta (PS3.10).

    Raises `ReadError`: ``too_large`` when a deflated data set inflates beyond the limit,
    ``damaged_header`` when no data set can be made out, ``truncated`` when there is none at all.
    """
    if recognise(data[:HEAD_BYTES], "") != "dicom":
        raise ReadError("damaged_header", "it does not begin like a DICOM file")
    _check_inflated_size(data, limits)
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
        raise ReadError(
            "damaged_header", f"its DICOM header cannot be parsed ({kind_of(error)})"
        ) from error
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
    filler, elements = False, 0

    def is_filler(tag: BaseTag, vr: str | None, length: int) -> bool:
        nonlocal filler, elements
        filler = bool(tag == 0)
        elements += 1
        if elements > _MAX_ELEMENTS:
            raise ReadError("damaged_header", f"it has more than {_MAX_ELEMENTS} data elements")
        return filler

    dataset = read_partial(BytesIO(data), stop_when=is_filler, force=True)
    dataset.buffer = None  # or the whole file would be kept beside its elements
    if filler and "PixelData" not in dataset:
        raise ReadError("truncated", "its header goes over into zeros")
    return dataset


def _check_inflated_size(data: bytes, limits: Limits) -> None:
    """Inflate a deflated data set piece by piece, keeping nothing, before pydicom does it whole."""
    if str(DeflatedExplicitVRLittleEndian).encode() not in data[:HEAD_BYTES]:
        return
    rest = memoryview(data)[_data_set_begins(data) :]
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    size, place, pending = 0, 0, b""
    try:
        while (pending or place < len(rest)) and not inflater.eof and size <= limits.file_bytes:
            if not pending:
                pending, place = bytes(rest[place : place + _PIECE]), place + _PIECE
            size += len(inflater.decompress(pending, _PIECE))
            pending = inflater.unconsumed_tail
    except zlib.error as error:
        raise ReadError("damaged_header", f"its data set cannot be inflated ({error})") from error
    if size > limits.file_bytes:
        raise ReadError(
            "too_large",
            f"its {len(data)} bytes inflate to more than {limits.file_mb} MB (--max-file-mb)",
        )
    if not inflater.eof:
        raise ReadError("truncated", "its deflated data set ends too early")
    limits.claim(len(data) + 3 * size)  # inflated, as a file in memory, as the element of pixels


def _data_set_begins(data: bytes) -> int:
    """Return where pydicom will look for the data set, whatever the file meta says of itself."""
    stream = BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read_preamble(stream, force=True)
            _read_file_meta_info(stream)
    except Exception as error:  # as in `parse`
        raise ReadError(
            "damaged_header", f"its file meta cannot be parsed ({kind_of(error)})"
        ) from error
    return stream.tell()


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


def read_pixels(
    dataset: Dataset, limits: Limits = STANDARD
) -> tuple[FloatArray, str, tuple[str, ...]]:
    """Decode and return display pixels (H, W) float32 in 0..1, the VOI applied, and flags.

    Raises `ReadError` (``too_large``,
    ``unsupported_transfer_syntax``, ``damaged_pixels``, ``damaged_header``) or `Rejection`
    (``multi_frame``, ``colour_image``).
    """
    rows, columns = required_number(dataset, "Rows"), required_number(dataset, "Columns")
    limits.check_pixels(columns, rows)
    if frame_count(dataset) > 1:
        raise Rejection("multi_frame", "it has more than one frame")
    syntax = transfer_syntax(dataset)
    if syntax not in codecs.DECODERS:
        retired = " (retired)" if syntax.is_retired else ""
        raise ReadError(
            "unsupported_transfer_syntax", f"transfer syntax {syntax}{retired} has no decoder"
        )
    dataset.file_meta.TransferSyntaxUID = syntax
    _supply_defaults(dataset)
    samples = rows * columns * required_number(dataset, "SamplesPerPixel")
    each = _COMPRESSED_BYTES if syntax.is_encapsulated else _NATIVE_BYTES
    if required_number(dataset, "BitsAllocated") > 16:
        each = _DEEP_BYTES
    limits.claim(samples * each + len(dataset.PixelData))
    if syntax.is_encapsulated:
        _check_frame(_only_frame(dataset), syntax, rows, columns)
    shift = 0 if syntax.is_encapsulated else _bits_below(dataset)
    dataset.BitsStored += shift  # pydicom drops what is above BitsStored, not above HighBit
    stored = _one_channel(_decode(dataset, syntax), dataset)
    return display.to_display(stored >> shift if shift else stored, dataset, limits)


def _only_frame(dataset: Dataset) -> bytes:
    """Return the compressed frame; an offset table that is damaged makes pydicom guess or fail."""
    dataset.pop("ExtendedOffsetTable", None)  # of use only among many frames
    dataset.pop("ExtendedOffsetTableLengths", None)
    try:
        frame: bytes = get_frame(dataset.PixelData, 0, number_of_frames=1)
    except Exception as error:  # struct.error, ValueError, IndexError: the table is unreadable
        raise ReadError(
            "damaged_pixels", f"its pixel data is not encapsulated ({kind_of(error)})"
        ) from error
    return frame


def _check_frame(frame: bytes, syntax: UID, rows: int, columns: int) -> None:
    """Raise `ReadError` for a frame of another size than the header's, or that ends too early."""
    if syntax == RLELossless:
        return  # pydicom decodes it to the header's size or fails
    size = codestream.frame_size(frame)
    if (size.rows, size.columns) != (rows, columns):
        raise ReadError(
            "damaged_pixels",
            f"its frame has {size.columns} x {size.rows} pixels, its header says "
            f"{columns} x {rows}",
        )
    if syntax in (JPEGBaseline8Bit, JPEGExtended12Bit) and size.bits == 8:
        codecs.check_jpeg(frame)


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
            # A view: of an image of many megapixels the copy would be most of what it takes.
            return np.asarray(pixel_array(dataset, view_only=True))
    except (MemoryError, ReadError):
        raise
    except Exception as error:  # every decoder has error classes of its own
        raise ReadError(
            "damaged_pixels", f"its {syntax.name} pixel data cannot be decoded ({kind_of(error)})"
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
