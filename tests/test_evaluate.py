"""`cxr-scan evaluate`: a finished bundle on labelled images, with the figures of the training."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from report_samples import radiograph, read_page
from safetensors.numpy import load_file

from scanner import bundle as bundles
from scanner.errors import SetupError
from scanner.predictor import Predictor
from training.data.dataset import DataSettings, load
from training.evaluate import EvaluateSettings, evaluate
from training.made_from import save_parts

_LABELS = ("COVID", "Normal", "Viral Pneumonia")
_POINT: dict[str, Any] = {
    "class": "Covid-19",
    "rule": "sensitive",
    "threshold": 0.0,
    "validation": {"sensitivity": 0.97, "specificity": 0.9},
    "test": {"sensitivity": 0.5},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of 12 pictures of one real radiograph, two sources, with a split column."""
    home = tmp_path_factory.mktemp("evaluate")
    rows = ["path,label,source,split"]
    for number in range(12):
        shifted = np.roll(radiograph()[::6, ::6], 3 * number, axis=0) ** (0.7 + 0.06 * number)
        cv2.imwrite(str(home / f"{number}.png"), np.rint(255 * shifted).astype(np.uint8))
        part = "test" if number >= 6 else "train"
        rows.append(f"{number}.png,{_LABELS[number % 3]},{('north', 'south')[number % 2]},{part}")
    (home / "list.csv").write_text("\n".join(rows) + "\n")
    return home


def _evaluate(home: Path, output: str, model: Path | None = None, **options: Any) -> list[str]:
    said: list[str] = []
    data = DataSettings(home / "list.csv")
    settings = EvaluateSettings(data, model, home / output, precision="float32", **options)
    assert evaluate(settings, said.append) == home / output / "report.html"
    return said


def _metrics(home: Path, output: str) -> dict[str, Any]:
    return dict(json.loads((home / output / "metrics.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def said(home: Path) -> list[str]:
    return _evaluate(home, "shipped")


def test_the_figures_are_of_what_the_predictor_says(
    home: Path, said: list[str], tmp_path: Path
) -> None:
    bundle = bundles.load(bundles.DEFAULT_BUNDLE)
    data = load(DataSettings(home / "list.csv"), bundle.spec, tmp_path)
    answers = Predictor(bundle, precision="float32").predict(list(data.inputs[:])).probabilities
    right = int((answers.argmax(axis=1) == data.targets).sum())
    found = _metrics(home, "shipped")
    assert found["test"]["all"]["accuracy"] == round(right / 12, 4)
    assert np.array(found["test"]["all"]["confusion"]).sum() == 12
    confidence = sum(
        row["confidence"] * row["images"] for row in found["calibration"]["after"]["bins"]
    )
    assert confidence / 12 == pytest.approx(answers.max(axis=1).mean(), abs=1e-3)
    assert found["calibration"]["temperature"] == bundle.temperature
    assert (found["model"], found["data"]["fingerprint"]) == (bundle.id, data.fingerprint)


def test_every_source_has_its_figures(home: Path, said: list[str]) -> None:
    test = _metrics(home, "shipped")["test"]
    assert {name: figures["images"] for name, figures in test.items()} == {
        "all": 12,
        "north": 6,
        "south": 6,
    }


def test_the_data_and_the_table_are_printed(home: Path, said: list[str]) -> None:
    text = "\n".join(said)
    assert "12 images" in text
    assert "precision    recall  f1-score   support" in text
    assert "confusion matrix" in text


def test_the_report_has_no_part_of_a_training(home: Path, said: list[str]) -> None:
    page = read_page(home / "shipped" / "report.html")
    sections = {section.attributes.get("id") for section in page.all("section")}
    assert {"data", "results", "sources", "calibration", "examples"} <= sections
    assert not {"recipe", "curves", "split", "folds", "augmentation"} & sections
    name = bundles.load_card(bundles.DEFAULT_BUNDLE)["name"]
    assert f"Evaluation of {name} on list.csv" in page.one("h1").text
    assert not page.all("p", "warning")


@pytest.fixture(scope="module")
def trained_on_it(home: Path, said: list[str]) -> list[str]:
    """What is said of the shipped model when its card names this data, and a threshold of 0."""
    shipped = bundles.DEFAULT_BUNDLE
    card = json.loads((shipped / bundles.CARD).read_text(encoding="utf-8"))
    del card["id"]
    card["operating_points"] = [_POINT]
    card["data"] = _metrics(home, "shipped")["data"]
    bundles.save(home / "model", card, load_file(shipped / bundles.WEIGHTS))
    return _evaluate(home, "seen", home / "model")


def test_the_same_images_and_weights_give_the_same_figures(
    home: Path, trained_on_it: list[str]
) -> None:
    first, again = (_metrics(home, name) for name in ("shipped", "seen"))
    for name in ("test", "roc", "calibration", "data"):
        assert first[name] == again[name]


def test_the_models_own_thresholds_are_applied(home: Path, trained_on_it: list[str]) -> None:
    (found,) = _metrics(home, "seen")["operating_points"]
    assert found["validation"] == _POINT["validation"]
    assert (found["test"]["sensitivity"], found["test"]["specificity"]) == (1.0, 0.0)


def test_training_images_are_called_so(home: Path, trained_on_it: list[str]) -> None:
    warned = [line for line in trained_on_it if "this very data set" in line]
    assert len(warned) == 1
    assert read_page(home / "seen" / "report.html").one("p", "warning").text == warned[0]


def test_images_that_the_bundle_was_made_from_are_counted(home: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(bundles.DEFAULT_BUNDLE, model)
    spec = bundles.load(model).spec
    digests = load(DataSettings(home / "list.csv"), spec, tmp_path).digests
    parts = np.array(["train", "train", "validation"] + ["test"] * 9)
    save_parts(model, digests, parts)
    said = _evaluate(home, "partly-seen", model)
    assert any(line.startswith("3 of these 12 images were used to train") for line in said)
    said = _evaluate(home, "unseen", model, part="test")
    assert not any("used to train" in line for line in said)


def test_other_parts_and_labels_that_the_model_lacks_are_left_out_and_counted(home: Path) -> None:
    model = bundles.load(bundles.DEFAULT_BUNDLE)
    weights = dict(model.weights)
    weights["head/kernel"] = weights["head/kernel"][:, :2]
    weights["head/bias"] = weights["head/bias"][:2]
    points = [p for p in model.card["operating_points"] if p["class"] in model.classes[:2]]
    card = {**model.card, "classes": list(model.classes[:2]), "operating_points": points}
    del card["id"]
    bundles.save(home / "two", card, bundles.quantise(weights))
    said = _evaluate(home, "two-classes", home / "two", part="test")
    assert "left out: 6 (not of the test part)" in said
    assert "left out: 2 (label 'Pneumonia' is no class of the model)" in said
    assert _metrics(home, "two-classes")["test"]["all"]["images"] == 4
    data = read_page(home / "two-classes" / "report.html").one("section", id="data").text
    assert "2: label 'Pneumonia' is no class of the model" in data
    assert "4 of 12, the test part" in data


def test_nothing_left_to_judge_is_one_line(home: Path) -> None:
    message = r"No image of .*list.csv is left .* 12 \(not of the validation part\)"
    with pytest.raises(SetupError, match=message) as error:
        _evaluate(home, "nothing", part="validation")
    assert "\n" not in str(error.value)
    assert not list((home / "nothing").iterdir())


def test_the_metrics_of_a_model_are_not_overwritten(home: Path, tmp_path: Path) -> None:
    (tmp_path / bundles.CARD).write_text("{}")
    settings = EvaluateSettings(DataSettings(home / "list.csv"), None, tmp_path)
    with pytest.raises(SetupError, match="choose another --output"):
        evaluate(settings, print)


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(home: Path) -> None:
    (home / "a file").write_text("")
    settings = EvaluateSettings(DataSettings(home / "none.csv"), None, home / "a file")
    with pytest.raises(SetupError, match=r"a file cannot be written .*: choose another --output"):
        evaluate(settings, print)
