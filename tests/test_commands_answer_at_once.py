"""Help, version, usage errors and the report do not wait for TensorFlow."""

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment

_HEAVY = {"tensorflow", "keras", "cv2", "pandas", "pydicom", "sklearn"}
_PROBE = """
import atexit, sys
atexit.register(lambda: print("LOADED", *(set(sys.modules) & {heavy!r})))
from scanner.cli import main
main()
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["scan", "--help"], 0),
        (["train", "--help"], 0),
        (["evaluate", "--help"], 0),
        (["models", "--help"], 0),
        (["no-such-folder"], 2),
        (["--limit", "none", "."], 2),
        (["report", "no-such-folder"], 2),
    ],
)
def test_nothing_heavy_is_imported(arguments: list[str], code: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE.format(heavy=_HEAVY), *arguments],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code
    assert done.stdout.strip().endswith("LOADED")
