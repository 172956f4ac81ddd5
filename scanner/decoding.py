"""Files are read and decoded in worker processes that may crash, hang or run out of memory.

Decoders written in C die on damaged files, and a small file can ask for gigabytes. A worker that is
lost costs its one file, as a `failed` row; another takes its place.
"""

import ctypes
import hashlib
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, TimeoutError
from dataclasses import dataclass, field, replace
from multiprocessing import forkserver
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt
from pebble import ProcessExpired, ProcessPool

from scanner import dicom, gate, raster, thumbnails
from scanner.errors import FileError, ReadError, Rejection
from scanner.header import facts
from scanner.preprocess import PreprocessSpec, model_input
from scanner.radiograph import Header, Radiograph
from scanner.walk import HEAD_BYTES, IMAGE_KINDS, Source, recognise

# The largest uncompressed radiograph is about 50 MB; archives of multi-frame images are larger.
MAX_FILE_BYTES = 512 * 1024 * 1024
# The slowest real file seen (a 20-megapixel JPEG 2000) takes about 3 s; a slow share adds to it.
SECONDS_PER_FILE = 60.0
# On top of what an idle worker has mapped: a 90-megapixel image needs about 1.3 GB in passing.
MEMORY_PER_FILE = 1536 * 1024 * 1024

_PR_SET_PDEATHSIG = 1


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


@dataclass(frozen=True)
class Reading:
    """What came of one file.

    `kind` is as `walk.recognise` says. `status` is empty while the image is to be judged, else
    ``failed`` or ``rejected`` with `reason` and `detail`, or ``not_an_image``. `model_input` is
    (size, size) uint8 and `thumbnail` a JPEG, for images to be judged alone. `seconds` is the time
    spent reading.
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
    seconds: float = 0.0


class Decoders:
    """A pool of isolated worker processes that read files; use it as a context manager."""

    def __init__(self, settings: ReadSettings, workers: int, lookahead: int) -> None:
        # TensorFlow's threads do not survive a fork, so workers come from a server forked early.
        # It has the decoders loaded already: replacing a lost worker costs milliseconds.
        method = "forkserver" if sys.platform != "win32" else "spawn"
        context = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload([__name__])
        self._pool = ProcessPool(
            max_workers=workers, initializer=_start_worker, initargs=(settings,), context=context
        )
        self._lookahead = lookahead

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it unannotated
        self._pool.join()

    def read(self, sources: Iterable[Source]) -> Iterator[tuple[Source, Reading]]:
        """Yield every source with its reading, in the order given, a bounded number ahead."""
        pending: deque[tuple[Source, Future[Reading]]] = deque()
        for source in sources:
            future = self._pool.schedule(_read_in_worker, args=[source], timeout=SECONDS_PER_FILE)
            pending.append((source, future))
            if len(pending) > self._lookahead:
                yield _collect(*pending.popleft())
        while pending:
            yield _collect(*pending.popleft())


def _collect(source: Source, future: "Future[Reading]") -> tuple[Source, Reading]:
    lost = Reading(kind=recognise(b"", source.relative), status="failed")
    try:
        return source, future.result()
    except TimeoutError:
        detail = f"it was not read within {SECONDS_PER_FILE:.0f} seconds"
        return source, replace(lost, reason="timeout", detail=detail, seconds=SECONDS_PER_FILE)
    except ProcessExpired as error:
        detail = f"the decoder crashed on it (worker process ended with code {error.exitcode})"
        return source, replace(lost, reason="decoder_crashed", detail=detail)


_settings: ReadSettings


def _start_worker(settings: ReadSettings) -> None:
    global _settings
    _settings = settings
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops us
    cv2.setNumThreads(1)
    _die_with_parent()
    _limit_memory()


def _die_with_parent() -> None:
    """Leave no orphan behind when the scan is killed: Linux ends us when our parent ends.

    Our parent is the fork server. It ends when nobody holds the other end of its pipe any more;
    the scan does, and every worker inherits it: one that hangs would keep everything alive.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        alive: int | None = getattr(forkserver._forkserver, "_forkserver_alive_fd", None)
        if alive is not None:
            os.close(alive)


def _limit_memory() -> None:
    if sys.platform == "linux":
        import resource

        with open("/proc/self/statm") as statm:  # noqa: PTH123
            mapped = int(statm.read().split()[0]) * resource.getpagesize()
        limit = mapped + MEMORY_PER_FILE
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard != resource.RLIM_INFINITY:  # a batch system's `ulimit -v`, which we may not raise
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _read_in_worker(source: Source) -> Reading:
    return read_file(source, _settings)


def read_file(source: Source, settings: ReadSettings) -> Reading:
    """Read, check and decode one file in this process; never raises over what a file holds."""
    started = time.perf_counter()
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
        problem = ReadError("unreadable", f"it cannot be opened or read ({error.strerror})")
        reading = _ended(reading, "failed", problem)
    except MemoryError:
        problem = ReadError("too_large", f"it needs more than {MEMORY_PER_FILE >> 20} MB to decode")
        reading = _ended(reading, "failed", problem)
    except Exception as error:  # a file must not end the run, whatever a library makes of it
        problem = ReadError("unexpected_error", f"{type(error).__name__}: {error}")
        reading = _ended(reading, "failed", problem)
    return replace(reading, seconds=time.perf_counter() - started)


def _ended(reading: Reading, status: str, error: FileError) -> Reading:
    return replace(reading, status=status, reason=error.reason, detail=error.detail)


def _steps(source: Source, settings: ReadSettings) -> Iterator[dict[str, Any]]:
    """Yield what becomes known of a file, step by step, so that a later failure keeps the rest."""
    with source.path.open("rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        head = handle.read(HEAD_BYTES)
        kind = recognise(head, source.relative)
        yield {"kind": kind}
        if kind not in IMAGE_KINDS:
            yield {"status": "not_an_image"}
            return
        if size > MAX_FILE_BYTES:
            raise ReadError("too_large", f"it has {size >> 20} MB; {MAX_FILE_BYTES >> 20} are read")
        data = head + handle.read()
    yield {"sha256": hashlib.sha256(data).hexdigest(), "header": Header(format=kind)}
    if not data:
        raise ReadError("empty_file", "it is empty")
    if kind == "unsupported":
        raise ReadError(
            "unsupported_format", "this image format (GIF, WebP, JP2, HEIC) is not read"
        )
    if kind == "dicom":
        dataset = dicom.parse(data)
        header = facts(dataset, settings.key, settings.include)
        yield {"header": header}
        dicom.check_complete(dataset, data)
        flags = () if settings.admit_any else gate.admit_header(dataset)
        _reject_if_strict(flags, settings)
        pixels, voi, found = dicom.read_pixels(dataset)
        radiograph = Radiograph(pixels, replace(header, voi=voi), flags + found)
    else:
        radiograph = raster.read(data, kind)
    yield {"header": radiograph.header}
    flags = radiograph.flags + gate.admit_pixels(radiograph.pixels)
    _reject_if_strict(flags, settings)
    yield {
        "flags": flags,
        "model_input": model_input(radiograph.pixels, settings.spec),
        "thumbnail": thumbnails.thumbnail(radiograph.pixels),
    }


def _reject_if_strict(flags: tuple[str, ...], settings: ReadSettings) -> None:
    if settings.strict and flags:
        raise Rejection(flags[0], f"--strict rejects what is flagged: {', '.join(flags)}")
