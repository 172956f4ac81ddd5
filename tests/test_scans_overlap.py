"""Reading, predicting, drawing and writing go on at once; the rows are the same however they do."""

import csv
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset
from small_models import save_cnn10

from scanner import heads, pipeline
from scanner.bundle import Bundle
from scanner.output import detail_path, picture_paths
from scanner.pictures import Picture, PictureSaver
from scanner.predictor import Predictions, Predictor
from scanner.progress import Silence
from scanner.settings import ScanSettings
from scanner.thumbnails import encoded

_PATIENCE = 30.0
_GATE = {"gate": {"reject_below": 0.05, "flag_below": 0.5, "text": "Made up."}}


class BrightnessPredictor(Predictor):
    """Takes bright pictures for turned ones; `before` is called as each batch begins."""

    device, precision, backend, busy = "no device", "float32", "tensorflow", None
    before: Callable[[int], None] = staticmethod(lambda batch: None)

    def __init__(self, bundle: Bundle, batch_size: int | None, *_: object) -> None:
        self.batch_size = batch_size or 16
        self.seconds = 0.0
        self.batches = 0

    def predict(self, images: list[npt.NDArray[np.uint8]]) -> Predictions:
        self.batches += 1
        self.before(self.batches)
        count = len(images)
        kinds = np.zeros((count, len(heads.KINDS)), np.float32)
        for number, image in enumerate(images):
            middle = image[100:156, 100:156].mean()
            kinds[number, heads.KINDS.index("turned" if middle > 200 else "frontal")] = 1
        probabilities = np.tile(np.float32([0.9, 0.05, 0.05]), (count, 1))
        ones = np.ones((count, 16, 16), np.float32)
        return Predictions(probabilities, ones, np.ones((count, 256), np.float32), None, kinds)


@pytest.fixture
def scan(tmp_path: Path) -> Callable[..., dict[str, dict[str, str]]]:
    """Scan ``studies`` with a predictor of the test's; return the rows by path."""
    save_cnn10(tmp_path / "model", trust=_GATE, negative_class="Normal")

    def scan(
        predictor: type[Predictor] = BrightnessPredictor, **options: object
    ) -> dict[str, dict[str, str]]:
        settings = ScanSettings(
            tmp_path / "studies",
            tmp_path / "out",
            tmp_path / "model",
            workers=2,
            fresh=True,
            **options,  # type: ignore[arg-type]
        )
        pipeline.scan(settings, Silence(), predictor)
        return by_path(tmp_path / "out")

    return scan


def by_path(output: Path) -> dict[str, dict[str, str]]:
    with (output / "predictions.csv").open(encoding="utf-8", newline="") as handle:
        return {row["path"]: row for row in csv.DictReader(handle)}


def write_pictures(studies: Path, count: int, side: int = 300) -> None:
    studies.mkdir()
    for index in range(count):
        noise = np.random.default_rng(index).integers(0, 90, (side, side), dtype=np.uint8)
        cv2.imwrite(str(studies / f"{index:02}.png"), noise)


def test_rows_are_written_while_the_next_batch_is_predicted(
    tmp_path: Path, scan: Callable[..., dict[str, dict[str, str]]]
) -> None:
    write_pictures(tmp_path / "studies", 6)
    written_before = []

    class Waits(BrightnessPredictor):
        @staticmethod
        def before(batch: int) -> None:
            ends = time.monotonic() + _PATIENCE
            written_before.append(written(tmp_path / "out"))
            while written(tmp_path / "out") < 2 * (batch - 1):
                assert time.monotonic() < ends, f"batch {batch} waits for the rows before it"
                time.sleep(0.01)

    assert len(scan(Waits, batch_size=2)) == 6
    assert written_before == [0, 0, 2]  # each begins before the rows of the one before are there


def written(output: Path) -> int:
    return (output / "predictions.csv").read_bytes().count(b"\n") - 1


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 9])
def test_copies_of_a_rejected_image_get_the_same_rows_in_batches_of_any_size(
    batch_size: int,
    tmp_path: Path,
    radiograph_dataset: Dataset,
    scan: Callable[..., dict[str, dict[str, str]]],
) -> None:
    studies = tmp_path / "studies"
    studies.mkdir()

    # What a header states to be a frontal chest is flagged, not rejected.
    radiograph_dataset.ViewPosition = radiograph_dataset.BodyPartExamined = ""

    def write(name: str, bright: bool, level: int) -> None:
        pixels = np.tile(np.linspace(100 + level, 4000, 400).astype(np.uint16), (400, 1))
        middle = 4000 if bright else 100 + level
        pixels[100:300, 100:300] = middle
        changed = radiograph_dataset
        changed.PhotometricInterpretation = "MONOCHROME2"
        changed.Rows = changed.Columns = 400
        changed.PixelData = pixels.tobytes()
        changed.save_as(studies / name, enforce_file_format=True)

    write("a.dcm", bright=True, level=0)  # rejected by the network
    write("b.dcm", bright=False, level=1)  # the same instance, other pixels: judged
    (studies / "c.dcm").write_bytes((studies / "a.dcm").read_bytes())
    write("d.dcm", bright=False, level=2)  # the same instance again: a copy of b
    (studies / "e.dcm").write_bytes((studies / "b.dcm").read_bytes())
    rows = scan(batch_size=batch_size)
    told = {name: (row["status"], row["reason"]) for name, row in rows.items()}
    assert told == {
        "a.dcm": ("rejected", "turned"),
        "b.dcm": (rows["b.dcm"]["status"], ""),
        "c.dcm": ("rejected", "turned"),
        "d.dcm": ("rejected", "duplicate"),
        "e.dcm": ("rejected", "duplicate"),
    }
    assert rows["b.dcm"]["prediction"] == "Covid-19"
    assert {rows[name]["detail"] for name in ("d.dcm", "e.dcm")} == {"duplicate_of b.dcm"}


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the processes")
def test_pictures_are_there_though_the_process_that_draws_them_is_killed(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 255, (512, 512), dtype=np.uint8)
    cam = np.ones((16, 16), np.float32)
    names = [f"{number:064x}" for number in range(300)]
    pictures = [Picture(name, encoded(grey), b"", cam) for name in names]
    ends = time.monotonic() + _PATIENCE
    with PictureSaver(tmp_path, "inferno") as saver:
        begun = saver.begin(pictures)
        while not picture_paths(tmp_path, names[0])[0].exists():
            assert time.monotonic() < ends
            time.sleep(0.001)
        for process in workers():
            os.kill(process, signal.SIGKILL)
        saver.wait(begun, pictures)
    for name in names:
        assert all(cv2.imread(str(path)) is not None for path in picture_paths(tmp_path, name))


def workers() -> list[int]:
    """The processes of the fork server."""
    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    listed = Path(f"/proc/{server}/task/{server}/children").read_text()
    return [int(word) for word in listed.split()]


@pytest.mark.parametrize(("options", "kept"), [({}, False), ({"detail_images": True}, True)])
def test_a_large_picture_is_kept_of_what_needs_a_look_or_of_all(
    options: dict[str, bool],
    kept: bool,
    tmp_path: Path,
    scan: Callable[..., dict[str, dict[str, str]]],
) -> None:
    write_pictures(tmp_path / "studies", 1, side=1500)

    class Negative(BrightnessPredictor):
        def predict(self, images: list[npt.NDArray[np.uint8]]) -> Predictions:
            told = super().predict(images)
            told.probabilities[:] = [0.05, 0.9, 0.05]
            return told

    (row,) = scan(Negative, **options).values()
    assert (row["status"], row["prediction"]) == ("ok", "Normal")
    assert detail_path(tmp_path / "out", row["sha256"]).exists() == kept
    (row,) = scan(BrightnessPredictor).values()
    assert row["prediction"] == "Covid-19"
    large = cv2.imread(str(detail_path(tmp_path / "out", row["sha256"])), cv2.IMREAD_UNCHANGED)
    assert large is not None and large.shape == (1024, 1024)


def test_the_heat_map_has_the_colours_that_were_asked_for(
    tmp_path: Path, scan: Callable[..., dict[str, dict[str, str]]]
) -> None:
    write_pictures(tmp_path / "studies", 1)
    found = {}
    for name in ("inferno", "viridis"):
        (row,) = scan(colormap=name).values()
        heat = cv2.imread(str(picture_paths(tmp_path / "out", row["sha256"])[1]))
        assert heat is not None
        _, green, red = heat.mean(axis=(0, 1))
        found[name] = "red" if red > green else "green"
    assert found == {"inferno": "red", "viridis": "green"}
