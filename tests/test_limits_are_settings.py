"""What one file may cost is a setting: the row says which option raises the limit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import rows, run
from dicom_files import SETTINGS, as_bytes, set_pixels, source
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian
from small_models import save_cnn10

from scanner.decoding import Decoders
from scanner.limits import STANDARD, Limits, NeedsMoreError
from scanner.reading import Reading, read_file


def read_within(data: bytes, path: Path, **limits: float) -> Reading:
    path.write_bytes(data)
    return read_file(source(path), replace(SETTINGS, limits=replace(STANDARD, **limits)))


def a_larger(radiograph: Dataset) -> Dataset:
    """1.1 megapixels, 2.2 MB."""
    pixels = np.kron(radiograph.pixel_array[:440, :400], np.ones((2, 3), "<u2"))
    set_pixels(radiograph, pixels, 15)
    return radiograph


def test_the_limits_that_are_promised_are_the_defaults() -> None:
    assert Limits(file_mb=512, megapixels=90, seconds=60.0, memory_mb=1536) == STANDARD


@pytest.mark.parametrize("limit", [{"file_mb": 1}, {"megapixels": 1}])
def test_a_file_over_a_limit_is_too_large_and_says_which_option_to_raise(
    limit: dict[str, int], radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    data = as_bytes(a_larger(radiograph_dataset))
    reading = read_within(data, tmp_path / "x.dcm", **limit)
    assert (reading.status, reading.reason) == ("failed", "too_large")
    (name,) = limit
    assert f"--max-{name.replace('_', '-')}" in reading.detail
    raised = {name: 3}
    assert read_within(data, tmp_path / "x.dcm", **raised).status == ""


def test_a_deflated_data_set_is_measured_inflated(
    radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    dataset = a_larger(radiograph_dataset)
    set_pixels(dataset, dataset.pixel_array // 4096 * 4096, 15)
    data = as_bytes(dataset, DeflatedExplicitVRLittleEndian)
    assert len(data) < 1_000_000
    reading = read_within(data, tmp_path / "x.dcm", file_mb=1)
    assert (reading.reason, "--max-file-mb" in reading.detail) == ("too_large", True)
    assert read_within(data, tmp_path / "x.dcm", file_mb=3).status == ""


def test_rasters_have_the_same_limit_of_pixels(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.linear_gradient("L").resize((1_200, 1_000)).save(path)
    reading = read_within(path.read_bytes(), path, megapixels=1)
    assert (reading.reason, "--max-megapixels" in reading.detail) == ("too_large", True)


def test_a_file_that_needs_more_than_its_share_says_so_before_it_takes_it(
    radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    data = as_bytes(a_larger(radiograph_dataset))
    with pytest.raises(NeedsMoreError) as needs:
        read_within(data, tmp_path / "x.dcm", share_mb=8)
    assert 8 < needs.value.mb < 20
    assert read_within(data, tmp_path / "x.dcm", share_mb=20).status == ""


def test_large_files_are_read_with_more_than_a_share_and_in_order(
    radiograph_dataset: Dataset, tmp_path: Path
) -> None:
    """Of 400 MB eight workers get 192 each at first: the large ones need 280."""
    small = tmp_path / "small.dcm"
    small.write_bytes(as_bytes(radiograph_dataset))
    large = tmp_path / "large.dcm"
    pixels = np.kron(radiograph_dataset.pixel_array, np.ones((11, 11), "<u2"))
    set_pixels(radiograph_dataset, pixels, 15)
    large.write_bytes(as_bytes(radiograph_dataset))
    paths = [large, small, large, small, small, large]
    settings = replace(SETTINGS, limits=replace(STANDARD, memory_mb=400))
    with Decoders(settings, workers=2, lookahead=8) as decoders:
        found = [(s.path, r.status, r.detail) for s, r in decoders.read(map(source, paths))]
    assert found == [(path, "", "") for path in paths]


def test_the_command_passes_its_limits_on(radiograph_dataset: Dataset, tmp_path: Path) -> None:
    model, studies = tmp_path / "model", tmp_path / "studies"
    save_cnn10(model)
    studies.mkdir()
    (studies / "x.dcm").write_bytes(as_bytes(a_larger(radiograph_dataset)))
    reasons = []
    for number, options in enumerate((["--max-megapixels", 1], ["--max-file-mb", 1], [])):
        output = tmp_path / f"output {number}"
        done = run(
            *("scan", studies, "--output", output, "--model", model, "--no-report", *options),
            home=tmp_path,
        )
        assert done.returncode == (3 if options else 0), done.stderr
        reasons += [row["reason"] for row in rows(output)]
    assert reasons == ["too_large", "too_large", ""]
