"""Processes that work beside the scan: how they start, keep quiet, make way and end with it.

TensorFlow's threads do not survive a fork, so they come from a server forked early. It has what
they need loaded already: replacing a lost one costs milliseconds.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing import forkserver, resource_tracker
from typing import Any

import cv2
from pebble import ProcessPool as ProcessPool

# What every worker would import first.
_PRELOADED = ["scanner.decoding", "scanner.pictures"]
_PR_SET_PDEATHSIG = 1
# Predicting is what takes the time: whoever feeds it runs in what it leaves of the cores.
_NICENESS = 10


def pool(workers: int, start: Callable[..., None], arguments: tuple[Any, ...] = ()) -> ProcessPool:
    """Return a pool of so many processes, each of which calls `start`, which calls `settle`."""
    method = "forkserver" if sys.platform != "win32" else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(_PRELOADED)
        _start_fork_server()
    return ProcessPool(max_workers=workers, initializer=start, initargs=arguments, context=context)


def is_alive(pool: ProcessPool) -> bool:
    """Tell whether a pool still takes work."""
    try:
        return bool(pool.active)
    except RuntimeError:  # asking starts a pool that has not started yet, and it could not
        return False


def end(pool: ProcessPool) -> None:
    """Stop a pool's processes, whatever they are doing."""
    pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it unannotated
    pool.join()


def settle() -> None:
    """Make this process a good worker: deaf to Ctrl-C, mute, modest, and gone with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops us
    cv2.setNumThreads(1)
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    _be_silent()
    _die_with_parent()


def _start_fork_server() -> None:
    """Start it deaf to Ctrl-C and, with its workers, mute: what they say reaches the pool.

    Ctrl-C reaches the whole process group, and would end in tracebacks on the terminal, as a worker
    does that begins while the scan is ending; decoders written in C quote what a file holds.
    """
    resource_tracker.ensure_running()  # it unblocks what we are about to block
    # What a process is started with stays with it; for us Ctrl-C is only put off.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _mute():
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextlib.contextmanager
def _mute() -> Iterator[None]:
    """Let what is started in the block have no standard error."""
    try:
        ours = os.dup(2)
    except OSError:  # we have none either
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(ours, 2)
        os.close(ours)
        os.close(nowhere)


def _be_silent() -> None:
    """Keep off the terminal: libtiff and others write there what they think of a file, and of it.

    What we have to say of a file is in its Reading.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _die_with_parent() -> None:
    """Leave no orphan behind when the scan is killed: Linux ends us when our parent ends.

    Our parent is the fork server. It ends when nobody holds the other end of its pipe any more;
    the scan does, and every worker inherits it: one that hangs would keep everything alive.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        alive: int | None = getattr(forkserver._forkserver, "_forkserver_alive_fd", None)
        if alive is not None:
            os.close(alive)
