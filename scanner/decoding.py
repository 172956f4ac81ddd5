"""Files are read and decoded in worker processes that may crash, hang or run out of memory.

Decoders written in C die on damaged files, and a small file can ask for gigabytes. A worker that is
lost costs its one file, as a `failed` row; another takes its place.

Memory: all workers together may take `Limits.memory_mb` on top of what they need when idle. Every
file first gets an equal share of it (1536 MB make 192 for each of 8 workers), enforced by the
kernel where it can (RLIMIT_AS, Linux). A file that needs more says so, mostly from its header
before anything is decoded, and is read again with as much as it asks for, at most all, as soon as
that much is free. It is this process that waits, which hands out files, and no worker: a file's
seconds begin when a worker begins to read it.
"""

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, TimeoutError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Self

from pebble import ProcessExpired

from scanner import worker_process
from scanner.errors import SetupError, kind_of
from scanner.limits import NeedsMoreError
from scanner.memory import peak_mb
from scanner.reading import Reading, ReadSettings, read_file
from scanner.walk import Source, recognise

# A share that more than 8 workers would make smaller stays so large; they take more together.
_LEAST_SHARE_MB = 192
# Pools that are lost one after the other, without a file read in between, before we give up.
_MAX_LOST_POOLS = 3
# How often we look whether the pool we wait for is still there; it mostly says so itself.
_SECONDS_BETWEEN_LOOKS = 5.0

# The alarm of a worker is for when the pool fails to stop it in time; this is its exit code then.
_GRACE_SECONDS = 2.0
_TIME_IS_UP = -getattr(signal, "SIGALRM", 0)


@dataclass
class _Task:
    """A file to be read with a grant of `mb` megabytes; `outcome` is for whoever waits for it."""

    source: Source
    mb: int
    outcome: "Future[Reading]"


class Decoders:
    """A pool of isolated worker processes that read files; use it as a context manager."""

    def __init__(self, settings: ReadSettings, workers: int, lookahead: int) -> None:
        self._settings = settings
        self._workers = workers
        self._lookahead = lookahead
        self._pool = self._new_pool()
        self._lost_pools = 0
        memory = settings.limits.memory_mb
        self._share = max(memory // workers, min(memory, _LEAST_SHARE_MB))
        # What follows is shared with pebble's threads, which report what workers finish.
        self._lock = threading.RLock()
        self._waiting: deque[_Task] = deque()
        self._running: dict[Future[Reading | int], _Task] = {}
        self._total_mb = max(memory, self._share * workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._waiting.clear()
            self._running.clear()
        worker_process.end(self._pool)

    def read(self, sources: Iterable[Source]) -> Iterator[tuple[Source, Reading]]:
        """Yield every source with its reading, in the order given, a bounded number ahead.

        Raises `SetupError` if no worker process can be kept alive at all.
        """
        pending: deque[_Task] = deque()
        for source in sources:
            task = _Task(source, self._share, Future())
            pending.append(task)
            self._put(task)
            if len(pending) > self._lookahead:
                yield self._collect(pending.popleft())
        while pending:
            yield self._collect(pending.popleft())

    def _collect(self, task: _Task) -> tuple[Source, Reading]:
        while True:
            try:
                reading = task.outcome.result(_SECONDS_BETWEEN_LOOKS)
            except BrokenProcessPool:  # all workers were lost at once, for no fault of the file
                self._replace_pool()
                task.outcome = Future()
                self._put(task, first=True)
            except TimeoutError:
                if not worker_process.is_alive(self._pool):
                    self._replace_pool()  # sets an exception where there is none yet
            else:
                self._lost_pools = 0
                return task.source, reading

    def _put(self, task: _Task, first: bool = False) -> None:
        with self._lock:
            (self._waiting.appendleft if first else self._waiting.append)(task)
            self._start_what_fits()

    def _start_what_fits(self) -> None:
        """Hand waiting files to workers, in order; the first waits until its grant is free."""
        while self._waiting and len(self._running) < self._workers:
            taken = sum(task.mb for task in self._running.values())
            if taken + self._waiting[0].mb > self._total_mb:
                return
            task = self._waiting.popleft()
            try:
                future = self._pool.schedule(
                    _read_in_worker,
                    args=[task.source, task.mb],
                    timeout=self._settings.limits.seconds,
                )
            except RuntimeError as error:  # the pool is lost
                task.outcome.set_exception(BrokenProcessPool(str(error)))
                continue
            self._running[future] = task
            future.add_done_callback(self._done)

    def _done(self, future: "Future[Reading | int]") -> None:
        """Take in what a worker made of a file (in a thread of pebble's) and go on."""
        with self._lock:
            task = self._running.pop(future, None)
            if task is None:  # nobody waits for it any more
                return
            memory = self._settings.limits.memory_mb
            try:
                found = future.result()
            except BrokenProcessPool as error:
                task.outcome.set_exception(error)
            except (TimeoutError, ProcessExpired) as error:
                task.outcome.set_result(_lost(task.source, self._settings, error))
            except Exception as error:  # of the pool, or of a worker at the end of its memory
                task.outcome.set_result(_unforeseen(task.source, error))
            else:
                if isinstance(found, Reading):
                    task.outcome.set_result(found)
                else:
                    task.mb = found if task.mb < found < memory else memory
                    self._waiting.appendleft(task)
            self._start_what_fits()

    def _new_pool(self) -> worker_process.ProcessPool:
        return worker_process.pool(self._workers, _start_worker, (self._settings,))

    def _replace_pool(self) -> None:
        """Start new workers in the place of a pool that is lost, unless that is done already."""
        if worker_process.is_alive(self._pool):
            return
        with self._lock:
            orphans = list(self._running.values())
            self._running.clear()
        for task in orphans:
            task.outcome.set_exception(BrokenProcessPool("its worker was lost with all others"))
        self._lost_pools += 1
        if self._lost_pools > _MAX_LOST_POOLS:
            raise SetupError(
                "The processes that decode end as soon as they start: is there memory left? Try "
                "fewer --workers."
            )
        worker_process.end(self._pool)
        self._pool = self._new_pool()


def _lost(source: Source, settings: ReadSettings, error: Exception) -> Reading:
    lost = Reading(kind=recognise(b"", source.relative), status="failed")
    if isinstance(error, ProcessExpired) and error.exitcode != _TIME_IS_UP:
        detail = f"the decoder crashed on it (worker process ended with code {error.exitcode})"
        return replace(lost, reason="decoder_crashed", detail=detail)
    seconds = settings.limits.seconds
    detail = f"it was not read within {seconds:g} seconds (--max-seconds)"
    return replace(lost, reason="timeout", detail=detail, seconds=seconds)


def _unforeseen(source: Source, error: Exception) -> Reading:
    detail = f"{kind_of(error)} in the process that read it"
    return Reading(
        recognise(b"", source.relative), status="failed", reason="unexpected_error", detail=detail
    )


_settings: ReadSettings
_idle_bytes: int


def _start_worker(settings: ReadSettings) -> None:
    global _settings, _idle_bytes
    _settings = settings
    worker_process.settle()
    _idle_bytes = _mapped_bytes()


def _mapped_bytes() -> int:
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm") as statm:  # noqa: PTH123
        return int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _limit_memory(mb: int) -> None:
    """Let this process map `mb` megabytes more than when it was idle (Linux)."""
    if sys.platform == "linux":
        import resource

        limit = _idle_bytes + (mb << 20)
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard != resource.RLIM_INFINITY:  # a batch system's `ulimit -v`, which we may not raise
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _read_in_worker(source: Source, mb: int) -> Reading | int:
    """Read a file with `mb` megabytes to take; return how many it needs if that is too few."""
    _limit_memory(mb)
    limits = _settings.limits
    share = mb if mb < limits.memory_mb else None
    _end_after(limits.seconds + _GRACE_SECONDS)
    try:
        reading = read_file(source, replace(_settings, limits=replace(limits, share_mb=share)))
        return replace(reading, peak_mb=peak_mb())
    except NeedsMoreError as need:
        return need.mb
    finally:
        _end_after(0)


def _end_after(seconds: float) -> None:
    """Let an alarm end this process, whatever it does then; 0 is never.

    The pool stops it before, but by the time of day: when that is set back, it waits for as long.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
