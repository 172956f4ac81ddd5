"""Files that stall whoever opens them, as on a share that does not answer."""

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Stalled:
    """A file that we have a lease on (fcntl): nobody can open it until we give it back."""

    descriptor: int

    def is_wanted(self) -> bool:
        """Tell whether somebody is trying to open it."""
        return fcntl.fcntl(self.descriptor, fcntl.F_GETLEASE) != fcntl.F_WRLCK

    def release(self) -> None:
        fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)


@contextlib.contextmanager
def stalled(path: Path) -> Iterator[Stalled]:
    """Let a file stall until the block ends; Linux itself ends it after 45 seconds."""
    earlier = signal.signal(signal.SIGIO, signal.SIG_IGN)  # it tells that the file is wanted
    descriptor = os.open(path, os.O_RDWR)
    try:
        _lease(descriptor, path)
        yield Stalled(descriptor)
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, earlier)


def _lease(descriptor: int, path: Path) -> None:
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError as error:
        pytest.skip(f"the file system of {path.parent} has no leases ({error.strerror})")
