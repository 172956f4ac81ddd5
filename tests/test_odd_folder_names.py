"""A folder may be called anything its file system allows; the scan and its report cope."""

import os
import subprocess
from pathlib import Path

import pytest
from command_line import command, environment
from report_samples import judged_paths, read_page

from scanner import manifest
from scanner.output import MANIFEST

_NAMES = {
    "not UTF-8": b"R\xf6ntgen",
    "control and direction": "two\nlines \x1b]0;owned\x07 abc\u202egnp".encode(),
    "markup": b"<img src=x onerror=alert(1)>",
    "quotes and percent": b"=a'b\"c 50%20 # ?",
}


def scan(home: Path, name: bytes) -> tuple[subprocess.CompletedProcess[bytes], Path]:
    """Scan a folder of that name that holds one empty file: nothing has to be judged."""
    folder = os.fsencode(home) + b"/" + name
    Path(os.fsdecode(folder)).mkdir()
    os.close(os.open(folder + b"/empty.dcm", os.O_CREAT))
    done = subprocess.run(
        [*command(), folder, "--workers", "1"],
        env=environment(home),
        cwd=home,
        capture_output=True,
        timeout=120,
    )
    return done, Path(os.fsdecode(folder + b"-cxr"))


@pytest.mark.parametrize("name", _NAMES.values(), ids=_NAMES)
def test_a_folder_of_any_name_is_scanned(name: bytes, tmp_path: Path) -> None:
    done, output = scan(tmp_path, name)
    assert done.returncode == 3, done.stderr.decode(errors="replace")
    assert b"Traceback" not in done.stderr
    assert manifest.load(output / MANIFEST)["state"] == "complete"
    page = read_page(output / "report" / "index.html")
    assert judged_paths(page) == []
    assert page.one("section", id="failed").one("td", "path").text == "empty.dcm"
    for text in (done.stdout.decode(), page.one("p", "where").text):
        assert not set(text) & {"\x1b", "\x07", "\u202e"}
    assert len(done.stdout.splitlines()) == 4  # counts, reason, rows, report
