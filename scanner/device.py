"""What a CPU is called."""

import platform
from pathlib import Path


def cpu_name() -> str:
    """Return the CPU as people know it, as ``CPU AMD EPYC 9V74``."""
    return f"CPU {_model()}".strip()


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="ignore").splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
