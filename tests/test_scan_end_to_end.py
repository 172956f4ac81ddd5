"""The example folder, scanned by the command a user types."""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from command_line import environment, rows, run


def _make_studies() -> ModuleType:
    path = Path(__file__).parents[1] / "examples" / "make_studies.py"
    spec = importlib.util.spec_from_file_location("make_studies", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    _make_studies().build(home / "studies")
    done = run("studies", home=home)
    assert done.returncode == 3, done.stderr
    (home / "terminal.txt").write_text(done.stdout + done.stderr)
    return home


def test_every_image_has_one_row_in_sorted_order(home: Path) -> None:
    found = [row["path"] for row in rows(home / "studies-cxr")]
    files = [p.relative_to(home / "studies") for p in (home / "studies").rglob("*") if p.is_file()]
    expected = sorted((f for f in files if f.name != "notes.txt"), key=lambda f: f.parts)
    assert found == [f.as_posix() for f in expected]


def test_each_file_is_treated_as_it_should_be(home: Path) -> None:
    by_path = {row["path"]: row for row in rows(home / "studies-cxr")}
    reasons = {path: row["reason"] for path, row in by_path.items() if row["reason"]}
    assert reasons == {
        "2026-11-20/ward-3/P001/copy of IM0001.dcm": "duplicate",
        "archive/hand.dcm": "other_body_part",
        "archive/lateral.dcm": "lateral_view",
        "exports/sent incompletely.dcm": "truncated",
    }
    copy = by_path["2026-11-20/ward-3/P001/copy of IM0001.dcm"]
    assert copy["detail"] == "duplicate_of 2026-11-20/ward-3/P001/IM0001.dcm"
    # What the model flags beside is its own affair.
    assert "view_missing" in by_path["archive/header without view.dcm"]["flags"].split(";")
    assert sum("view_missing" in row["flags"] for row in by_path.values()) == 1


def test_one_radiograph_gets_one_answer_whatever_its_wrapping(home: Path) -> None:
    judged = [row for row in rows(home / "studies-cxr") if row["prediction"]]
    assert len(judged) == 12
    assert len({row["prediction"] for row in judged}) == 1
    lossless = [float(r["confidence"]) for r in judged if r["path"].startswith("archive/")]
    assert max(lossless) - min(lossless) < 1e-6
    everything = [float(row["confidence"]) for row in judged]
    assert max(everything) - min(everything) < 0.02


def test_the_manifest_says_how_the_run_went(home: Path) -> None:
    manifest = json.loads((home / "studies-cxr" / "manifest.json").read_text())
    assert manifest["state"] == "complete"
    table = rows(home / "studies-cxr")
    assert manifest["statuses"] == dict(Counter(row["status"] for row in table))
    assert (manifest["statuses"]["rejected"], manifest["statuses"]["failed"]) == (3, 1)
    assert manifest["passed_over"] == {"other": 1}
    assert manifest["runs"][-1]["device"]
    assert manifest["model"] == rows(home / "studies-cxr")[0]["model"]


def test_the_terminal_says_where_to_look_next(home: Path) -> None:
    said = (home / "terminal.txt").read_text()
    counts = Counter(row["status"] for row in rows(home / "studies-cxr"))
    judged = f"{counts['ok']} ok, {counts['flagged']} flagged"
    assert f"16 images: {judged}, 3 rejected, 1 failed" in said
    assert (home / "studies-cxr" / "report" / "index.html").as_uri() in said
    assert "oneDNN" not in said and "cuda" not in said.lower()


def test_a_second_run_reads_nothing_and_does_not_load_tensorflow(home: Path) -> None:
    before = (home / "studies-cxr" / "predictions.csv").read_bytes()
    done = run("studies", home=home)
    assert done.returncode == 3
    assert "(0 new in" in done.stdout
    assert "device:" not in done.stdout
    assert (home / "studies-cxr" / "predictions.csv").read_bytes() == before


def test_another_model_in_the_same_folder_is_refused_with_the_way_out(
    home: Path, tmp_path: Path
) -> None:
    from scanner import bundle

    default = bundle.load(bundle.DEFAULT_BUNDLE)
    card = {k: v for k, v in default.card.items() if k not in ("id", "weights_sha256")}
    bundle.save(tmp_path / "other", {**card, "name": "other"}, bundle.quantise(default.weights))
    done = run("studies", "--model", tmp_path / "other", home=home)
    assert done.returncode == 1
    assert "choose another --output, or --fresh" in done.stderr
    assert "Traceback" not in done.stderr


def test_strict_rejects_what_is_flagged(home: Path) -> None:
    done = run("--strict", "studies/archive", "--output", "strict", "--no-report", home=home)
    assert done.returncode == 0
    by_path = {row["path"]: row for row in rows(home / "strict")}
    assert by_path["header without view.dcm"]["status"] == "rejected"
    assert by_path["header without view.dcm"]["reason"] == "view_missing"
    assert not (home / "strict" / "report" / "index.html").exists()


def test_a_limited_run_says_that_it_is_not_all(home: Path) -> None:
    run("studies", "--limit", "1", "--output", "one", "-q", home=home)
    assert json.loads((home / "one" / "manifest.json").read_text())["state"] == "limited"
    assert "The run has not finished (limited)" in (home / "one/report/index.html").read_text()


def test_rows_of_another_model_are_refused_without_the_manifest(home: Path) -> None:
    run("studies/exports", "--output", "lost", "--no-report", home=home)
    table = home / "lost" / "predictions.csv"
    table.write_text(table.read_text().replace(rows(home / "lost")[0]["model"], "another"))
    (home / "lost" / "manifest.json").unlink()
    before = table.read_bytes()
    done = run("studies/exports", "--output", "lost", home=home)
    assert done.returncode == 1
    assert "holds rows of model another" in done.stderr
    assert table.read_bytes() == before


def test_fresh_deletes_nothing_that_no_scan_wrote(home: Path) -> None:
    place = home / "mine"
    (place / "report").mkdir(parents=True)
    (place / "report" / "thesis.txt").write_text("years of work")
    (place / "predictions.csv").write_text("my,own,table\n")
    done = run("studies/exports", "--output", "mine", "--fresh", home=home)
    assert done.returncode == 1
    assert "is not of cxr-scan" in done.stderr
    assert (place / "predictions.csv").read_text() == "my,own,table\n"
    (place / "predictions.csv").unlink()
    run("studies/exports", "--output", "mine", "--fresh", home=home)
    run("studies/exports", "--output", "mine", "--fresh", "--no-report", home=home)
    assert (place / "report" / "thesis.txt").exists()
    assert not (place / "report" / "index.html").exists()


def test_output_into_the_scanned_folder_itself_is_refused(home: Path) -> None:
    done = run("studies", "--output", "studies", home=home)
    assert done.returncode == 1
    assert "choose another --output" in done.stderr


def test_doctor_names_versions_decoders_model_and_device(home: Path) -> None:
    done = run("doctor", home=home)
    assert done.returncode == 0, done.stderr
    assert "JPEG-LS" in done.stdout and "1.2.840.10008.1.2.4.201" in done.stdout
    assert "classes: Covid-19, Normal, Pneumonia" in done.stdout
    assert ": used, in " in done.stdout


def test_the_overnight_script_passes_the_exit_code_on(home: Path) -> None:
    script = Path(__file__).parents[1] / "examples" / "overnight.sh"
    (home / "bin").mkdir()
    launcher = home / "bin" / "cxr-scan"
    code = "from scanner.cli import main; main()"
    launcher.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{code}' \"$@\"\n")
    launcher.chmod(0o755)
    search = f"{home / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [str(script), str(home / "studies"), str(home / "night")],
        env={**environment(home), "PATH": search},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done.stderr
    assert "some files could not be read" in done.stdout
    assert (home / "night" / "report" / "index.html").exists()


def test_limit_and_shards_divide_the_work(home: Path) -> None:
    done = run("studies", "--limit", "2", "--output", "few", "-q", home=home)
    assert done.stdout == ""
    assert len(rows(home / "few")) == 2
    parts = []
    for part in ("1/2", "2/2"):
        run("studies", "--shard", part, "--no-report", "-q", home=home)
        parts.append([row["path"] for row in rows(home / f"studies-cxr-{part[0]}of2")])
    assert not set(parts[0]) & set(parts[1])
    assert sorted(parts[0] + parts[1]) == sorted(r["path"] for r in rows(home / "studies-cxr"))
