"""`cxr-scan status` tells how far a scan is, whatever became of it, and disturbs none."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import loaded, run
from filelock import FileLock
from held_scans import HeldScan, build_home, status

from scanner import manifest, output
from scanner.status import count_rows, lines

_NOBODY = 65534


@pytest.fixture
def home(tmp_path: Path) -> Path:
    build_home(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_scan_is_told_running_interrupted_died_and_complete(home: Path) -> None:
    scan = HeldScan(home)
    scan.judge(2)
    said = status(home)
    assert said[0].startswith("running: 4 of 9 files (44%)")
    assert "rows: 4: 4 ok, 0 flagged, 0 rejected, 0 failed" in said
    assert f"process {scan.process.pid} on " in said[1]
    assert said[-1].startswith("next: wait")

    assert scan.end(signal.SIGTERM) == 130
    said = status(home)
    assert said[0].startswith("interrupted: 4 of 9 files (44%)")
    assert "why:  interrupted by SIGTERM" in said
    assert said[-1] == "next: run the same command again; it continues"

    scan = HeldScan(home)
    scan.until(lambda: manifest.load(scan.output / output.MANIFEST)["state"] == "running")
    scan.end(signal.SIGKILL)
    said = status(home)
    assert said[0].startswith("died: 4 of 9 files")
    assert "why:  it was killed, or the machine stopped" in said
    assert said[-1].startswith("next: run the same command again")

    code, _ = HeldScan(home).finish()
    assert code == 0
    said = status(home)
    assert said[0].startswith("complete: 9 of 9 files (100%)")
    assert "on:   no device, float32" in said
    assert "rows: 9: 8 ok, 0 flagged, 0 rejected, 1 failed" in said


def test_a_scan_that_lists_its_files_is_running_whatever_the_run_before_did(tmp_path: Path) -> None:
    folder = made_output(tmp_path / "results")
    with FileLock(folder / output.LOCK):
        said = lines(folder)
    assert said[0] == "running: listing files and reading earlier results"
    assert "rows: 0: 0 ok, 0 flagged, 0 rejected, 0 failed" in said
    assert lines(folder)[0].startswith("complete")


def made_output(folder: Path, **values: object) -> Path:
    """An output folder whose scan is complete."""
    folder.mkdir()
    (folder / output.PREDICTIONS).write_text("path,status,reason\n")
    made = manifest.Manifest(folder / output.MANIFEST)
    made.begin({"files": 0}, {})
    made.end({}, dict(values), "complete", "")
    return folder


_ASK_ON_AND_ON = """
import sys
from pathlib import Path
from scanner.output import is_held
print("asking", flush=True)
while True:
    is_held(Path(sys.argv[1]))
"""


def test_asking_without_pause_keeps_no_scan_from_its_folder(tmp_path: Path) -> None:
    folder = made_output(tmp_path / "results")
    (folder / output.LOCK).touch()
    arguments = [sys.executable, "-c", _ASK_ON_AND_ON, str(folder)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as asking:
        assert asking.stdout is not None
        asking.stdout.readline()
        try:
            for _ in range(50):
                with output.prepared(folder, fresh=False):
                    pass
        finally:
            asking.kill()


def test_status_changes_nothing(tmp_path: Path) -> None:
    folder = made_output(tmp_path / "results")
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    lines(folder)
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.iterdir()} == before


def test_rates_and_the_time_left_are_of_the_run_at_work(tmp_path: Path) -> None:
    folder = made_output(tmp_path / "results")
    made = manifest.Manifest(folder / output.MANIFEST)
    made.begin({"files": 300}, {"files_to_read": 200})
    made.update({}, {"files_read": 100, "files_per_second": 2.5})
    with FileLock(folder / output.LOCK):
        assert lines(folder)[0] == "running: 200 of 300 files (67%), 2.5 a second, 00:40 left"
    # Without the lock nobody works on what is left.
    assert lines(folder)[0] == "died: 200 of 300 files (67%), 2.5 a second"


def test_torn_rows_do_not_count(tmp_path: Path) -> None:
    table = tmp_path / "predictions.csv"
    rows = b'path,status,reason\na.dcm,ok,\n\'=b.dcm,failed,truncated\n"c,d.dcm",ok,\n'
    table.write_bytes(rows + b"e.dcm,ok")
    assert count_rows(table) == {"ok": 2, "failed": 1}


_PEAK = """
import sys
from pathlib import Path
from scanner.memory import peak_mb
from scanner.status import lines
before = peak_mb()
said = lines(Path(sys.argv[1]))
print(next(line for line in said if line.startswith("rows")))
print(peak_mb() - before)
"""


def test_two_hundred_thousand_rows_take_no_memory(tmp_path: Path) -> None:
    folder = made_output(tmp_path / "results")
    with (folder / output.PREDICTIONS).open("a") as table:
        table.writelines(f"ward/{n:06}.dcm,ok,{',' * 20}{'0' * 64}\n" for n in range(200_000))
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, folder], capture_output=True, text=True, check=True
    )
    rows, grown = done.stdout.splitlines()
    assert rows == "rows: 200,000: 200,000 ok, 0 flagged, 0 rejected, 0 failed"
    assert float(grown) < 10


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"runs": 3, "files": "x"}', b"\xff\xfe"])
def test_a_damaged_manifest_leaves_the_rows(content: bytes, tmp_path: Path) -> None:
    folder = made_output(tmp_path / "results")
    (folder / output.MANIFEST).write_bytes(content)
    said = lines(folder)
    assert said[0] == "unknown"
    assert said[-1].startswith("next: manifest.json is missing or damaged, the rows are safe")


def test_a_folder_that_is_no_output_is_said_with_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    done = run("status", "studies", home=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "Error: studies is no output folder of a scan: it holds neither predictions.csv nor "
        "manifest.json.\n"
    )
    made_output(tmp_path / "studies-cxr")
    assert "Did you mean studies-cxr?" in run("status", "studies", home=tmp_path).stderr
    assert run("status", "nowhere", home=tmp_path).returncode == 2


def test_hostile_text_in_a_manifest_moves_no_cursor(tmp_path: Path) -> None:
    folder = made_output(tmp_path / "results", reason="\x1b[2J\nnext: \u202eevil", device="\x07")
    assert all(line.isprintable() for line in lines(folder))


def test_status_loads_nothing_heavy(tmp_path: Path) -> None:
    made_output(tmp_path / "results")
    names = {"tensorflow", "keras", "cv2", "pydicom", "numpy"}
    assert loaded("status", "results", names=names, home=tmp_path) == "set()"


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX systems")
def test_an_output_that_may_only_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made_output(tmp_path / "results")
    (folder / output.LOCK).touch()
    for path in folder.iterdir():
        path.chmod(0o444)
    for path in (folder, tmp_path):
        path.chmod(0o555)
    monkeypatch.chdir(tmp_path)  # what lies above it is for root alone
    root = os.geteuid() == 0
    if root:
        os.seteuid(_NOBODY)
    try:
        assert lines(Path("results"))[0].startswith("complete")
    finally:
        if root:
            os.seteuid(0)
        for path in (folder, tmp_path):
            path.chmod(0o755)
