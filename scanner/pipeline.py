"""One run: list the files, read them, judge what may be judged, write a row for every one.

Read `_Run.execute` from top to bottom: sources -> readings -> batches -> records.
"""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

from scanner import bundle as bundles
from scanner import hidden_paths, interrupts, manifest, output
from scanner.decoding import Decoders
from scanner.diary import Diary
from scanner.duplicates import Originals
from scanner.errors import SetupError
from scanner.judgement import Judge
from scanner.predictor import GPU_BATCH_SIZE, MakePredictor, Predictor
from scanner.pseudonyms import key_path, load_key
from scanner.reading import ReadSettings
from scanner.records import RecordFile, header_row
from scanner.rows import Batch, RowMaker
from scanner.settings import ScanSettings
from scanner.summary import Progress, Summary
from scanner.text import cell, printable
from scanner.walk import Source, list_files

# Rows without a prediction do not fill a batch; write them at the latest after so many.
_MAX_UNWRITTEN = 256
# More than most machines have cores: they give way to predicting, and while some wait for a network
# share others decode. Each takes some 60 MB.
_WORKERS = 8


def scan(
    settings: ScanSettings, progress: Progress, make_predictor: MakePredictor = Predictor
) -> Summary:
    """Scan `settings.root` into `settings.output` and return what was found.

    Results already there stand; only files that are new or changed are read. `make_predictor` is
    called when the first image is there to be judged. Raises `SetupError` if the run cannot start
    or go on; what was written by then stands, and the same command continues.
    """
    if settings.output.resolve() == settings.root.resolve():
        raise SetupError("The output folder is the scanned folder itself: choose another --output.")
    if output.is_output(settings.root):
        raise SetupError(
            f"{settings.folder_in_words} is the output folder of a scan, not a folder of studies."
        )
    bundle = bundles.load(settings.model)
    judge = Judge(bundle)
    key = load_key()
    output.refuse_key_inside(settings.output, key_path())
    with output.prepared(settings.output, settings.fresh, settings.log_format):
        return _Run(settings, bundle, judge, key, make_predictor).execute(progress)


class _Run:
    """One run: which files it reads, which images it has seen, who makes its rows."""

    def __init__(
        self,
        settings: ScanSettings,
        bundle: bundles.Bundle,
        judge: Judge,
        key: bytes,
        make_predictor: MakePredictor,
    ) -> None:
        self._settings = settings
        self._key = key
        self._bundle = bundle
        self._originals = Originals()
        self._diary = Diary(settings.output)
        self._summary = self._diary.summary
        self._maker = RowMaker(
            settings, bundle, judge, make_predictor, self._originals, self._diary
        )

    def execute(self, progress: Progress) -> Summary:
        try:
            with self._maker:
                self._scan(progress)
        except BaseException as error:
            self._diary.end(*manifest.how_it_ended(error))
            raise
        self._diary.end("limited" if self._summary.limited else "complete")
        return self._summary

    def _scan(self, progress: Progress) -> None:
        settings, kind = self._settings, self._kind_of_run()
        self._diary.refuse_other_run(kind)
        sources = self._list_sources()
        header = header_row(self._bundle.classes, settings.include)
        with RecordFile(settings.output, header, self._bundle.id) as records:
            todo = self._resume(records, sources)
            card = {name: value for name, value in self._bundle.card.items() if name != "classes"}
            values = {**kind, "classes": list(self._bundle.classes), "card": card}
            self._diary.begin(values, settings.without_folders(), len(todo))
            if settings.require_gpu:
                self._maker.ready_predictor()
            progress.start(min(len(todo), settings.limit or len(todo)))
            for files, rows in self._maker.rows(self._batches(todo)):
                with interrupts.deferred():  # what is in the table is in the counts
                    records.append(rows)
                    self._diary.written(record for _, record in rows)
                self._summary.files_read += files
                progress.advance(files, self._summary)
                self._diary.note()

    def _kind_of_run(self) -> dict[str, Any]:
        """What runs must share to put their results into one folder."""
        settings = self._settings
        root = settings.root.resolve()
        return {
            "root": hidden_paths.root_name(self._key, root)
            if settings.hide_paths
            else printable(str(root)),
            "hide_paths": settings.hide_paths,
            "model": self._bundle.id,
            "strict": settings.strict,
            "include": list(settings.include),
        }

    def _list_sources(self) -> list[Source]:
        settings, summary = self._settings, self._summary
        listing = list_files(settings.root.resolve(), skip=settings.output.resolve())
        if "." in listing.unreadable_folders:
            raise SetupError(f"{settings.folder_in_words} cannot be opened: check its permissions.")
        sources = [source for source in listing.sources if _in_shard(source, settings.shard)]
        closed = listing.unreadable_folders
        if settings.hide_paths:
            names = (hidden_paths.row_name(self._key, source.relative) for source in sources)
            sources = [replace(s, relative=name) for s, name in zip(sources, names, strict=True)]
            closed = [hidden_paths.folder_name(self._key, folder) for folder in closed]
        summary.files = len(sources)
        if not listing.sources:
            self._diary.warn(
                f"no file was found in {settings.folder_in_words}: is the share mounted?"
            )
        summary.passed_over.update(listing.passed_over)
        summary.unreadable_folders = len(closed)
        self._diary.closed_folders(closed)
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
        for path, reason in records.retried:
            if path in missing:
                self._diary.retrying(missing[path].relative, reason)
        if gone and self._settings.shard == (1, 1):
            self._diary.warn(f"{gone} of the rows are of files that are no longer there")
        return list(missing.values())

    def _batches(self, todo: list[Source]) -> Iterator[tuple[int, Batch]]:
        """Read files and yield batches: how many files they took, and the readings of images."""
        if not todo:
            return
        settings, summary = self._settings, self._summary
        read_settings = ReadSettings(
            self._bundle.spec,
            self._key,
            settings.include,
            settings.strict,
            limits=settings.limits,
        )
        workers = settings.workers or _WORKERS
        # Enough ahead to fill the next batch while one is being judged; 0.25 MB each.
        lookahead = 2 * ((settings.batch_size or GPU_BATCH_SIZE) + workers)
        with Decoders(read_settings, workers, lookahead) as decoders:
            files, to_judge, batch = 0, 0, []
            unread = len(todo)
            limit = settings.limit
            for source, reading in decoders.read(todo):
                files += 1
                unread -= 1
                summary.peak_decoder_mb = max(summary.peak_decoder_mb, reading.peak_mb)
                if reading.status == "not_an_image":
                    summary.passed_over[reading.kind] += 1
                    continue
                admitted = self._originals.refuse_copy(reading, source.relative)
                batch.append((source, admitted))
                if not admitted.status:
                    to_judge += 1
                    self._maker.ready_predictor()  # while the rest of the batch is read
                limit = None if limit is None else limit - 1
                full = to_judge >= self._maker.batch_size or len(batch) >= _MAX_UNWRITTEN
                if full or limit == 0:
                    yield files, batch
                    files, to_judge, batch = 0, 0, []
                if limit == 0:
                    summary.limited = unread > 0
                    return
            yield files, batch


def _in_shard(source: Source, shard: tuple[int, int]) -> bool:
    """Tell whether a file belongs to part i of n, by a hash of its path that never changes."""
    part, parts = shard
    digest = sha256(source.relative.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8]) % parts == part - 1
