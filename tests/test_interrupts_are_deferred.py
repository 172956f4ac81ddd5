"""Ctrl-C while TensorFlow loads waits until it has, and what is ignored stays ignored."""

import os
import signal

import pytest

from scanner.interrupts import deferred


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_block_is_finished_before_the_run_is_interrupted(number: signal.Signals) -> None:
    finished = False
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), deferred():
        os.kill(os.getpid(), number)
        finished = True
    assert finished
    assert signal.getsignal(number) == before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as under nohup
    try:
        with deferred():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
