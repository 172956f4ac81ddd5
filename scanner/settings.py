"""The options of a scan."""

from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from scanner import run_log
from scanner.bundle import DEFAULT_BUNDLE
from scanner.colormaps import COLORMAPS
from scanner.limits import STANDARD, Limits


@dataclass(frozen=True)
class ScanSettings:
    """The options of one run, read once in cli.py; None means chosen by measurement."""

    root: Path
    output: Path
    model: Path = DEFAULT_BUNDLE
    batch_size: int | None = None
    precision: str = "auto"
    backend: str = "tensorflow"
    workers: int | None = None
    limit: int | None = None
    shard: tuple[int, int] = (1, 1)
    include: tuple[str, ...] = ()
    fresh: bool = False
    strict: bool = False
    require_gpu: bool = False
    limits: Limits = STANDARD
    hide_paths: bool = False
    detail_images: bool = False
    colormap: str = COLORMAPS[0]
    log_format: str = run_log.TEXT

    @property
    def folder_in_words(self) -> str:
        """What messages call the scanned folder, to begin a sentence with."""
        return "The scanned folder" if self.hide_paths else f"The folder {self.root}"

    def without_folders(self) -> dict[str, Any]:
        """Return the options for the manifest: folders stand there already, if they may."""
        options = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: _plain(v) for k, v in options.items() if not isinstance(v, Path)}


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
