"""Decisions as the report exports them, on the output folders of `report_samples`."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from report_samples import DEFAULT_MANIFEST, failed, file_hash, judged, rejected, write_output

from scanner.decisions import EXPORTED
from scanner.records import Record
from scanner.text import cell

MODEL = "20ee48f61273"
POINTS = [
    {"class": "Covid-19", "rule": "balanced", "threshold": 0.5},
    {"class": "Covid-19", "rule": "sensitive", "threshold": 0.5},
    {"class": "Pneumonia", "rule": "sensitive", "threshold": 0.05},
]


@dataclass(frozen=True)
class Said:
    """A row of decisions.csv; `agrees` and `sha256` are of the path unless they are given."""

    path: str
    decision: str
    reviewer: str = "Anna"
    minute: int = 0
    agrees: str = ""
    seconds: str = "4.0"
    note: str = ""
    model: str = MODEL
    sha256: str | None = None

    def cells(self) -> list[str]:
        own = file_hash(self.path) if self.sha256 is None else self.sha256
        time = f"2026-11-23T07:{self.minute:02}:00.123Z"
        return [
            *(cell(self.path), own, cell(self.decision), self.agrees, cell(self.reviewer)),
            *(time, self.seconds, cell(self.note), self.model),
        ]


def export(file: Path, said: Sequence[Said], header: Sequence[str] = EXPORTED) -> Path:
    with file.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(header)
        writer.writerows(one.cells() for one in said)
    return file


def scanned(folder: Path, records: Sequence[Record] = ()) -> Path:
    """An output folder: 4 Covid-19, 4 Normal, 2 uncertain, a hostile name, and two not judged."""
    card = {**DEFAULT_MANIFEST["card"], "operating_points": POINTS}
    rows = [
        *(judged(f"c{n}.dcm", "Covid-19") for n in range(4)),
        *(judged(f"n{n}.dcm", "Normal") for n in range(4)),
        *(judged(f"u{n}.dcm", "uncertain", 0.4, prediction_set="Covid-19;Normal") for n in (0, 1)),
        judged("=1+1\x1b[2J.dcm", "Normal"),
        rejected("lateral.dcm"),
        failed("torn.dcm"),
    ]
    return write_output(folder, [*rows, *records], card=card)


def merged(output: Path) -> list[dict[str, str]]:
    with (output / "reviewed.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))
