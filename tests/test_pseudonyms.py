"""Pseudonyms link the rows of one patient and say nothing of who it is."""

import multiprocessing
import os
import re
import stat
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from dicom_files import SETTINGS, as_bytes, read_bytes
from pydicom.dataset import Dataset

from scanner import decoding
from scanner.errors import SetupError
from scanner.header import facts
from scanner.pseudonyms import KEY_BYTES, load_key, pseudonym

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


def test_the_same_identifier_has_the_same_pseudonym() -> None:
    assert pseudonym(KEY, "patient", "9RG1") == pseudonym(KEY, "patient", "9RG1")
    # Fixed for ever: rows of last year's scan must link with this year's.
    assert pseudonym(KEY, "patient", "9RG1") == "d6ad3f86c9ee3d3f"


def test_another_identifier_key_or_kind_has_another_pseudonym() -> None:
    found = {
        pseudonym(key, kind, identifier)
        for key in (KEY, OTHER_KEY)
        for kind in ("patient", "study")
        for identifier in ("9RG1", "9RG2", "9RG1 ", "ä", "\udcff")
    }
    assert len(found) == 2 * 2 * 5


def test_a_pseudonym_is_16_hexadecimal_digits_without_the_identifier() -> None:
    for identifier in ("a", "9RG1", "1.2.840.113619.2.55", "x" * 64):
        found = pseudonym(KEY, "patient", identifier)
        assert re.fullmatch("[0-9a-f]{16}", found)
        assert identifier not in found or identifier == "a"


def test_blank_stays_blank() -> None:
    assert pseudonym(KEY, "patient", "") == ""


def test_a_header_holds_pseudonyms_and_no_identifier(
    radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    reading = read_bytes(as_bytes(radiograph_dataset), tmp_path / "x.dcm")
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "SOPInstanceUID"):
        assert str(radiograph_dataset[keyword].value) not in str(reading.header)
    for found in (reading.header.patient, reading.header.study, reading.header.instance):
        assert re.fullmatch("[0-9a-f]{16}", found)
    assert reading.header.instance == pseudonym(
        SETTINGS.key, "instance", str(radiograph_dataset.SOPInstanceUID)
    )


def test_patients_of_two_hospitals_with_one_number_are_two(
    radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    found = []
    for issuer in ("North", "South", "South"):
        radiograph_dataset.IssuerOfPatientID = issuer
        reading = read_bytes(as_bytes(radiograph_dataset), tmp_path / "x.dcm")
        found.append(reading.header.patient)
    assert found[0] != found[1] == found[2]


@pytest.mark.parametrize("blank", ["", None, "  "])
def test_a_header_without_identifiers_has_blank_pseudonyms(
    blank: str | None, radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    radiograph_dataset.PatientID = blank
    radiograph_dataset.IssuerOfPatientID = "North"
    del radiograph_dataset.StudyInstanceUID
    reading = read_bytes(as_bytes(radiograph_dataset), tmp_path / "x.dcm")
    assert (reading.header.patient, reading.header.study) == ("", "")


def test_the_key_decides_over_the_pseudonyms_of_a_scan(
    radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    mine = read_bytes(as_bytes(radiograph_dataset), tmp_path / "x.dcm").header
    other = decoding.ReadSettings(SETTINGS.spec, OTHER_KEY)
    source = decoding.Source(tmp_path / "x.dcm", "x.dcm", -1, -1)
    theirs = decoding.read_file(source, other).header
    assert mine.patient != theirs.patient
    assert mine.study != theirs.study
    assert mine.instance != theirs.instance


def test_the_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "config" / "cxr-scan" / "pseudonym.key"
    before = os.umask(0)
    try:
        key = load_key(path)
    finally:
        os.umask(before)
    assert len(key) == KEY_BYTES
    assert key == path.read_bytes() == load_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["pseudonym.key"]


def test_two_sites_have_two_keys(tmp_path: Path) -> None:
    assert load_key(tmp_path / "one.key") != load_key(tmp_path / "two.key")


def test_the_key_lies_in_the_users_configuration_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert load_key() == (tmp_path / "cxr-scan" / "pseudonym.key").read_bytes()


def _load_together(barrier: Barrier, paths: list[Path], keys: "Queue[list[bytes]]") -> None:
    barrier.wait(timeout=60)
    keys.put([load_key(path) for path in paths])


def test_first_scans_at_the_same_moment_end_with_one_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    barrier, keys = context.Barrier(4), context.Queue()
    paths = [tmp_path / f"{number}.key" for number in range(300)]  # some will be a close race
    scans = [context.Process(target=_load_together, args=(barrier, paths, keys)) for _ in range(4)]
    for scan in scans:
        scan.start()
    found = [keys.get(timeout=60) for _ in scans]
    for scan in scans:
        scan.join(timeout=60)
    assert found == [[path.read_bytes() for path in paths]] * 4


@pytest.mark.parametrize("content", [b"", b"short", bytes(33)])
def test_a_key_of_the_wrong_length_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "pseudonym.key"
    path.write_bytes(content)
    with pytest.raises(SetupError, match=f"has {len(content)} bytes where 32"):
        load_key(path)
    assert path.read_bytes() == content


def test_a_key_that_can_be_neither_read_nor_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SetupError, match="can be neither read nor made"):
        load_key(tmp_path / "file" / "pseudonym.key")


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "PatientID"])
def test_identifiers_longer_than_the_standard_allows_stay_apart(keyword: str) -> None:
    # Careless anonymisers write such; cut at 64 characters, two images would be one.
    found = set()
    for end in "12":
        dataset = Dataset()
        dataset.add_new(keyword, "LO", "1.2." + "3" * 90 + end)
        header = facts(dataset, b"k" * 32, ())
        found.add((header.instance, header.study, header.patient))
    assert len(found) == 2
