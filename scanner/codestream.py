"""What a compressed frame says of itself, before a decoder believes it and asks for memory."""

import struct
from dataclasses import dataclass

from scanner.errors import ReadError

_J2K_START = b"\xff\x4f\xff\x51"
# Frames are to be bare codestreams; some writers wrap them as a JP2 file, whose head is short.
_LONGEST_JP2_HEAD = 1024
# Start of frame: every process of ISO 10918-1 table B.1, and that of JPEG-LS (ISO 14495-1).
_JPEG_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
# Grey, colour, colour with transparency. JPEG 2000 allows 16,384.
_MAX_COMPONENTS = 4
# A progressive radiograph has about ten; each further one is a pass over all of its pixels.
_MAX_SCANS = 100
# Tiles of 64 x 64 in an image of 90 megapixels; each costs its decoder some work and memory.
_MAX_TILES = 22_000


@dataclass(frozen=True)
class FrameSize:
    """Pixels, components and bits a component of one compressed frame."""

    rows: int
    columns: int
    components: int
    bits: int


def frame_size(frame: bytes) -> FrameSize:
    """Return what a JPEG, JPEG-LS or JPEG 2000 frame (HTJ2K too) says of its size.

    Raises `ReadError` with reason ``damaged_pixels`` if it says nothing, or what no radiograph has:
    more than four components, more than 100 scans, or 22,000 tiles.
    """
    try:
        start = frame.find(_J2K_START, 0, _LONGEST_JP2_HEAD)
        size = _jpeg_2000_size(frame, start) if start >= 0 else _jpeg_size(frame)
    except (struct.error, IndexError) as error:
        raise ReadError("damaged_pixels", "its compressed frame ends within its header") from error
    if size.components > _MAX_COMPONENTS:
        raise ReadError("damaged_pixels", f"its frame has {size.components} components")
    return size


def _jpeg_2000_size(frame: bytes, start: int) -> FrameSize:
    """Read the SIZ segment (ISO 15444-1 A.5.1)."""
    right, lower, left, top = struct.unpack_from(">4I", frame, start + 8)
    tile_width, tile_height, tile_left, tile_top = struct.unpack_from(">4I", frame, start + 24)
    (components,) = struct.unpack_from(">H", frame, start + 40)
    bits = (frame[start + 42] & 0x7F) + 1
    if not (tile_width and tile_height and left < right and top < lower):
        raise ReadError("damaged_pixels", "its frame has no area or no tiles")
    tiles = -((tile_left - right) // tile_width) * -((tile_top - lower) // tile_height)
    if tiles > _MAX_TILES:
        raise ReadError("damaged_pixels", f"its frame is cut into {tiles} tiles")
    return FrameSize(lower - top, right - left, components, bits)


def _jpeg_size(frame: bytes) -> FrameSize:
    """Walk the marker segments to the start of frame (ISO 10918-1 B.2)."""
    place = 2
    while frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
        elif marker in _JPEG_FRAMES:
            bits, rows, columns, components = struct.unpack_from(">BHHB", frame, place + 4)
            if not rows or not columns:
                raise ReadError("damaged_pixels", "its frame has no area")
            scans = frame.count(bytes((0xFF, _START_OF_SCAN)), place)
            if scans > _MAX_SCANS:
                raise ReadError("damaged_pixels", f"its frame has {scans} scans")
            return FrameSize(rows, columns, components, bits)
        elif marker in (_START_OF_SCAN, _END_OF_IMAGE):
            break
        else:
            (length,) = (
                (0,) if marker in _WITHOUT_LENGTH else struct.unpack_from(">H", frame, place + 2)
            )
            place += 2 + length
    raise ReadError("damaged_pixels", "its compressed frame does not begin like one")
