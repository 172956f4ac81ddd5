"""`run.log` has a line for every event that matters, and no disk is too full for the scan."""

import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import run
from held_scans import HeldScan, build_home

from scanner import run_log


def log_of(output: Path) -> list[str]:
    return (output / "run.log").read_text(encoding="utf-8").splitlines()


def events(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log_of(output)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two files that fail, one of them by a name that no line may be broken with."""
    (tmp_path / "studies").mkdir()
    for name in ("empty.dcm", "a\n=b\\.dcm"):
        (tmp_path / "studies" / name).write_bytes(b"")
    return tmp_path


def test_every_failed_file_has_a_line_with_path_reason_and_detail(home: Path) -> None:
    assert run("studies", "--no-report", "-q", home=home).returncode == 3
    found = log_of(home / "studies-cxr")
    failed = [line for line in found if " WARNING " in line]
    assert len(failed) == 2
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ [A-Z]+ ", line) for line in found)
    assert failed[0].endswith(r" a\x0a=b\\.dcm: empty_file: it is empty")
    assert failed[1].endswith(" empty.dcm: empty_file: it is empty")
    assert found[0].endswith("started")
    assert found[1].endswith("2 files, 2 to read")
    assert found[-1].endswith("complete; 2 new rows")


def test_json_lines_hold_the_same_as_fields(home: Path) -> None:
    run("studies", "--no-report", "-q", "--log-format", "json", home=home)
    found = events(home / "studies-cxr")
    assert [event["event"] for event in found] == ["started", "listed", "failed", "failed", "ended"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", e["time"]) for e in found)
    assert {event["level"] for event in found} == {"INFO", "WARNING"}
    assert found[1]["files_to_read"] == 2
    failed = {name: found[2][name] for name in ("path", "reason", "detail")}
    assert failed == {"path": r"a\x0a=b\\.dcm", "reason": "empty_file", "detail": "it is empty"}
    assert found[-1]["state"] == "complete"
    assert found[-1]["new_rows"] == 2


def test_every_retry_has_a_line(home: Path) -> None:
    run("studies", "--no-report", "-q", home=home)
    table = home / "studies-cxr" / "predictions.csv"
    # As it would be after a night in which the share did not answer.
    table.write_text(table.read_text().replace("failed,empty_file", "failed,unreadable"))
    run("studies", "--no-report", "-q", "--log-format", "json", home=home)
    lines = log_of(home / "studies-cxr")
    found = [json.loads(line) for line in lines if line.startswith("{")]
    retried = [e for e in found if e["event"] == "retrying"]
    assert [(e["path"], e["reason"]) for e in retried] == [
        (r"a\x0a=b\\.dcm", "unreadable"),
        ("empty.dcm", "unreadable"),
    ]
    assert retried[1]["message"] == "retrying empty.dcm: unreadable"
    assert [e["event"] for e in found].count("failed") == 2


def test_a_batch_that_was_halved_has_a_line(tmp_path: Path) -> None:
    build_home(tmp_path)
    (tmp_path / "halve").touch()
    scan = HeldScan(tmp_path, "json")
    code, said = scan.finish()
    assert code == 0, said
    halved = [e for e in events(scan.output) if e["event"] == "batch_halved"]
    assert (halved[0]["was"], halved[0]["batch_size"]) == (2, 1)
    assert halved[0]["message"] == "a batch of 2 did not fit into memory: 1 at once"


def test_what_a_kill_tore_does_not_swallow_the_next_line(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(b'{"time": "2026-11-23T22:0')
    with run_log.kept(path, run_log.JSON):
        run_log.say("started", "again")
    torn, whole = path.read_text().splitlines()
    assert torn == '{"time": "2026-11-23T22:0'
    assert json.loads(whole)["message"] == "again"


_FULL_FOR_A_WHILE = """
import resource, sys
from pathlib import Path
from scanner import run_log
with run_log.kept(Path(sys.argv[1]), run_log.JSON):
    run_log.say("first", "there is room")
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
    for number in range(5):
        run_log.say("lost", "x" * 60)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    run_log.say("last", "there is room again")
print("went on")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is of POSIX systems")
def test_a_file_that_cannot_grow_costs_lines_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    done = subprocess.run(
        [sys.executable, "-c", _FULL_FOR_A_WHILE, path], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("went on\n", "")
    first, torn, lost, last = path.read_text().splitlines()
    assert json.loads(first)["event"] == "first"
    with pytest.raises(ValueError):
        json.loads(torn)
    assert json.loads(lost) | {"time": ""} == {
        "time": "",
        "level": "WARNING",
        "event": "lines_lost",
        "message": "5 lines could not be written",
        "lines": 5,
    }
    assert json.loads(last)["event"] == "last"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is of Linux")
@pytest.mark.parametrize("form", run_log.FORMATS)
def test_a_full_disk_prints_nothing(
    form: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.log").symlink_to("/dev/full")
    with run_log.kept(tmp_path / "run.log", form):
        for _ in range(3):
            run_log.say("message", "nobody reads this", logging.WARNING)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("form", run_log.FORMATS)
def test_no_text_breaks_a_line_or_moves_the_cursor(form: str, tmp_path: Path) -> None:
    hostile = '"}\n{"event": "forged"}\x1b[2J\u2028\u202e\udcff'
    with run_log.kept(tmp_path / "run.log", form):
        run_log.say("failed", hostile, path=hostile)
    (line,) = log_of(tmp_path)
    assert line.isprintable()
    if form == run_log.JSON:
        assert json.loads(line)["event"] == "failed"


def test_quiet_keeps_the_log_and_verbose_repeats_it(home: Path) -> None:
    quiet = run("studies", "--no-report", "--quiet", home=home)
    assert (quiet.stdout, quiet.stderr) == ("", "")
    assert len(log_of(home / "studies-cxr")) == 5
    verbose = run("studies", "--no-report", "--verbose", "--fresh", home=home)
    assert r"a\x0a=b\\.dcm: empty_file: it is empty" in verbose.stderr.splitlines()
