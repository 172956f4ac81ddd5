"""SIGKILL at any moment, and the same command ends with one row for every file."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import command, environment, rows, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is of POSIX systems")


def _pictures(folder: Path, count: int, first: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(first, first + count):
        noise = np.random.default_rng(index).integers(0, 256, (32, 32), dtype=np.uint8)
        picture = cv2.resize(noise, (256, 256), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{index:04}.png"), picture)


def _start(home: Path) -> subprocess.Popen[bytes]:
    arguments = command("studies", "--batch-size", "2", "--no-report", "-q")
    return subprocess.Popen(arguments, env=environment(home), cwd=home, stderr=subprocess.PIPE)


@pytest.mark.slow
def test_kills_at_random_moments_lose_and_repeat_nothing(tmp_path: Path) -> None:
    _pictures(tmp_path / "studies", 40)
    (tmp_path / "studies" / "broken.dcm").write_bytes(b"")
    moments = random.Random(11)
    made: dict[str, str] = {}  # path -> when the row was made
    for _ in range(8):
        scan = _start(tmp_path)
        # From before TensorFlow is loaded to well within the batches.
        time.sleep(moments.uniform(0.2, 9.0))
        scan.send_signal(signal.SIGKILL)
        scan.wait()
        csv = tmp_path / "studies-cxr" / "predictions.csv"
        if csv.exists():
            # Whole lines alone are results; the torn one is the next run's to cut off.
            whole = csv.read_bytes().rpartition(b"\n")[0].decode().splitlines()[1:]
            for line in whole:
                path, _, rest = line.partition(",")
                assert made.setdefault(path, rest) == rest, "a finished row was made again"
    done = run("studies", "--batch-size", "2", home=tmp_path)
    assert done.returncode == 3, done.stderr
    found = rows(tmp_path / "studies-cxr")
    assert sorted(row["path"] for row in found) == [
        *(f"{i:04}.png" for i in range(40)),
        "broken.dcm",
    ]
    assert [row["status"] for row in found].count("failed") == 1
    lines = (tmp_path / "studies-cxr" / "predictions.csv").read_text().splitlines()[1:]
    final = dict(line.split(",", 1) for line in lines)
    assert all(final[path] == rest for path, rest in made.items())


def test_new_and_changed_files_alone_are_read(tmp_path: Path) -> None:
    _pictures(tmp_path / "studies", 4)
    run("studies", "--no-report", home=tmp_path)
    before = {row["path"]: row for row in rows(tmp_path / "studies-cxr")}
    _pictures(tmp_path / "studies", 1, first=4)
    changed = tmp_path / "studies" / "0001.png"
    changed.write_bytes((tmp_path / "studies" / "0004.png").read_bytes())
    done = run("studies", "--no-report", home=tmp_path)
    assert "(2 new" in done.stdout
    after = {row["path"]: row for row in rows(tmp_path / "studies-cxr")}
    assert len(after) == 5
    for path in ("0000.png", "0002.png", "0003.png"):
        assert after[path] == before[path]
    assert after["0001.png"]["sha256"] != before["0001.png"]["sha256"]
    assert after["0004.png"]["detail"] == "duplicate_of 0001.png"


def test_interrupting_says_how_to_go_on(tmp_path: Path) -> None:
    _pictures(tmp_path / "studies", 30)
    scan = _start(tmp_path)
    csv = tmp_path / "studies-cxr" / "predictions.csv"
    while not csv.exists() or csv.read_bytes().count(b"\n") < 3:
        assert scan.poll() is None
        time.sleep(0.05)
    scan.send_signal(signal.SIGTERM)
    assert scan.wait(timeout=60) == 130
    assert scan.stderr is not None
    assert b"run the same command again to continue" in scan.stderr.read()
    assert '"state": "interrupted"' in (tmp_path / "studies-cxr" / "manifest.json").read_text()


def test_a_second_scan_into_the_same_folder_is_refused(tmp_path: Path) -> None:
    _pictures(tmp_path / "studies", 30)
    first = _start(tmp_path)
    try:
        while not (tmp_path / "studies-cxr" / "manifest.json").exists():
            assert first.poll() is None
            time.sleep(0.05)
        second = run("studies", home=tmp_path)
    finally:
        first.kill()
        first.wait()
    assert second.returncode == 1
    assert "Another scan is writing into studies-cxr" in second.stderr


def test_an_output_folder_that_cannot_be_written_ends_in_one_line(tmp_path: Path) -> None:
    _pictures(tmp_path / "studies", 1)
    (tmp_path / "results").write_text("a file, not a folder")
    done = run("studies", "--output", "results", home=tmp_path)
    assert done.returncode == 1
    assert "output folder results cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
