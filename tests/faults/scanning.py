"""A scan as a process that can be watched, struck and followed to its end."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import uuid4

import pytest
from command_line import command, environment

# How long anything may take before the test gives up; nothing is measured against it.
PATIENCE = 240.0
# Workers end with the scan, at once: what is there after so many seconds stays.
_WORKERS_END_IN = 15.0
_MARK = "CXR_SCAN_FAULT_TEST"
PHASES = ("walk", "decode", "predict", "write", "report")


@dataclass(frozen=True)
class Ended:
    """How a scan ended, and what it said."""

    code: int
    stdout: str
    stderr: str

    def says(self, code: int, *words: str) -> None:
        """Check the exit code, that `words` were said, and that it was said in words."""
        said = self.stdout + self.stderr
        assert self.code == code, said
        for word in words:
            assert word in said, f"{word!r} is not in {said!r}"
        assert "Traceback" not in said and "Logging error" not in said, said
        if code == 1:
            errors = [line for line in self.stderr.splitlines() if line.startswith("Error: ")]
            assert len(errors) == 1, f"not one line: {self.stderr!r}"


class Scan:
    """A running `cxr-scan`, in a process group of its own; a context manager that leaves none."""

    def __init__(self, home: Path, arguments: Sequence[object], prefix: Sequence[str] = ()) -> None:
        self._mark = uuid4().hex
        self._said = [home / f"{self._mark}.{name}" for name in ("out", "err")]
        env = {**environment(home), _MARK: self._mark, "TF_NUM_INTRAOP_THREADS": "1"}
        with self._said[0].open("wb") as out, self._said[1].open("wb") as err:
            self.process = subprocess.Popen(
                [*prefix, *command(*arguments)],
                env=env,
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,  # as a terminal does: Ctrl-C reaches the whole group
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in [self.process.pid, *self.others()]:
            _send(process, signal.SIGKILL)
        self.process.wait()
        for said in self._said:
            said.unlink(missing_ok=True)

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def finish(self) -> Ended:
        """Wait for the end of the scan and of all its workers."""
        self.process.wait(PATIENCE)
        assert wait_for(lambda: not self.others(), _WORKERS_END_IN), "it left workers behind"
        out, err = (said.read_text(errors="replace") for said in self._said)
        return Ended(self.process.returncode, out, err)

    def strike(self, number: signal.Signals, whole_group: bool = False) -> None:
        """Send a signal to the scan, or as terminals and systemd do to its workers as well."""
        if whole_group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def others(self) -> list[int]:
        """Return the ids of the processes that the scan has started and that still run."""
        mark = f"{_MARK}={self._mark}".encode()
        return [
            process
            for process in map(int, filter(str.isdigit, os.listdir("/proc")))  # noqa: PTH208
            if process != self.process.pid and mark in _environment(process)
        ]

    def workers(self) -> list[int]:
        """Return the ids of the processes that decode: the children of the fork server."""
        others = set(self.others())
        return sorted(process for process in others if _parent(process) in others)

    def has_open(self, name: str) -> bool:
        """Tell whether the scan has a file of this name open."""
        for link in Path(f"/proc/{self.process.pid}/fd").glob("*"):
            try:
                if Path(os.readlink(link)).name == name:  # noqa: PTH115
                    return True
            except OSError:
                continue  # closed meanwhile
        return False

    def has_loaded_tensorflow(self) -> bool:
        try:
            return b"tensorflow" in Path(f"/proc/{self.process.pid}/maps").read_bytes()
        except OSError:
            return False

    def wait_until(self, happens: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        """Wait until something is so, and tell whether it came before the end of the scan."""
        return wait_for(lambda: self.ended or happens(), seconds) and not self.ended


def wait_for(happens: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    deadline = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.003)
    return True


def scan(home: Path, *arguments: object, prefix: Sequence[str] = ()) -> Ended:
    """Run a scan to its end."""
    with Scan(home, arguments, prefix) as running:
        return running.finish()


def as_a_user() -> list[str]:
    """Return what to put before a command to run it without the rights of root.

    Without these capabilities root itself is asked for permission, so no other user is needed (one
    who may perhaps not read the interpreter).
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("run by root, and setpriv (Debian package util-linux) is missing")
    drop = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    if subprocess.run([*drop, "true"], capture_output=True).returncode:
        pytest.skip("run by root, and setpriv may not drop capabilities here")
    return drop


def only_on_linux() -> pytest.MarkDecorator:
    return pytest.mark.skipif(sys.platform != "linux", reason="watches the scan in /proc")


def _environment(process: int) -> bytes:
    try:
        if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return b""
        return Path(f"/proc/{process}/environ").read_bytes()
    except OSError:
        return b""


def _parent(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _send(process: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)
