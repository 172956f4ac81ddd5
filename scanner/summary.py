"""What a run found, and who is told while it goes on."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass
class Summary:
    """What a run found; the counters cover all rows of the output folder, earlier runs' too."""

    files: int = 0
    new_rows: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    predictions: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    passed_over: Counter[str] = field(default_factory=Counter)
    unreadable_folders: int = 0
    limited: bool = False  # --limit left files unread
    warnings: list[str] = field(default_factory=list)
    device: str = ""
    precision: str = ""
    batch_size: int | None = None
    seconds: float = 0.0
    predicting_seconds: float = 0.0

    def count(self, status: str, prediction: str, reason: str) -> None:
        self.statuses[status] += 1
        if prediction:
            self.predictions[prediction] += 1
        if reason:
            self.reasons[reason] += 1

    def counts(self) -> dict[str, Any]:
        """Return what the manifest says of all rows."""
        return {
            "files": self.files,
            "statuses": dict(self.statuses),
            "predictions": dict(self.predictions),
            "reasons": dict(self.reasons),
            "passed_over": dict(self.passed_over),
            "warnings": self.warnings,
        }

    def run(self) -> dict[str, Any]:
        """Return what the manifest says of this run alone."""
        return {
            "new_rows": self.new_rows,
            "seconds": round(self.seconds, 1),
            "predicting_seconds": round(self.predicting_seconds, 1),
            "device": self.device,
            "precision": self.precision,
            "batch_size": self.batch_size,
        }


class Progress(Protocol):
    """Whoever watches a run."""

    def start(self, files: int) -> None:
        """Say how many files are still to be read."""

    def advance(self, files: int, summary: Summary) -> None:
        """Say that so many more files are done, after each batch."""
