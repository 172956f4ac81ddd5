"""A run that is refused leaves the results of the one before it as they are."""

from pathlib import Path

import numpy as np
import pytest
from command_line import run

from scanner import bundle
from scanner.preprocess import PreprocessSpec


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A home with a finished scan of one empty file: nothing has to be judged for it."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "empty.dcm").write_bytes(b"")
    done = run("studies", "--workers", "1", home=tmp_path)
    assert done.returncode == 3, done.stderr
    return tmp_path


def results(home: Path) -> dict[str, bytes]:
    output = home / "studies-cxr"
    files = [path for path in output.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in files if path.name != "run.log"}


@pytest.mark.parametrize(
    "why", ["other columns", "other model", "other strictness", "other folder"]
)
def test_a_refused_run_changes_nothing(why: str, finished: Path) -> None:
    (finished / "more").mkdir()
    card = {"classes": ["A", "B"], "preprocess": PreprocessSpec().as_json(), "temperature": 1.0}
    bundle.save(finished / "other", card, {"head/bias": np.zeros(2, np.float32)})
    arguments = {
        "other columns": ("studies", "--include", "PatientID"),
        "other model": ("studies", "--model", "other"),
        "other strictness": ("studies", "--strict"),
        "other folder": ("more", "--output", "studies-cxr"),
    }
    before = results(finished)
    done = run(*arguments[why], home=finished)
    assert done.returncode == 1
    assert "--fresh" in done.stderr
    assert results(finished) == before
