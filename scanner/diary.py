"""What a run tells of itself while it goes on: counts, run.log and manifest."""

import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scanner import __version__, hidden_paths, manifest, memory, output, run_log
from scanner.precision import name_of
from scanner.predictor import Predictor
from scanner.records import Record
from scanner.summary import Summary
from scanner.text import printable

# Manifest, report and terminal name so many folders that cannot be opened, the log names all.
_MAX_FOLDERS_NAMED = 20
# A killed run leaves in its manifest how far it was by then.
_SECONDS_BETWEEN_NOTES = 10.0


class Diary:
    """The diary of one run into output folder `folder`, which must be held already."""

    def __init__(self, folder: Path) -> None:
        self.summary = Summary()
        self._folder = folder
        self._manifest = manifest.Manifest(folder / output.MANIFEST)
        self._predictor: Predictor | None = None
        self._batch_size = 0
        self._started = self._noted = time.monotonic()
        run_log.say("started", f"cxr-scan {__version__} started", version=__version__)

    def refuse_other_run(self, kind: dict[str, Any]) -> None:
        """Raise `SetupError` if the folder holds results that those of `kind` must not join."""
        previous = self._manifest.previous or hidden_paths.as_rows_say(self._folder)
        output.refuse_other_run(previous, kind, self._folder)
        if self._manifest.damaged:
            self.warn("manifest.json was damaged: what it said of earlier runs is lost")

    def begin(self, values: dict[str, Any], settings: dict[str, Any], to_read: int) -> None:
        """Open the manifest's entry: `values` of all runs in the folder, `settings` of this one."""
        known = self.summary.files
        run_log.say(
            "listed", f"{known} files, {to_read} to read", files=known, files_to_read=to_read
        )
        values = {**values, "files": known, "versions": manifest.versions()}
        self._manifest.begin(values, {"settings": settings, "files_to_read": to_read})

    def warn(self, message: str) -> None:
        """Say something on terminal, report, manifest and log."""
        self.summary.warnings.append(printable(message))
        run_log.say("warning", message, logging.WARNING)

    def closed_folders(self, names: list[str]) -> None:
        """Say which folders cannot be opened; if they are many, the log alone names all."""
        for number, name in enumerate(names):
            message = f"folder {name} cannot be opened; the files in it have no rows"
            if number < _MAX_FOLDERS_NAMED:
                self.warn(message)
            else:
                run_log.say("warning", message, logging.WARNING)
        if len(names) > _MAX_FOLDERS_NAMED:
            more = len(names) - _MAX_FOLDERS_NAMED
            self.warn(f"{more} more folders cannot be opened; {output.LOG} names them")

    def retrying(self, path: str, reason: str) -> None:
        run_log.say("retrying", f"retrying {path}: {reason}", path=path, reason=reason)

    def predicting(self, predictor: Predictor, wanted: int) -> None:
        """Say what predicts, once it is ready; batches of `wanted` were asked for."""
        self._predictor, summary = predictor, self.summary
        self._batch_size = max(wanted, predictor.batch_size)
        precision = name_of(predictor.backend, predictor.precision)
        summary.device, summary.precision = predictor.device, precision
        about = f"predicting on {predictor.device} in {precision}"
        run_log.say("predictor", about, device=predictor.device, precision=precision)
        earlier = {str(run.get("precision") or "") for run in self._manifest.earlier_runs} - {""}
        if earlier - {precision}:
            self.warn(
                f"earlier rows were computed in {', '.join(sorted(earlier))}, these in "
                f"{precision}: probabilities may differ in the third decimal"
            )

    def predicted(self, images: int, batch_size: int) -> None:
        """Say that so many images were judged, and if batches had to be made smaller for it."""
        self.summary.predicted += images
        wanted, self._batch_size = self._batch_size, batch_size
        if batch_size < wanted:
            about = f"a batch of {wanted} did not fit into memory: {batch_size} at once"
            run_log.say("batch_halved", about, logging.WARNING, batch_size=batch_size, was=wanted)

    def written(self, records: Iterable[Record]) -> None:
        """Count new rows; the log names those that failed."""
        for record in records:
            self.summary.new_rows += 1
            self.summary.count(record.status, record.prediction, record.reason)
            if record.status == "failed":
                run_log.say(
                    "failed",
                    f"{record.path}: {record.reason}: {record.detail}",
                    logging.WARNING,
                    path=record.path,
                    reason=record.reason,
                    detail=record.detail,
                )

    def note(self) -> None:
        """Leave in the manifest, every few seconds, how far the run is."""
        if time.monotonic() - self._noted > _SECONDS_BETWEEN_NOTES:
            self._noted = time.monotonic()
            self._measure()
            self._manifest.update(self.summary.counts(), self.summary.run())

    def end(self, state: str, reason: str = "") -> None:
        """Say in log and manifest how the run ended; on a full disk neither may hide the error."""
        self._measure()
        summary = self.summary
        about = f"{state}{': ' * bool(reason)}{reason}; {summary.new_rows} new rows"
        level = logging.WARNING if reason else logging.INFO
        run_log.say("ended", about, level, state=state, reason=reason, **summary.run())
        try:
            self._manifest.end(summary.counts(), summary.run(), state, reason)
        except OSError:
            if not reason:
                raise

    def _measure(self) -> None:
        summary = self.summary
        summary.seconds = time.monotonic() - self._started
        summary.peak_mb = memory.peak_mb()
        if self._predictor is not None:
            summary.batch_size = self._predictor.batch_size  # it may have been halved
            summary.predicting_seconds = self._predictor.seconds
            summary.busy = self._predictor.busy
