"""One file is opened, checked and decoded, in this process; what comes of it is a Reading."""

import errno
import hashlib
import os
import stat
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scanner import dicom, gate, raster, thumbnails
from scanner.errors import FileError, ReadError, Rejection, kind_of
from scanner.header import facts
from scanner.limits import STANDARD, Limits, NeedsMoreError
from scanner.preprocess import PreprocessSpec, model_input
from scanner.radiograph import Header, Radiograph
from scanner.walk import HEAD_BYTES, IMAGE_KINDS, Source, recognise

# Opening must neither wait for the other end of a pipe nor follow a link laid since the walk.
_OPEN_FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOFOLLOW", "O_NOCTTY", "O_BINARY"):  # not every system has all
    _OPEN_FLAGS |= getattr(os, _flag, 0)
# How long to wait before trying again to open a file that somebody is about to give back.
_SECONDS_BETWEEN_TRIES = 0.02


@dataclass(frozen=True)
class ReadSettings:
    """What a worker needs to know to read a file.

    With `admit_any` no header rules an image out: pictures of other kinds are read to learn them.
    """

    spec: PreprocessSpec
    key: bytes
    include: tuple[str, ...] = ()
    strict: bool = False
    admit_any: bool = False
    limits: Limits = STANDARD


@dataclass(frozen=True)
class Reading:
    """What came of one file.

    `kind` is as `walk.recognise` says. `status` is empty while the image is to be judged, else
    ``failed`` or ``rejected`` with `reason` and `detail`, or ``not_an_image``. `model_input` is
    (size, size) uint8, `thumbnail` and `large` are JPEGs of at most 512 and 1024 pixels a side
    (`large` is empty if the other is no smaller), for images to be judged alone. `seconds` is the
    time spent reading, `peak_mb` the most memory its worker has had so far (0: not known).
    """

    kind: str
    status: str = ""
    reason: str = ""
    detail: str = ""
    sha256: str = ""
    header: Header = field(default_factory=Header)
    flags: tuple[str, ...] = ()
    model_input: npt.NDArray[np.uint8] | None = None
    thumbnail: bytes = b""
    large: bytes = b""
    seconds: float = 0.0
    peak_mb: float = 0.0


def read_file(source: Source, settings: ReadSettings) -> Reading:
    """Read, check and decode one file in this process.

    Never raises over what a file holds, but for `NeedsMoreError` where `settings.limits` grants a
    share of the memory only and the file needs more.
    """
    started = time.perf_counter()
    limits = settings.limits
    reading = Reading(kind=recognise(b"", source.relative))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's quote what the file holds, on the terminal
            for step in _steps(source, settings):
                reading = replace(reading, **step)
    except Rejection as error:
        reading = _ended(reading, "rejected", error)
    except ReadError as error:
        reading = _ended(reading, "failed", error)
    except OSError as error:
        reading = _ended(reading, "failed", _problem_of_the_way(error))
    except NeedsMoreError:
        raise
    except MemoryError:
        if limits.share_mb is not None:
            raise NeedsMoreError(limits.memory_mb) from None
        problem = ReadError(
            "too_large", f"it needs more than {limits.memory_mb} MB to decode (--max-memory-mb)"
        )
        reading = _ended(reading, "failed", problem)
    except Exception as error:  # a file must not end the run, whatever a library makes of it
        problem = ReadError("unexpected_error", f"{kind_of(error)} in {_where(error)}")
        reading = _ended(reading, "failed", problem)
    return replace(reading, seconds=time.perf_counter() - started)


def _where(error: Exception) -> str:
    """Return file and line of the last of our own code that was at work."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).parent == Path(__file__).parent]
    return f"{Path(ours[-1].filename).name}, line {ours[-1].lineno}"


def _ended(reading: Reading, status: str, error: FileError) -> Reading:
    return replace(reading, status=status, reason=error.reason, detail=error.detail)


def _problem_of_the_way(error: OSError) -> ReadError:
    if error.errno == errno.ELOOP:
        return ReadError("changed", "a symbolic link was put in its place")
    return ReadError("unreadable", f"it cannot be opened or read ({error.strerror})")


def _steps(source: Source, settings: ReadSettings) -> Iterator[dict[str, Any]]:
    """Yield what becomes known of a file, step by step, so that a later failure keeps the rest."""
    limits = settings.limits
    kind, data = _kind_and_bytes(source, limits)
    yield {"kind": kind}
    if kind not in IMAGE_KINDS:
        yield {"status": "not_an_image"}
        return
    yield {"sha256": hashlib.sha256(data).hexdigest(), "header": Header(format=kind)}
    if not data:
        raise ReadError("empty_file", "it is empty")
    if kind == "unsupported":
        raise ReadError(
            "unsupported_format", "this image format (GIF, WebP, JP2, HEIC) is not read"
        )
    if kind == "dicom":
        dataset = dicom.parse(data, limits)
        header = facts(dataset, settings.key, settings.include)
        yield {"header": header}
        dicom.check_complete(dataset, data)
        del data  # the data set has a copy of the pixels; of large images both are much
        flags = () if settings.admit_any else gate.admit_header(dataset)
        _reject_if_strict(flags, settings)
        pixels, voi, found = dicom.read_pixels(dataset, limits)
        radiograph = Radiograph(pixels, replace(header, voi=voi), flags + found)
    else:
        radiograph = raster.read(data, kind, limits)
    yield {"header": radiograph.header}
    flags = radiograph.flags + gate.admit_pixels(radiograph.pixels)
    _reject_if_strict(flags, settings)
    shown = thumbnails.shrunk(radiograph.pixels, thumbnails.DETAIL_SIDE)
    yield {
        "flags": flags,
        "model_input": model_input(radiograph.pixels, settings.spec),
        "thumbnail": thumbnails.thumbnail(shown),
        "large": thumbnails.encoded(shown) if max(shown.shape) > thumbnails.LONGEST_SIDE else b"",
    }


def _kind_and_bytes(source: Source, limits: Limits) -> tuple[str, bytes]:
    """Return what a file is and, of an image, its bytes: those of one moment or none.

    Raises `ReadError` with reason ``changed`` for a file that is another than was listed, or that
    is written while it is read, ``too_large`` for one of too many bytes, and `OSError`.
    """
    with open(_opened(source), "rb") as handle:
        facts = os.fstat(handle.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise ReadError("changed", "something that is no regular file was put in its place")
        head = handle.read(HEAD_BYTES)
        kind = recognise(head, source.relative)
        if kind not in IMAGE_KINDS:
            return kind, b""
        listed = (source.size, source.modified)
        if source.size >= 0 and listed != (facts.st_size, facts.st_mtime_ns):
            raise ReadError("changed", "it was changed after the folder was listed")
        if facts.st_size > limits.file_bytes:
            raise ReadError(
                "too_large",
                f"it has {facts.st_size >> 20} MB; {limits.file_mb} are read (--max-file-mb)",
            )
        limits.claim(2 * facts.st_size)  # once as a file, once as the element of its pixels
        data = head + handle.read(max(facts.st_size - len(head), 0) + 1)
        after = os.fstat(handle.fileno())
    unchanged = (facts.st_size, facts.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    if not unchanged or len(data) != facts.st_size:
        raise ReadError("changed", "it was written to while it was read")
    return kind, data


def _opened(source: Source) -> int:
    """Open a file without waiting but for a lease on it, which Samba's oplocks are, to be broken.

    The time limit ends a wait for one that is not.
    """
    while True:
        try:
            return os.open(source.path, _OPEN_FLAGS)
        except BlockingIOError:
            time.sleep(_SECONDS_BETWEEN_TRIES)


def _reject_if_strict(flags: tuple[str, ...], settings: ReadSettings) -> None:
    if settings.strict and flags:
        raise Rejection(flags[0], f"--strict rejects what is flagged: {', '.join(flags)}")
