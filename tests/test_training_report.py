"""The training report: every section a reviewer asks for, as one page that needs nothing else."""

import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from report_samples import HOSTILE, Element, read_page
from training_report_samples import CLASSES, full_report, judged

from scanner.errors import SetupError
from training.results import plots
from training.results.gallery import (
    EACH,
    MAX_FAILURES,
    RIGHT,
    UNSURE,
    WRONG,
    Judged,
    examples,
    failures,
)
from training.results.report import TrainingReport, render

_ANCHORS = (
    *("use", "data", "split", "preprocessing", "recipe", "augmentation", "curves", "results"),
    *("sources", "folds", "calibration", "thresholds", "trust", "examples", "failures", "origin"),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(tmp_path_factory.mktemp("report"), full_report())


@pytest.fixture(scope="module")
def page(path: Path) -> Element:
    return read_page(path)


def test_every_section_is_there_in_order_and_the_contents_lead_to_it(page: Element) -> None:
    anchors = [
        section.attributes["id"] for section in page.all("section") if "id" in section.attributes
    ]
    assert tuple(anchors) == _ANCHORS
    links = page.one("nav", "contents").all("a")
    assert [link.attributes["href"] for link in links] == [f"#{name}" for name in _ANCHORS]


def test_every_section_says_what_to_look_for(page: Element) -> None:
    for name in set(_ANCHORS) - {"use", "recipe"}:
        assert len(page.one("section", id=name).all("p", "note")[0].text) > 50


def test_what_there_is_nothing_of_is_left_out(tmp_path: Path) -> None:
    nothing = read_page(render(tmp_path, TrainingReport("Training", card={}, metrics={})))
    anchors = [section.attributes.get("id") for section in nothing.all("section")]
    assert anchors == ["origin"]
    report = full_report()
    metrics = {k: v for k, v in report.metrics.items() if k not in ("history", "folds")}
    known = {k: v for k, v in report.card.items() if k not in ("recipe", "intended_use")}
    evaluation = replace(report, metrics=metrics, card=known, contact_sheet=None, failures=())
    left = read_page(render(tmp_path, evaluation))
    anchors = [s.attributes["id"] for s in left.all("section") if "id" in s.attributes]
    gone = {"recipe", "curves", "folds", "augmentation", "failures"}
    assert anchors == [name for name in _ANCHORS if name not in gone]


def test_the_figures_are_those_of_the_metrics(page: Element) -> None:
    everything = full_report().metrics["test"]["all"]
    rows = page.one("section", id="results").all("tr")[1:]
    row = everything["per_class"]["Covid-19"]
    assert rows[0].text.startswith(f"Covid-19{row['precision']:.3f}{_ends(row, 'precision')}")
    assert f"{everything['macro']['f1']:.3f}" in rows[3].text
    assert f"{everything['accuracy']:.3f}{_ends(everything, 'accuracy')}" in rows[5].text
    assert f"{everything['accuracy']:.3f}" in page.one("ul", "tiles").text


def _ends(row: dict[str, list[float]], name: str) -> str:
    low, high = row[f"{name}_95"]
    return f"{low:.3f}–{high:.3f}"


def test_trust_is_told_of_every_source(page: Element) -> None:
    report = full_report()
    points, measured = report.card["trust"], report.metrics["trust"]
    section = page.one("section", id="trust")
    for part in ("lung_focus", "ood", "gate"):
        assert points[part]["text"] in section.text
    assert f"Above {points['ood']['threshold']:.3f}" in section.text
    assert f"Dice of Covid-190.900 {_ends(report.card['lungs']['dice']['Covid-19'], 'dice')}" in (
        section.text
    )
    tables = section.all("table")
    shown = (("sets", "coverage"), ("lung_focus", "lift"), ("ood", "flagged"), ("gate", "rejected"))
    for table, (part, column) in zip(tables, shown, strict=True):
        rows = table.all("tr")[1:]
        assert len(rows) == len(measured)
        for row, (source, figures) in zip(rows, measured.items(), strict=True):
            assert row.text.startswith(source)
            assert f"{figures[part][column]:.3f}{_ends(figures[part], column)}" in row.text


def test_counts_split_seed_and_hashes_are_told(page: Element) -> None:
    data = page.one("section", id="data")
    assert [row.text for row in data.all("tr")[1:]] == [
        f"{source}300300300900" for source in ("darkcovid", "ieee8023", "radiography")
    ]
    assert "0 to 255" in data.text
    assert "663 images" in page.one("section", id="split").text
    origin = page.one("section", id="origin").text
    for text in ("20ee48f61273", "5be40dc6" * 8, "2a850e1f" * 8, "c2128a81d0edcdfa", "1900 MB"):
        assert text in origin
    assert "Seed4" in origin


def test_the_page_needs_no_other_file_and_may_load_none(page: Element) -> None:
    sources = [image.attributes["src"] for image in page.all("img")]
    assert len(sources) > 60
    assert all(source.startswith(("data:image/jpeg", "data:image/svg+xml")) for source in sources)
    style = page.one("style").children[0]
    assert isinstance(style, str)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = page.all("meta")[1].attributes["content"]
    assert policy.startswith(f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'")
    assert not [e for e in page.all() if "style" in e.attributes or e.tag == "script"]


def test_the_same_training_gives_the_same_page(path: Path, tmp_path: Path) -> None:
    assert render(tmp_path, full_report()).read_bytes() == path.read_bytes()


def test_hostile_names_are_only_ever_text(tmp_path: Path) -> None:
    def elements(texts: tuple[str, ...], folder: Path) -> list[tuple[str, list[str]]]:
        found: list[tuple[str, list[str]]] = []
        for start in range(0, len(texts), 7):
            some = (texts * 2)[start : start + 7]
            page = read_page(render(folder, full_report(some[:3], some[3:6], some[6])))
            found += [(element.tag, sorted(element.attributes)) for element in page.all()]
        return found

    hostile = tuple(text for text in HOSTILE if text.isprintable())
    harmless = tuple(f"name {number}" for number in range(len(hostile)))
    assert elements(hostile, tmp_path) == elements(harmless, tmp_path)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be written"):
        render(tmp_path / "file", TrainingReport("Training", {}, {}))


def test_a_dollar_in_a_name_is_a_dollar() -> None:
    svg = plots.confusion([[1, 0], [0, 1]], ["$\\frac{a$", "b"])
    assert svg.startswith("<?xml")


def test_examples_are_the_surest_and_the_least_sure_of_each_class() -> None:
    shown = judged()
    confidence, right = shown.confidence, shown.right
    for number, name in enumerate(CLASSES):
        of_class = shown.targets == number
        for kind, members, pick in (
            (RIGHT, of_class & right, max),
            (WRONG, of_class & ~right, max),
            (UNSURE, of_class, min),
        ):
            chosen = [e for e in examples(shown) if e.target == name and e.kind == kind]
            assert len(chosen) == min(EACH, members.sum()) > 0
            assert chosen[0].probability == pytest.approx(pick(confidence[members]))


def test_failures_are_the_surest_wrong_answers() -> None:
    shown = judged(images=300)
    found = failures(shown)
    assert len(found) == MAX_FAILURES < (~shown.right).sum()
    assert [e.probability for e in found] == sorted((e.probability for e in found), reverse=True)
    assert found[0].probability == pytest.approx(shown.confidence[~shown.right].max())
    assert all(example.target != example.predicted for example in found)


def test_an_example_shows_the_model_input_and_its_own_heat_map() -> None:
    shown = judged()
    inputs = np.stack([np.full((256, 256), 40 + n, np.uint8) for n in range(len(shown.targets))])
    cams = np.zeros((len(shown.targets), 16, 16), np.float32)
    cams[:, 8, 8] = 1
    plain = replace(shown, inputs=inputs, predictions=replace(shown.predictions, cam=cams))
    for example in failures(plain):
        grey, heat = (
            cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            for jpeg in (example.radiograph, example.overlay)
        )
        number = int(example.name[-8:-4])
        assert abs(int(grey[128, 128, 0]) - inputs[number, 0, 0]) <= 2
        assert abs(heat[136, 136].astype(int) - grey[136, 136]).max() > 50
        assert abs(heat[20, 20].astype(int) - grey[20, 20]).max() <= 4


def test_a_class_without_images_has_no_examples_and_breaks_nothing(tmp_path: Path) -> None:
    shown: Judged = judged()
    two = replace(shown, targets=np.where(shown.targets == 0, 1, shown.targets))
    assert {example.target for example in examples(two)} == set(CLASSES[1:])
    report = replace(full_report(), examples=examples(two))
    assert read_page(render(tmp_path, report)).one("section", id="examples")
