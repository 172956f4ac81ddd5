"""Labelled radiographs of any form become model inputs in one memory-mapped array."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scanner.errors import SetupError
from scanner.preprocess import PreprocessSpec
from training import arrays, folders
from training.labels import canonical


@dataclass(frozen=True)
class Example:
    """One labelled image as model input (size, size) uint8; `patient` and `source` may be empty."""

    model_input: npt.NDArray[np.uint8]
    label: str
    patient: str = ""
    source: str = ""


@dataclass
class Dataset:
    """All examples: `inputs` (N, size, size) uint8 on disk, and what is known of each.

    `left_out` counts what was not taken, by reason. `fingerprint` is a hash over inputs and labels.
    """

    inputs: npt.NDArray[np.uint8]
    labels: list[str]
    patients: list[str]
    sources: list[str]
    left_out: Counter[str] = field(default_factory=Counter)
    fingerprint: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self) -> Counter[tuple[str, str]]:
        """Return the number of examples by (source, label)."""
        return Counter(zip(self.sources, self.labels, strict=True))


def load(path: Path, spec: PreprocessSpec, cache: Path) -> Dataset:
    """Read labelled data, recognised by looking, and write its model inputs below `cache`.

    Forms: a folder with ``images.npy`` and ``labels.npy``; a folder with one folder for each class
    (Kaggle's ``COVID/images`` too); a CSV with ``path,label[,patient,source]``. Labels that mean
    none of the classes, and files that cannot be read, are left out and counted.

    Raises `SetupError` if the form is none of these or fewer than two classes have images.
    """
    left_out: Counter[str] = Counter()
    if (path / "images.npy").is_file():
        found: Iterator[tuple[npt.NDArray[np.uint8], str, str, str]] = arrays.read(path, spec)
    elif path.is_dir():
        found = folders.read(folders.by_class(path, left_out), spec, left_out)
    elif path.suffix.lower() == ".csv" and path.is_file():
        found = folders.read(folders.by_csv(path, left_out), spec, left_out)
    else:
        raise SetupError(
            f"{path} is no training data: expected a folder with images.npy and labels.npy, a "
            "folder with one folder for each class, or a CSV with the columns path and label."
        )
    dataset = _store(_with_known_labels(found, left_out), spec, cache)
    dataset.left_out = left_out
    if len(set(dataset.labels)) < 2:
        raise SetupError(
            f"{path} has images of {len(set(dataset.labels))} class(es); at least 2 are needed."
            f" Left out: {', '.join(f'{n} ({why})' for why, n in left_out.items()) or 'nothing'}."
        )
    return dataset


def _with_known_labels(
    found: Iterable[tuple[npt.NDArray[np.uint8], str, str, str]], left_out: Counter[str]
) -> Iterator[Example]:
    for model_input, label, patient, source in found:
        known = canonical(label)
        if known is None:
            left_out[f"label {label!r} is none of the classes"] += 1
        else:
            yield Example(model_input, known, patient, source)


def _store(examples: Iterable[Example], spec: PreprocessSpec, cache: Path) -> Dataset:
    """Stream the inputs to disk: they need not fit into memory."""
    labels, patients, sources = [], [], []
    digest = hashlib.sha256()
    place = cache / "inputs.uint8"
    with place.open("wb") as handle:
        for example in examples:
            data = example.model_input.tobytes()
            handle.write(data)
            digest.update(data)
            labels.append(example.label)
            patients.append(example.patient)
            sources.append(example.source)
    digest.update("\n".join(labels).encode())
    shape = (len(labels), spec.size, spec.size)
    inputs = np.memmap(place, np.uint8, "r", shape=shape) if labels else np.zeros(shape, np.uint8)
    return Dataset(inputs, labels, patients, sources, fingerprint=digest.hexdigest()[:16])
