"""How a run shows itself: a bar on a terminal, plain lines in a log, nothing when quiet."""

import contextlib
import sys
import time

from tqdm import tqdm

from scanner.summary import Summary

_SECONDS_BETWEEN_LINES = 30.0


class Terminal:
    """Standard error that may go away: a closed session must not end the night's scan."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()

    def fileno(self) -> int:
        return sys.stderr.fileno()  # tqdm asks it for the terminal's width


class Bar:
    """A tqdm bar with images per second, counts by status and time left."""

    def start(self, files: int) -> None:
        self._bar = tqdm(total=files, unit=" images", file=Terminal(), smoothing=0.1)

    def advance(self, files: int, summary: Summary) -> None:
        self._bar.set_postfix_str(_counts(summary), refresh=False)
        self._bar.update(files)

    def close(self) -> None:
        if hasattr(self, "_bar"):
            self._bar.close()


class Lines:
    """A line now and then, for cron mails and log files."""

    def start(self, files: int) -> None:
        self._started = self._said = time.monotonic()
        self._files, self._done = files, 0
        print(f"{files} files to read", file=Terminal(), flush=True)

    def advance(self, files: int, summary: Summary) -> None:
        self._done += files
        now = time.monotonic()
        if now - self._said < _SECONDS_BETWEEN_LINES:
            return
        self._said = now
        rate = self._done / (now - self._started)
        left = tqdm.format_interval((self._files - self._done) / rate) if rate else "?"
        print(
            f"{self._done} of {self._files} files, {rate:.1f} images a second, {left} left: "
            f"{_counts(summary)}",
            file=Terminal(),
            flush=True,
        )

    def close(self) -> None:
        """Nothing is open."""


class Silence:
    """No word until the end."""

    def start(self, files: int) -> None:
        """Say nothing."""

    def advance(self, files: int, summary: Summary) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Nothing is open."""


def _counts(summary: Summary) -> str:
    counts = summary.statuses
    names = ("ok", "flagged", "rejected", "failed")
    return ", ".join(f"{counts[name]} {name}" for name in names)
