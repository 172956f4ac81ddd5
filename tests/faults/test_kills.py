"""SIGKILL, SIGTERM and Ctrl-C in every phase of a scan: the same command goes on to the same rows.

A scan is stopped (SIGSTOP) where it is to be struck, so that its phase can be looked up and cannot
pass meanwhile; then it is struck. One scan is struck many times, each time continued by the same
command, and at last in its report.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_table import FaultTable, whole_rows
from scanning import Ended, Scan, only_on_linux, scan
from studies import Studies

pytestmark = [only_on_linux(), pytest.mark.slow]

# By the phase aimed at, for each of the three signals: 54 in all. Those that must wait until
# TensorFlow is loaded take seconds, the others less than one.
_AIMS = {"walk": 4, "decode": 4, "predict": 3, "write": 4, "report": 3}
_SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}


class _Watched(Scan):
    """A scan whose phase can be told from what it has open and what it has written."""

    def __init__(self, studies: Studies, output: Path) -> None:
        self._output = output
        self.manifest, self._page = output / "manifest.json", output / "report" / "index.html"
        self._before = {path: _inode(path) for path in (self.manifest, self._page)}
        self._unjudged_pictures = self._pictures() - 2 * self._judged()
        super().__init__(studies.home, studies.arguments(output, "--workers", 2))

    def phase(self) -> str:
        """Tell the phase of a scan; it had better be stopped."""
        if _inode(self._page) != self._before[self._page]:
            return "end"  # all is done but to say so
        if self._is_reporting():
            return "report"
        if not self._has_results_open():
            return "walk" if self._is_walking() else "start"
        unjudged_pictures = self._pictures() - 2 * self._judged()
        if self._notes() != self._rows() or unjudged_pictures > self._unjudged_pictures:
            return "write"
        return "predict" if self.has_loaded_tensorflow() else "decode"

    def reach(self, aim: str, moments: random.Random) -> bool:
        """Wait for a moment in the phase aimed at; tell whether the scan still runs."""
        if aim == "walk":
            return self.wait_until(self._is_walking) and self._wait(moments.uniform(0, 0.1))
        if aim == "decode":
            return self.wait_until(self._has_results_open) and self._wait(moments.uniform(0, 0.8))
        if aim == "predict" and moments.random() < 0.5:
            loaded = self.wait_until(self.has_loaded_tensorflow)
            return loaded and self._wait(moments.uniform(0, 3))
        if aim == "predict":
            return self._grows(self._rows) and self._wait(moments.uniform(0.01, 0.1))
        if aim == "write":
            return self._grows(moments.choice((self._notes, self._pictures)))
        return self.wait_until(self._is_reporting) and self._wait(moments.uniform(0, 0.05))

    def _grows(self, count: Callable[[], int]) -> bool:
        before = count()
        return self.wait_until(lambda: count() > before)

    def _wait(self, seconds: float) -> bool:
        time.sleep(seconds)
        return not self.ended

    def _is_walking(self) -> bool:
        return self.has_open("run.log")

    def _has_results_open(self) -> bool:
        return self.has_open("predictions.csv")

    def _is_reporting(self) -> bool:
        if _inode(self.manifest) == self._before[self.manifest] or self.has_open("run.log"):
            return False
        return b'"state": "complete"' in self.manifest.read_bytes()

    def _pictures(self) -> int:
        return sum(1 for _ in (self._output / "report" / "thumbs").glob("*/*"))

    def _notes(self) -> int:
        path = self._output / "sources.csv"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def _rows(self) -> int:
        return len(whole_rows(self._output))

    def _judged(self) -> int:
        return sum(1 for row in whole_rows(self._output) if row["prediction"])


def _inode(path: Path) -> int:
    return path.stat().st_ino if path.exists() else 0


@pytest.mark.parametrize("name", _SIGNALS)
def test_the_same_command_goes_on_after(
    name: str, studies: Studies, scale: int, table: FaultTable, tmp_path: Path
) -> None:
    moments = random.Random(name)
    expected = studies.rows
    output, before = tmp_path / "0", dict[str, str]()  # and the rows that stand there, by path
    hit: Counter[str] = Counter()
    aims = list(_aims(scale, moments))
    while aims:
        with _Watched(studies, output) as running:
            if running.reach(aims[-1], moments):
                running.strike(signal.SIGSTOP)
                phase = running.phase()
                if phase != "end":
                    with table.fault(f"{name} in phase {phase}") as case:
                        _strike(running, name, phase)
                        case.compare_unfinished(output, before, expected)
                    aims.pop()
                    hit[phase] += 1
                    continue
                running.strike(signal.SIGCONT)
            _check_end(running.finish(), output, studies, table, name)
        if aims[-1] != "report":  # nothing is left to be struck
            output, before = tmp_path / str(len(aims)), {}
    _check_end(scan(studies.home, *studies.arguments(output)), output, studies, table, name)
    assert set(hit) >= set(_AIMS), hit


def _aims(scale: int, moments: random.Random) -> Iterator[str]:
    """Yield the phases to be aimed at, the last one first."""
    yield from ["report"] * (_AIMS["report"] * scale)
    others = [aim for aim in _AIMS if aim != "report" for _ in range(_AIMS[aim] * scale)]
    moments.shuffle(others)
    yield from others


def _strike(running: _Watched, name: str, phase: str) -> None:
    """Strike a stopped scan; terminals, systemd and batch queues signal the workers as well."""
    number = _SIGNALS[name]
    running.strike(number, whole_group=number != signal.SIGKILL)
    running.strike(signal.SIGCONT)
    ended = running.finish()
    if number == signal.SIGKILL:
        ended.says(-number)
        return
    ended.says(130, "Interrupted", "run the same command again")
    if phase not in ("walk", "report"):
        assert '"state": "interrupted"' in running.manifest.read_text()


def _check_end(ended: Ended, output: Path, studies: Studies, table: FaultTable, name: str) -> None:
    with table.fault(f"{name}, then the same command to the end") as case:
        ended.says(3, f"{len(studies.rows)} images")
        case.compare(output, studies.rows)
        assert '"state": "complete"' in (output / "manifest.json").read_text()
