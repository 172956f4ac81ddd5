"""What fields and file names say is text: it is never run, followed, or sent to a terminal."""

import copy
import csv
import os
import re
import sys
from pathlib import Path

import pytest
from command_line import rows, run
from dicom_files import as_bytes
from pydicom.dataset import Dataset
from report_samples import read_page
from small_models import save_cnn10

SCRIPT = "<script>alert(1)</script>"
HANDLER = "\"><img src=x onerror='alert(1)'>"
FORMULA = "=cmd|' /C calc'!A0"
ANSI = "\x1b[2J\x1b]0;owned\x07"
SHELL = "$(touch pwned);`touch pwned`"
TRAVERSAL = "../../secret"
TEXTS = (SCRIPT, HANDLER, FORMULA, ANSI, SHELL, TRAVERSAL)
FIELDS = (
    *("PatientName", "PatientID", "ViewPosition", "BodyPartExamined", "SeriesDescription"),
    *("InstitutionName", "StudyDescription", "AccessionNumber", "ReferencedFileID"),
)
# Judged all the same, and shown in the report: these may say what they like.
HARMLESS = ("PatientName", "PatientID", "StudyDescription", "AccessionNumber", "InstitutionName")
_CONTROLS = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")


def hostile_study(radiograph: Dataset, folder: Path) -> None:
    """A file for every text, with it in every field and in the file's name, and one failed file."""
    for number, text in enumerate(TEXTS):
        dataset = copy.deepcopy(radiograph)
        dataset.SOPInstanceUID = f"1.2.3.{number}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.PixelData = bytes([number, 0]) + dataset.PixelData[2:]
        for field in FIELDS:
            dataset.add_new(field, "UN", text.encode() + b" " * (len(text) % 2))
        name = text.replace("/", "\u2215")
        (folder / name).write_bytes(as_bytes(dataset))
        for field in ("Modality", "PhotometricInterpretation", "TransferSyntaxUID"):
            odd = copy.deepcopy(dataset)
            holder = odd.file_meta if field == "TransferSyntaxUID" else odd
            data = as_bytes(odd)
            old = str(holder[field].value).encode()
            new = text.encode()[: len(old)].ljust(len(old))
            (folder / f"{name} {field}.dcm").write_bytes(data.replace(old, new, 1))
        (folder / f"{name} cut.dcm").write_bytes(as_bytes(dataset)[:-500])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.skipif(sys.platform == "win32", reason="its file names cannot hold such text")
def test_no_text_of_a_file_is_more_than_text(radiograph_dataset: Dataset, tmp_path: Path) -> None:
    home, model = tmp_path / "home", tmp_path / "model"
    studies, output = home / "a" / "studies", home / "results"
    studies.mkdir(parents=True)
    save_cnn10(model)
    hostile_study(radiograph_dataset, studies)
    (home / "secret").write_bytes(b"SECRET OF ANOTHER FOLDER")
    before = {path for path in home.rglob("*") if output not in path.parents}
    done = run(
        *("scan", studies, "--output", output, "--model", model, "--verbose"),
        *("--include", ",".join(HARMLESS)),
        home=home,
    )
    assert done.returncode in (0, 3), done.stderr
    found = rows(output)
    assert len(found) == 5 * len(TEXTS)
    assert sum(bool(row["prediction"]) for row in found) >= len(TEXTS)

    # Nothing ran, nothing was followed: no file but the output's and the key's is new.
    after = {path for path in home.rglob("*") if output not in (path, *path.parents)}
    assert {
        path for path in after - before if home / "config" not in (path, *path.parents)
    } == set()
    written = [path for path in output.rglob("*") if path.is_file()]
    assert not [path for path in written if b"SECRET OF ANOTHER" in path.read_bytes()]

    # No control character in any text, on the terminal or on the disk.
    texts = [path for path in written if path.suffix in (".csv", ".html", ".json", ".log")]
    assert len(texts) >= 5
    for name, data in (
        ("stdout", done.stdout.encode("utf-8", "surrogateescape")),
        ("stderr", done.stderr.encode("utf-8", "surrogateescape")),
        *((path.name, path.read_bytes()) for path in texts),
    ):
        assert not _CONTROLS.search(data.replace(b"\r\n", b"\n")), name

    for path in output.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as handle:
            cells = [cell for row in csv.reader(handle) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))], path.name
    for path in output.rglob("*.html"):
        elements = read_page(path).all()
        assert not [e for e in elements if e.tag in ("iframe", "object", "embed")]
        scripts = [e for e in elements if e.tag == "script"]
        assert [script.attributes["src"] for script in scripts] == ["app.js"]
        assert not [n for e in elements for n in e.attributes if n.startswith("on")]
        links = [e.attributes[n] for e in elements for n in ("href", "src") if n in e.attributes]
        assert not [link for link in links if "secret" in link or os.pardir * 2 in link]
