"""One run: list the files, read them, judge what may be judged, write a row for every one.

Read `_Run.execute` from top to bottom: sources -> readings -> batches -> records.
"""

import logging
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from scanner import bundle as bundles
from scanner import interrupts, manifest, output, thumbnails
from scanner.decoding import Decoders, Reading, ReadSettings
from scanner.duplicates import Originals
from scanner.errors import SetupError
from scanner.judgement import Judge
from scanner.predictor import CPU_BATCH_SIZE, GPU_BATCH_SIZE, Predictor
from scanner.pseudonyms import load_key
from scanner.records import DUPLICATE_OF, Record, RecordFile, header_row
from scanner.summary import Progress, Summary
from scanner.text import cell, printable
from scanner.walk import IMAGE_KINDS, Source, list_files

logger = logging.getLogger("scanner")

# Rows without a prediction do not fill a batch; write them at the latest after so many.
_MAX_UNWRITTEN = 256
_MAX_WORKERS = 8


@dataclass(frozen=True)
class ScanSettings:
    """The options of one run, read once in cli.py; None means chosen by measurement."""

    root: Path
    output: Path
    model: Path = bundles.DEFAULT_BUNDLE
    batch_size: int | None = None
    precision: str = "auto"
    workers: int | None = None
    limit: int | None = None
    shard: tuple[int, int] = (1, 1)
    include: tuple[str, ...] = ()
    fresh: bool = False
    strict: bool = False
    require_gpu: bool = False


def scan(settings: ScanSettings, progress: Progress) -> Summary:
    """Scan `settings.root` into `settings.output` and return what was found.

    Results already there stand; only files that are new or changed are read. Raises `SetupError` if
    the run cannot start or go on; what was written by then stands, and the same command continues.
    """
    if settings.output.resolve() == settings.root.resolve():
        raise SetupError("The output folder is the scanned folder itself: choose another --output.")
    if output.is_output(settings.root):
        raise SetupError(
            f"{settings.root} is the output folder of a scan, not a folder of studies."
        )
    bundle = bundles.load(settings.model)
    judge = Judge(bundle)
    key = load_key()
    with output.prepared(settings.output, settings.fresh):
        return _Run(settings, bundle, judge, key).execute(progress)


class _Run:
    """The state of one run: what was judged, what is counted, the predictor once it is needed."""

    def __init__(
        self, settings: ScanSettings, bundle: bundles.Bundle, judge: Judge, key: bytes
    ) -> None:
        self._settings = settings
        self._bundle = bundle
        self._read_settings = ReadSettings(bundle.spec, key, settings.include, settings.strict)
        self._summary = Summary()
        self._originals = Originals()
        self._judge = judge
        self._predictor: Predictor | None = None
        self._manifest = manifest.Manifest(settings.output / output.MANIFEST)
        self._earlier_runs: list[dict[str, Any]] = []

    def execute(self, progress: Progress) -> Summary:
        started = time.monotonic()
        self._refuse_other_run()
        sources = self._list_sources()
        header = header_row(self._bundle.classes, self._settings.include)
        with RecordFile(self._settings.output, header, self._bundle.id) as records:
            todo = self._resume(records, sources)
            self._open_manifest()
            try:
                if self._settings.require_gpu:
                    self._ready_predictor()
                progress.start(min(len(todo), self._settings.limit or len(todo)))
                for files, readings in self._batches(todo):
                    rows = self._rows(readings)
                    records.append(rows)
                    self._count(rows)
                    progress.advance(files, self._summary)
            except BaseException as error:
                self._close_manifest("interrupted" if _is_stop(error) else "failed", started)
                raise
        self._close_manifest("limited" if self._summary.limited else "complete", started)
        return self._summary

    def _refuse_other_run(self) -> None:
        previous = manifest.load(self._manifest.path)
        output.refuse_other_run(previous, self._kind_of_run(), self._settings.output)
        self._earlier_runs = previous.get("runs", [])

    def _kind_of_run(self) -> dict[str, Any]:
        """What runs must share to put their results into one folder."""
        return {
            "root": printable(str(self._settings.root.resolve())),
            "model": self._bundle.id,
            "strict": self._settings.strict,
            "include": list(self._settings.include),
        }

    def _open_manifest(self) -> None:
        self._manifest.save(
            **self._kind_of_run(),
            state="running",
            classes=list(self._bundle.classes),
            card={k: v for k, v in self._bundle.card.items() if k != "classes"},
            versions=manifest.versions(),
            runs=self._earlier_runs,
        )

    def _close_manifest(self, state: str, started: float) -> None:
        summary = self._summary
        summary.seconds = time.monotonic() - started
        if self._predictor is not None:
            summary.batch_size = self._predictor.batch_size  # it may have been halved
            summary.predicting_seconds = self._predictor.seconds
        run = {"ended": _now(), "state": state, **summary.run()}
        self._manifest.save(state=state, **summary.counts(), runs=[*self._earlier_runs, run])

    def _list_sources(self) -> list[Source]:
        settings, summary = self._settings, self._summary
        listing = list_files(settings.root.resolve(), skip=settings.output.resolve())
        if "." in listing.unreadable_folders:
            raise SetupError(f"The folder {settings.root} cannot be opened: check its permissions.")
        sources = [source for source in listing.sources if _in_shard(source, settings.shard)]
        summary.files = len(sources)
        if not listing.sources:
            self._warn(f"no file was found in {settings.root}: is the share mounted?")
        summary.passed_over.update(listing.passed_over)
        summary.unreadable_folders = len(listing.unreadable_folders)
        for folder in listing.unreadable_folders:
            self._warn(f"folder {folder} cannot be opened; the files in it have no rows")
        return sources

    def _resume(self, records: RecordFile, sources: list[Source]) -> list[Source]:
        """Take in the rows that stand and return the sources that still need one."""
        missing = {cell(source.relative): source for source in sources}
        gone = 0
        for row in records.resume(sources):
            source = missing.pop(row["path"], None)
            gone += source is None
            self._summary.count(row["status"], row["prediction"], row["reason"])
            if row["prediction"]:
                path = source.relative if source else row["path"]  # deleted since, its row stands
                self._originals.remember(row["sha256"], row["instance"], path)
        if gone and self._settings.shard == (1, 1):
            self._warn(f"{gone} of the rows are of files that are no longer there")
        return list(missing.values())

    def _batches(self, todo: list[Source]) -> Iterator[tuple[int, list[tuple[Source, Reading]]]]:
        """Read files and yield batches: how many files they took, and the readings of images."""
        if not todo:
            return
        workers = self._settings.workers or min(os.cpu_count() or 1, _MAX_WORKERS)
        # Enough ahead to fill the next batch while one is being judged; 0.1 MB each.
        lookahead = 2 * ((self._settings.batch_size or GPU_BATCH_SIZE) + workers)
        with Decoders(self._read_settings, workers, lookahead) as decoders:
            files, to_judge, batch = 0, 0, []
            unread = len(todo)
            limit = self._settings.limit
            for source, reading in decoders.read(todo):
                files += 1
                unread -= 1
                if reading.status == "not_an_image":
                    self._summary.passed_over[reading.kind] += 1
                    continue
                admitted = self._originals.refuse_copy(reading, source.relative)
                batch.append((source, admitted))
                to_judge += not admitted.status
                limit = None if limit is None else limit - 1
                if to_judge >= self._batch_size() or len(batch) >= _MAX_UNWRITTEN or limit == 0:
                    yield files, batch
                    files, to_judge, batch = 0, 0, []
                if limit == 0:
                    self._summary.limited = unread > 0
                    return
            yield files, batch

    def _batch_size(self) -> int:
        if self._predictor is not None:
            return self._predictor.batch_size
        return self._settings.batch_size or CPU_BATCH_SIZE

    def _rows(self, batch: list[tuple[Source, Reading]]) -> list[tuple[Source, Record]]:
        """Return a record for every reading, in order; pictures go to the report's folder."""
        judged = self._judged([pair for pair in batch if not pair[1].status])
        judged |= self._judged(self._no_copies(batch, judged))
        rows = []
        for source, reading in batch:
            record = judged.get(source.relative) or _facts_of(source, reading, self._bundle.id)
            # What was rejected is no original; its copies are rejected for the same reason.
            first = judged.get(record.detail.removeprefix(DUPLICATE_OF))
            if record.reason == "duplicate" and first is not None and first.reason:
                record = replace(record, reason=first.reason, detail=first.detail)
            rows.append((source, record))
        return rows

    def _no_copies(
        self, batch: list[tuple[Source, Reading]], judged: dict[str, Record]
    ) -> list[tuple[Source, Reading]]:
        """Return what was held for another file of an image that the network then rejected.

        Such an image is no original; only a copy to the byte is as surely none to judge.
        """
        found = []
        for source, reading in batch:
            first = judged.get(reading.detail.removeprefix(DUPLICATE_OF))
            held = reading.reason == "duplicate" and first is not None and bool(first.reason)
            if held and first is not None and first.sha256 != reading.sha256:
                found.append((source, replace(reading, status="", reason="", detail="")))
        return found

    def _judged(self, batch: list[tuple[Source, Reading]]) -> dict[str, Record]:
        """Return the records of images that the network is shown, by path."""
        if not batch:
            return {}
        inputs = [reading.model_input for _, reading in batch if reading.model_input is not None]
        predictions = self._ready_predictor().predict(inputs)
        facts = [_facts_of(source, reading, self._bundle.id) for source, reading in batch]
        records = self._judge.judge(facts, predictions)
        for index, (record, (_, reading)) in enumerate(zip(records, batch, strict=True)):
            if record.status == "rejected":
                self._originals.forget(record.sha256, record.instance, record.path)
                thumbnails.save_plain(self._settings.output, record.sha256, reading.thumbnail)
            else:
                lungs = None if predictions.lungs is None else predictions.lungs[index]
                cam = predictions.cam[index]
                thumbnails.save(self._settings.output, record.sha256, reading.thumbnail, cam, lungs)
        return {record.path: record for record in records}

    def _ready_predictor(self) -> Predictor:
        """Return the predictor; it waits for the first image because TensorFlow takes seconds."""
        if self._predictor is None:
            settings, summary = self._settings, self._summary
            with interrupts.deferred():
                self._predictor = predictor = Predictor(
                    self._bundle, settings.batch_size, settings.precision, settings.require_gpu
                )
            summary.device, summary.precision = predictor.device, predictor.precision
            logger.info("predicting on %s in %s", predictor.device, predictor.precision)
            earlier = {str(run.get("precision") or "") for run in self._earlier_runs} - {""}
            if earlier - {predictor.precision}:
                self._warn(
                    f"earlier rows were computed in {', '.join(sorted(earlier))}, these in "
                    f"{predictor.precision}: probabilities may differ in the third decimal"
                )
        return self._predictor

    def _count(self, rows: Iterable[tuple[Source, Record]]) -> None:
        for _, record in rows:
            self._summary.new_rows += 1
            self._summary.count(record.status, record.prediction, record.reason)
            if record.status == "failed":
                logger.warning("%s: %s: %s", record.path, record.reason, record.detail)

    def _warn(self, message: str) -> None:
        self._summary.warnings.append(printable(message))
        logger.warning("%s", message)


def _facts_of(source: Source, reading: Reading, model: str) -> Record:
    header = reading.header
    return Record(
        path=source.relative,
        status=reading.status,
        reason=reading.reason,
        detail=reading.detail,
        sha256=reading.sha256,
        flags=";".join(() if reading.status else reading.flags),
        format=header.format or (reading.kind if reading.kind in IMAGE_KINDS else ""),
        modality=header.modality,
        body_part=header.body_part,
        view=header.view,
        photometric=header.photometric,
        transfer_syntax=header.transfer_syntax,
        voi=header.voi,
        rows=header.rows,
        columns=header.columns,
        patient=header.patient,
        study=header.study,
        instance=header.instance,
        model=model,
        scanned_at=_now(),
        seconds=reading.seconds,
        included=tuple(value for _, value in header.included),
    )


def _in_shard(source: Source, shard: tuple[int, int]) -> bool:
    """Tell whether a file belongs to part i of n, by a hash of its path that never changes."""
    part, parts = shard
    digest = sha256(source.relative.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8]) % parts == part - 1


def _is_stop(error: BaseException) -> bool:
    return isinstance(error, KeyboardInterrupt | SystemExit)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
