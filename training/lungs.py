"""The lung head: taught from masks on VGG19's frozen block4_conv4, tested on patients apart."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from scanner import heads
from scanner.errors import SetupError
from scanner.interrupts import deferred
from scanner.network import Weights, keras_policy, quiet_stderr
from training import features
from training.augment import moved
from training.data.dataset import Dataset
from training.data.rows import Rows
from training.draw import evenly
from training.progress import bar

if TYPE_CHECKING:
    import keras

Say = Callable[[str], None]
Arrays = dict[str, npt.NDArray[np.float32]]
Mask = npt.NDArray[np.uint8]

# Copies of each image, turned and shifted with its mask: 1,300 masks are few. Images of a rarer
# source have more, up to the second number, so that adults weigh as much as children.
_COPIES, _MOST_COPIES = 2, 6
_EPOCHS, _BATCH_SIZE, _LEARNING_RATE = 14, 16, 1e-3
# Fewer masks than this teach nothing that the shipped head does not know better.
LEAST_MASKS = 50
# More than this gain little: the Kaggle database has one for each of its 21,000 images.
MOST_MASKS = 1500


@dataclass(frozen=True)
class LungSettings:
    """What a lung head's training depends on beside its masks."""

    size: int
    precision: str
    seed: int


def read_mask(path: str, size: int) -> Mask:
    """Return a mask (size, size) uint8, 255 where lung; raises `SetupError` if it is unreadable."""
    mask = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise SetupError(f"The lung mask {path} cannot be read: expected a PNG or JPEG image.")
    white = (mask > mask.max() / 2).astype(np.uint8) * np.uint8(255)
    return np.asarray(cv2.resize(white, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def on_cells(field: Mask, cells: int) -> Mask:
    """Return the share of lung, 0..255, in each of (cells, cells) from a field (S, S) of 0..255."""
    return np.asarray(cv2.resize(field, (cells, cells), interpolation=cv2.INTER_AREA), np.uint8)


def learn(
    data: Dataset,
    rows: npt.NDArray[np.int64],
    weights: Weights,
    given: Weights,
    settings: LungSettings,
    work: Path,
    say: Say,
) -> Arrays:
    """Return the weights of a lung head taught on `rows` of the data, which have masks.

    `weights` are the backbone's, which stays as it is; the head begins with `given` if that has
    one. Of more than `MOST_MASKS` so many are taken, evenly by source. Raises `SetupError` if their
    features, 1 MB a picture, do not fit on the disk. Loss is binary cross-entropy plus one less
    the soft Dice (Milletari et al. 2016); Adam, its step falling as a half cosine.
    """
    random = np.random.default_rng(settings.seed)
    rows = np.sort(evenly(rows, data.sources, MOST_MASKS, random))
    pictures, fields = _pictures(data, rows, settings, work)
    needed = features.predicted_bytes(heads.BASE, len(pictures), settings.size)
    features.check_room(work, needed, needed)
    base = features.compute(
        pictures, weights, heads.BASE, settings.precision, work / "lungs.features"
    )
    with quiet_stderr():
        import keras

    keras.utils.set_random_seed(settings.seed)
    model = _head(base.shape[1:], settings.precision)
    if heads.has_lungs(given):
        heads.set_heads(model, given)
    steps = -(-len(base) // _BATCH_SIZE)
    model.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, _EPOCHS * steps)
        ),
        loss=_loss,
    )
    with bar("lung head", _EPOCHS * steps, " steps") as shown:
        for epoch in range(_EPOCHS):
            order = random.permutation(len(base))
            total = 0.0
            for start in range(0, len(order), _BATCH_SIZE):
                some = np.sort(order[start : start + _BATCH_SIZE])
                with deferred():
                    batch = base[some].astype(np.float32)
                    total += len(some) * float(model.train_on_batch(batch, fields[some]))
                shown.update(1)
            if epoch in (0, _EPOCHS // 2, _EPOCHS - 1):
                say(f"lung head, epoch {epoch + 1}: loss {total / len(base):.4f}")
    for file in (pictures.path, base.path):
        file.unlink()
    named: Arrays = {}
    for layer in model.layers:
        if layer.get_weights():
            named[f"{layer.name}/kernel"], named[f"{layer.name}/bias"] = layer.get_weights()
    return named


def _pictures(
    data: Dataset, rows: npt.NDArray[np.int64], settings: LungSettings, work: Path
) -> tuple[Rows, npt.NDArray[np.float32]]:
    """Write the images and their copies below `work`; return them and their fields (n, h, w, 1)."""
    place, size = work / "lungs.uint8", settings.size
    cells = size // 8
    sources = Counter(data.sources[row] for row in rows)
    most = max(sources.values())
    fields = []
    with place.open("wb") as handle:
        for row in rows.tolist():
            image, mask = data.inputs[row], read_mask(data.masks[row], size)
            copies = min(round(_COPIES * most / sources[data.sources[row]]), _MOST_COPIES)
            for copy in range(1 + copies):
                picture, field = image, mask
                if copy:
                    random = np.random.default_rng([settings.seed, row, copy])
                    picture, field = _varied(image, mask, random)
                handle.write(picture.tobytes())
                fields.append(on_cells(field, cells))
    shares = np.stack(fields)[..., None] / np.float32(255)
    return Rows(place, np.uint8, (size, size), len(fields)), shares.astype(np.float32)


def _varied(image: Mask, mask: Mask, random: np.random.Generator) -> tuple[Mask, Mask]:
    """Return image and mask moved alike, the image brighter or darker, mirrored half the time."""
    image, mask = moved(image, mask, random)
    if random.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    levels = 255 * np.linspace(0, 1, 256) ** np.exp(random.uniform(-0.5, 0.5))
    table = np.rint(levels).astype(np.uint8)
    return np.asarray(cv2.LUT(np.ascontiguousarray(image), table), np.uint8), mask


def _head(shape: tuple[int, ...], precision: str) -> "keras.Model":
    import keras

    base = keras.Input(shape, name="base")
    return keras.Model(base, heads.lung_field(base, keras_policy(precision)), name="lungs")


def _loss(field: Any, logits: Any) -> Any:
    import keras

    likely = keras.ops.sigmoid(logits)
    crossed = keras.ops.mean(
        keras.ops.binary_crossentropy(field, logits, from_logits=True), axis=(1, 2, 3)
    )
    both = keras.ops.sum(likely * field, axis=(1, 2, 3))
    either = keras.ops.sum(likely, axis=(1, 2, 3)) + keras.ops.sum(field, axis=(1, 2, 3))
    return crossed + 1 - (2 * both + 1) / (either + 1)


def dice(lungs: npt.NDArray[np.float32], masks: list[Mask]) -> npt.NDArray[np.float64]:
    """Return the Dice coefficient (n,) of predicted fields (n, h, w) 0..1 with masks (S, S) 0..255.

    Fields are enlarged to the masks' size (bilinear) and both cut at one half.
    """
    found = []
    for field, mask in zip(lungs, masks, strict=True):
        size = mask.shape[::-1]
        inside = cv2.resize(field, size, interpolation=cv2.INTER_LINEAR) >= 0.5
        truth = mask >= 128
        found.append(2 * (inside & truth).sum() / max(inside.sum() + truth.sum(), 1))
    return np.array(found)
