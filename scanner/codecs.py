"""Decoders for DICOM pixel data: what pydicom brings, and a plugin for what it cannot read.

pydicom with Pillow, pylibjpeg-openjpeg and pyjpegls covers all syntaxes but 12-bit and lossless
JPEG; imagecodecs (BSD) decodes those. Left out on purpose: pylibjpeg-libjpeg (GPL), pylibjpeg-rle
(panics past `except Exception`), python-gdcm (old bundled OpenSSL, crashes on damaged input).
"""

import imagecodecs
import numpy as np
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
    # libjpeg fills up what is missing with grey and only warns. A marker cannot occur in a scan.
    if src.find(b"\xff\xd9", max(src.find(b"\xff\xda"), 0)) < 0:
        raise ValueError("the JPEG frame ends before its end marker")
    frame = imagecodecs.jpeg_decode(src)
    bits = 8 * frame.dtype.itemsize
    runner.set_option("bits_allocated", bits)
    if frame.ndim == 3:
        runner.set_option("planar_configuration", 0)
    return bytearray(np.ascontiguousarray(frame, dtype=frame.dtype.newbyteorder("<")))
