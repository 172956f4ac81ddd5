"""A scan in a process of its own that judges a batch whenever the test says so; no TensorFlow."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from command_line import environment, run
from small_models import save_cnn10

from scanner import pipeline, progress
from scanner.bundle import Bundle
from scanner.interrupts import EXIT_INTERRUPTED, terminate_as_interrupt
from scanner.predictor import Predictions, Predictor
from scanner.settings import ScanSettings

_PATIENCE = 60.0


class HeldPredictor(Predictor):
    """Takes each batch for the first class, once the test has put a file for it into ``go``."""

    def __init__(self, bundle: Bundle, batch_size: int | None, *_: object) -> None:
        self.device, self.precision = "no device", "float32"
        self.batch_size = batch_size or 16
        self.seconds = 0.0
        self._classes = len(bundle.classes)
        self._batches = 0

    backend, busy = "tensorflow", None

    def predict(self, images: list[npt.NDArray[np.uint8]]) -> Predictions:
        self._batches += 1
        while not Path("go", str(self._batches)).exists():
            time.sleep(0.01)
        count = len(images)
        self.seconds += 0.5
        if Path("halve").exists():
            self.batch_size //= 2
        probabilities = np.zeros((count, self._classes), np.float32)
        probabilities[:, 0] = 1
        cam = np.ones((count, 16, 16), np.float32)
        return Predictions(probabilities, cam, np.ones((count, 256), np.float32))


class HeldScan:
    """A running scan of ``studies`` into ``studies-cxr`` in folder `home`, two files a batch."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.output = home / "studies-cxr"
        (home / "go").mkdir(exist_ok=True)
        for old in (home / "go").iterdir():
            old.unlink()
        self._rows_before = self.rows()
        command = [sys.executable, __file__, *options]
        self.process = subprocess.Popen(
            command, env=environment(home), cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def judge(self, batches: int) -> None:
        """Let so many batches pass in all, and return when the rows of the last are there."""
        for number in range(1, batches + 1):
            (self.home / "go" / str(number)).touch()
        self.until(lambda: self.rows() - self._rows_before >= 2 * batches)

    def rows(self) -> int:
        table = self.output / "predictions.csv"
        return table.read_bytes().count(b"\n") - 1 if table.exists() else 0

    def until(self, reached: Callable[[], bool]) -> None:
        ends = time.monotonic() + _PATIENCE
        while not reached():
            if self.process.poll() is not None or time.monotonic() > ends:
                raise AssertionError(self.process.communicate(timeout=5))
            time.sleep(0.01)

    def finish(self) -> tuple[int, str]:
        """Let every batch pass; return exit code and standard error."""
        for number in range(1, 100):
            (self.home / "go" / str(number)).touch()
        _, said = self.process.communicate(timeout=_PATIENCE)
        return self.process.returncode, said.decode()

    def end(self, number: int) -> int:
        """Send a signal, then let what is held go; return the exit code."""
        self.process.send_signal(number)
        time.sleep(0.5)  # a scan that was interrupted waits for the batch it has begun
        for batch in range(1, 100):
            (self.home / "go" / str(batch)).touch()
        self.process.communicate(timeout=_PATIENCE)
        return self.process.returncode


def build_home(home: Path, pictures: int = 8) -> None:
    """Write ``studies`` with so many pictures and an empty file, and a ``model``."""
    save_cnn10(home / "model")
    (home / "studies").mkdir()
    for index in range(pictures):
        noise = np.random.default_rng(index).integers(0, 256, (32, 32), dtype=np.uint8)
        picture = cv2.resize(noise, (256, 256), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(home / "studies" / f"{index:02}.png"), picture)
    (home / "studies" / "empty.dcm").write_bytes(b"")


def status(home: Path, folder: str = "studies-cxr") -> list[str]:
    """Return what `cxr-scan status` says, by line."""
    done = run("status", folder, home=home)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


if __name__ == "__main__":
    terminate_as_interrupt()
    settings = ScanSettings(
        Path("studies"),
        Path("studies-cxr"),
        Path("model"),
        batch_size=2,
        workers=1,
        hide_paths="--hide-paths" in sys.argv,
        log_format="json" if "json" in sys.argv else "text",
    )
    try:
        pipeline.scan(settings, progress.Silence(), HeldPredictor)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
