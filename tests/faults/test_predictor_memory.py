"""A predictor that runs out of memory: with less of it at once, or said; the rows stand.

The kernel refuses the scan more address space than so much (RLIMIT_AS, as `ulimit -v` of a batch
system does), and TensorFlow on a CPU does not fail on that, it crashes.
"""

import shutil
import signal
from pathlib import Path

import pytest
from fault_table import FaultTable
from scanning import only_on_linux, scan
from studies import Studies

pytestmark = only_on_linux()

# Not enough to load TensorFlow; about what it takes for itself; enough for some tens of the images
# of a batch of 1024, which would take 68 GB.
_LITTLE, _SOME, _MUCH = 1_200_000_000, 2_600_000_000, 8_000_000_000


@pytest.fixture(autouse=True)
def _prlimit() -> None:
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit (Debian package util-linux) is missing")


@pytest.mark.parametrize("limit", [_LITTLE, _SOME], ids=["loading", "one image"])
def test_a_predictor_without_memory(
    limit: int, studies: Studies, table: FaultTable, tmp_path: Path
) -> None:
    expected = studies.rows
    output = tmp_path / "out"
    arguments = studies.arguments(output)
    before: dict[str, str] = {}
    with table.fault("predictor out of memory (RLIMIT_AS)") as case:
        scan(studies.home, *arguments, "--limit", 9, "--no-report").says(0, "9 images")
        case.compare_unfinished(output, before, expected)
        ended = scan(studies.home, *arguments, prefix=["prlimit", f"--as={limit}"])
        if limit == _LITTLE:
            ended.says(1, "TensorFlow cannot be loaded", "same command")
        elif ended.code == 1:
            ended.says(1, "Not even one image fits into the memory", "same command")
        else:  # TensorFlow itself crashes where it cannot even map its own
            assert ended.code in (-signal.SIGABRT, -signal.SIGSEGV)
        case.compare_unfinished(output, before, expected)
        scan(studies.home, *arguments).says(3)
        case.compare(output, expected)


def test_a_batch_that_does_not_fit_is_made_smaller(
    studies: Studies, table: FaultTable, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    arguments = [*studies.arguments(output), "--batch-size", 1024]  # the later option counts
    with table.fault("a batch larger than the memory (RLIMIT_AS)") as case:
        prefix = ["prlimit", f"--as={_MUCH}"]
        scan(studies.home, *arguments, prefix=prefix).says(3, f"{len(studies.rows)} images")
        case.compare(output, studies.rows)
        assert "did not fit into memory" in (output / "run.log").read_text()
