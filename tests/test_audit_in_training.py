"""Every training ends in an audit of its test images, in report, figures and card."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import run
from report_samples import read_page

_NAMES = {"letters", "corners", "lungs", "frame", "focus", "removal", "source", "randomised"}


@pytest.mark.slow
def test_a_training_audits_what_it_made(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number, label in enumerate(("COVID", "Normal")):
        for part in ("images", "masks"):
            (tmp_path / "data" / label / part).mkdir(parents=True)
        for index in range(20):
            picture = random.integers(0, 120, (64, 64), dtype=np.uint8)
            picture[:, 20 * number : 20 * number + 20] += 120
            mask = np.zeros((64, 64), np.uint8)
            mask[16:48, 10:54] = 255
            for part, image in (("images", picture), ("masks", mask)):
                cv2.imwrite(str(tmp_path / "data" / label / part / f"{index}.png"), image)
    options = ("--architecture", "cnn10", "--epochs", "1", "--copies", "0")
    done = run("train", "data", "--output", "model", *options, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Letters in the corners: labels flipped" in done.stdout
    model = tmp_path / "model"
    card = json.loads((model / "model.json").read_text(encoding="utf-8"))
    figures = json.loads((model / "metrics.json").read_text(encoding="utf-8"))
    tested = card["data"]["images"]["test"]
    assert card["audit"]["images"] == figures["audit"]["images"] == tested
    assert set(card["audit"]["tests"]) == _NAMES
    assert card["audit"]["lungs"] == f"lungs of {tested} images drawn by people"
    assert "## Shortcut audit" in (model / "README.md").read_text(encoding="utf-8")
    section = read_page(model / "report.html").one("section", id="audit")
    assert len(section.all("article", "finding")) == len(_NAMES)
