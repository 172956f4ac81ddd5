"""The readings of a batch become rows: judged by the network, their pictures saved."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from scanner import interrupts, manifest, thumbnails
from scanner.bundle import Bundle
from scanner.diary import Diary
from scanner.duplicates import Originals
from scanner.judgement import Judge
from scanner.predictor import CPU_BATCH_SIZE, MakePredictor, Predictions, Predictor
from scanner.reading import Reading
from scanner.records import DUPLICATE_OF, Record
from scanner.settings import ScanSettings
from scanner.walk import IMAGE_KINDS, Source

Batch = list[tuple[Source, Reading]]


class RowMaker:
    """Makes the rows of one run, with the predictor once it is needed."""

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

    @property
    def batch_size(self) -> int:
        """How many images are judged at once; it may be halved while the run goes on."""
        if self._predictor is not None:
            return self._predictor.batch_size
        return self._settings.batch_size or CPU_BATCH_SIZE

    def rows(self, batch: Batch) -> list[tuple[Source, Record]]:
        """Return a record for every reading, in order; pictures go to the report's folder."""
        judged = self._judged([pair for pair in batch if not pair[1].status])
        judged |= self._judged(_no_copies(batch, judged))
        rows = []
        for source, reading in batch:
            record = judged.get(source.relative) or self._facts_of(source, reading)
            # What was rejected is no original; its copies are rejected for the same reason.
            first = judged.get(record.detail.removeprefix(DUPLICATE_OF))
            if record.reason == "duplicate" and first is not None and first.reason:
                record = replace(record, reason=first.reason, detail=first.detail)
            rows.append((source, record))
        return rows

    def _judged(self, batch: Batch) -> dict[str, Record]:
        """Return the records of images that the network is shown, by path."""
        if not batch:
            return {}
        inputs = [reading.model_input for _, reading in batch if reading.model_input is not None]
        predictions = self._predict(inputs)
        facts = [self._facts_of(source, reading) for source, reading in batch]
        records = self._judge.judge(facts, predictions)
        folder = self._settings.output
        for index, (record, (_, reading)) in enumerate(zip(records, batch, strict=True)):
            if record.status == "rejected":
                self._originals.forget(record.sha256, record.instance, record.path)
                thumbnails.save_plain(folder, record.sha256, reading.thumbnail)
            else:
                lungs = None if predictions.lungs is None else predictions.lungs[index]
                cam = predictions.cam[index]
                thumbnails.save(folder, record.sha256, reading.thumbnail, cam, lungs)
        return {record.path: record for record in records}

    def _predict(self, inputs: list[npt.NDArray[np.uint8]]) -> Predictions:
        wanted = self.batch_size
        predictor = self.ready_predictor()  # with less where memory is short
        wanted = max(wanted, predictor.batch_size)
        predictions = predictor.predict(inputs)
        self._diary.predicted(len(inputs), wanted, predictor.batch_size)
        return predictions

    def ready_predictor(self) -> Predictor:
        """Return the predictor; it waits for the first image because TensorFlow takes seconds."""
        if self._predictor is None:
            settings = self._settings
            with interrupts.deferred():
                self._predictor = self._make_predictor(
                    self._bundle, settings.batch_size, settings.precision, settings.require_gpu
                )
            self._diary.predicting(self._predictor)
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


def _no_copies(batch: Batch, judged: dict[str, Record]) -> Batch:
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
