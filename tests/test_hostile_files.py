"""A file that is built to do harm ends as its own row, with a reason, and takes nobody with it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from bombs import BOMBS, archive, make, radiograph
from dicom_files import SETTINGS, read_bytes, source
from pydicom.dataset import Dataset

from scanner.decoding import Decoders

# As the scan's own workers, and less than the kernel allows a whole run.
_WORKERS = 2


def test_every_bomb_ends_with_a_reason_and_costs_no_other_file(
    radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    good = tmp_path / "good.dcm"
    good.write_bytes(make(radiograph, radiograph_dataset))
    paths = []
    for name, bomb, _ in BOMBS:
        path = tmp_path / f"{bomb.__name__}{Path(name).suffix}"
        path.write_bytes(make(bomb, radiograph_dataset))
        paths += [path, good]
    with Decoders(SETTINGS, _WORKERS, lookahead=8) as decoders:
        found = [reading for _, reading in decoders.read(source(path) for path in paths)]
    assert all(reading.status == "" for reading in found[1::2]), "an honest file was lost"
    wrong = [
        (bomb.__name__, reading.reason, reading.detail)
        for (_, bomb, reasons), reading in zip(BOMBS, found[::2], strict=True)
        if reading.reason not in reasons
    ]
    assert wrong == []


@pytest.mark.shared
def test_the_shared_bombs_end_with_a_reason(shared: Path) -> None:
    paths = sorted((shared / "dicom" / "bombs").iterdir())
    assert len(paths) == 8
    with Decoders(SETTINGS, _WORKERS, lookahead=8) as decoders:
        reasons = {s.relative: r.reason for s, r in decoders.read(map(source, paths))}
    assert reasons.pop("frames_100000.dcm") == "multi_frame"
    assert reasons.pop("j2k_tiles.dcm") == "damaged_pixels"
    assert set(reasons.values()) == {"too_large"}


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("holiday.zip", radiograph, "dicom"),
        ("radiograph.dcm", archive, "archive"),
        ("radiograph.png", archive, "archive"),
        ("radiograph.png", radiograph, "dicom"),
    ],
)
def test_a_file_is_what_it_holds_and_not_what_it_is_called(
    name: str,
    content: Callable[[Dataset], bytes],
    kind: str,
    radiograph_dataset: Dataset,
    tmp_path: Path,
) -> None:
    reading = read_bytes(make(content, radiograph_dataset), tmp_path / name)
    assert reading.kind == kind
    assert reading.status == ("not_an_image" if kind == "archive" else "")
    assert [path.name for path in tmp_path.iterdir()] == [name], "an archive was unpacked"
