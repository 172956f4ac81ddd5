"""What the benchmarks print: medians with spread, Markdown tables, the machine they ran on."""

import os
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("tensorflow", "keras", "openvino", "torch", "tf-keras-vis", "numpy")


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Return the median of `values`, and the smallest and largest if there are several."""
    middle = _rounded(statistics.median(values), digits)
    if len(values) == 1:
        return middle
    return f"{middle} ({_rounded(min(values), digits)}–{_rounded(max(values), digits)})"


def _rounded(value: float, digits: int) -> str:
    """Return `value` with so many significant digits, and never an exponent."""
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:.{max(digits - whole, 0)}f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns line up in a terminal, too; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        " | ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, rule, *rows)
    ]
    return "\n".join(f"| {line} |" for line in lines)


def machine() -> str:
    """Return a line that says what ran here: processor, cores it may use, versions."""
    lines = Path("/proc/cpuinfo").read_text(errors="ignore").splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    units = [f for f in ("amx_bf16", "amx_int8", "avx512_bf16", "avx512_vnni") if f in flags]
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return (
        f"{next(iter(names), platform.processor())}, {len(os.sched_getaffinity(0))} cores"
        f" ({' '.join(units) or 'no bfloat16 units'}), load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, {', '.join(found)}"
    )
