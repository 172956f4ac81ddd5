"""Scans into one folder at once: one goes on, the others are told, nothing is mixed."""

import signal
from pathlib import Path

from fault_table import FaultTable
from scanning import Scan, only_on_linux, scan, wait_for
from stalling import stalled
from studies import Studies

pytestmark = only_on_linux()


def test_a_second_scan_while_one_is_at_work(
    light: Studies, table: FaultTable, tmp_path: Path
) -> None:
    expected = light.rows
    output = tmp_path / "out"
    arguments = light.arguments(output)
    with table.fault("two scans at once, the second later") as case:
        with Scan(light.home, arguments) as first:
            assert first.wait_until(lambda: first.has_open("predictions.csv"))
            first.strike(signal.SIGSTOP)  # until the others have had their try
            for more in ((), ("--fresh",)):
                scan(light.home, *arguments, *more).says(1, "Another scan is writing into")
            first.strike(signal.SIGCONT)
            first.finish().says(3)
        case.compare(output, expected)


def test_scans_started_together(light: Studies, table: FaultTable, tmp_path: Path) -> None:
    """A file stalls until the others have been told, so that the one cannot end before."""
    expected = light.rows
    output = tmp_path / "out"
    arguments = light.arguments(output)
    with table.fault("three scans started together") as case:
        with (
            stalled(light.folder / next(iter(expected))) as file,
            Scan(light.home, arguments) as a,
            Scan(light.home, arguments) as b,
            Scan(light.home, arguments) as c,
        ):
            scans = [a, b, c]
            assert wait_for(lambda: sum(running.ended for running in scans) == 2)
            file.release()
            ended = [running.finish() for running in scans]
        codes = sorted(end.code for end in ended)
        assert codes == [1, 1, 3]
        for end in ended:
            if end.code == 1:
                end.says(1, "Another scan is writing into")
            else:
                end.says(3)
        case.compare(output, expected)
        scan(light.home, *arguments).says(3)
        case.compare(output, expected)
