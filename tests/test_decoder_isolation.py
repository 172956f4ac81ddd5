"""A decoder that crashes, hangs or wants too much memory costs one file, and outlives no scan.

A pipe that nobody writes to stands for the file that hangs a decoder: its worker is known by having
it open, and can be killed with the signal that a crash would raise.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dicom_files import SETTINGS, as_bytes, read, source
from PIL import Image
from pydicom.dataset import Dataset

from scanner import decoding
from scanner.decoding import Decoders, Reading
from scanner.radiograph import MAX_PIXELS
from scanner.walk import Source

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")

_PATIENCE = 30.0


@pytest.fixture
def radiograph(radiograph_dataset: Dataset, tmp_path: Path) -> Path:
    path = tmp_path / "radiograph.dcm"
    path.write_bytes(as_bytes(radiograph_dataset))
    return path


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "hangs.dcm"
    os.mkfifo(path)
    return path


def reader_of(pipe: Path) -> int:
    """Wait for the worker that reads `pipe` and return its process id."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        for link in Path("/proc").glob("[0-9]*/fd/*"):
            try:
                opened = os.readlink(link)  # noqa: PTH115
            except OSError:
                continue
            if opened == str(pipe) and int(link.parts[2]) != os.getpid():
                return int(link.parts[2])
        time.sleep(0.02)
    raise AssertionError("no worker began to read the pipe")


@contextmanager
def held_open(pipe: Path) -> Iterator[int]:
    """Let the worker open `pipe` and wait for its first byte; give the worker's process id."""
    holder = os.open(pipe, os.O_RDWR)  # never blocks, and no reader ever sees an end
    try:
        yield reader_of(pipe)
    finally:
        os.close(holder)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def ends_soon(process: int) -> bool:
    deadline = time.monotonic() + 5
    while is_running(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(process)


def read_all(sources: list[Source], workers: int = 2) -> list[tuple[str, Reading]]:
    with Decoders(SETTINGS, workers=workers, lookahead=8) as decoders:
        return [(source.relative, reading) for source, reading in decoders.read(sources)]


def test_workers_read_what_this_process_reads_in_the_order_given(
    radiograph: Path, tmp_path: Path
) -> None:
    small = tmp_path / "a.png"
    Image.linear_gradient("L").save(small)
    empty = tmp_path / "z.dcm"
    empty.touch()
    paths = [empty, radiograph, small, radiograph, empty, small]
    found = read_all([source(path) for path in paths])
    assert [name for name, _ in found] == [path.name for path in paths]
    for path, (_, reading) in zip(paths, found, strict=True):
        here = read(path)
        assert (reading.status, reading.reason) == (here.status, here.reason)
        assert (reading.sha256, reading.header) == (here.sha256, here.header)
        assert reading.thumbnail == here.thumbnail
        if here.model_input is not None:
            assert (reading.model_input == here.model_input).all()


@pytest.mark.parametrize("signal_number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_costs_the_one_file_that_was_read(
    radiograph: Path, pipe: Path, signal_number: signal.Signals
) -> None:
    good = source(radiograph)
    sources = [good, source(pipe), good, good, good]

    def crash() -> None:
        with held_open(pipe) as worker:
            os.kill(worker, signal_number)
            ends_soon(worker)

    crasher = threading.Thread(target=crash)
    crasher.start()
    found = read_all(sources)
    crasher.join()
    assert [name for name, _ in found] == [source.relative for source in sources]
    reasons = [(reading.status, reading.reason) for _, reading in found]
    assert reasons == [("", ""), ("failed", "decoder_crashed"), ("", ""), ("", ""), ("", "")]
    lost = found[1][1]
    assert lost.kind == "dicom"
    assert str(int(signal_number)) in lost.detail
    assert all(reading.model_input is not None for _, reading in found if not reading.status)


def test_a_file_that_hangs_costs_its_time_and_no_other_file(
    radiograph: Path, pipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = source(radiograph)
    with Decoders(SETTINGS, workers=1, lookahead=8) as decoders:
        list(decoders.read([good]))  # the worker is up: only reading counts from here
        monkeypatch.setattr(decoding, "SECONDS_PER_FILE", 1.0)
        started = time.monotonic()
        found = list(decoders.read([source(pipe), good, source(pipe), good]))
        assert time.monotonic() - started < _PATIENCE
    reasons = [(reading.status, reading.reason) for _, reading in found]
    assert reasons == [("failed", "timeout"), ("", "")] * 2
    assert found[0][1].seconds == 1.0
    assert "1 seconds" in found[0][1].detail


def test_a_scan_that_is_left_early_leaves_no_worker(radiograph: Path, pipe: Path) -> None:
    with Decoders(SETTINGS, workers=2, lookahead=8) as decoders:
        readings = decoders.read([source(radiograph), source(pipe)])
        next(readings)
        with held_open(pipe) as worker:
            assert is_running(worker)
            started = time.monotonic()
            decoders.__exit__()
            assert time.monotonic() - started < 10, "it waited for the file that hangs"
            assert ends_soon(worker)


_SCAN = """
import sys
from pathlib import Path
from scanner.decoding import Decoders, ReadSettings
from scanner.preprocess import PreprocessSpec
from scanner.walk import Source
path = Path(sys.argv[1])
with Decoders(ReadSettings(PreprocessSpec(), bytes(32)), workers=2, lookahead=2) as decoders:
    for _, reading in decoders.read([Source(path, path.name, 0, 0)]):
        print(reading.status or "read")
"""


def test_workers_end_with_a_scan_that_is_killed(pipe: Path) -> None:
    """Even one that hangs: an orphan would keep a core or a network share busy for ever."""
    scan = subprocess.Popen([sys.executable, "-c", _SCAN, pipe], cwd=Path(__file__).parents[1])
    try:
        with held_open(pipe) as worker:
            scan.kill()
            scan.wait()
            ended = ends_soon(worker)
            if not ended:
                os.kill(worker, signal.SIGKILL)
        assert ended
    finally:
        scan.kill()


def test_a_worker_may_not_take_all_the_memory(pipe: Path) -> None:
    import resource

    limits: list[tuple[int, int]] = []

    def look() -> None:
        with held_open(pipe) as worker:
            limits.append(resource.prlimit(worker, resource.RLIMIT_AS))
            os.kill(worker, signal.SIGKILL)

    looker = threading.Thread(target=look)
    looker.start()
    read_all([source(pipe)])
    looker.join()
    ((soft, hard),) = limits
    assert soft == hard
    assert decoding.MEMORY_PER_FILE < soft < 2 * decoding.MEMORY_PER_FILE


def _limit_memory_for_good() -> None:
    import resource

    ctypes.CDLL(None).prctl(24, 24)  # PR_CAPBSET_DROP, CAP_SYS_RESOURCE: not even root may raise it
    resource.setrlimit(resource.RLIMIT_AS, (1_800_000_000, 1_800_000_000))


def test_a_lower_limit_that_the_computing_centre_sets_is_no_obstacle(radiograph: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCAN, radiograph],
        cwd=Path(__file__).parents[1],
        preexec_fn=_limit_memory_for_good,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("read\n", "")


def test_an_image_that_wants_too_much_memory_is_too_large(radiograph: Path, tmp_path: Path) -> None:
    """89 million pixels are allowed; with transparency to lay over black they take gigabytes."""
    path = tmp_path / "bomb.png"
    Image.new("LA", (9480, 9480)).save(path, compress_level=1)
    assert path.stat().st_size < 2_000_000
    (_, bomb), (_, good) = read_all([source(path), source(radiograph)], workers=1)
    assert (bomb.status, bomb.reason) == ("failed", "too_large")
    assert "MB" in bomb.detail
    assert good.status == "", "the worker was of no more use"


def write_large(path: Path, dataset: Dataset, rows: int, columns: int) -> None:
    """Write a signed 16-bit file whose pixels are 0, but for its first row (-100) and last (1000).

    The zeros take no room on the disk.
    """
    del dataset.PixelData
    dataset.Rows, dataset.Columns, dataset.PixelRepresentation = rows, columns, 1
    dataset.BitsStored, dataset.HighBit = 16, 15
    size = rows * columns * 2
    with path.open("wb") as file:
        file.write(as_bytes(dataset) + b"\xe0\x7f\x10\x00OW\0\0" + size.to_bytes(4, "little"))
        start = file.tell()
        file.write((-100).to_bytes(2, "little", signed=True) * columns)
        file.seek(start + size - columns * 2)
        file.write((1000).to_bytes(2, "little") * columns)


def test_the_largest_image_allowed_is_read(radiograph_dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "large.dcm"
    write_large(path, radiograph_dataset, 10_000, 9_000)
    assert MAX_PIXELS == 10_000 * 9_000
    ((_, reading),) = read_all([source(path)], workers=1)
    assert (reading.status, reading.detail) == ("", "")


def test_an_image_that_grows_too_large_when_made_square_is_too_large(
    radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "oblong.dcm"
    radiograph_dataset.PixelSpacing = [3.9, 1]
    write_large(path, radiograph_dataset, 9_000, 10_000)
    ((_, reading),) = read_all([source(path)], workers=1)
    assert (reading.status, reading.reason) == ("failed", "too_large"), reading.detail
