"""Small radiographs in every encoding that is read, and seeded ways to damage them."""

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from random import Random

import imagecodecs
import numpy as np
from dicom_files import SETTINGS, as_bytes, set_frame, set_pixels, source, without_meta
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
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

from scanner.decoding import Decoders
from scanner.limits import Limits
from scanner.reading import Reading

# Decoding costs little beside everything else; blocks, tiles and strips of several kinds occur.
SIDE = 64
# What a fuzzed file may cost: hangs are found out sooner than a scan would.
_LIMITS = Limits(seconds=20.0)
# Files on the disk at once.
_CHUNK = 500
_TELLING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def seeds(radiograph: Dataset) -> dict[str, bytes]:
    """Return whole files by name (with extension), all of one small radiograph."""
    pixels = radiograph.pixel_array[:: radiograph.Rows // SIDE, :: radiograph.Columns // SIDE]
    pixels = np.ascontiguousarray(pixels[:SIDE, :SIDE])
    return _dicom_seeds(radiograph, pixels) | _raster_seeds(pixels)


def _dicom_seeds(radiograph: Dataset, pixels: np.ndarray) -> dict[str, bytes]:
    deep = copy.deepcopy(radiograph)
    set_pixels(deep, pixels, 15)
    native = {
        "explicit": ExplicitVRLittleEndian,
        "implicit": ImplicitVRLittleEndian,
        "big endian": ExplicitVRBigEndian,
        "deflated": DeflatedExplicitVRLittleEndian,
    }
    found = {name: as_bytes(copy.deepcopy(deep), syntax) for name, syntax in native.items()}
    found["no meta"] = without_meta(found["implicit"])
    for name, syntax, plugin in (
        ("RLE", RLELossless, "pydicom"),
        ("JPEG-LS", JPEGLSLossless, "pyjpegls"),
        ("JPEG 2000", JPEG2000Lossless, "pylibjpeg"),
    ):
        dataset = copy.deepcopy(deep)
        dataset.compress(syntax, encoding_plugin=plugin)
        found[name] = as_bytes(dataset)
    bytes_, twelve = (pixels >> 7).astype("u1"), pixels >> 3
    frames = (
        ("JPEG baseline", JPEGBaseline8Bit, 8, imagecodecs.jpeg8_encode(bytes_, level=90)),
        (
            "JPEG extended",
            JPEGExtended12Bit,
            12,
            imagecodecs.jpeg_encode(twelve, level=90, bitspersample=12),
        ),
        ("JPEG lossless", JPEGLosslessSV1, 15, _lossless_jpeg(pixels, 1)),
        ("JPEG lossless 6", JPEGLossless, 15, _lossless_jpeg(pixels, 6)),
        ("JPEG-LS lossy", JPEGLSNearLossless, 12, imagecodecs.jpegls_encode(twelve, level=2)),
        (
            "JPEG 2000 lossy",
            JPEG2000,
            15,
            imagecodecs.jpeg2k_encode(pixels, level=40, codecformat="j2k", bitspersample=15),
        ),
        ("HTJ2K", HTJ2KLossless, 15, imagecodecs.htj2k_encode(pixels, reversible=True)),
        ("HTJ2K lossy", HTJ2K, 15, imagecodecs.htj2k_encode(pixels, level=0.01)),
    )
    for name, syntax, stored, frame in frames:
        dataset = copy.deepcopy(radiograph)
        of = {8: bytes_, 12: twelve}.get(stored, pixels)
        set_pixels(dataset, of, stored)
        set_frame(dataset, frame, syntax)
        found[name] = as_bytes(dataset)
    return {f"{name}.dcm": data for name, data in found.items()}


def _lossless_jpeg(pixels: np.ndarray, predictor: int) -> bytes:
    return bytes(
        imagecodecs.jpeg_encode(pixels, lossless=True, predictor=predictor, bitspersample=15)
    )


def _raster_seeds(pixels: np.ndarray) -> dict[str, bytes]:
    deep, grey = Image.fromarray(pixels), Image.fromarray((pixels >> 7).astype("u1"))
    as_written: dict[str, tuple[Image.Image, str, dict[str, object]]] = {
        "8.png": (grey, "PNG", {}),
        "16.png": (deep, "PNG", {}),
        "1.png": (grey.convert("1"), "PNG", {}),
        "palette.png": (grey.convert("P"), "PNG", {}),
        "alpha.png": (grey.convert("LA"), "PNG", {}),
        "colour.png": (grey.convert("RGB"), "PNG", {}),
        "baseline.jpg": (grey, "JPEG", {"quality": 90}),
        "progressive.jpg": (grey, "JPEG", {"quality": 90, "progressive": True}),
        "colour.jpg": (grey.convert("RGB"), "JPEG", {"quality": 90}),
        "cmyk.jpg": (grey.convert("CMYK"), "JPEG", {"quality": 90}),
        "raw.tif": (grey, "TIFF", {}),
        "16.tif": (deep, "TIFF", {}),
        "8.bmp": (grey, "BMP", {}),
        "24.bmp": (grey.convert("RGB"), "BMP", {}),
        "1.bmp": (grey.convert("1"), "BMP", {}),
    }
    for name in ("lzw", "adobe_deflate", "packbits", "jpeg"):
        as_written[f"{name}.tif"] = (grey, "TIFF", {"compression": name.replace("lzw", "tiff_lzw")})
    as_written["group4.tif"] = (grey.convert("1"), "TIFF", {"compression": "group4"})
    found = {}
    for name, (image, file_format, options) in as_written.items():
        buffer = BytesIO()
        image.save(buffer, file_format, **options)
        found[name] = buffer.getvalue()
    return found


def mutated(data: bytes, others: list[bytes], random: Random) -> bytes:
    """Return `data` with one to four of the ways to damage it, at places of its own."""
    buffer = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        random.choice(_WAYS)(buffer, others, random)
    return bytes(buffer)


def _place(buffer: bytearray, random: Random) -> int:
    """Half of the time near the beginning, where headers are."""
    end = max(len(buffer), 1)
    return random.randrange(min(end, 600) if random.random() < 0.5 else end)


def _flip(buffer: bytearray, _: list[bytes], random: Random) -> None:
    for _ in range(random.choice((1, 1, 3, 20))):
        if buffer:
            buffer[_place(buffer, random)] ^= 1 << random.randrange(8)


def _overwrite(buffer: bytearray, _: list[bytes], random: Random) -> None:
    place = _place(buffer, random)
    noise = random.randbytes(random.choice((1, 2, 4, 64)))
    buffer[place : place + len(noise)] = noise


def _put_telling_number(buffer: bytearray, _: list[bytes], random: Random) -> None:
    place, size = _place(buffer, random), random.choice((1, 2, 4))
    number = random.choice(_TELLING) & ((1 << 8 * size) - 1)
    buffer[place : place + size] = number.to_bytes(size, random.choice(("little", "big")))


def _cut_end(buffer: bytearray, _: list[bytes], random: Random) -> None:
    del buffer[_place(buffer, random) :]


def _cut_out(buffer: bytearray, _: list[bytes], random: Random) -> None:
    place = _place(buffer, random)
    del buffer[place : place + random.choice((1, 2, 8, 100, 1000))]


def _zero(buffer: bytearray, _: list[bytes], random: Random) -> None:
    place = _place(buffer, random)
    size = min(random.choice((4, 64, 512)), len(buffer) - place)
    buffer[place : place + size] = bytes(size)


def _repeat(buffer: bytearray, _: list[bytes], random: Random) -> None:
    place = _place(buffer, random)
    piece = buffer[place : place + random.choice((2, 8, 64, 500))]
    buffer[place:place] = piece * random.choice((1, 2, 50))


def _splice(buffer: bytearray, others: list[bytes], random: Random) -> None:
    other, place = random.choice(others), _place(buffer, random)
    start = random.randrange(max(len(other), 1))
    buffer[place : place + 200] = other[start : start + random.choice((4, 50, 2000))]


_WAYS: tuple[Callable[[bytearray, list[bytes], Random], None], ...] = (
    _flip,
    _flip,
    _overwrite,
    _put_telling_number,
    _put_telling_number,
    _cut_end,
    _cut_out,
    _zero,
    _repeat,
    _splice,
)


@dataclass
class Outcome:
    """What became of fuzzed files: counts by status and reason, and those that need a look."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    unforeseen: list[tuple[str, str, bytes]] = field(default_factory=list)

    @property
    def files(self) -> int:
        return self.counts.total()

    def take_in(self, name: str, reading: Reading, data: bytes) -> None:
        status = reading.status or "judged"
        self.counts[status, reading.reason] += 1
        if reading.reason in ("unexpected_error", "timeout"):
            self.unforeseen.append((name, reading.detail, data))


def fuzz(
    whole: Mapping[str, bytes], files: int, folder: Path, workers: int, seed: int = 5
) -> Outcome:
    """Read `files` damaged copies of `whole` files as a scan reads them; each gets its reading.

    `folder` never holds more than some hundred of them.
    """
    outcome = Outcome()
    with Decoders(replace(SETTINGS, limits=_LIMITS), workers, lookahead=_CHUNK) as decoders:
        for chunk in _chunks(whole, files, seed):
            paths = [folder / name for name in chunk]
            for path in paths:
                path.write_bytes(chunk[path.name])
            readings = [(s.relative, r) for s, r in decoders.read(source(path) for path in paths)]
            assert [name for name, _ in readings] == list(chunk)
            for name, reading in readings:
                outcome.take_in(name, reading, chunk[name])
            for path in paths:
                path.unlink()
    return outcome


def _chunks(whole: Mapping[str, bytes], files: int, seed: int) -> Iterator[dict[str, bytes]]:
    random, names, others = Random(seed), list(whole), list(whole.values())
    for start in range(0, files, _CHUNK):
        numbers = range(start, min(start + _CHUNK, files))
        chosen = [(number, names[number % len(names)]) for number in numbers]
        yield {f"{n:07} {name}": mutated(whole[name], others, random) for n, name in chosen}
