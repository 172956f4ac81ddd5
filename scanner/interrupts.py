"""Ctrl-C at a moment when libraries written in C cannot be left half-way."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

EXIT_INTERRUPTED = 130


def terminate_as_interrupt() -> None:
    """Let SIGTERM, as systemd and batch queues send it, end a run as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def signal_name(interrupt: KeyboardInterrupt) -> str:
    """Return the name of the signal that ended a run; Python's own of Ctrl-C names none."""
    return str(interrupt) or signal.SIGINT.name


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back until the block ends, then raise `KeyboardInterrupt`.

    An exception raised in the middle of importing TensorFlow ends in SIGABRT or a half-made module.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    caught: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    heard = [s for s in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(s) != signal.SIG_IGN]
    earlier = {s: signal.signal(s, remember) for s in heard}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
    if caught:
        raise KeyboardInterrupt(signal.Signals(caught[0]).name)
