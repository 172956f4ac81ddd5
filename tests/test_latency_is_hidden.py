"""Files of a share that is slow to answer are read side by side: the scan waits for few of them."""

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

_SHIM = Path(__file__).parents[1] / "benchmarks" / "slow_files.c"
_FILES, _TRIP = 24, 0.1

# Prints how long reading took once the workers were there, and how many files were read.
_READ = """
import sys, time
from pathlib import Path
from scanner.decoding import Decoders
from scanner.pipeline import _WORKERS
from scanner.preprocess import PreprocessSpec
from scanner.reading import ReadSettings
from scanner.walk import list_files
with Decoders(ReadSettings(PreprocessSpec(), bytes(32)), _WORKERS, 64) as decoders:
    list(decoders.read(list_files(Path(sys.argv[1]) / "first").sources))
    started = time.perf_counter()
    read = [r for _, r in decoders.read(list_files(Path(sys.argv[1]) / "rest").sources)]
    print(time.perf_counter() - started, sum(not reading.status for reading in read))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD is Linux's")
def test_a_slow_share_is_waited_for_side_by_side(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to make files slow with: apt-get install gcc")
    library, studies = tmp_path / "slow.so", tmp_path / "studies"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, _SHIM, "-ldl"], check=True)
    for folder, count in (("first", 8), ("rest", _FILES)):
        (studies / folder).mkdir(parents=True)
        for number in range(count):
            noise = np.random.default_rng(number).integers(0, 256, (64, 64), dtype=np.uint8)
            cv2.imwrite(str(studies / folder / f"{number:02}.png"), noise)
    slow = {
        "LD_PRELOAD": str(library),
        "SLOW_FOLDER": str(studies),
        "SLOW_MS": str(1000 * _TRIP),
        "PATH": "/usr/bin:/bin",
    }
    words = [sys.executable, "-c", _READ, str(studies)]
    done = subprocess.run(words, env=slow, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    seconds, read = done.stdout.split()
    assert int(read) == _FILES
    # One after the other, opening and reading would wait for two round trips a file.
    assert float(seconds) < 0.5 * _FILES * 2 * _TRIP
