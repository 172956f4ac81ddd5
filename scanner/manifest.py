"""`manifest.json`: how a run was made and how it ended, for machines and for the report."""

import json
import platform
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from scanner import __version__
from scanner.records import write_atomically

_REPORTED_PACKAGES = ("tensorflow", "keras", "pydicom", "numpy", "opencv-python-headless", "pillow")


@dataclass
class Manifest:
    """The record of one run; `save` writes it whole, so a killed run leaves state ``running``."""

    path: Path
    values: dict[str, Any] = field(default_factory=dict)

    def save(self, **changes: Any) -> None:
        self.values.update(changes)
        text = json.dumps(self.values, indent=2, ensure_ascii=False, sort_keys=False)
        write_atomically(self.path, text + "\n")


def load(path: Path) -> dict[str, Any]:
    """Return a manifest's values; none if it is missing or damaged (the CSV is the truth)."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, without importing anything heavy."""
    found = {"cxr-scan": __version__, "python": platform.python_version()}
    for name in _REPORTED_PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
