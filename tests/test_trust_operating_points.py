"""Operating points of trust come from validation images, and their figures are counted right."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled_data import picture
from small_models import random_weights

from scanner import bundle, ood
from scanner.focus import lung_focus
from scanner.heads import KINDS
from scanner.predictor import Predictions
from scanner.preprocess import PreprocessSpec
from training.data.dataset import DataSettings
from training.evaluate import EvaluateSettings, evaluate
from training.results.measure import Judgement
from training.results.trust import choose, images_for_statistics
from training.results.trust_figures import dice_figures, trust_figures
from training.results.trust_text import as_lines, trust_lines

CLASSES = ("Covid-19", "Normal", "Pneumonia")


def judgement(images: int = 400, seed: int = 0, **changed: Any) -> Judgement:
    """Judged images of a model with every head: lungs in the middle, evidence mostly there."""
    random = np.random.default_rng(seed)
    targets = np.arange(images) % 3
    probabilities = random.dirichlet((0.3, 0.3, 0.3), images)
    # Nine in ten are right.
    best = probabilities.argmax(axis=1)
    swap = random.random(images) < 0.9
    for row in np.flatnonzero(swap):
        probabilities[row, [targets[row], best[row]]] = probabilities[
            row, [best[row], targets[row]]
        ]
    cam = np.zeros((images, 16, 16), np.float32)
    cam[:, 6, 6] = random.random(images)
    cam[:, 0, 0] = random.random(images) * 0.5
    cam[5] = 0
    lungs = np.zeros((images, 32, 32), np.float32)
    lungs[:, 8:24, 8:24] = 0.9
    frontal = 1 - 0.6 * random.random(images) ** 4
    kinds = np.repeat((1 - frontal)[:, None] / (len(KINDS) - 1), len(KINDS), axis=1)
    kinds[:, KINDS.index("frontal")] = frontal
    answers = Predictions(
        probabilities.astype(np.float32),
        cam,
        np.exp(random.normal(size=(images, 12))).astype(np.float32),
        lungs,
        kinds.astype(np.float32),
    )
    return Judgement(np.arange(images), targets, replace(answers, **changed))


@pytest.fixture(scope="module")
def statistics() -> dict[str, np.ndarray]:
    some = judgement(seed=7)
    return ood.fit(some.predictions.embedding, some.targets)


def test_the_points_are_the_quantiles_they_say(statistics: dict[str, np.ndarray]) -> None:
    judged = judgement()
    answers = judged.predictions
    right = answers.probabilities.argmax(axis=1) == judged.targets
    answers.cam[~right, 6, 6] = 0  # wrong answers look outside the lungs, and do not count
    points = choose(judged, CLASSES, statistics)
    share = lung_focus(answers.cam, answers.lungs).share
    known = share[right & ~np.isnan(share)]
    assert (known < points["lung_focus"]["threshold"]).mean() == pytest.approx(0.02, abs=0.005)
    score = ood.score(answers.embedding, statistics)
    assert (score > points["ood"]["threshold"]).mean() == pytest.approx(0.01, abs=0.004)
    frontal = answers.kinds[:, KINDS.index("frontal")]
    gate = points["gate"]
    assert (frontal < gate["reject_below"]).mean() == pytest.approx(0.005, abs=0.003)
    assert (frontal < gate["flag_below"]).mean() == pytest.approx(0.02, abs=0.005)
    assert points["conformal"]["promised"] == 0.9
    assert list(points["conformal"]["thresholds"]) == list(CLASSES)
    assert points["left_out"] == []
    assert all(len(points[p]["text"]) > 60 for p in ("conformal", "lung_focus", "ood", "gate"))


@pytest.mark.parametrize(("frontal", "expected"), [(0.9999, (0.5, 0.9)), (0.2, (0.2, 0.2))])
def test_the_gate_rejects_nothing_that_is_likely_frontal(
    frontal: float, expected: tuple[float, float], statistics: dict[str, np.ndarray]
) -> None:
    kinds = np.full((400, len(KINDS)), (1 - frontal) / 8, np.float32)
    kinds[:, KINDS.index("frontal")] = frontal
    gate = choose(judgement(kinds=kinds), CLASSES, statistics)["gate"]
    assert (gate["reject_below"], gate["flag_below"]) == pytest.approx(expected)


def test_too_few_images_promise_nothing_and_a_bare_model_has_no_points() -> None:
    bare = judgement(24, lungs=None, kinds=None)
    points = choose(bare, CLASSES, {})
    assert set(points) == {"left_out"}
    (scarce,) = points["left_out"]
    assert "9 validation images of each class, and Covid-19 has 8" in scarce
    found = trust_figures(bare, points, {}, [""] * 24, CLASSES)
    assert found == {"all": {"images": 24}}
    assert as_lines(found) == []


def test_no_focus_is_chosen_where_nothing_speaks_for_any_prediction() -> None:
    points = choose(judgement(cam=np.zeros((400, 16, 16), np.float32)), CLASSES, {})
    assert "lung_focus" not in points
    assert "No lung focus: no validation image was judged rightly" in " ".join(points["left_out"])


@pytest.fixture(scope="module")
def figures(statistics: dict[str, np.ndarray]) -> dict[str, Any]:
    points = choose(judgement(), CLASSES, statistics)
    sources = [("north", "south", "")[row % 5 % 3] for row in range(400)]
    return trust_figures(judgement(seed=1), points, statistics, sources, CLASSES)


def test_every_source_has_its_figures_and_an_unnamed_one_none(figures: dict[str, Any]) -> None:
    assert {name: row["images"] for name, row in figures.items()} == {
        "all": 400,
        "north": 160,
        "south": 160,
    }
    assert list(figures["all"]["sets"]["per_class"]) == list(CLASSES)


def test_coverage_and_doubt_are_counted(
    figures: dict[str, Any], statistics: dict[str, np.ndarray]
) -> None:
    judged = judgement(seed=1)
    answers, targets = judged.predictions.probabilities, judged.targets
    points = choose(judgement(), CLASSES, statistics)
    sets = answers >= list(points["conformal"]["thresholds"].values())
    sets |= answers == answers.max(axis=1, keepdims=True)
    sure = sets.sum(axis=1) == 1
    found = figures["all"]["sets"]
    assert found["coverage"] == pytest.approx(sets[np.arange(400), targets].mean(), abs=1e-4)
    assert found["uncertain"] == pytest.approx(1 - sure.mean(), abs=1e-4)
    right = (answers.argmax(axis=1) == targets)[sure].mean()
    assert found["accuracy_of_sure"] == pytest.approx(right, abs=1e-4)
    low, high = found["coverage_95"]
    assert low < found["coverage"] < high
    assert min(row["coverage"] for row in found["per_class"].values()) > 0.9
    assert 0 < figures["north"]["sets"]["uncertain"] < 1


def test_lung_focus_is_of_the_images_that_have_evidence(figures: dict[str, Any]) -> None:
    focus = lung_focus(*(getattr(judgement(seed=1).predictions, n) for n in ("cam", "lungs")))
    found = figures["all"]["lung_focus"]
    assert found["images"] == 399
    assert found["share"] == pytest.approx(np.nanmean(focus.share), abs=1e-4)
    assert found["lift"] == pytest.approx(found["share"] / 0.25, abs=1e-3)
    assert found["area"] == 0.25
    assert found["share_95"][0] < found["share"] < found["share_95"][1]
    assert 0.005 < found["flagged"] < 0.05
    assert {row["images"] for row in found["per_class"].values()} == {134, 133, 132}


def test_shares_beyond_the_other_points_are_counted(figures: dict[str, Any]) -> None:
    assert figures["all"]["ood"]["flagged"] == pytest.approx(0.01, abs=0.02)
    gate = figures["all"]["gate"]
    assert gate["rejected"] == pytest.approx(0.005, abs=0.01)
    assert 0 < gate["flagged"] < 0.04


def test_the_texts_tell_the_figures(
    figures: dict[str, Any], statistics: dict[str, np.ndarray]
) -> None:
    lines = as_lines(figures)
    assert [line.split(":")[0] for line in lines] == ["all", "north", "south"]
    assert f"uncertain {figures['north']['sets']['uncertain']:.3f}" in lines[1]
    dice = dice_figures(np.array([0.9, 1.0, 0.8]), ["adults", "adults", "children"])
    card = {
        "trust": choose(judgement(), CLASSES, statistics),
        "lungs": {"text": "taught from masks", "dice": dice},
        "metrics": {"trust": figures},
    }
    text = "\n".join(trust_lines(card))
    for part in ("conformal", "lung_focus", "ood", "gate"):
        assert card["trust"][part]["text"] in text
    assert "Dice of adults, 2 masks drawn by hand: 0.950 (" in text
    rows = [line for line in text.splitlines() if line.startswith("| south |")]
    assert len(rows) == 4
    assert f"{figures['south']['lung_focus']['share']:.3f} (" in rows[1]
    assert trust_lines({"metrics": {"test": {}}}) == []


def test_statistics_take_as_many_of_each_class_as_there_are() -> None:
    targets = np.repeat([0, 1, 2], [100, 4000, 2000])
    training = np.flatnonzero(np.arange(6100) % 2 == 0)
    rows = images_for_statistics(training, targets, seed=3)
    assert np.bincount(targets[rows]).tolist() == [50, 725, 725]
    assert set(rows) <= set(training)
    assert len(set(rows)) == 1500
    assert rows.tolist() == images_for_statistics(training, targets, seed=3).tolist()
    assert rows.tolist() != images_for_statistics(training, targets, seed=4).tolist()
    assert images_for_statistics(training[:20], targets, 0).tolist() == training[:20].tolist()


def test_evaluate_applies_the_points_of_the_bundle_and_fits_nothing(tmp_path: Path) -> None:
    rows = ["path,label,source"]
    for number in range(12):
        picture(tmp_path / f"{number}.png", number)
        rows.append(f"{number}.png,{('COVID', 'Normal')[number % 2]},{('n', 's')[number // 6]}")
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    weights = random_weights("cnn10") | ood.fit(np.eye(256, dtype=np.float32), np.arange(256) % 3)
    card = {
        "name": "small",
        "architecture": "cnn10",
        "classes": list(CLASSES),
        "preprocess": PreprocessSpec().as_json(),
        "temperature": 1.5,
        "trust": {
            "conformal": {"promised": 0.95, "thresholds": dict.fromkeys(CLASSES, 0.0), "text": "a"},
            "ood": {"threshold": 0.0, "quantile": 0.99, "text": "b"},
        },
    }
    bundle.save(tmp_path / "model", card, bundle.quantise(weights))
    said: list[str] = []
    data = DataSettings(tmp_path / "list.csv")
    settings = EvaluateSettings(data, tmp_path / "model", tmp_path / "out", precision="float32")
    page = evaluate(settings, said.append)
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    for source, images in (("all", 12), ("n", 6), ("s", 6)):
        trust = found["trust"][source]
        assert (trust["images"], trust["ood"]["flagged"]) == (images, 1.0)
        assert (trust["sets"]["coverage"], trust["sets"]["uncertain"]) == (1.0, 1.0)
        assert trust["sets"]["accuracy_of_sure"] is None
        assert "lung_focus" not in trust
        assert any(line.startswith(f"{source}: ") and "uncertain 1.000" in line for line in said)
    assert set(found["calibration"]["sources"]) == {"n", "s"}
    assert "ECE of s" in page.read_text()
    assert 'id="trust"' in page.read_text()
