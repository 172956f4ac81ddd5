"""What every form of labelled data comes to: a list of images that are known but not yet read."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scanner.decoding import Decoders
from scanner.errors import SetupError
from scanner.preprocess import PreprocessSpec
from scanner.reading import ReadSettings
from scanner.walk import Source

# As a scan: more processes than this wait for the disk.
_MAX_WORKERS = 8


@dataclass(frozen=True)
class Item:
    """One labelled image before it is read; a text is empty where the data says nothing.

    `name` is for people, `label` as the data has it, `mask` an absolute path, and `part` one of
    ``train``, ``validation`` and ``test``. The label is of the file with this `sha256`.
    """

    name: str
    label: str
    patient: str = ""
    source: str = ""
    mask: str = ""
    part: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Picture:
    """What came of reading one image: its model input (size, size), or the reason for having none.

    `patient` is the pseudonym of the one whom a DICOM header names.
    """

    model_input: npt.NDArray[np.uint8] | None
    reason: str = ""
    patient: str = ""


@dataclass(frozen=True)
class Found:
    """Labelled data of one form, in words `form`.

    `read` yields a picture for each of the ascending positions in `items` that it is given.
    `value_range` is that of arrays. `left_out` counts, by reason, what did not become an item.
    """

    form: str
    items: list[Item]
    read: Callable[[Sequence[int], PreprocessSpec], Iterator[Picture]]
    value_range: tuple[float, float] | None = None
    left_out: Counter[str] = field(default_factory=Counter)


def of_files(form: str, paths: list[Path], items: list[Item], left_out: Counter[str]) -> Found:
    """Return labelled files, one path for each item, read by the scan's own isolated decoders.

    What a scan would reject or fail has no model input but its reason.
    """
    hashes = [item.sha256 for item in items]
    return Found(form, items, partial(_read, paths, hashes), left_out=left_out)


def _read(
    paths: list[Path], hashes: list[str], positions: Sequence[int], spec: PreprocessSpec
) -> Iterator[Picture]:
    # Without a key: pseudonyms only join the images of a patient here, and are not stored.
    settings = ReadSettings(spec, key=b"")
    # A scan follows no links; here they are the user's own.
    sources = [Source(paths[i].resolve(), paths[i].name, -1, -1) for i in positions]
    with Decoders(settings, min(os.cpu_count() or 1, _MAX_WORKERS), lookahead=64) as decoders:
        for position, (_, reading) in zip(positions, decoders.read(sources), strict=True):
            if reading.sha256 and hashes[position] not in ("", reading.sha256):
                yield Picture(None, "the file is another one since it was reviewed")
                continue
            reason = reading.reason or "no image"
            yield Picture(reading.model_input, reason, reading.header.patient)


def check_there(paths: Sequence[Path], names: Sequence[str], where: Path, root: Path) -> None:
    """Raise `SetupError` with count and first name if files that `where` names are not there."""
    absent = [name for path, name in zip(paths, names, strict=True) if not path.is_file()]
    if absent:
        raise SetupError(
            f"{where} names {len(absent)} file(s) that are not there (of {len(names)}), the first "
            f"is {absent[0]}: paths are relative to {root.absolute()}"
        )
