"""`manifest.json`: counts, rates, memory and settings of every run, and why one ended early."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import run
from held_scans import HeldScan, build_home

from scanner import manifest
from scanner.errors import SetupError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    build_home(tmp_path)
    return tmp_path


def made(output: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
    return values


def test_a_finished_run_says_counts_rates_memory_and_settings(home: Path) -> None:
    scan = HeldScan(home)
    code, said = scan.finish()
    assert code == 0, said
    values = made(scan.output)
    assert (values["state"], values["files"]) == ("complete", 9)
    assert values["statuses"] == {"ok": 8, "failed": 1}
    assert values["reasons"] == {"empty_file": 1}
    assert values["model"] == json.loads((home / "model" / "model.json").read_text())["id"]
    assert values["versions"]["cxr-scan"] and values["versions"]["tensorflow"]
    (last,) = values["runs"]
    assert (last["state"], last["pid"]) == ("complete", scan.process.pid)
    assert last["started"] <= last["ended"]
    assert "reason" not in last
    assert (last["files_to_read"], last["files_read"], last["new_rows"]) == (9, 9, 9)
    assert (last["device"], last["precision"], last["batch_size"]) == ("no device", "float32", 2)
    assert last["files_per_second"] == pytest.approx(9 / last["seconds"], rel=0.2)
    # The stub claims half a second for each of its four batches.
    assert (last["predicted"], last["predicting_seconds"]) == (8, 2.0)
    assert last["predicted_per_second"] == 4.0
    settings = last["settings"]
    assert (settings["workers"], settings["shard"], settings["include"]) == (1, [1, 1], [])
    assert settings["hide_paths"] is False
    assert not {"root", "output", "model"} & settings.keys()


@pytest.mark.skipif(sys.platform != "linux", reason="needs VmHWM of /proc")
def test_peak_memory_is_of_the_scan_and_of_its_largest_decoder(home: Path) -> None:
    scan = HeldScan(home)
    scan.judge(4)
    peak = next(
        line
        for line in Path(f"/proc/{scan.process.pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    scan.finish()
    memory = made(scan.output)["runs"][-1]["peak_memory_mb"]
    assert memory["scan"] >= int(peak.split()[1]) // 1024
    assert memory["scan"] < 1.5 * int(peak.split()[1]) / 1024
    # Python with OpenCV, NumPy and pydicom: what a worker has before it reads anything.
    assert 40 < memory["largest_decoder"] < 500


_PEAKS = """
from scanner.memory import peak_mb
before = peak_mb()
hold = b"x" * 100_000_000
del hold
print(peak_mb() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="nobody says there")
def test_the_peak_stays_when_the_memory_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", _PEAKS], capture_output=True, text=True)
    assert 90 < float(done.stdout) < 110


def test_every_run_keeps_its_entry_and_an_early_end_its_reason(home: Path) -> None:
    first = HeldScan(home)
    first.judge(1)
    assert first.end(signal.SIGTERM) == 130
    second = HeldScan(home)
    second.judge(1)
    assert second.end(signal.SIGINT) == 130
    third = HeldScan(home)
    third.judge(1)
    third.end(signal.SIGKILL)
    assert made(third.output)["state"] == "running"
    fourth = HeldScan(home)
    code, said = fourth.finish()
    assert code == 0, said

    runs = made(fourth.output)["runs"]
    assert [run["pid"] for run in runs] == [s.process.pid for s in (first, second, third, fourth)]
    assert [(run["state"], run.get("reason")) for run in runs] == [
        ("interrupted", "interrupted by SIGTERM"),
        ("interrupted", "interrupted by SIGINT"),
        ("died", "killed, or the machine stopped"),
        ("complete", None),
    ]
    assert [run["new_rows"] for run in (*runs[:2], runs[3])] == [2, 2, 3]
    log = (fourth.output / "run.log").read_text()
    assert "interrupted: interrupted by SIGTERM; 2 new rows" in log


def test_a_run_that_cannot_go_on_says_why(home: Path) -> None:
    scan = HeldScan(home)
    scan.judge(1)
    # The next batch's pictures have nowhere to go.
    thumbs = scan.output / "report" / "thumbs"
    thumbs.rename(scan.output / "report" / "moved")
    thumbs.write_text("a file, not a folder")
    code, said = scan.finish()
    assert code == 1
    values = made(scan.output)
    assert (values["state"], values["runs"][-1]["reason"]) == ("failed", "Not a directory")
    assert "cannot be written" in said


def test_a_refused_run_leaves_the_entries_of_the_others(home: Path) -> None:
    HeldScan(home).finish()
    before = (home / "studies-cxr" / "manifest.json").read_bytes()
    refused = run("studies", "--model", "model", "--strict", home=home)
    assert refused.returncode == 1
    assert (home / "studies-cxr" / "manifest.json").read_bytes() == before
    log = (home / "studies-cxr" / "run.log").read_text().splitlines()
    assert "failed: studies-cxr holds results of --strict no" in log[-1]


def test_texts_of_errors_that_are_not_ours_are_not_repeated() -> None:
    assert manifest.how_it_ended(SetupError("One line.")) == ("failed", "One line.")
    assert manifest.how_it_ended(ValueError("DOE^JOHN")) == ("failed", "ValueError")
    quoting = OSError(28, "No space left on device", "/ward/Doe.dcm")
    assert manifest.how_it_ended(quoting) == ("failed", "No space left on device")


def test_a_damaged_manifest_is_said_and_the_rows_stand(home: Path) -> None:
    HeldScan(home).finish()
    output = home / "studies-cxr"
    rows = (output / "predictions.csv").read_bytes()
    (output / "manifest.json").write_bytes(b'{"state": "compl')
    HeldScan(home).finish()
    values = made(output)
    assert values["warnings"] == ["manifest.json was damaged: what it said of earlier runs is lost"]
    assert len(values["runs"]) == 1
    assert (output / "predictions.csv").read_bytes() == rows
