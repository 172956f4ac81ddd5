"""Batches of readings become rows: judged by the network, their pictures saved, all at once."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Self

from scanner import interrupts, manifest
from scanner.bundle import Bundle
from scanner.diary import Diary
from scanner.duplicates import Originals
from scanner.judgement import Judge
from scanner.pictures import Picture, PictureSaver
from scanner.predictor import CPU_BATCH_SIZE, MakePredictor, Predictions, Predictor
from scanner.reading import Reading
from scanner.records import DUPLICATE_OF, Record
from scanner.settings import ScanSettings
from scanner.walk import IMAGE_KINDS, Source

Batch = list[tuple[Source, Reading]]


Rows = list[tuple[Source, Record]]
# Batches put together before the first of them is waited for: one that is predicted, one that
# is ready when that is done.
_BEGUN = 2


@dataclass
class _Begun:
    """A batch that was read from so many files, while it is predicted.

    `judged` are its images that the network is shown; `refused`, by path, what the network
    rejected since the batch was put together: its copies were still held for duplicates then.
    """

    files: int
    batch: Batch
    judged: Batch
    predictions: Future[Predictions]
    refused: dict[str, Record] = field(default_factory=dict)


class RowMaker:
    """Makes the rows of one run; use it as a context manager.

    While the network judges a batch (in a thread: it computes without Python), this thread makes
    the rows of the one before, a process draws their pictures, and the next is put together.
    """

    def __init__(
        self,
        settings: ScanSettings,
        bundle: Bundle,
        judge: Judge,
        make_predictor: MakePredictor,
        originals: Originals,
        diary: Diary,
    ) -> None:
        self._settings = settings
        self._bundle = bundle
        self._judge = judge
        self._make_predictor = make_predictor
        self._originals = originals
        self._diary = diary
        self._predictor: Predictor | None = None
        self._thread = ThreadPoolExecutor(1, "predictor")
        self._saver = PictureSaver(settings.output, settings.colormap)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A batch that is being predicted is waited for: TensorFlow must not be left half-way.
        self._thread.shutdown(cancel_futures=True)
        self._saver.__exit__()

    @property
    def batch_size(self) -> int:
        """How many images are judged at once; it may be halved while the run goes on."""
        if self._predictor is not None:
            return self._predictor.batch_size
        return self._settings.batch_size or CPU_BATCH_SIZE

    def rows(self, batches: Iterable[tuple[int, Batch]]) -> Iterator[tuple[int, Rows]]:
        """Yield for every batch, in order, how many files it took, and a record for each reading.

        When a batch is yielded, its pictures are in the report's folder. Raises `SetupError` if
        not even one image can be judged, and `OSError` if pictures cannot be saved.
        """
        begun: deque[_Begun] = deque()
        for files, batch in batches:
            begun.append(self._begin(files, batch))
            if len(begun) >= _BEGUN:
                yield self._finished(begun.popleft(), begun)
        while begun:
            yield self._finished(begun.popleft(), begun)

    def _begin(self, files: int, batch: Batch) -> _Begun:
        judged = [pair for pair in batch if not pair[1].status]
        return _Begun(files, batch, judged, self._predict(judged))

    def _predict(self, batch: Batch) -> "Future[Predictions]":
        """Start predicting; of no images at once."""
        inputs = [reading.model_input for _, reading in batch if reading.model_input is not None]
        if not inputs:
            nothing: Future[Predictions] = Future()
            return nothing
        return self._thread.submit(self.ready_predictor().predict, inputs)

    def _finished(self, begun: _Begun, later: Iterable[_Begun]) -> tuple[int, Rows]:
        """Wait for a batch's predictions and return its rows; save its pictures meanwhile."""
        pictures: list[Picture] = []
        judged = self._records(begun.judged, begun.predictions, pictures)
        known = begun.refused | judged
        while released := self._released(begun.batch, known):
            judged |= self._records(released, self._predict(released), pictures)
            known |= judged
        saved = self._saver.begin(pictures)
        rows = []
        for source, reading in begun.batch:
            record = judged.get(source.relative) or self._facts_of(source, reading)
            # What was rejected is no original; its copies are rejected for the same reason.
            first = known.get(record.detail.removeprefix(DUPLICATE_OF))
            if record.reason == "duplicate" and first is not None and first.reason:
                record = replace(record, reason=first.reason, detail=first.detail)
            rows.append((source, record))
        refused = {path: record for path, record in judged.items() if record.reason}
        for other in later:
            other.refused |= refused
        self._saver.wait(saved, pictures)
        return begun.files, rows

    def _released(self, batch: Batch, known: dict[str, Record]) -> Batch:
        """Return what was held for another file of an image that the network then rejected.

        Such an image is no original; only a copy to the byte is as surely none to judge. What is
        released is an original itself now, of which there may be copies in turn.
        """
        released = []
        for place, (source, reading) in enumerate(batch):
            first = known.get(reading.detail.removeprefix(DUPLICATE_OF))
            if reading.reason != "duplicate" or first is None or not first.reason:
                continue
            if first.sha256 != reading.sha256:
                free = replace(reading, status="", reason="", detail="")
                batch[place] = source, self._originals.refuse_copy(free, source.relative)
                if not batch[place][1].status:
                    released.append(batch[place])
        return released

    def _records(
        self, batch: Batch, predicted: "Future[Predictions]", pictures: list[Picture]
    ) -> dict[str, Record]:
        """Return the records of images that the network is shown, by path; add their pictures."""
        if not batch:
            return {}
        predictions = predicted.result()
        self._diary.predicted(len(batch), self.batch_size)
        facts = [self._facts_of(source, reading) for source, reading in batch]
        records = self._judge.judge(facts, predictions)
        for index, (record, (_, reading)) in enumerate(zip(records, batch, strict=True)):
            if record.status == "rejected":
                self._originals.forget(record.sha256, record.instance, record.path)
                pictures.append(Picture(record.sha256, reading.thumbnail))
            else:
                lungs = None if predictions.lungs is None else predictions.lungs[index]
                large = reading.large if self._wants_detail(record) else b""
                cam = predictions.cam[index]
                pictures.append(Picture(record.sha256, reading.thumbnail, large, cam, lungs))
        return {record.path: record for record in records}

    def _wants_detail(self, record: Record) -> bool:
        """Tell whether a human will want to look closely."""
        negative = self._bundle.card.get("negative_class", "")
        return (
            self._settings.detail_images
            or record.status == "flagged"
            or (record.prediction != negative)
        )

    def ready_predictor(self) -> Predictor:
        """Return the predictor; it waits for the first image because TensorFlow takes seconds."""
        if self._predictor is None:
            settings, wanted = self._settings, self.batch_size
            with interrupts.deferred():
                self._predictor = self._make_predictor(
                    self._bundle,
                    settings.batch_size,
                    settings.precision,
                    settings.require_gpu,
                    settings.backend,
                )
            self._diary.predicting(self._predictor, wanted)
        return self._predictor

    def _facts_of(self, source: Source, reading: Reading) -> Record:
        """Return what a row says of a file that the network does not."""
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
            model=self._bundle.id,
            scanned_at=manifest.now(),
            seconds=reading.seconds,
            included=tuple(value for _, value in header.included),
        )
