"""How a run shows itself: a bar on a terminal, lines elsewhere, and never its end by itself."""

import os
import pty
import sys

import pytest

from scanner import progress
from scanner.summary import Summary


def _summary() -> Summary:
    summary = Summary()
    summary.statuses.update(ok=3, failed=1)
    return summary


def test_a_terminal_gets_a_bar_with_rate_counts_and_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("COLUMNS", "120")
        bar = progress.Bar()
        bar.start(8)
        bar.advance(4, _summary())
        bar.close()
        shown = b""
        while b"1 failed" not in shown:
            shown += os.read(master, 4096)
    os.close(master)
    assert b"4/8 [" in shown and b"images/s" in shown
    assert b"3 ok, 0 flagged, 0 rejected, 1 failed" in shown


def test_a_log_gets_plain_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    lines = progress.Lines()
    lines.start(8)
    lines.advance(4, _summary())
    said = capsys.readouterr().err
    assert said.startswith("8 files to read\n4 of 8 files, ")
    assert "images a second" in said and "left: 3 ok" in said
    assert "\r" not in said


@pytest.mark.parametrize("watcher", [progress.Bar, progress.Lines])
def test_a_terminal_that_goes_away_does_not_end_the_run(
    watcher: type[progress.Bar] | type[progress.Lines], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    reader, writer = os.pipe()
    os.close(reader)  # from now on every write is a BrokenPipeError
    gone = os.fdopen(writer, "w", buffering=1)
    monkeypatch.setattr(sys, "stderr", gone)
    shown = watcher()
    shown.start(2)
    shown.advance(2, _summary())
    shown.close()
    gone_number = gone.fileno()
    monkeypatch.undo()
    os.close(gone_number)
