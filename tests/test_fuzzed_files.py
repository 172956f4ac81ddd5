"""Damaged files of every encoding: each gets its reading, and nobody but decoders ever dies."""

import multiprocessing.forkserver
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from dicom_files import read_bytes
from fuzzing import Outcome, fuzz, seeds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from scanner.codecs import DECODERS
from scanner.words import REASONS


@pytest.fixture(scope="module")
def whole(_small_radiograph: Dataset) -> dict[str, bytes]:
    return seeds(_small_radiograph)


def test_the_seeds_are_whole_and_of_every_encoding(whole: dict[str, bytes], tmp_path: Path) -> None:
    readings = {name: read_bytes(data, tmp_path / name) for name, data in whole.items()}
    assert {name: r.detail for name, r in readings.items() if r.status} == {}
    assert {r.kind for r in readings.values()} == {"dicom", "png", "jpeg", "tiff", "bmp"}
    syntaxes = {reading.header.transfer_syntax for reading in readings.values()}
    # What is missing is the codestream of HTJ2KLossless with its packets in another order.
    assert {uid.keyword for uid in DECODERS if uid not in syntaxes} == {"HTJ2KLosslessRPCL"}


@pytest.fixture(scope="module")
def server() -> int:
    """The fork server's process id: the parent of all workers, of which one is enough."""
    multiprocessing.forkserver.ensure_running()
    process = multiprocessing.forkserver._forkserver._forkserver_pid
    assert process is not None
    return process


@pytest.fixture(scope="module")
def outcome(
    whole: dict[str, bytes],
    server: int,
    tmp_path_factory: pytest.TempPathFactory,
    pytestconfig: pytest.Config,
    say: Callable[[str], None],
) -> Outcome:
    files = pytestconfig.getoption("--fuzz-files")
    workers = min(os.cpu_count() or 1, 8)
    found = fuzz(whole, files, tmp_path_factory.mktemp("fuzz"), workers)
    counts = [f"{n} {' '.join(k).strip()}" for k, n in sorted(found.counts.items())]
    say(f"fuzzed files: {found.files} ({', '.join(counts)})")
    return found


@pytest.mark.slow
def test_every_damaged_file_gets_a_reading_that_somebody_foresaw(
    outcome: Outcome, pytestconfig: pytest.Config
) -> None:
    assert outcome.files == pytestconfig.getoption("--fuzz-files")
    assert {status for status, _ in outcome.counts} <= {
        *("judged", "rejected", "failed", "not_an_image")
    }
    assert {reason for _, reason in outcome.counts} - {""} <= REASONS.keys()
    assert [(name, why) for name, why, _ in outcome.unforeseen] == []


@pytest.mark.slow
def test_nobody_but_decoders_died_of_damaged_files(outcome: Outcome, server: int) -> None:
    assert outcome.files
    os.kill(server, 0)
    assert multiprocessing.forkserver._forkserver._forkserver_pid == server


_LENGTHS = st.sampled_from([0, 1, 7, 8, 255, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF])
_TAGS = st.one_of(
    st.sampled_from([0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011, 0x00280100]),
    st.sampled_from([0x00280101, 0x00280103, 0x00281050, 0x00281051, 0x00283000, 0x00283010]),
    st.sampled_from([0x00080005, 0x00080016, 0x00080060, 0x00100020, 0x00185101, 0x7FE00010]),
    st.sampled_from([0x00020010, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0, 0x00400555, 0x00092010]),
    st.integers(0, 0xFFFFFFFF),
)
_VRS = st.sampled_from(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN "
    b"UR US UT UV XX \0\0".split(b" ")
)
_VALUES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"1\\2\\3 ", b"-1", b"1e400 ", b"nan ", b"9" * 30, b"\\", b"ISO 2022 IR 87"]),
    st.integers(0, 0xFFFFFFFF).map(lambda number: number.to_bytes(4, "little")),
)


@st.composite
def _elements(draw: st.DrawFn, order: str, implicit: bool, depth: int = 3) -> bytes:
    """Some data elements as bytes: true or lying lengths, sequences with and without ends."""
    found = b""
    for _ in range(draw(st.integers(0, 4))):
        tag, vr, value = draw(_TAGS), draw(_VRS), draw(_VALUES)
        if depth and draw(st.integers(0, 3)) == 0:
            item = draw(_elements(order, implicit, depth - 1))
            head = struct.pack(order + "HHI", 0xFFFE, 0xE000, draw(st.just(len(item)) | _LENGTHS))
            vr, value = (
                b"SQ",
                head + item + draw(st.sampled_from([b"", b"\xfe\xff\x0d\xe0\0\0\0\0"])),
            )
        length = draw(st.one_of(st.just(len(value)), st.just(len(value)), _LENGTHS))
        found += struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
        if implicit:
            found += struct.pack(order + "I", length)
        elif vr in (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"):
            found += vr + b"\0\0" + struct.pack(order + "I", length)
        else:
            found += vr + struct.pack(order + "H", length & 0xFFFF)
        found += value
    return found


@pytest.mark.slow
@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_any_data_elements_end_as_a_reading_that_somebody_foresaw(
    data: st.DataObject,
    _small_radiograph: Dataset,
    whole: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Elements put before those of a radiograph, among them, or in their place."""
    name, syntax = data.draw(
        st.sampled_from(
            [
                ("explicit.dcm", ExplicitVRLittleEndian),
                ("implicit.dcm", ImplicitVRLittleEndian),
                ("big endian.dcm", ExplicitVRBigEndian),
            ]
        )
    )
    file = whole[name]
    start = 144 + int.from_bytes(file[140:144], "little")
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    elements = data.draw(_elements(order, syntax == ImplicitVRLittleEndian))
    place = data.draw(st.sampled_from([start, file.index(b"1.2.840", start) - 8]))
    rest = data.draw(st.sampled_from([file[place:], b""]))
    folder = tmp_path_factory.getbasetemp()
    reading = read_bytes(file[:place] + elements + rest, folder / "elements.dcm")
    assert reading.status in ("", "failed", "rejected", "not_an_image")
    assert reading.reason in REASONS or not reading.reason
    assert reading.reason != "unexpected_error", reading.detail
