"""A worker that crashes, hangs or eats memory costs its file, until the next run reads it.

A lease (fcntl) makes a file stall whoever opens it, as a share does that does not answer: so the
worker is in the middle of that file, and nowhere else, when it is struck.
"""

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from fault_table import FaultTable, by_path
from PIL import Image
from scanning import Scan, only_on_linux, scan
from stalling import stalled
from studies import Studies, write_blanks

pytestmark = only_on_linux()

_STALLED = "b-blanks/030.png"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL], ids=["SIGSEGV", "SIGKILL"])
def test_a_worker_that_dies_on_a_file(
    number: signal.Signals, light: Studies, table: FaultTable, tmp_path: Path
) -> None:
    expected = light.rows
    output = tmp_path / "out"
    arguments = light.arguments(output, "--workers", 1)
    with table.fault(f"decoder worker ends with {number.name}") as case:
        with stalled(light.folder / _STALLED) as file, Scan(light.home, arguments) as running:
            assert running.wait_until(file.is_wanted)
            (worker,) = running.workers()
            os.kill(worker, number)
            running.finish().says(3)
        row = by_path(output)[_STALLED]
        assert f"ended with code {-number}" in row["detail"]
        case.compare(output, expected, {_STALLED: "decoder_crashed"})
        scan(light.home, *arguments).says(3)
        case.compare(output, expected)


def test_a_file_that_stalls(light: Studies, table: FaultTable, tmp_path: Path) -> None:
    """As on a share that does not answer; the worker is stuck in the kernel's open()."""
    expected = light.rows
    output = tmp_path / "out"
    arguments = light.arguments(output, "--workers", 2, "--max-seconds", 3)
    with table.fault("a share that stalls (lease), and a decoder that hangs in it") as case:
        with stalled(light.folder / _STALLED):
            scan(light.home, *arguments).says(3)
        assert "3 seconds" in by_path(output)[_STALLED]["detail"]
        case.compare(output, expected, {_STALLED: "timeout"})
        scan(light.home, *arguments).says(3)
        case.compare(output, expected)


def test_a_file_that_stalls_for_a_moment(light: Studies, table: FaultTable, tmp_path: Path) -> None:
    expected = light.rows
    output = tmp_path / "out"
    with table.fault("a share that stalls for a moment (lease)") as case:
        arguments = light.arguments(output)
        with stalled(light.folder / _STALLED) as file, Scan(light.home, arguments) as running:
            assert running.wait_until(file.is_wanted)
            time.sleep(1)
            file.release()
            running.finish().says(3)
        case.compare(output, expected)


def test_workers_that_are_stopped_in_the_middle(
    light: Studies, table: FaultTable, tmp_path: Path
) -> None:
    """A worker that does not even hear SIGTERM any more is killed when its time is up."""
    expected = light.rows
    output = tmp_path / "out"
    arguments = light.arguments(output, "--workers", 1, "--max-seconds", 3)
    with table.fault("decoder worker hangs (SIGSTOP)") as case:
        with stalled(light.folder / _STALLED) as file, Scan(light.home, arguments) as running:
            assert running.wait_until(file.is_wanted)
            (worker,) = running.workers()
            os.kill(worker, signal.SIGSTOP)
            file.release()
            running.finish().says(3)
        case.compare(output, expected, {_STALLED: "timeout"})
        scan(light.home, *arguments).says(3)
        case.compare(output, expected)


def test_all_workers_lost_at_once(
    light: Studies, scale: int, table: FaultTable, tmp_path: Path
) -> None:
    """Busy or idle, at any moment; as the kernel does when the machine is out of memory."""
    expected = light.rows
    moments = random.Random(3)
    with table.fault("all decoder workers killed, again and again") as case:
        output = tmp_path / "out"
        arguments = light.arguments(output, "--workers", 2)
        with Scan(light.home, arguments) as running:
            for _ in range(4 * scale):
                if not running.wait_until(lambda: bool(running.workers())):
                    break
                for worker in running.workers():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGKILL)
                time.sleep(moments.uniform(0.1, 1.5))
            running.finish().says(3)
        crashed = [p for p, r in by_path(output).items() if r["reason"] == "decoder_crashed"]
        assert len(crashed) <= 8 * scale
        case.compare(output, expected, dict.fromkeys(crashed, "decoder_crashed"))
        scan(light.home, *arguments).says(3)
        case.compare(output, expected)


def test_files_that_eat_memory(light: Studies, table: FaultTable, tmp_path: Path) -> None:
    """36 megapixels of 16 bits, with as many bytes as a decoder takes allowed for a twentieth."""
    folder = write_blanks(tmp_path / "studies", range(8))
    undisturbed = tmp_path / "undisturbed"
    with table.fault("decoder worker eats memory") as case:
        scan(light.home, *light.arguments(undisturbed, folder=folder)).says(0)
        slope = np.linspace(0, 65535, 6000, dtype=np.uint16)
        for name in ("000a.png", "zzz.png"):
            Image.fromarray(np.tile(slope, (6000, 1))).save(folder / name)
        output = tmp_path / "out"
        arguments = light.arguments(output, "--max-memory-mb", 128, folder=folder)
        expected = by_path(undisturbed) | {"000a.png": {}, "zzz.png": {}}
        struck = {"000a.png": "too_large", "zzz.png": "too_large"}
        for _ in range(2):
            scan(light.home, *arguments).says(3, "2 failed")
            case.compare(output, expected, struck)


def test_a_pipe_in_the_tree(light: Studies, table: FaultTable, tmp_path: Path) -> None:
    folder = write_blanks(tmp_path / "studies", range(4))
    output = tmp_path / "out"
    with table.fault("a pipe and a socket in the tree") as case:
        scan(light.home, *light.arguments(output, folder=folder)).says(0)
        expected = by_path(output)
        os.mkfifo(folder / "000.dcm")
        os.mknod(folder / "socket.dcm", 0o140600)
        scan(light.home, *light.arguments(output, folder=folder)).says(0)
        case.compare(output, expected)
        assert '"not_a_regular_file": 2' in (output / "manifest.json").read_text()
        scan(light.home, *light.arguments(output, "--fresh", folder=folder)).says(0)
        case.compare(output, expected)
