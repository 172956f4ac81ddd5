"""How much memory this process has needed, and how much more it may take."""

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_MACHINE = Path("/proc/meminfo")
# Of a container or a batch job (cgroup v2): the most it may take, and what it takes.
_GROUP = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


def peak_mb() -> float:
    """Return the most memory this process has had resident so far, in MB (2**20 bytes).

    Linux knows it of this program alone; elsewhere `getrusage` may count in what the process was
    before it ran this program. 0 where nobody says (Windows).
    """
    if sys.platform == "win32":
        return 0.0
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    except (OSError, StopIteration):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (2**20 if sys.platform == "darwin" else 2**10)


def free_mb() -> float:
    """Return how much more this process can take, in MB, by machine, container and `ulimit -v`.

    Infinite where nobody says (not Linux). Beyond it the kernel refuses memory or ends the process.
    """
    if sys.platform != "linux":
        return float("inf")
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    mapped = _kilobytes(_STATUS, "VmSize:")
    by_limit = float("inf") if limit == resource.RLIM_INFINITY else limit / 2**20 - mapped / 1024
    try:
        most, taken = (float(path.read_text(encoding="ascii")) for path in _GROUP)
        by_group = (most - taken) / 2**20
    except (OSError, ValueError):  # no such group, or "max"
        by_group = float("inf")
    return min(by_limit, by_group, _kilobytes(_MACHINE, "MemAvailable:", float("inf")) / 1024)


def _kilobytes(path: Path, name: str, unknown: float = 0.0) -> float:
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return unknown
    return next((float(line.split()[1]) for line in lines if line.startswith(name)), unknown)
