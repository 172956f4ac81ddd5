"""The same command again reads what is new or changed; after kills and faults: `faults`."""

from pathlib import Path

import cv2
import numpy as np
from command_line import rows, run
from small_models import save_cnn10

from scanner import output


def _pictures(folder: Path, count: int, first: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(first, first + count):
        noise = np.random.default_rng(index).integers(0, 256, (32, 32), dtype=np.uint8)
        picture = cv2.resize(noise, (256, 256), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{index:04}.png"), picture)


def test_new_and_changed_files_alone_are_read(tmp_path: Path) -> None:
    save_cnn10(tmp_path / "model")  # it takes any picture for a radiograph
    command = ("studies", "--model", "model", "--no-report")
    _pictures(tmp_path / "studies", 4)
    run(*command, home=tmp_path)
    before = {row["path"]: row for row in rows(tmp_path / "studies-cxr")}
    _pictures(tmp_path / "studies", 1, first=4)
    changed = tmp_path / "studies" / "0001.png"
    changed.write_bytes((tmp_path / "studies" / "0004.png").read_bytes())
    done = run(*command, home=tmp_path)
    assert "(2 new" in done.stdout
    after = {row["path"]: row for row in rows(tmp_path / "studies-cxr")}
    assert len(after) == 5
    for path in ("0000.png", "0002.png", "0003.png"):
        assert after[path] == before[path]
    assert after["0001.png"]["sha256"] != before["0001.png"]["sha256"]
    assert after["0004.png"]["detail"] == "duplicate_of 0001.png"


def test_an_output_folder_that_cannot_be_written_ends_in_one_line(tmp_path: Path) -> None:
    _pictures(tmp_path / "studies", 1)
    (tmp_path / "results").write_text("a file, not a folder")
    done = run("studies", "--output", "results", home=tmp_path)
    assert done.returncode == 1
    assert "output folder results cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_starting_over_goes_on_where_a_kill_left_the_table_gone(tmp_path: Path) -> None:
    pictures = tmp_path / "out" / "report" / "thumbs" / "ab"
    pictures.mkdir(parents=True)
    (pictures / "ab.jpg").touch()
    (tmp_path / "out" / "manifest.json").write_text("{}")
    with output.prepared(tmp_path / "out", fresh=True):
        assert pictures.exists()  # nothing says that it is ours
    (tmp_path / "out" / "sources.csv").touch()
    with output.prepared(tmp_path / "out", fresh=True):
        assert not pictures.exists()
        assert not (tmp_path / "out" / "manifest.json").exists()
