"""Decoders for DICOM pixel data: what pydicom brings, and a plugin for what it cannot read.

pydicom with Pillow, pylibjpeg-openjpeg and pyjpegls covers all syntaxes but 12-bit and lossless
JPEG; imagecodecs (BSD) decodes those. Left out on purpose: pylibjpeg-libjpeg (GPL), pylibjpeg-rle
(panics past `except Exception`), python-gdcm (old bundled OpenSSL, crashes on damaged input).
"""

import re

import imagecodecs
import numpy as np
import numpy.typing as npt
import simplejpeg
from pydicom.pixels.decoders import (
    JPEGExtended12BitDecoder,
    JPEGLosslessDecoder,
    JPEGLosslessSV1Decoder,
)
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from scanner.errors import ReadError

# pydicom asks a plugin module for this table: transfer syntax -> packages needed.
DECODER_DEPENDENCIES = {
    syntax: ("numpy", "imagecodecs")
    for syntax in (JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
}

# Transfer syntax -> the package that decodes it, as `cxr-scan doctor` prints it.
DECODERS: dict[UID, str] = {
    ImplicitVRLittleEndian: "pydicom",
    ExplicitVRLittleEndian: "pydicom",
    DeflatedExplicitVRLittleEndian: "pydicom",
    ExplicitVRBigEndian: "pydicom",
    RLELossless: "pydicom",
    JPEGBaseline8Bit: "pillow",
    JPEGExtended12Bit: "imagecodecs",
    JPEGLossless: "imagecodecs",
    JPEGLosslessSV1: "imagecodecs",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    JPEG2000Lossless: "pylibjpeg-openjpeg",
    JPEG2000: "pylibjpeg-openjpeg",
    HTJ2KLossless: "pylibjpeg-openjpeg",
    HTJ2KLosslessRPCL: "pylibjpeg-openjpeg",
    HTJ2K: "pylibjpeg-openjpeg",
}

_PLUGIN = "imagecodecs"
# How libjpeg's warnings begin where pixels are made up; its others are about harmless headers.
_MADE_UP = ("Corrupt JPEG data", "Premature end of JPEG")
_EXTRANEOUS = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
_START_OF_SCAN = b"\xda"
_SEQUENTIAL_FRAMES = (b"\xc0", b"\xc1")
_UNNEEDED_SEGMENTS = tuple(bytes([marker]) for marker in (*range(0xE0, 0xF0), 0xFE))
# Before a frame's first scan come its tables, which are short.
_HEAD = 4096
# What `check_whole` puts in the place of a frame's last bytes, without 0xFF (a marker).
_OTHER_ENDING = bytes.fromhex("35a7594d")


def register() -> None:
    """Add the imagecodecs plugin to pydicom's decoders of this process; harmless when repeated."""
    for decoder in (JPEGExtended12BitDecoder, JPEGLosslessDecoder, JPEGLosslessSV1Decoder):
        if _PLUGIN not in decoder.available_plugins:
            decoder.add_plugin(_PLUGIN, (__name__, "decode_frame"))


def is_available(uid: str) -> bool:
    """Tell pydicom whether the plugin can decode transfer syntax `uid`."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(src: bytes, runner: DecodeRunner) -> bytearray:
    """Decode one JPEG frame of any process (baseline, extended, lossless) to little-endian samples.

    This is pydicom's plugin interface. Raises `imagecodecs.DelayedImportError` or
    `imagecodecs.JpegError` and its kin for a damaged frame; pydicom passes them on.
    """
    frame = imagecodecs.jpeg_decode(src)
    check_whole(src, frame)
    bits = 8 * frame.dtype.itemsize
    runner.set_option("bits_allocated", bits)
    if frame.ndim == 3:
        runner.set_option("planar_configuration", 0)
    return bytearray(np.ascontiguousarray(frame, dtype=frame.dtype.newbyteorder("<")))


def check_jpeg(data: bytes, colourspace: str = "GRAY") -> None:
    """Raise `ReadError` (``damaged_pixels``) for a JPEG of 8 bits that is truncated or damaged.

    libjpeg fills what is missing with grey and only warns, which Pillow does not hear. This decodes
    to an eighth of the size, which costs little more than reading the entropy-coded data.
    """
    warning = _first_warning(data, colourspace)
    if warning and not warning.startswith(_MADE_UP):
        # About the header. It is the only one we hear, and may hide one about the pixels.
        warning = _first_warning(_with_plain_header(data), colourspace)
    if warning and not _is_padding(data, warning):
        raise ReadError("damaged_pixels", f"its JPEG data is incomplete ({warning})")


def _first_warning(data: bytes, colourspace: str) -> str:
    try:
        simplejpeg.decode_jpeg(data, colourspace, min_height=1, min_width=1, strict=True)
    except ValueError as error:
        return str(error)
    return ""


def _with_plain_header(data: bytes) -> bytes:
    """Return a JPEG without comments and application segments, which decoding can do without.

    In a sequential one the fields of each scan that are for progressive ones are set to what they
    must be (ISO 10918-1 B.2.3); libjpeg ignores them but warns.
    """
    plain, place, sequential = bytearray(data[:2]), 2, False
    while data[place : place + 1] == b"\xff" and data[place + 1 : place + 2] != _START_OF_SCAN:
        length = int.from_bytes(data[place + 2 : place + 4])
        marker, end = data[place + 1 : place + 2], place + 2 + length
        sequential |= marker in _SEQUENTIAL_FRAMES
        if marker not in _UNNEEDED_SEGMENTS:
            plain += data[place:end]
        place = end
    start = len(plain)
    plain += data[place:]
    while sequential and (start := plain.find(b"\xff" + _START_OF_SCAN, start)) >= 0:
        end = start + 2 + int.from_bytes(plain[start + 2 : start + 4])
        plain[end - 3 : end] = b"\x00\x3f\x00"
        start = end
    return bytes(plain)


def _is_padding(data: bytes, warning: str) -> bool:
    """Tell whether all that libjpeg warns of are zeros between the last pixels and the end."""
    found = _EXTRANEOUS.match(warning)
    if found is None:
        return False
    end = data.rfind(b"\xff\xd9")
    return not data[end - int(found[1]) : end].strip(b"\0")


def check_whole(src: bytes, frame: npt.NDArray[np.integer]) -> None:
    """Raise `ValueError` for a frame of 12 bits or lossless JPEG that does not end with its data.

    libjpeg only warns, and nobody passes it on. So the last bytes are replaced by others: of a
    whole frame this changes the last pixels and no others. Of a truncated one it changes more; of
    one whose data was out of step it changes nothing. What lacks less than 16 blocks passes.
    """
    end = src.rfind(b"\xff\xd9")
    scan = max(src.rfind(b"\xff\xda"), 0)
    if end < scan:
        raise ValueError("the JPEG frame ends before its end marker")
    start = end - len(_OTHER_ENDING)
    while src[start - 1] == 0xFF:  # what follows it belongs to it
        start -= 1
    if start < scan + 64:
        return  # a handful of pixels
    other = imagecodecs.jpeg_decode(src[:start] + _OTHER_ENDING + src[end:])
    differs = frame != other
    if differs.ndim == 3:
        differs = differs.any(axis=-1)
    bits = 8 * (end - start)
    if b"\xff\xc3" in src[:_HEAD]:
        reach = bits + 1  # pixels: a bit at least for each
    else:
        side = 8 if frame.ndim == 2 else 16
        for axis in (0, 1):
            edges = np.arange(0, differs.shape[axis], side)
            differs = np.logical_or.reduceat(differs, edges, axis=axis)
        reach = bits // 2 + 1  # blocks: a code and an end of block, a bit at least for each
    if not differs.any():
        raise ValueError("the JPEG frame goes on after its last pixels")
    if differs.size - int(differs.argmax()) > reach:
        raise ValueError("the JPEG frame ends before its last pixels")
