"""`cxr-scan train` on a few pictures and random weights: the whole way from data to a scan."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import rows, run

from scanner.network import backbone_shapes

_LABELS = ("COVID", "Normal", "Viral Pneumonia")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights.npz, and 36 pictures whose class is the place of a bright patch."""
    home = tmp_path_factory.mktemp("training")
    random = np.random.default_rng(0)
    weights = {
        name.replace("/", "_"): random.normal(
            0, np.sqrt(2 / np.prod(shape[:-1])) if len(shape) == 4 else 0.01, shape
        ).astype(np.float32)
        for name, shape in backbone_shapes().items()
    }
    np.savez(home / "weights.npz", **weights)
    for number, label in enumerate(_LABELS):
        images = home / "data" / label / "images"
        images.mkdir(parents=True)
        (home / "data" / label / "masks").mkdir()
        for index in range(12):
            picture = random.integers(0, 120, (64, 64), dtype=np.uint8)
            picture[:, 20 * number : 20 * number + 20] += 120
            cv2.imwrite(str(images / f"{index}.png"), picture)
            cv2.imwrite(str(home / "data" / label / "masks" / f"{index}.png"), picture)
    return home


def _train(home: Path, data: str, output: str, *options: object) -> str:
    done = run("train", data, "--output", output, "--weights", "weights.npz", *options, home=home)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_class_folder_becomes_a_bundle_that_scans(home: Path) -> None:
    said = _train(home, "data", "model", "--fine-tune", "none", "--epochs", "3")
    assert "12 Covid-19" in said  # the masks beside the images are no images
    card = json.loads((home / "model" / "model.json").read_text())
    assert card["classes"] == ["Covid-19", "Normal", "Pneumonia"]
    assert card["negative_class"] == "Normal"
    assert sum(card["data"]["images"].values()) == 36
    assert 0 <= card["metrics"]["test"]["all"]["accuracy"] <= 1
    assert 0 <= card["precisions"]["bfloat16"]["label_agreement"] <= 1
    done = run("data/COVID/images", "--model", "model", "--limit", "3", home=home)
    assert done.returncode == 0, done.stderr
    assert {row["model"] for row in rows(home / "images-cxr")} == {card["id"]}


def test_features_kept_in_a_cache_serve_the_next_training(home: Path) -> None:
    for number, epochs in enumerate((1, 2)):
        options = ("--fine-tune", "none", "--cache", "cache", "--epochs", epochs)
        said = _train(home, "data", f"cached-{number}", *options)
        assert ("features are there already" in said) == (number == 1)
    assert len(list((home / "cache").glob("*.features"))) == 1


def test_the_same_seed_gives_the_same_figures(home: Path) -> None:
    for output in ("first", "second"):
        _train(home, "data", output, "--fine-tune", "block5", "--epochs", "1", "--seed", "4")
    figures = [json.loads((home / o / "metrics.json").read_text()) for o in ("first", "second")]
    assert all(each.pop("run")["seconds"] for each in figures)
    assert figures[0] == figures[1]
    cards = [json.loads((home / o / "model.json").read_text()) for o in ("first", "second")]
    assert cards[0]["weights_sha256"] == cards[1]["weights_sha256"]


def test_kaggle_arrays_are_read(home: Path) -> None:
    folder = home / "arrays"
    folder.mkdir()
    pictures, labels = [], []
    for label in _LABELS:
        for path in sorted((home / "data" / label / "images").iterdir()):
            grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            pictures.append(np.repeat(grey[..., None], 3, axis=-1))
            labels.append(label)
    np.save(folder / "images.npy", np.stack(pictures))
    np.save(folder / "labels.npy", np.array(labels))
    said = _train(home, "arrays", "from-arrays", "--fine-tune", "none", "--epochs", "1")
    assert "12 Pneumonia" in said


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("empty", "no folder whose name is a class"),
        ("bad.csv", "has no column label"),
        ("weights.npz", "is no training data"),
    ],
)
def test_data_that_will_not_do_is_one_line(home: Path, data: str, message: str) -> None:
    (home / "empty").mkdir(exist_ok=True)
    (home / "bad.csv").write_text("path\nx.png\n")
    done = run("train", data, "--output", "none", "--weights", "weights.npz", home=home)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_weights_of_another_network_are_one_line(home: Path) -> None:
    np.savez(home / "other.npz", block1_conv1_kernel=np.zeros((3, 3, 1, 8), np.float32))
    done = run("train", "data", "--output", "none", "--weights", "other.npz", home=home)
    assert done.returncode == 1
    assert "of shape (3, 3, 1, 8) where VGG19 has floats of shape (3, 3, 3, 64)" in done.stderr
