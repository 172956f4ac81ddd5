"""An interrupted training keeps its best weights and goes on to the same end."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import command, environment, run

from scanner.errors import SetupError
from training import unfinished

_OPTIONS = ("--architecture", "cnn10", "--epochs", "6", "--seed", "3", "--copies", "1")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("resuming")
    random = np.random.default_rng(0)
    for number, label in enumerate(("COVID", "Normal")):
        folder = home / "data" / label
        folder.mkdir(parents=True)
        for index in range(60):
            picture = random.integers(0, 120, (64, 64), dtype=np.uint8)
            picture[:, 30 * number : 30 * number + 30] += 100
            cv2.imwrite(str(folder / f"{index}.png"), picture)
    return home


def _interrupted(home: Path, output: str, after: str, sign: int) -> tuple[int, str]:
    """Send a signal when a line of standard output holds `after`; return exit code and stderr."""
    process = subprocess.Popen(
        command("train", "data", "--output", output, *_OPTIONS),
        cwd=home,
        env={**environment(home), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if after in line:
            time.sleep(0.05)
            process.send_signal(sign)
            break
    _, said = process.communicate(timeout=120)
    return process.returncode, said


@pytest.fixture(scope="module")
def straight(home: Path) -> Path:
    """A training that nothing interrupted."""
    done = run("train", "data", "--output", "straight", *_OPTIONS, home=home)
    assert done.returncode == 0, done.stderr
    return home / "straight"


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_continues_to_the_same_figures(
    home: Path, straight: Path, sign: int
) -> None:
    broken = f"broken-{sign}"
    code, said = _interrupted(home, broken, "epoch 2:", sign)
    assert code == 130
    assert "Interrupted after epoch" in said and "--resume" in said
    assert "Traceback" not in said
    assert not (home / broken / "model.json").exists()
    again = run("train", "data", "--output", broken, *_OPTIONS, "--resume", home=home)
    assert again.returncode == 0, again.stderr
    assert "epoch 1:" not in again.stdout  # what was done is not done again
    assert "epoch 6:" in again.stdout
    folders = (straight, home / broken)
    figures = [json.loads((folder / "metrics.json").read_text()) for folder in folders]
    assert all(each.pop("run") for each in figures)
    assert figures[0] == figures[1]
    weights = [json.loads((folder / "model.json").read_text()) for folder in folders]
    assert weights[0]["weights_sha256"] == weights[1]["weights_sha256"]
    assert not (home / broken / "unfinished").exists()


def test_a_killed_training_loses_one_epoch_at_most_and_can_be_ended_early(home: Path) -> None:
    _interrupted(home, "killed", "epoch 3:", signal.SIGKILL)
    options = ["4" if word == "6" else word for word in _OPTIONS]
    done = run("train", "data", "--output", "killed", *options, "--resume", home=home)
    assert done.returncode == 0, done.stderr
    assert "epoch 3:" not in done.stdout
    assert len(json.loads((home / "killed" / "metrics.json").read_text())["history"]) == 4


def test_what_was_begun_is_neither_overwritten_nor_mixed(home: Path) -> None:
    _interrupted(home, "begun", "epoch 1:", signal.SIGINT)
    anew = run("train", "data", "--output", "begun", *_OPTIONS, home=home)
    assert anew.returncode == 1
    assert "holds an unfinished training: continue it with --resume" in anew.stderr
    other = ["4" if word == "3" else word for word in _OPTIONS]
    mixed = run("train", "data", "--output", "begun", *other, "--resume", home=home)
    assert mixed.returncode == 1
    assert "--resume needs the data and options of before: seed was 3, is 4" in mixed.stderr


def test_two_trainings_do_not_work_in_one_folder(home: Path) -> None:
    process = subprocess.Popen(
        command("train", "data", "--output", "shared", *_OPTIONS),
        cwd=home,
        env={**environment(home), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    next(line for line in process.stdout if "images an epoch" in line)
    second = run("train", "data", "--output", "shared", *_OPTIONS, "--resume", home=home)
    process.kill()
    process.wait()
    assert second.returncode == 1
    assert "Another training is at work in shared" in second.stderr


def test_a_training_that_stopped_while_saving_can_be_continued(tmp_path: Path) -> None:
    (tmp_path / "unfinished").mkdir()
    for name in ("unfinished/options.json", "model.json", "README.md"):
        (tmp_path / name).write_text("{}")
    unfinished.check(tmp_path, Path("data"), resume=True)
    with pytest.raises(SetupError, match="holds a model already"):
        unfinished.check(tmp_path, Path("data"), resume=False)


def test_files_of_others_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(SetupError, match=r"holds README\.md, which would be overwritten"):
        unfinished.check(tmp_path, Path("data"), resume=False)


def test_folds_are_continued_as_they_were_begun(home: Path) -> None:
    options = (*_OPTIONS, "--folds", "2")
    process = subprocess.Popen(
        command("train", "data", "--output", "folds", *options),
        cwd=home,
        env={**environment(home), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    next(line for line in process.stdout if "fold 2, epoch 1:" in line)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert "of round 2" in said and "--epochs" not in said
    fewer = ["2" if word == "6" else word for word in options]
    mixed = run("train", "data", "--output", "folds", *fewer, "--resume", home=home)
    assert "epochs was 6, is 2" in mixed.stderr
    done = run("train", "data", "--output", "folds", *options, "--resume", home=home)
    assert done.returncode == 0, done.stderr
    assert "fold 1, epoch" not in done.stdout and "fold 2, epoch 6:" in done.stdout


def test_there_must_be_something_to_resume(home: Path) -> None:
    done = run("train", "data", "--output", "nothing", *_OPTIONS, "--resume", home=home)
    assert done.returncode == 1
    assert "holds no unfinished training" in done.stderr
    assert not os.path.lexists(home / "nothing")


def test_early_stopping_ends_before_the_last_epoch(home: Path) -> None:
    options = ["40" if word == "6" else word for word in _OPTIONS]
    done = run("train", "data", "--output", "early", *options, "--early-stopping", "2", home=home)
    assert done.returncode == 0, done.stderr
    figures = json.loads((home / "early" / "metrics.json").read_text())
    assert len(figures["history"]) == figures["best_epoch"] + 2 < 40
