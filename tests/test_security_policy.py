"""What SECURITY.md names is there, and its numbers are the code's."""

import re
from pathlib import Path

from scanner.limits import Limits

_ROOT = Path(__file__).parents[1]
_POLICY = (_ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_every_test_that_holds_a_promise_is_there() -> None:
    named = set(re.findall(r"`(tests/[\w/]+(?:\.py)?)`", _POLICY))
    assert len(named) > 15
    assert {name for name in named if not (_ROOT / name).exists()} == set()


def test_the_limits_are_the_defaults() -> None:
    limits = Limits()
    for stated in (
        f"| {limits.file_mb} MB | `--max-file-mb` |",
        f"| {limits.megapixels} million | `--max-megapixels` |",
        f"| {limits.seconds:g} s | `--max-seconds` |",
        f"| {limits.memory_mb} MB | `--max-memory-mb` |",
    ):
        assert stated in _POLICY


def test_every_row_of_promises_names_its_test() -> None:
    tables = re.findall(r"\| promise \| test \|\n\|---\|---\|\n((?:\|.*\n)+)", _POLICY)
    assert len(tables) == 3
    for row in "".join(tables).splitlines():
        assert re.search(r"`(tests/|make faults)", row.split(" | ")[-1]), row
