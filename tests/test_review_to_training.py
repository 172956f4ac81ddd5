"""From a scan over decisions to a new model: each step is given what the one before wrote."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import rows, run
from small_models import save_cnn10

from scanner.decisions import EXPORTED

# A bright third of the picture is the class, the first letter of its name says which.
_CLASSES = {"c": "Covid-19", "n": "Normal", "p": "Pneumonia"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    save_cnn10(tmp_path / "model")
    (tmp_path / "studies").mkdir()
    for place, letter in enumerate(_CLASSES):
        for number in range(10):
            picture = random.integers(0, 120, (96, 96), dtype=np.uint8)
            picture[:, 30 * place : 30 * place + 30] += 120
            cv2.imwrite(str(tmp_path / "studies" / f"{letter}{number}.png"), picture)
    return tmp_path


def _scan(home: Path, output: str, *options: str) -> list[dict[str, str]]:
    fixed = ("--model", "model", "--no-report", "--quiet", "--output", output)
    done = run("studies", *fixed, *options, home=home)
    assert done.returncode == 0, done.stderr
    return rows(home / output)


def _decide(file: Path, found: list[dict[str, str]], reviewer: str, decisions: list[str]) -> None:
    with file.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(EXPORTED)
        for row, decision in zip(found, decisions, strict=True):
            time = "2026-11-23T07:15:00.000Z"
            own = (row["path"], row["sha256"], decision, "", reviewer, time, "3.1", "", "")
            writer.writerow((*own[:-1], row["model"]))


@pytest.mark.slow
def test_reviewed_decisions_make_the_next_model(home: Path) -> None:
    found = _scan(home, "night")
    truth = [_CLASSES[row["path"][0]] for row in found]
    _decide(home / "anna.csv", found, "Anna", ["unclear", *truth[1:]])
    _decide(home / "ben.csv", found[-1:], "Ben", ["Normal"])
    done = run("review", "night", "anna.csv", "ben.csv", home=home)
    assert done.returncode == 0, done.stderr
    assert "conflicts: 1" in done.stdout and "p9.png: Anna Pneumonia, Ben Normal" in done.stdout
    small = ("--architecture", "cnn10", "--epochs", 1, "--output", "next")
    done = run("train", "night", *small, home=home)
    assert done.returncode == 0, done.stderr
    data = json.loads((home / "next" / "model.json").read_text())["data"]
    assert data["left_out"] == {"decision unclear": 1, "reviewers differ": 1}
    assert data["counts"] == {
        "reviewed/Covid-19": 9,
        "reviewed/Normal": 10,
        "reviewed/Pneumonia": 9,
    }


@pytest.mark.slow
def test_hidden_paths_are_reviewed_but_name_no_files_to_learn_from(home: Path) -> None:
    found = _scan(home, "night", "--hide-paths", "--limit", "6")
    _decide(home / "anna.csv", found, "Anna", ["Normal"] * len(found))
    assert run("review", "night", "anna.csv", home=home).returncode == 0
    data = ("night", "--output", "next", "--architecture", "cnn10", "--dry-run")
    done = run("train", *data, home=home)
    assert done.returncode == 1
    assert "`cxr-scan paths FOLDER night` prints" in done.stderr
    # And what it says to do works.
    names = dict(
        line.split("\t") for line in run("paths", "studies", "night", home=home).stdout.splitlines()
    )
    with (home / "studies" / "labels.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(("path", "label"))
        decisions = ("Normal", "Covid-19") * len(found)
        writer.writerows((names[row["path"]], d) for row, d in zip(found, decisions, strict=False))
    done = run("train", "studies", *data[1:], home=home)
    assert "files that labels.csv names" in done.stdout, done.stderr
    assert "6 images: 3 Covid-19, 3 Normal" in done.stdout
