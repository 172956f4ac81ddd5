"""What `cxr-scan train`'s options do, on the small network and a few pictures."""

import json
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_line import command, environment, rows, run
from safetensors.numpy import load_file

_CNN10 = ("--architecture", "cnn10", "--epochs", "2")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 pictures of two classes and three hospitals, two of each patient, and a list of them."""
    home = tmp_path_factory.mktemp("options")
    random = np.random.default_rng(0)
    lines = ["path,label,patient,source"]
    for number in range(120):
        label = ("COVID", "Normal")[number // 2 % 2]
        picture = random.integers(0, 120, (64, 64), dtype=np.uint8)
        picture[:, 30 * (label == "Normal") :][:, :30] += 100
        cv2.imwrite(str(home / f"{number}.png"), picture)
        source = ("north", "south", "west")[number // 2 % 3]
        lines.append(f"{number}.png,{label},p{number // 2},{source}")
    (home / "list.csv").write_text("\n".join(lines) + "\n")
    return home


def _train(home: Path, output: str, *options: object) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return what was said, model.json and metrics.json."""
    done = run("train", "list.csv", "--output", output, *options, home=home)
    assert done.returncode == 0, done.stderr
    files = (home / output / name for name in ("model.json", "metrics.json"))
    card, figures = (json.loads(file.read_text()) for file in files)
    return done.stdout, card, figures


@pytest.fixture(scope="module")
def trained(home: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    return _train(home, "model", *_CNN10, "--name", "small")


def test_bundle_card_figures_and_report_lie_together(
    home: Path, trained: tuple[str, dict[str, Any], dict[str, Any]]
) -> None:
    said, card, figures = trained
    assert sorted(path.name for path in (home / "model").iterdir()) == [
        "README.md",
        "metrics.json",
        "model.json",
        "report.html",
        "split.json",
        "weights.safetensors",
    ]
    assert card["architecture"] == "cnn10" and card["name"] == "small"
    assert "60 Covid-19, 60 Normal" in said
    assert "120 images are of one patient with another" in said
    test = figures["test"]["all"]
    assert test["images"] == card["data"]["images"]["test"]
    assert "precision    recall  f1-score   support" in said
    low, high = test["accuracy_95"]
    assert low <= test["accuracy"] <= high


def test_the_small_network_scans(
    home: Path, trained: tuple[str, dict[str, Any], dict[str, Any]]
) -> None:
    _, card, _ = trained
    (home / "few").mkdir(exist_ok=True)
    for number in (0, 3):
        picture = cv2.imread(str(home / f"{number}.png"))
        cv2.imwrite(str(home / "few" / f"{number}.png"), cv2.resize(picture, (200, 200)))
    done = run("few", "--model", "model", home=home)
    assert done.returncode == 0, done.stderr
    judged = rows(home / "few-cxr")
    assert {row["model"] for row in judged} == {card["id"]}
    assert all(row["prediction"] in ("Covid-19", "Normal") for row in judged)


def test_folds_test_every_image_once_and_say_mean_and_spread(home: Path) -> None:
    said, card, figures = _train(home, "folds", *_CNN10, "--folds", "3")
    folds = figures["folds"]
    assert folds["count"] == 3 and len(folds["accuracy"]["each"]) == 3
    assert folds["pooled"]["images"] == 120
    assert np.isclose(folds["accuracy"]["mean"], np.mean(folds["accuracy"]["each"]), atol=1e-4)
    assert "fold 3, epoch 2:" in said and "3 folds: accuracy" in said
    assert "3 folds" in (home / "folds" / "README.md").read_text()
    assert card["metrics"]["folds"] == folds


def test_a_source_held_out_is_tested_on_and_not_trained_on(home: Path) -> None:
    _, card, figures = _train(home, "held-out", *_CNN10, "--hold-out-source", "west")
    assert set(figures["test"]) == {"all", "west"}
    assert figures["test"]["all"]["images"] == 40 == card["data"]["images"]["test"]
    assert card["headline"].endswith("on 40 held-out images of west")


def test_a_dry_run_says_what_there_is_and_leaves_nothing(home: Path) -> None:
    done = run("train", "list.csv", "--output", "dry", *_CNN10, "--dry-run", home=home)
    assert done.returncode == 0, done.stderr
    for said in ("60 Covid-19, 60 Normal", "exact duplicates: 0", "fingerprint:", "cache:"):
        assert said in done.stdout
    assert "epoch" not in done.stdout
    assert not (home / "dry").exists()


def test_retraining_starts_from_the_bundle_and_may_add_a_class(
    home: Path, trained: tuple[str, dict[str, Any], dict[str, Any]]
) -> None:
    _, first, _ = trained
    text = (home / "list.csv").read_text()
    more = "".join(f"{n}.png,Lung_Opacity,q{n},north\n" for n in range(100, 120, 2))
    lines = [
        line for line in text.splitlines() if line.split(".")[0] not in map(str, range(100, 120))
    ]
    (home / "more.csv").write_text("\n".join(lines) + "\n" + more)
    done = run(
        *("train", "more.csv", "--output", "next", "--epochs", "2", "--from", "model"),
        *("--classes", "COVID,Normal,Lung_Opacity", "--learning-rate", "1e-9"),
        home=home,
    )
    assert done.returncode == 0, done.stderr
    card = json.loads((home / "next" / "model.json").read_text())
    assert card["classes"] == ["Covid-19", "Normal", "Lung_Opacity"]
    assert first["id"] in card["recipe"]["text"]
    before, after = (
        load_file(home / name / "weights.safetensors")["head/kernel"] for name in ("model", "next")
    )
    # A step of 1e-9 changes nothing that can be seen: known classes keep theirs, the new has none.
    assert np.allclose(after[:, :2], before, atol=1e-5)
    assert np.abs(after[:, 2]).max() < 1e-5


def test_an_architecture_that_is_not_the_bundles_is_one_line(
    home: Path, trained: tuple[str, dict[str, Any], dict[str, Any]]
) -> None:
    options = ("--output", "none", "--from", "model", "--architecture", "vgg19")
    done = run("train", "list.csv", *options, home=home)
    assert done.returncode == 1
    assert "is a cnn10: say --architecture cnn10" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_dry_run_needs_no_weights_and_refuses_what_the_run_would(home: Path) -> None:
    done = run("train", "list.csv", "--output", "dry", "--dry-run", home=home)
    assert done.returncode == 0, done.stderr
    assert "which Keras will download" in done.stdout
    (home / "a file").write_text("")
    for output, message in (("a file", "is a file"), ("tree/model", "lies in the data")):
        (home / "tree" / "COVID").mkdir(parents=True, exist_ok=True)
        refused = run("train", "tree", "--output", output, "--dry-run", home=home)
        assert refused.returncode == 1
        assert message in refused.stderr


def test_a_model_is_never_overwritten(
    home: Path, trained: tuple[str, dict[str, Any], dict[str, Any]]
) -> None:
    done = run("train", "list.csv", "--output", "model", *_CNN10, home=home)
    assert done.returncode == 1
    assert "model holds a model already: choose another --output." in done.stderr


def test_a_training_that_diverges_is_one_line(home: Path) -> None:
    options = ("--output", "diverged", *_CNN10, "--learning-rate", "1e30")
    done = run("train", "list.csv", *options, home=home)
    assert done.returncode == 1
    assert "Epoch 1 diverged (loss" in done.stderr and "--learning-rate" in done.stderr
    assert "Traceback" not in done.stderr


def test_whoever_stops_listening_is_no_fault_of_a_file(home: Path) -> None:
    words = " ".join(
        f"'{word}'" for word in command("train", "list.csv", "--output", "piped", *_CNN10)
    )
    done = subprocess.run(
        f"{words} | head -1", shell=True, cwd=home, env=environment(home), capture_output=True
    )
    assert b"starting from random weights" in done.stdout
    assert b"make room" not in done.stderr.lower()


def test_a_dry_run_deletes_nothing_of_a_cache(home: Path) -> None:
    cache = home / "cache"
    cache.mkdir()
    (cache / "other.features").write_bytes(bytes(10**6))
    options = ("--cache", "cache", "--cache-limit", "0.008", "--dry-run")
    done = run("train", "list.csv", "--output", "dry", *_CNN10, *options, home=home)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in cache.iterdir()] == ["other.features"]


def test_class_weights_show_every_image_once(home: Path) -> None:
    lines = (home / "list.csv").read_text().splitlines()
    few = [line for line in lines if "Normal" in line][:12]
    (home / "rare.csv").write_text(
        "\n".join([lines[0], *(line for line in lines if "COVID" in line), *few]) + "\n"
    )
    options = ("--output", "rare", *_CNN10, "--class-weights", "--copies", "0")
    done = run("train", "rare.csv", *options, home=home)
    assert done.returncode == 0, done.stderr
    card = json.loads((home / "rare" / "model.json").read_text())
    assert f"{card['data']['images']['train']} images an epoch" in done.stdout
    assert card["recipe"]["class_weights"] is True
    assert "Augmentation" not in (home / "rare" / "report.html").read_text()


def test_a_full_disk_is_one_line_and_can_be_continued(home: Path) -> None:
    """On a real small disk, where this process may mount one."""
    small = home / "small-disk"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", str(small)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here: needs root")
    try:
        done = run("train", "list.csv", "--output", small / "model", *_CNN10, home=home)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert done.stderr.strip().splitlines()[-1].startswith("Error: ")
        assert "free" in done.stderr or "make room" in done.stderr
        assert not list(small.iterdir())
    finally:
        subprocess.run(["umount", str(small)], check=True)
