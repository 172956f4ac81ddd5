"""Labelled radiographs of any form become model inputs in one file on disk."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scanner.errors import SetupError
from scanner.preprocess import PreprocessSpec
from training.data import recognise, tables
from training.data.forms import Found, Item
from training.data.input_store import InputStore
from training.data.labels import CLASSES, Vocabulary
from training.data.rows import Rows
from training.parts import PARTS
from training.progress import bar

_REASONS_TOLD = 12


@dataclass(frozen=True)
class DataSettings:
    """What is to be learnt from, as the options of a command name it.

    `images` and `labels` are files relative to the data, or keys of an .npz; `classes` are names in
    the order of integer or one-hot labels, and then the only classes; `value_range` is (black,
    white) of arrays; `reviewed` are output folders of scans whose decisions join. `known` are
    classes of a bundle, which may be labels beyond `labels.CLASSES`. `least` is how many classes,
    and images of each, there must be: two to learn from, one is enough to evaluate.
    """

    path: Path
    images: str = ""
    labels: str = ""
    classes: tuple[str, ...] = ()
    value_range: tuple[float, float] | None = None
    reviewed: tuple[Path, ...] = ()
    known: tuple[str, ...] = ()
    least: int = 2


@dataclass
class Dataset:
    """All images: `inputs` (N, size, size) uint8 on disk, and what is known of each.

    `labels` are names out of `classes`; `names` are for people; `patients`, `sources`, `masks`
    (absolute paths, of lungs) and `parts` (train, validation or test) are empty
    texts where the data says nothing. `value_range` is that of arrays as stored. `left_out` counts
    what was not taken, by reason. `fingerprint` is 16 hexadecimal digits of a hash over inputs and
    labels, `digests` one of each input. `duplicates` counts images with the same input as an
    earlier one, `contradictions` those of them whose label is another.
    """

    inputs: Rows
    classes: list[str]
    labels: list[str]
    names: list[str]
    patients: list[str]
    sources: list[str]
    masks: list[str]
    parts: list[str]
    form: str = ""
    value_range: tuple[float, float] | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    fingerprint: str = ""
    digests: list[str] = field(default_factory=list)
    duplicates: int = 0
    contradictions: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """Return the class index (N,) of each image."""
        return np.array([self.classes.index(label) for label in self.labels], dtype=np.int64)

    def counts(self) -> Counter[tuple[str, str]]:
        """Return the number of images by (source, label)."""
        return Counter(zip(self.sources, self.labels, strict=True))


def load(settings: DataSettings, spec: PreprocessSpec, work: Path) -> Dataset:
    """Read labelled data, recognised by looking, and write its model inputs below `work`.

    The forms are those of `recognise.find`. Labels that mean none of the classes and files that
    cannot be read are left out and counted. An image that was reviewed too appears once, with the
    label of the review; what else was reviewed is for training where the data comes in parts.

    Raises `SetupError` if the form is unknown or inconsistent, there are fewer classes or images of
    a class than `settings.least`, a class of `settings.classes` has none, or `work` has no room.
    """
    reviews = [tables.reviewed(place) for place in settings.reviewed]
    vocabulary = Vocabulary(settings.classes, settings.known)
    data = recognise.find(
        settings.path, settings.images, settings.labels, vocabulary, settings.value_range
    )
    left_out: Counter[str] = Counter()
    found = [*reviews, data]
    chosen = [_with_classes(one, vocabulary, settings.path, left_out) for one in found]
    _check_parts(chosen[-1].values(), settings.path)
    counts = Counter(item.label for items in chosen for item in items.values())
    classes = [name for name in vocabulary.names if settings.classes or counts[name]]
    _check_counts(classes, counts, settings, left_out)

    total = counts.total()
    with (
        InputStore(work / "inputs.uint8", spec.size, total) as store,
        bar("reading", total, " images") as shown,
    ):
        for one, items in zip(found, chosen, strict=True):
            pictures = one.read(list(items), spec)
            for item, picture in zip(items.values(), pictures, strict=True):
                shown.update()
                if picture.model_input is None:
                    left_out[picture.reason] += 1
                else:
                    known = replace(item, patient=item.patient or picture.patient)
                    store.add(picture.model_input, known, reviewed=one is not data)
    return _dataset(store, classes, found, left_out, settings)


def _with_classes(
    found: Found, vocabulary: Vocabulary, path: Path, left_out: Counter[str]
) -> dict[int, Item]:
    """Return the items whose label means a class, with that as their label, by position."""
    left_out.update(found.left_out)
    labels = vocabulary.resolve([item.label for item in found.items], str(path))
    chosen = {}
    for position, (item, label) in enumerate(zip(found.items, labels, strict=True)):
        if label is None:
            near = vocabulary.near(item.label)
            hint = f", did you mean {near}?" if near else ""
            left_out[f"label {item.label!r} is none of the classes{hint}"] += 1
        else:
            chosen[position] = replace(item, label=label)
    return chosen


def _dataset(
    store: InputStore,
    classes: list[str],
    found: Sequence[Found],
    left_out: Counter[str],
    settings: DataSettings,
) -> Dataset:
    items = store.items
    _check_counts(classes, Counter(item.label for item in items), settings, left_out)
    if store.superseded:
        left_out["the same image was reviewed"] = store.superseded
    in_parts = any(item.part for item in items)
    duplicates, contradictions = store.duplicates()
    return Dataset(
        inputs=store.inputs(),
        classes=classes,
        labels=[item.label for item in items],
        names=[item.name for item in items],
        patients=[item.patient for item in items],
        sources=[item.source for item in items],
        masks=[item.mask for item in items],
        parts=[item.part or ("train" if in_parts else "") for item in items],
        form=" and ".join(one.form for one in reversed(found)),
        value_range=found[-1].value_range,
        left_out=left_out,
        fingerprint=store.fingerprint(),
        digests=store.digests(),
        duplicates=duplicates,
        contradictions=contradictions,
    )


def _check_parts(items: Collection[Item], path: Path) -> None:
    without = sum(not item.part for item in items)
    if 0 < without < len(items):
        raise SetupError(
            f"{path} says for {len(items) - without} of {len(items)} images whether they are for "
            "train, validation or test: say it for all of them, or for none."
        )


def _check_counts(
    classes: Sequence[str], counts: Counter[str], settings: DataSettings, left_out: Counter[str]
) -> None:
    """Raise `SetupError` unless there are as many classes, and images of each, as it takes."""
    least = f"it takes {settings.least} (left out: {'; '.join(_reasons(left_out)) or 'nothing'})"
    if len(classes) < settings.least:
        seen = f"one class, {classes[0]}" if classes else "no known class"
        raise SetupError(
            f"{settings.path} has images of {seen}; {least}: --classes NAME,NAME,… names others "
            f"than {', '.join(CLASSES)}."
        )
    for name in classes:
        if counts[name] < settings.least:
            number = "one image" if counts[name] else "no image"
            raise SetupError(
                f"{settings.path} has {number} of {name} that can be used; {least}: add some, or "
                "leave the class out with --classes."
            )


def describe(dataset: Dataset) -> list[str]:
    """Return what is printed before training: form, counts, values, duplicates, fingerprint."""
    counts = Counter(dataset.labels)
    lines = [f"data: {dataset.form}", f"{len(dataset)} images: {_listed(counts, dataset.classes)}"]
    for source in sorted(set(dataset.sources) - {""}):
        of_source = Counter({label: n for (s, label), n in dataset.counts().items() if s == source})
        lines.append(f"  {source}: {_listed(of_source, dataset.classes)}")
    if dataset.value_range is not None:
        lines.append("value range: {:g} to {:g}".format(*dataset.value_range))
    if dataset.parts[0]:
        lines.append(f"parts of the data's own: {_listed(Counter(dataset.parts), PARTS)}")
    lines.append(
        f"exact duplicates: {dataset.duplicates}, {dataset.contradictions} of them with another "
        "label than the first"
    )
    lines.append(f"lung masks: {sum(map(bool, dataset.masks))}")
    lines += [f"left out: {reason}" for reason in _reasons(dataset.left_out)]
    return [*lines, f"fingerprint: {dataset.fingerprint}"]


def _listed(counts: Counter[str], names: Sequence[str]) -> str:
    return ", ".join(f"{counts[name]} {name}" for name in names if counts[name])


def _reasons(left_out: Counter[str]) -> list[str]:
    told = [f"{count} ({reason})" for reason, count in left_out.most_common(_REASONS_TOLD)]
    rest = left_out.total() - sum(n for _, n in left_out.most_common(_REASONS_TOLD))
    return [*told, f"{rest} for other reasons"] if rest else told
