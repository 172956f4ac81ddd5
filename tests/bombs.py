"""Hostile files made by code: small on the disk, and built to cost their reader what they can."""

import copy
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from zipfile import ZipFile

import imagecodecs
import numpy as np
from dicom_files import as_bytes, set_frame, set_pixels
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

_HALF_GIGABYTE = 520


def _zeros_deflated(megabytes: int, head: bytes = b"", wbits: int = -zlib.MAX_WBITS) -> bytes:
    deflater, zeros = zlib.compressobj(1, zlib.DEFLATED, wbits), bytes(1 << 20)
    pieces = [deflater.compress(head), *(deflater.compress(zeros) for _ in range(megabytes))]
    return b"".join([*pieces, deflater.flush()])


def _data_set_at(file: bytes) -> int:
    return 144 + int.from_bytes(file[140:144], "little")


# --- DICOM: the header -------------------------------------------------------------------------


def deflate_bomb(dataset: Dataset) -> bytes:
    file = as_bytes(dataset, DeflatedExplicitVRLittleEndian)
    return file[: _data_set_at(file)] + _zeros_deflated(_HALF_GIGABYTE)


def deflate_bomb_of_pixels(dataset: Dataset) -> bytes:
    file = as_bytes(dataset, DeflatedExplicitVRLittleEndian)
    del dataset.PixelData
    header = as_bytes(dataset)
    size = _HALF_GIGABYTE << 20
    pixels = b"\xe0\x7f\x10\x00OW\0\0" + size.to_bytes(4, "little")
    head = header[_data_set_at(header) :] + pixels
    return file[: _data_set_at(file)] + _zeros_deflated(_HALF_GIGABYTE, head)


def deflate_bomb_without_group_length(dataset: Dataset) -> bytes:
    file = deflate_bomb(dataset)
    return file[:132] + file[144:]


def deflate_bomb_with_a_lying_group_length(dataset: Dataset) -> bytes:
    file = deflate_bomb(dataset)
    return file[:140] + (4000).to_bytes(4, "little") + file[144:]


def _with_elements(dataset: Dataset, elements: bytes) -> bytes:
    """Put explicit little endian elements in the place of everything behind group 0010."""
    file = as_bytes(dataset)
    place = file.index(b"\x18\x00", file.index(b"\x10\x00\x20\x00LO"))
    return file[:place] + elements + file[file.index(b"\x28\x00\x02\x00US") :]


_ITEM, _ENDLESS = b"\xfe\xff\x00\xe0", b"\xff\xff\xff\xff"


def nested_sequences(dataset: Dataset) -> bytes:
    one = b"\x18\x00\x12\x00SQ\0\0" + _ENDLESS + _ITEM + _ENDLESS
    return _with_elements(dataset, one * 20_000)


def nested_sequences_of_known_length(dataset: Dataset) -> bytes:
    found = b""
    for _ in range(3_000):
        item = _ITEM + len(found).to_bytes(4, "little") + found
        found = b"\x08\x00\x40\x11SQ\0\0" + len(item).to_bytes(4, "little") + item
    return _with_elements(dataset, found)


def private_elements(dataset: Dataset) -> bytes:
    elements = (struct.pack("<HH2sH", 0x0019, e, b"LO", 0) for e in range(0x1000, 0xFFFF))
    block = b"".join(elements)
    return _with_elements(dataset, block * 4)


def huge_length(dataset: Dataset) -> bytes:
    return _with_elements(dataset, b"\x19\x00\x10\x10OB\0\0\xf0\xff\xff\xff")


def endless_unknown_element(dataset: Dataset) -> bytes:
    return _with_elements(dataset, b"\x19\x00\x10\x10UN\0\0" + _ENDLESS)


def endless_item(dataset: Dataset) -> bytes:
    return _with_elements(dataset, b"\x18\x00\x12\x00SQ\0\0" + _ENDLESS + _ITEM + _ENDLESS)


def empty_items(dataset: Dataset) -> bytes:
    items = (_ITEM + bytes(4)) * 300_000
    length = len(items).to_bytes(4, "little")
    return _with_elements(dataset, b"\x18\x00\x12\x00SQ\0\0" + length + items)


def a_hundred_thousand_frames(dataset: Dataset) -> bytes:
    dataset.NumberOfFrames = 100_000
    return as_bytes(dataset)


def huge_lookup_table(dataset: Dataset) -> bytes:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [0, 0, 16])
    item.add_new("LUTData", "OW", bytes(1_000_000))
    dataset.VOILUTSequence = [item] * 50
    return as_bytes(dataset)


# --- DICOM: the frame --------------------------------------------------------------------------


def _framed(dataset: Dataset, frame: bytes, syntax: UID) -> bytes:
    set_frame(dataset, frame, syntax)
    return as_bytes(dataset)


def _eight_bits(dataset: Dataset) -> np.ndarray:
    set_pixels(dataset, (dataset.pixel_array >> 7).astype("u1"), 8)
    return dataset.pixel_array


def _resized_jpeg(frame: bytes, start: bytes, rows: int, columns: int) -> bytes:
    place = frame.index(start) + 5
    return frame[:place] + struct.pack(">HH", rows, columns) + frame[place + 4 :]


def jpeg_of_4_gigapixels(dataset: Dataset) -> bytes:
    frame = bytes(imagecodecs.jpeg8_encode(_eight_bits(dataset)))
    return _framed(dataset, _resized_jpeg(frame, b"\xff\xc0", 65_500, 65_500), JPEGBaseline8Bit)


def lossless_jpeg_of_4_gigapixels(dataset: Dataset) -> bytes:
    frame = bytes(imagecodecs.jpeg_encode(dataset.pixel_array, lossless=True, predictor=1))
    return _framed(dataset, _resized_jpeg(frame, b"\xff\xc3", 65_500, 65_500), JPEGLosslessSV1)


def jpeg_ls_of_4_gigapixels(dataset: Dataset) -> bytes:
    frame = bytes(imagecodecs.jpegls_encode(dataset.pixel_array))
    return _framed(dataset, _resized_jpeg(frame, b"\xff\xf7", 65_535, 65_535), JPEGLSLossless)


def jpeg_of_a_thousand_scans(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    Image.fromarray(_eight_bits(dataset)).save(buffer, "JPEG", progressive=True)
    frame = buffer.getvalue()
    last = frame.rindex(b"\xff\xda")
    return _framed(dataset, frame[:-2] + frame[last:-2] * 1_000 + frame[-2:], JPEGBaseline8Bit)


def _jpeg_2000(dataset: Dataset) -> bytearray:
    pixels = dataset.pixel_array
    return bytearray(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k"))


def jpeg_2000_of_4_gigapixels(dataset: Dataset) -> bytes:
    frame = _jpeg_2000(dataset)
    frame[8:16] = frame[24:32] = struct.pack(">II", 60_000, 60_000)
    return _framed(dataset, bytes(frame), JPEG2000Lossless)


def jpeg_2000_of_tiny_tiles(dataset: Dataset) -> bytes:
    frame = _jpeg_2000(dataset)
    frame[24:32] = struct.pack(">II", 1, 1)
    return _framed(dataset, bytes(frame), JPEG2000Lossless)


def jpeg_2000_of_16384_components(dataset: Dataset) -> bytes:
    frame = _jpeg_2000(dataset)
    one = bytes(frame[42:45])
    frame[6:8] = (38 + 3 * 16_384).to_bytes(2, "big")
    frame[40:42] = (16_384).to_bytes(2, "big")
    frame[42:45] = one * 16_384
    return _framed(dataset, bytes(frame), JPEG2000Lossless)


def htj2k_of_4_gigapixels(dataset: Dataset) -> bytes:
    frame = bytearray(imagecodecs.htj2k_encode(dataset.pixel_array, reversible=True))
    frame[8:16] = frame[24:32] = struct.pack(">II", 60_000, 60_000)
    return _framed(dataset, bytes(frame), HTJ2KLossless)


def rle_of_nothing(dataset: Dataset) -> bytes:
    dataset.Rows = dataset.Columns = 9_000
    frame = struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"\x81\x00\x81\x00"
    return _framed(dataset, frame, RLELossless)


def rle_of_four_billion_segments(dataset: Dataset) -> bytes:
    frame = struct.pack("<16I", *[0xFFFFFFFF] * 16) + bytes(64)
    return _framed(dataset, frame, RLELossless)


def rle_of_the_same_segment_many_times(dataset: Dataset) -> bytes:
    frame = struct.pack("<16I", 15, *[64] * 15) + b"\x81\x00" * 200_000
    return _framed(dataset, frame, RLELossless)


def lying_offset_table(dataset: Dataset) -> bytes:
    dataset.compress(JPEGLSLossless)
    data = dataset.PixelData
    table = struct.pack("<4I", 0, 0xFFFFFFF0, 8, 0xFFFFFFFF)
    dataset.PixelData = data[:4] + len(table).to_bytes(4, "little") + table + data[8:]
    return as_bytes(dataset)


def endless_offset_table(dataset: Dataset) -> bytes:
    dataset.compress(JPEGLSLossless)
    data = dataset.PixelData
    dataset.PixelData = data[:4] + b"\xf0\xff\xff\xff" + data[8:]
    return as_bytes(dataset)


# --- Rasters -----------------------------------------------------------------------------------


def _chunk(name: bytes, data: bytes) -> bytes:
    body = name + data
    return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


def _png(size: int, *chunks: bytes, depth: int = 8) -> bytes:
    head = struct.pack(">IIBBBBB", size, size, depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + b"".join(chunks) + _chunk(b"IEND", b"")


def _rows_of(size: int) -> bytes:
    ramp = b"".join(b"\0" + bytes((i * 7 + j) % 256 for j in range(size)) for i in range(size))
    return _chunk(b"IDAT", zlib.compress(ramp))


def png_of_ten_gigapixels(_: Dataset) -> bytes:
    return _png(100_000, _chunk(b"IDAT", zlib.compress(bytes(1000))))


def png_that_inflates_beyond_its_size(_: Dataset) -> bytes:
    return _png(200, _chunk(b"IDAT", _zeros_deflated(_HALF_GIGABYTE, wbits=zlib.MAX_WBITS)))


def _png_with(name: bytes, head: bytes) -> bytes:
    bomb = _zeros_deflated(_HALF_GIGABYTE, wbits=zlib.MAX_WBITS)
    return _png(200, _chunk(name, head + bomb), _rows_of(200))


def png_with_a_text_bomb(_: Dataset) -> bytes:
    return _png_with(b"zTXt", b"Comment\0\0")


def png_with_an_international_text_bomb(_: Dataset) -> bytes:
    return _png_with(b"iTXt", b"Comment\0\1\0en\0Comment\0")


def png_with_a_colour_profile_bomb(_: Dataset) -> bytes:
    return _png_with(b"iCCP", b"icc\0\0")


def png_with_many_text_bombs(_: Dataset) -> bytes:
    bomb = b"Comment\0\0" + zlib.compress(bytes(1_000_000))
    return _png(200, _chunk(b"zTXt", bomb) * 500, _rows_of(200))


def _tiff(tags: dict[int, tuple[int, int, int]], data: bytes = b"", following: int = 0) -> bytes:
    """Return a little endian TIFF of one directory: tag -> (type, count, value or offset)."""
    entries = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", following)
    return head + data


_SHORT, _LONG = 3, 4


def _tiff_tags(width: int, height: int, compression: int, size: int) -> dict[int, tuple[int, ...]]:
    start = 8 + 2 + 12 * 10 + 4
    return {
        256: (_LONG, 1, width),
        257: (_LONG, 1, height),
        258: (_SHORT, 1, 8),
        259: (_SHORT, 1, compression),
        262: (_SHORT, 1, 1),
        273: (_LONG, 1, start),
        277: (_SHORT, 1, 1),
        278: (_LONG, 1, height),
        279: (_LONG, 1, size),
        284: (_SHORT, 1, 1),
    }


_NONE, _LZW, _DEFLATE = 1, 5, 8


def tiff_of_10_gigapixels(_: Dataset) -> bytes:
    return _tiff(_tiff_tags(100_000, 100_000, _NONE, 100), bytes(100))


def tiff_of_a_strip_of_half_a_gigabyte(_: Dataset) -> bytes:
    strip = _zeros_deflated(_HALF_GIGABYTE, wbits=zlib.MAX_WBITS)
    return _tiff(_tiff_tags(2_000, 2_000, _DEFLATE, len(strip)), strip)


def tiff_of_81_megapixels_of_lzw(_: Dataset) -> bytes:
    strip = bytes(imagecodecs.lzw_encode(bytes(1_000_000)))
    return _tiff(_tiff_tags(9_000, 9_000, _LZW, len(strip)), strip)


def tiff_whose_next_page_is_itself(_: Dataset) -> bytes:
    return _tiff(_tiff_tags(200, 200, _NONE, 40_000), bytes(range(200)) * 200, following=8)


def tiff_of_endless_pages(_: Dataset) -> bytes:
    tags, pixels = _tiff_tags(200, 200, _NONE, 40_000), bytes(range(200)) * 200
    place = len(_tiff(tags, pixels))
    first, pages = _tiff(tags, pixels, following=place), []
    for _number in range(20_000):
        place += 2 + 12 + 4
        pages.append(struct.pack("<HHHIII", 1, 256, _LONG, 1, 1, place))
    return first + b"".join(pages)


def tiff_of_four_billion_values(_: Dataset) -> bytes:
    tags = _tiff_tags(200, 200, _NONE, 40_000)
    tags[273] = (_LONG, 0xFFFFFFFF, 134)
    return _tiff(tags, bytes(range(200)) * 200)


def tiff_of_65535_tags(_: Dataset) -> bytes:
    entry = struct.pack("<HHII", 0x8000, _LONG, 0x7FFFFFFF, 8)
    return b"II*\0" + struct.pack("<IH", 8, 65_535) + entry * 1_000


def _bmp(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info + bytes(64)


def bmp_of_4_exapixels(_: Dataset) -> bytes:
    return _bmp(0x7FFFFFFF, 0x7FFFFFFF)


def bmp_of_negative_size(_: Dataset) -> bytes:
    return _bmp(-200, -0x80000000)


def jpeg_file_of_4_gigapixels(dataset: Dataset) -> bytes:
    frame = bytes(imagecodecs.jpeg8_encode(_eight_bits(dataset)))
    return _resized_jpeg(frame, b"\xff\xc0", 65_500, 65_500)


def archive(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as file:
        file.writestr("../../radiograph.dcm", as_bytes(dataset))
    return buffer.getvalue()


def radiograph(dataset: Dataset) -> bytes:
    return as_bytes(dataset)


# Name of a file, what makes it, and the reasons that are true of it ("": it may be judged).
BOMBS: tuple[tuple[str, Callable[[Dataset], bytes], set[str]], ...] = (
    ("a.dcm", deflate_bomb, {"too_large"}),
    ("a.dcm", deflate_bomb_of_pixels, {"too_large"}),
    ("a.dcm", deflate_bomb_without_group_length, {"too_large"}),
    ("a.dcm", deflate_bomb_with_a_lying_group_length, {"too_large", "damaged_header"}),
    ("a.dcm", nested_sequences, {"damaged_header"}),
    ("a.dcm", nested_sequences_of_known_length, {"", "damaged_header"}),
    ("a.dcm", private_elements, {"damaged_header"}),
    ("a.dcm", huge_length, {"truncated"}),
    ("a.dcm", endless_unknown_element, {"damaged_header", "truncated"}),
    ("a.dcm", endless_item, {"damaged_header", "truncated"}),
    ("a.dcm", empty_items, {"", "damaged_header"}),
    ("a.dcm", a_hundred_thousand_frames, {"multi_frame", "truncated"}),
    ("a.dcm", huge_lookup_table, {"blank_image"}),
    ("a.dcm", jpeg_of_4_gigapixels, {"damaged_pixels"}),
    ("a.dcm", lossless_jpeg_of_4_gigapixels, {"damaged_pixels"}),
    ("a.dcm", jpeg_ls_of_4_gigapixels, {"damaged_pixels"}),
    ("a.dcm", jpeg_of_a_thousand_scans, {"damaged_pixels"}),
    ("a.dcm", jpeg_2000_of_4_gigapixels, {"damaged_pixels"}),
    ("a.dcm", jpeg_2000_of_tiny_tiles, {"damaged_pixels"}),
    ("a.dcm", jpeg_2000_of_16384_components, {"damaged_pixels"}),
    ("a.dcm", htj2k_of_4_gigapixels, {"damaged_pixels"}),
    ("a.dcm", rle_of_nothing, {"damaged_pixels"}),
    ("a.dcm", rle_of_four_billion_segments, {"damaged_pixels"}),
    ("a.dcm", rle_of_the_same_segment_many_times, {"damaged_pixels"}),
    ("a.dcm", lying_offset_table, {"damaged_pixels"}),
    ("a.dcm", endless_offset_table, {"damaged_pixels", "truncated"}),
    ("a.png", png_of_ten_gigapixels, {"too_large"}),
    ("a.png", png_that_inflates_beyond_its_size, {"", "blank_image", "damaged_pixels"}),
    ("a.png", png_with_a_text_bomb, {"", "damaged_header", "damaged_pixels"}),
    ("a.png", png_with_an_international_text_bomb, {"", "damaged_header", "damaged_pixels"}),
    ("a.png", png_with_a_colour_profile_bomb, {"", "damaged_header", "damaged_pixels"}),
    ("a.png", png_with_many_text_bombs, {"", "damaged_header", "damaged_pixels"}),
    ("a.tif", tiff_of_10_gigapixels, {"too_large"}),
    ("a.tif", tiff_of_a_strip_of_half_a_gigabyte, {"blank_image", "damaged_pixels"}),
    ("a.tif", tiff_of_81_megapixels_of_lzw, {"truncated", "damaged_pixels"}),
    ("a.tif", tiff_whose_next_page_is_itself, {"", "damaged_header", "multi_frame"}),
    ("a.tif", tiff_of_endless_pages, {"damaged_header", "multi_frame"}),
    ("a.tif", tiff_of_four_billion_values, {"damaged_header", "damaged_pixels", "truncated"}),
    ("a.tif", tiff_of_65535_tags, {"damaged_header", "truncated"}),
    ("a.bmp", bmp_of_4_exapixels, {"too_large"}),
    ("a.bmp", bmp_of_negative_size, {"too_large", "damaged_header"}),
    ("a.jpg", jpeg_file_of_4_gigapixels, {"too_large"}),
)


def make(bomb: Callable[[Dataset], bytes], dataset: Dataset) -> bytes:
    """Return the hostile file that `bomb` makes of a copy of `dataset`."""
    return bomb(copy.deepcopy(dataset))
