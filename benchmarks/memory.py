#!/usr/bin/env python3
"""Peak memory of a scan and its workers: memory.py FOLDER [OPTIONS OF cxr-scan …]

Watches all processes in /proc (Linux), twenty times a second: the largest sum of what they have
resident, with pages that they share counted once (PSS) and as often as they are mapped (RSS).
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(place.name))
    found, waiting = [], [pid]
    while waiting:
        process = waiting.pop()
        found.append(process)
        waiting += children.get(process, [])
    return found


def resident(pid: int) -> tuple[int, int]:
    """Return (RSS, PSS) of one process in kB; zeros if it has ended."""
    try:
        lines = (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return 0, 0
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return sizes["Rss"], sizes["Pss"]


def peak(pid: int) -> int:
    """Return the most one process ever had resident, in kB; zero if it has ended.

    The kernel keeps that figure, so asking costs next to nothing, and rarely is enough.
    """
    try:
        lines = (Path("/proc") / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def peaks(pid: int) -> dict[int, int]:
    """Return `peak` of a process and of all that descend from it."""
    return {process: peak(process) for process in descendants(pid)}


def main() -> None:
    code = "from scanner.cli import main; main()"
    rss = pss = own = other = 0
    with tempfile.TemporaryDirectory() as output:
        scan = subprocess.Popen(
            [sys.executable, "-c", code, sys.argv[1], "--output", output, *sys.argv[2:]]
        )
        while scan.poll() is None:
            sizes = {pid: resident(pid) for pid in descendants(scan.pid)}
            rss = max(rss, sum(size for size, _ in sizes.values()))
            pss = max(pss, sum(size for _, size in sizes.values()))
            own = max(own, sizes.pop(scan.pid, (0, 0))[0])
            other = max(other, *(size for size, _ in sizes.values()), 0)
            time.sleep(0.05)
    print(f"scan: {own >> 10} MB, largest other process: {other >> 10} MB")
    print(f"all processes at once: {pss >> 10} MB (PSS), {rss >> 10} MB (sum of RSS)")


if __name__ == "__main__":
    main()
