"""A file that is another than was listed fails as `changed`: no row is of mixed content."""

import os
import socket
import threading
from pathlib import Path

import pytest
from dicom_files import SETTINGS, as_bytes
from pydicom.dataset import Dataset

from scanner.reading import Reading, read_file
from scanner.records import RETRIED_REASONS
from scanner.walk import list_files


@pytest.fixture
def path(radiograph_dataset: Dataset, tmp_path: Path) -> Path:
    path = tmp_path / "studies" / "radiograph.dcm"
    path.parent.mkdir()
    path.write_bytes(as_bytes(radiograph_dataset))
    return path


def read_after(path: Path, change: object) -> Reading:
    """List the folder, let `change` happen, and read."""
    (source,) = list_files(path.parent).sources
    assert callable(change)
    change()
    return read_file(source, SETTINGS)


def test_an_unchanged_file_is_read(path: Path) -> None:
    assert read_after(path, lambda: None).status == ""


def test_a_file_that_was_changed_since_fails_as_changed(path: Path) -> None:
    data = path.read_bytes()
    for change in (
        lambda: path.write_bytes(data[:-100]),
        lambda: path.write_bytes(data + bytes(100)),
        lambda: os.utime(path, ns=(1, 1)),
    ):
        reading = read_after(path, change)
        assert (reading.status, reading.reason) == ("failed", "changed")
        assert reading.model_input is None
    assert "changed" in RETRIED_REASONS


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_what_was_put_in_a_files_place_is_neither_followed_nor_waited_for(path: Path) -> None:
    elsewhere = path.parents[1] / "elsewhere.dcm"
    elsewhere.write_bytes(path.read_bytes())

    def listening() -> None:
        holder.bind(str(path))

    with socket.socket(socket.AF_UNIX) as holder:
        for change in (
            lambda: os.mkfifo(path),
            lambda: path.symlink_to(elsewhere),
            lambda: path.mkdir(),
            listening,
        ):
            data = path.read_bytes()

            def replace(change: object = change) -> None:
                path.unlink()
                assert callable(change)
                change()

            reading = read_after(path, replace)
            assert reading.status == "failed"
            assert reading.reason in ("changed", "unreadable")  # a socket cannot even be opened
            assert reading.sha256 == "", "something was read"
            path.rmdir() if path.is_dir() else path.unlink()
            path.write_bytes(data)


def test_a_file_that_is_written_to_while_it_is_read_fails_as_changed(path: Path) -> None:
    """A copy that is still running: the file is as listed when it is opened, and then grows."""
    path.write_bytes(path.read_bytes() + bytes(200_000_000))
    (source,) = list_files(path.parent).sources
    stop = threading.Event()

    def write() -> None:
        with path.open("r+b") as handle:
            while not stop.wait(0.001):
                handle.seek(-1, os.SEEK_END)
                handle.write(b"12")
                handle.flush()

    writer = threading.Timer(0.01, write)
    writer.start()
    reading = read_file(source, SETTINGS)
    stop.set()
    writer.join()
    assert (reading.status, reading.reason) == ("failed", "changed")
