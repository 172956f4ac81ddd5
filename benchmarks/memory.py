#!/usr/bin/env python3
"""Peak memory of every process of a scan: memory.py FOLDER [OPTIONS OF cxr-scan …]

Watches the scan and its workers in /proc (Linux) and prints the largest resident size of each kind.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path


def peaks(pid: int) -> dict[int, int]:
    """Return the high-water mark of resident memory, in kB, of a process and its descendants."""
    found = {}
    children: dict[int, list[int]] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(place.name))
    waiting = [pid]
    while waiting:
        process = waiting.pop()
        waiting += children.get(process, [])
        try:
            status = (Path("/proc") / str(process) / "status").read_text()
        except OSError:
            continue
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                found[process] = int(line.split()[1])
    return found


def main() -> None:
    code = "from scanner.cli import main; main()"
    with tempfile.TemporaryDirectory() as output:
        scan = subprocess.Popen(
            [sys.executable, "-c", code, sys.argv[1], "--output", output, *sys.argv[2:]]
        )
        highest: dict[int, int] = {}
        while scan.poll() is None:
            for process, peak in peaks(scan.pid).items():
                highest[process] = max(peak, highest.get(process, 0))
            time.sleep(0.02)
    main_peak = highest.pop(scan.pid) / 1024
    workers = max(highest.values(), default=0) / 1024
    print(f"peak resident memory: scan {main_peak:.0f} MB, largest other process {workers:.0f} MB")


if __name__ == "__main__":
    main()
