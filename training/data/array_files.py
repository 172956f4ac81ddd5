"""One array in an .npy or .npz file, of which no more than an image at a time is in memory.

A memory map would do for .npy alone, and every page of it that was touched counts as resident.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from scanner.errors import SetupError

# What zipfile and its decompressors raise over damaged, encrypted and unknown members.
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
_LOCAL_HEADER = struct.Struct("<26xHH")  # lengths of name and extra field (APPNOTE.TXT 4.3.7)


@dataclass(frozen=True)
class ArrayFile:
    """An array of which only the header was read: `key` of the .npz `file`, or all of an .npy.

    `start` is where the elements begin: in the file, or of a compressed member in what it holds.
    """

    file: Path
    key: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int
    compressed: bool

    @property
    def name(self) -> str:
        """Return what people call it: ``images.npy`` or ``data.npz[images]``."""
        return f"{self.file.name}[{self.key}]" if self.key else self.file.name

    def __str__(self) -> str:
        return f"{self.key or self.name} {self.dtype} {self.shape}"

    def rows(self, positions: Iterable[int]) -> Iterator[npt.NDArray[Any]]:
        """Yield the elements along the first axis at ascending positions, each read-only.

        Raises `SetupError` if the file is damaged or ends too early.
        """
        shape = self.shape[1:]
        size = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        with _errors_named(self.file), _opened(self) as handle:
            for position in positions:
                handle.seek(self.start + position * size)
                data = handle.read(size)
                if len(data) < size:
                    raise SetupError(
                        f"{self.name} ends within image {position} of {self.shape[0]}: it was "
                        "copied or saved incompletely."
                    )
                yield np.frombuffer(data, self.dtype).reshape(shape)

    def whole(self) -> npt.NDArray[Any]:
        """Return all of it; only for small arrays such as labels."""
        with _errors_named(self.file):
            if not self.key:
                return np.asarray(np.load(self.file, allow_pickle=False))
            with np.load(self.file, allow_pickle=False) as stored:
                return np.asarray(stored[self.key])


def open_npy(file: Path) -> ArrayFile:
    """Read the header of an .npy file; raises `SetupError` if it is none."""
    with _errors_named(file), file.open("rb") as handle:
        shape, fortran, dtype = _header(handle)
        array = ArrayFile(file, "", shape, dtype, fortran, handle.tell(), False)
    expected = array.start + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    held = file.stat().st_size
    if held < expected and not dtype.hasobject:
        raise SetupError(
            f"{file} has {held} bytes where {dtype} {shape} takes {expected}: it was copied or "
            "saved incompletely."
        )
    return array


def open_npz(file: Path) -> dict[str, ArrayFile]:
    """Read the headers of the arrays in an .npz file, by key; raises `SetupError` if it is none."""
    found = {}
    with _errors_named(file), zipfile.ZipFile(file) as archive, file.open("rb") as raw:
        for info in archive.infolist():
            if info.filename.endswith(".npy"):
                with archive.open(info) as member:
                    shape, fortran, dtype = _header(member)
                    start = member.tell()
                compressed = info.compress_type != zipfile.ZIP_STORED
                if not compressed:  # then it lies in the file as it is, and is read from there
                    raw.seek(info.header_offset)
                    start += info.header_offset + _LOCAL_HEADER.size
                    start += sum(_LOCAL_HEADER.unpack(raw.read(_LOCAL_HEADER.size)))
                key = info.filename.removesuffix(".npy")
                found[key] = ArrayFile(file, key, shape, dtype, fortran, start, compressed)
    return found


def _header(handle: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(handle)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:  # 3.0 differs only in names of fields, which no image has
        raise ValueError(f"format version {version[0]}.{version[1]}")
    return read[version](handle)


@contextmanager
def _opened(array: ArrayFile) -> Iterator[IO[bytes]]:
    if not array.compressed:
        with array.file.open("rb") as handle:
            yield handle
    else:
        with (
            zipfile.ZipFile(array.file) as archive,
            archive.open(f"{array.key}.npy") as member,
        ):
            yield member


@contextmanager
def _errors_named(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, *_ZIP_ERRORS) as error:
        raise SetupError(
            f"{file} cannot be read as arrays of NumPy ({error}): save it with np.save or np.savez."
        ) from error
