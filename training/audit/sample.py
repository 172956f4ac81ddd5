"""The images of an audit: which are taken, and where their lungs are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
import numpy.typing as npt

from scanner import bundle as bundles
from scanner import heads
from scanner.bundle import Bundle
from scanner.interrupts import deferred
from scanner.predictor import Predictions, Predictor, joined
from scanner.radiograph import FloatArray
from training.data.labels import COVID
from training.data.rows import Rows
from training.lungs import read_mask
from training.progress import bar

Image = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
# Fine enough for the outline of a lung, and a multiple of the 16 cells of Grad-CAM.
FIELD_SIDE = 64
# Images in memory at once, beside the sample itself.
_CHUNK = 128


@dataclass(frozen=True)
class Sample:
    """Images to audit a model on.

    `images` (n, size, size) uint8 are model inputs, `targets` (n,) indices of `classes`; `sources`
    and `masks` (paths) are empty texts where unknown. `negative` is the class that means nothing
    was found, or empty.
    """

    images: npt.NDArray[np.uint8]
    targets: Indices
    sources: Sequence[str]
    masks: Sequence[str]
    classes: Sequence[str]
    negative: str

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def positive(self) -> str:
        """Return the class whose probability letters must not change: COVID, if it is one."""
        others = [name for name in self.classes if name != self.negative]
        return COVID if COVID in others else others[0]


@dataclass(frozen=True)
class Fields:
    """Where the lungs of each image are: `inside` (n, 64, 64), where `known` (n,) says so.

    `text` says where the fields come from, or why some or all are lacking.
    """

    inside: Bools
    known: Bools
    text: str


def choose(rows: Indices, strata: Sequence[tuple[str, str]], count: int, seed: int) -> Indices:
    """Return at most `count` of `rows`, sorted: of every stratum its share, one image at least.

    `strata` are (source, class) of the rows. As many of each more as it has more images; where
    there are more strata than `count`, some go without.
    """
    if len(rows) <= count:
        return np.sort(rows)
    names = np.array([f"{source}\n{label}" for source, label in strata])
    random = np.random.default_rng(seed)
    order = np.empty(len(rows))
    for name in np.unique(names):
        members = np.flatnonzero(names == name)
        # The first of every stratum comes before the second of any.
        order[members] = random.permutation(len(members)) / len(members)
    return np.sort(rows[np.argsort(order, kind="stable")[:count]])


def take(
    inputs: Rows,
    rows: Indices,
    targets: Indices,
    sources: Sequence[str],
    masks: Sequence[str],
    classes: Sequence[str],
    negative: str,
) -> Sample:
    """Return the sample of some `rows` of a data set; all else is of all its rows."""
    return Sample(
        inputs[rows],
        targets[rows],
        [sources[row] for row in rows],
        [masks[row] for row in rows],
        classes,
        negative,
    )


def ask(predictor: Predictor, images: Iterable[Image], what: str, count: int) -> Predictions:
    """Return what the network says of `count` images, made one after the other as it gets there."""
    parts, left = [], iter(images)
    with bar(what, count, " images") as shown:
        while some := list(islice(left, _CHUNK)):
            parts.append(predictor.predict(some))
            shown.update(len(some))
    return joined(parts)


def find_lungs(sample: Sample, bundle: Bundle, clean: Predictions) -> Fields:
    """Return the lungs: drawn by people where there are masks, else by the model's lung head.

    Without one, the shipped model's is asked; `clean` is what `bundle` says of the images. Raises
    `SetupError` over a mask that cannot be read.
    """
    inside = np.zeros((len(sample), FIELD_SIDE, FIELD_SIDE), bool)
    known = np.zeros(len(sample), bool)
    for number, path in enumerate(sample.masks):
        if path:
            inside[number], known[number] = read_mask(path, FIELD_SIDE) >= 128, True
    by_hand, missing = int(known.sum()), np.flatnonzero(~known)
    texts = [f"lungs of {by_hand} images drawn by people"] if by_hand else []
    if len(missing):
        told = _from_head(sample.images[missing], bundle, clean, missing)
        if told is None:
            texts.append(
                f"{len(missing)} of {len(sample)} images have no lung mask, and neither this model "
                "nor the shipped one can find the lungs"
            )
        else:
            lungs, whose = told
            inside[missing], known[missing] = [_resized(one) >= 0.5 for one in lungs], True
            texts.append(f"lungs of {len(missing)} images found by the {whose} model")
    return Fields(inside, known, "; ".join(texts))


def _from_head(
    images: npt.NDArray[np.uint8], bundle: Bundle, clean: Predictions, missing: Indices
) -> tuple[FloatArray, str] | None:
    """Return the lungs (n, h, w) 0..1 by a model's head, and whose it is."""
    if clean.lungs is not None:
        return clean.lungs[missing], "audited"
    shipped = bundles.load(bundles.DEFAULT_BUNDLE)
    if not heads.has_lungs(shipped.weights) or shipped.spec != bundle.spec:
        return None
    with deferred():
        predictor = Predictor(shipped)
    lungs = ask(predictor, images, "finding lungs", len(images)).lungs
    return None if lungs is None else (lungs, "shipped")


def _resized(field: FloatArray) -> FloatArray:
    smaller = field.shape[0] > FIELD_SIDE
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(field, (FIELD_SIDE, FIELD_SIDE), interpolation=how), np.float32)
