"""What a run found, and who is told while it goes on."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass
class Summary:
    """What a run found; the counters cover all rows of the output folder, earlier runs' too."""

    files: int = 0
    files_read: int = 0  # by this run, images or not
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
    predicted: int = 0  # images that the network was shown by this run
    predicting_seconds: float = 0.0
    busy: float | None = None  # see `Predictor.busy`
    peak_mb: float = 0.0  # of the scan's own process
    peak_decoder_mb: float = 0.0  # of the largest decoder that lived to say so

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
        """Return what the manifest says of this run alone; seconds, images a second, MB."""
        return {
            "files_read": self.files_read,
            "new_rows": self.new_rows,
            "seconds": round(self.seconds, 1),
            "files_per_second": _rate(self.files_read, self.seconds),
            "predicted": self.predicted,
            "predicting_seconds": round(self.predicting_seconds, 1),
            "predicted_per_second": _rate(self.predicted, self.predicting_seconds),
            "predictor_busy": None if self.busy is None else round(self.busy, 3),
            "device": self.device,
            "precision": self.precision,
            "batch_size": self.batch_size,
            "peak_memory_mb": {
                "scan": round(self.peak_mb),
                "largest_decoder": round(self.peak_decoder_mb),
            },
        }


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 2) if seconds > 0 else 0.0


class Progress(Protocol):
    """Whoever watches a run."""

    def start(self, files: int) -> None:
        """Say how many files are still to be read."""

    def advance(self, files: int, summary: Summary) -> None:
        """Say that so many more files are done, after each batch."""
