"""`cxr-scan audit`: figures, a page and a line for each test, on images that taught nothing."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from audit_samples import chest
from report_samples import radiograph, read_page
from small_models import save_cnn10

from scanner import bundle as bundles
from scanner.errors import SetupError
from scanner.preprocess import PreprocessSpec
from training.audit.command import AuditSettings, audit
from training.data.dataset import DataSettings, load
from training.made_from import save_parts

_LABELS = ("COVID", "Normal", "Viral Pneumonia")
_TESTS = ["letters", "corners", "lungs", "frame", "focus", "removal", "source", "randomised"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of 36 pictures of one real radiograph with lung masks, two sources; a small model."""
    home = tmp_path_factory.mktemp("audit")
    cv2.imwrite(str(home / "mask.png"), chest(255, 0))
    rows = ["path,label,source,mask"]
    for number in range(36):
        shifted = np.roll(radiograph()[::8, ::8], 2 * number, axis=0) ** (0.7 + 0.03 * number)
        cv2.imwrite(str(home / f"{number}.png"), np.rint(255 * shifted).astype(np.uint8))
        source = ("north", "south")[number % 2]
        rows.append(f"{number}.png,{_LABELS[number % 3]},{source},mask.png")
    (home / "list.csv").write_text("\n".join(rows) + "\n")
    preprocess = PreprocessSpec(size=64).as_json()
    save_cnn10(
        home / "model", seed=11, preprocess=preprocess, negative_class="Normal", name="<b>small"
    )
    return home


def _audit(home: Path, output: str, **options: Any) -> list[str]:
    said: list[str] = []
    chosen = {"images": 24, "precision": "float32", "model": home / "model", **options}
    settings = AuditSettings(DataSettings(home / "list.csv"), output=home / output, **chosen)
    assert audit(settings, said.append) == home / output / "audit.html"
    return said


def _figures(home: Path, output: str) -> dict[str, Any]:
    return dict(json.loads((home / output / "audit.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def said(home: Path) -> list[str]:
    return _audit(home, "out")


def test_every_test_has_a_number_an_interval_and_a_line(home: Path, said: list[str]) -> None:
    figures = _figures(home, "out")
    assert [test["name"] for test in figures["tests"]] == _TESTS
    for test in figures["tests"]:
        assert test["line"] in said
        assert test["why_not"] == ""
        low, high = test["headline"]["interval"]
        # A bootstrap's ends are rounded like the number.
        assert low <= test["headline"]["value"] <= high, test["name"]
        assert test["means"] and test["caption"]
    assert figures["model"] == bundles.load(home / "model").id
    assert figures["images"] == 24
    assert sum(figures["data"]["counts"].values()) == 24
    assert figures["data"]["sources"] == {"north": 12, "south": 12}
    assert figures["lungs"] == "lungs of 24 images drawn by people"
    assert any(line.startswith("audited: 24 of 36 images") for line in said)


def test_goals_stand_only_where_the_project_has_one(home: Path, said: list[str]) -> None:
    with_goals = [test["name"] for test in _figures(home, "out")["tests"] if test["goals"]]
    assert with_goals == ["letters", "focus"]


def test_the_page_has_every_test_with_its_picture(home: Path, said: list[str]) -> None:
    text = (home / "out" / "audit.html").read_text(encoding="utf-8")
    page = read_page(home / "out" / "audit.html")
    for name in _TESTS:
        assert page.one("article", "finding", id=f"audit-{name}")
    images = [image.attributes["src"] or "" for image in page.all("img")]
    assert len(images) == len(_TESTS)
    assert all(source.startswith(("data:image/jpeg", "data:image/svg+xml")) for source in images)
    assert "&lt;b&gt;small" in text and "<b>small" not in text
    assert "default-src 'none'" in text
    assert not page.all("script")


def test_the_same_audit_twice_is_the_same(home: Path, said: list[str]) -> None:
    again = _audit(home, "again")
    assert again == said
    assert _figures(home, "again") == _figures(home, "out")


def test_images_that_taught_the_model_are_passed_over(home: Path, tmp_path: Path) -> None:
    spec = bundles.load(home / "model").spec
    digests = load(DataSettings(home / "list.csv"), spec, tmp_path).digests
    try:
        parts = np.array(["train"] * 20 + ["validation"] * 4 + ["test"] * 12)
        save_parts(home / "model", digests, parts)
        said = _audit(home, "unseen")
        assert _figures(home, "unseen")["images"] == 12
        assert any("24 that taught the model were passed over" in line for line in said)
        save_parts(home / "model", digests, np.array(["train"] * 36))
        said = _audit(home, "all-seen", images=12)
        assert "All 36 images taught the model: new ones may give worse figures." in said
        warning = read_page(home / "all-seen" / "audit.html").one("p", "warning").text
        assert warning.startswith("All 36 images taught")
    finally:
        (home / "model" / "split.json").unlink()


def test_nothing_left_to_audit_is_one_line(home: Path) -> None:
    with pytest.raises(
        SetupError, match=r"No image of .*list.csv is left .* 36 \(not of the test part\)"
    ):
        _audit(home, "nothing", part="test")
    assert not list((home / "nothing").iterdir())


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(home: Path) -> None:
    (home / "a file").write_text("")
    with pytest.raises(SetupError, match=r"a file cannot be written .*: choose another --output"):
        _audit(home, "a file")
