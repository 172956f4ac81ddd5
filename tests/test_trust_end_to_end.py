"""A model with every head, from the command line to the row and the page."""

import shutil
from pathlib import Path

import pydicom
import pytest
from command_line import rows, run
from report_samples import Element, phantom, read_page
from small_models import save_vgg19_with_heads

from scanner.output import picture_paths

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures, one of them a copy, and one DICOM file that states PA CHEST."""
    home = tmp_path_factory.mktemp("home")
    studies = home / "studies"
    studies.mkdir()
    (studies / "a.jpg").write_bytes(phantom())
    shutil.copy(studies / "a.jpg", studies / "copy of a.jpg")
    (studies / "b.jpg").write_bytes(phantom(2))
    return home


@pytest.fixture(scope="module")
def stated(home: Path, _small_radiograph: pydicom.Dataset) -> Path:
    path = home / "studies" / "c.dcm"
    _small_radiograph.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture(scope="module")
def judged(home: Path, stated: Path) -> Path:
    save_vgg19_with_heads(home / "frontal")
    done = run("studies", "--model", home / "frontal", "--output", "judged", home=home)
    assert done.returncode == 0, done.stderr
    return home / "judged"


@pytest.fixture(scope="module")
def rejected(home: Path, stated: Path) -> Path:
    save_vgg19_with_heads(home / "turned", kind="turned")
    done = run("studies", "--model", home / "turned", "--output", "rejected", home=home)
    assert done.returncode == 0, done.stderr
    assert "turned on its side" in done.stdout
    return home / "rejected"


def by_path(folder: Path) -> dict[str, dict[str, str]]:
    return {row["path"]: row for row in rows(folder)}


def page_of(folder: Path) -> Element:
    return read_page(folder / "report" / "index.html")


def test_every_column_of_trust_is_filled(judged: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.dcm"):
        row = by_path(judged)[name]
        focus = [float(row[name]) for name in ("lung_focus", "lung_area", "lung_lift")]
        assert focus == pytest.approx([1, 1, 1], abs=1e-5)  # all of it is lung
        assert "lungs_cut" in row["flags"].split(";")
        assert float(row["ood_score"]) > 0.1
        assert "out_of_distribution" in row["flags"].split(";")
        assert set(row["prediction_set"].split(";")) >= {"Covid-19", "Normal"}
        assert (row["prediction"], row["status"]) == ("uncertain", "flagged")


def test_the_page_counts_uncertain_apart_and_explains_the_line(judged: Path) -> None:
    page = page_of(judged)
    counts = {
        row.one("th").text: row.one("td", "number").text
        for row in page.one("table", "histogram").all("tr")
    }
    assert counts == {"Covid-19": "0", "Normal": "0", "Pneumonia": "0", "uncertain": "3"}
    assert "Dice with lungs drawn by people: all 0.50" in page.text
    assert all(card.one("ul", "trust").text for card in page.all("article", "card"))


def test_a_rejected_picture_is_listed_with_its_radiograph(rejected: Path) -> None:
    row = by_path(rejected)["a.jpg"]
    assert (row["status"], row["reason"], row["prediction"]) == ("rejected", "turned", "")
    assert row["prob_Normal"] == ""
    plain, heat = picture_paths(rejected, row["sha256"])
    assert plain.read_bytes() and not heat.exists()
    pictures = page_of(rejected).one("section", id="rejected").one("tbody").all("img")
    assert len(pictures) == 3


def test_a_stated_frontal_chest_is_flagged_and_judged(rejected: Path) -> None:
    row = by_path(rejected)["c.dcm"]
    assert row["status"] == "flagged"
    assert row["flags"].split(";")[0] == "turned"
    assert row["prediction"]


def test_a_copy_of_a_rejected_picture_is_rejected_alike_in_any_batch(
    rejected: Path, home: Path
) -> None:
    def reasons(folder: Path) -> dict[str, tuple[str, str]]:
        return {path: (row["reason"], row["detail"]) for path, row in by_path(folder).items()}

    assert by_path(rejected)["copy of a.jpg"]["reason"] == "turned"
    done = run(
        *("studies", "--model", home / "turned", "--output", "one", "--batch-size", "1"),
        "--no-report",
        home=home,
    )
    assert done.returncode == 0, done.stderr
    assert reasons(home / "one") == reasons(rejected)
