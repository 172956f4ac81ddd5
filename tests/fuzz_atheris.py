#!/usr/bin/env python3
"""Coverage-guided fuzzing of the way of a DICOM file: fuzz_atheris.py CORPUS [OPTIONS OF libFuzzer]

Needs `pip install -e '.[fuzz]'`. An empty or missing CORPUS is filled with a small radiograph in
every encoding; `-max_total_time=60` stops after a minute. What is found stands in ./crash-*: a file
over which reading raised something else than a verdict, or which crashed a decoder.
"""

import logging
import sys
import warnings
from io import BytesIO
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pydicom", "scanner"]):
    import pydicom

    from scanner import codecs, dicom, gate
    from scanner.errors import FileError
    from scanner.header import facts
    from scanner.limits import Limits

# A share, so that inputs which would take much memory end at once.
_LIMITS = Limits(megapixels=4, share_mb=256)


def read(data: bytes) -> None:
    """Take `data` the way of a DICOM file, as `scanner.reading` does."""
    try:
        dataset = dicom.parse(data, _LIMITS)
        facts(dataset, bytes(32), ("PatientName", "StudyDate"))
        dicom.check_complete(dataset, data)
        gate.admit_header(dataset)
        dicom.read_pixels(dataset, _LIMITS)
    except (FileError, MemoryError):
        pass


def fill(corpus: Path) -> None:
    """Write the seeds of the mutator that have a DICOM header."""
    from dicom_files import as_bytes
    from fuzzing import seeds

    path = pydicom.data.get_testdata_file("RG1_UNCR.dcm")
    dataset = pydicom.dcmread(path)
    small = dataset.pixel_array[::4, ::4].copy()
    dataset.Rows, dataset.Columns = small.shape
    dataset.PixelData = small.tobytes()
    del dataset.DataSetTrailingPadding
    corpus.mkdir(parents=True, exist_ok=True)
    for name, data in seeds(pydicom.dcmread(BytesIO(as_bytes(dataset)))).items():
        if name.endswith(".dcm"):
            (corpus / name.replace(" ", "-")).write_bytes(data)


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    corpus = Path(sys.argv[1])
    if not corpus.is_dir() or not any(corpus.iterdir()):
        fill(corpus)
    codecs.register()
    warnings.simplefilter("ignore")
    logging.disable()
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
