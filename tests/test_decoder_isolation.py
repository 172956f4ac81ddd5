"""A decoder that crashes, hangs or wants too much memory costs one file, and outlives no scan.

What hangs a decoder here is a radiograph that takes it half a minute; its worker can be killed with
the signal that a crash would raise.
"""

import copy
import ctypes
import multiprocessing.forkserver
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_files import SETTINGS, as_bytes, read, set_frame, source
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from scanner.decoding import Decoders
from scanner.limits import STANDARD
from scanner.reading import Reading
from scanner.walk import Source

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")

_PATIENCE = 120.0


@pytest.fixture
def radiograph(radiograph_dataset: Dataset, tmp_path: Path) -> Path:
    path = tmp_path / "radiograph.dcm"
    path.write_bytes(as_bytes(radiograph_dataset))
    return path


@pytest.fixture(scope="module")
def hanging(_small_radiograph: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole radiograph of which every byte is a run of its own (PS3.5 annex G)."""
    side = 3_500
    plane = bytes((0, 85)) * side**2
    head = np.array([2, 64, 64 + len(plane), *[0] * 13], "<u4").tobytes()
    dataset = copy.deepcopy(_small_radiograph)
    dataset.Rows = dataset.Columns = side
    set_frame(dataset, head + plane + plane, RLELossless)
    path = tmp_path_factory.mktemp("hanging") / "hangs.dcm"
    path.write_bytes(as_bytes(dataset))
    return path


def children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(word) for word in listed.split()]


def busy_worker() -> int:
    """Wait for the one worker that has computed for a second and return its process id."""
    server = multiprocessing.forkserver._forkserver._forkserver_pid
    return busy_child(lambda: children(server))


def busy_child(candidates: Callable[[], list[int]]) -> int:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        for worker in candidates():
            if seconds_computed(worker) > 1:
                return worker
        time.sleep(0.02)
    raise AssertionError("no worker began to decode")


def seconds_computed(process: int) -> float:
    try:
        facts = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return int(facts[11]) / os.sysconf("SC_CLK_TCK")


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
    radiograph: Path, hanging: Path, signal_number: signal.Signals
) -> None:
    good = source(radiograph)
    sources = [good, source(hanging), good, good, good]

    def crash() -> None:
        worker = busy_worker()
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


def test_an_error_that_nobody_foresaw_costs_the_one_file(radiograph: Path) -> None:
    class Unsendable(str):
        """Of no module's names, so no worker can be told of it."""

    good = source(radiograph)
    odd = replace(good, relative=Unsendable("odd.dcm"))
    reasons = [(reading.status, reading.reason) for _, reading in read_all([good, odd, good])]
    assert reasons == [("", ""), ("failed", "unexpected_error"), ("", "")]


def test_a_file_that_hangs_costs_its_time_and_no_other_file(
    radiograph: Path, hanging: Path
) -> None:
    good = source(radiograph)
    settings = replace(SETTINGS, limits=replace(STANDARD, seconds=2.0))
    with Decoders(settings, workers=1, lookahead=8) as decoders:
        found = list(decoders.read([source(hanging), good, source(hanging), good]))
    reasons = [(reading.status, reading.reason) for _, reading in found]
    assert reasons == [("failed", "timeout"), ("", "")] * 2
    assert found[0][1].seconds == 2.0
    assert "2 seconds" in found[0][1].detail and "--max-seconds" in found[0][1].detail


def test_a_scan_that_is_left_early_leaves_no_worker(radiograph: Path, hanging: Path) -> None:
    with Decoders(SETTINGS, workers=2, lookahead=8) as decoders:
        readings = decoders.read([source(radiograph), source(hanging), source(radiograph)])
        next(readings)
        worker = busy_worker()
        started = time.monotonic()
        decoders.__exit__()
        assert time.monotonic() - started < 10, "it waited for the file that hangs"
        assert ends_soon(worker)


def test_workers_that_die_while_they_wait_are_replaced(radiograph: Path) -> None:
    """As when the system is short of memory while the parent computes."""
    good = source(radiograph)
    with Decoders(SETTINGS, workers=2, lookahead=8) as decoders:
        list(decoders.read([good, good]))
        server = multiprocessing.forkserver._forkserver._forkserver_pid
        for worker in children(server):
            os.kill(worker, signal.SIGKILL)
        found = [reading.status for _, reading in decoders.read([good] * 5)]
    assert found == [""] * 5


_SCAN = """
import sys
from pathlib import Path
from scanner.decoding import Decoders
from scanner.reading import ReadSettings
from scanner.preprocess import PreprocessSpec
from scanner.walk import Source
path = Path(sys.argv[1])
with Decoders(ReadSettings(PreprocessSpec(), bytes(32)), workers=2, lookahead=2) as decoders:
    for _, reading in decoders.read([Source(path, path.name, -1, -1)]):
        print(reading.status or "read")
"""


def descendants(process: int) -> list[int]:
    below = children(process)
    return below + [one for child in below for one in descendants(child)]


def test_workers_end_with_a_scan_that_is_killed(hanging: Path) -> None:
    """Even one that hangs: an orphan would keep a core or a network share busy for ever."""
    scan = subprocess.Popen([sys.executable, "-c", _SCAN, hanging], cwd=Path(__file__).parents[1])
    try:
        others = [scan.pid]

        def workers() -> list[int]:
            # The fork server is the first child of the scan; it computes while it imports.
            others[1:] = children(scan.pid)
            return [one for one in descendants(scan.pid) if one not in others]

        worker = busy_child(workers)
        scan.kill()
        scan.wait()
        ended = ends_soon(worker)
        if not ended:
            os.kill(worker, signal.SIGKILL)
        assert ended
    finally:
        scan.kill()


def test_a_worker_may_not_take_more_than_its_grant(hanging: Path) -> None:
    import resource

    granted: list[int] = []

    def look() -> None:
        worker = busy_worker()
        soft, _ = resource.prlimit(worker, resource.RLIMIT_AS)
        granted.append(soft >> 20)
        os.kill(worker, signal.SIGKILL)

    looker = threading.Thread(target=look)
    looker.start()
    read_all([source(hanging)], workers=1)
    looker.join()
    assert STANDARD.memory_mb < granted[0] < 2 * STANDARD.memory_mb


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
    assert STANDARD.megapixels * 1_000_000 == 10_000 * 9_000
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
