"""What the frozen part of the network makes of every image, computed once and kept on disk."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scanner.errors import SetupError
from scanner.interrupts import deferred
from scanner.network import Weights, cut_model, quiet_stderr
from scanner.predictor import CPU_BATCH_SIZE
from training.data.rows import Rows
from training.progress import bar

# Where the frozen part of VGG19 ends, by --fine-tune: the layer whose output is kept. With
# ``input`` nothing is frozen, so nothing is kept.
CUTS = {"none": "embedding", "block5": "block4_pool", "all": "input"}
_SUFFIX = ".features"
# A disk filled to the last byte fails other programs.
_SPARE_BYTES = 200 * 2**20


def predicted_bytes(cut: str, rows: int, size: int) -> int:
    """Return what the cache of so many images will take on disk: model inputs and features."""
    values = 0 if cut == "input" else int(np.prod(_shape(cut, size)))
    return rows * (size * size + values * np.dtype(np.float16).itemsize)


def _shape(cut: str, size: int) -> tuple[int, ...]:
    return {"embedding": (512,), "block4_pool": (size // 16, size // 16, 512)}[cut]


def make_room(cache: Path, needed: int, limit: int) -> None:
    """See to it that `needed` bytes more fit into the cache and onto its disk.

    Features of earlier trainings are deleted, oldest first, as far as `limit` bytes ask for it.
    Raises `SetupError` if it cannot be.
    """
    if needed > limit:
        raise SetupError(
            f"The cache would need {gigabytes(needed)}, more than --cache-limit "
            f"{gigabytes(limit)}: raise it, make fewer --copies, or use --fine-tune none."
        )
    kept = sorted(cache.glob(f"*{_SUFFIX}"), key=lambda place: place.stat().st_mtime)
    total = sum(place.stat().st_size for place in kept)
    free = shutil.disk_usage(cache).free
    for place in kept:
        if total + needed <= limit and free >= needed + _SPARE_BYTES:
            break
        size = place.stat().st_size
        place.unlink()
        total, free = total - size, free + size
    if free < needed + _SPARE_BYTES:
        raise SetupError(
            f"The disk of {cache} has {gigabytes(free)} free, the cache needs "
            f"{gigabytes(needed)}: make room, name another disk with --cache, or make fewer "
            "--copies."
        )


def gigabytes(size: int) -> str:
    """Return bytes as people read them."""
    return f"{size / 1e9:.2f} GB"


def key(fingerprint: str, weights: Weights, copies: npt.NDArray[np.int64], making: str) -> str:
    """Return a name for the features of these images and copies (N,), these weights, this making.

    `making` is text: the cut, the arithmetic, the augmentation.
    """
    digest = hashlib.sha256(f"{fingerprint} {making}".encode())
    digest.update(copies.tobytes())
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(weights[name]).tobytes())
    return digest.hexdigest()[:16]


def place_of(cache: Path, name: str) -> Path:
    """Return the file of the features that `key` named."""
    return cache / f"{name}{_SUFFIX}"


def compute(images: Rows, weights: Weights, cut: str, precision: str, place: Path) -> Rows:
    """Return the features of all images (N, size, size) uint8 as float16 rows in `place`.

    (512,) for cut ``embedding``, (16, 16, 512) for ``block4_pool``; for ``input`` the images
    themselves. Finished features are used again; unfinished ones, of a training that was
    interrupted, are continued. Raises `SetupError` if the disk fills up.
    """
    if cut == "input":
        return images
    shape = _shape(cut, images.shape[1])
    if not place.exists():
        draft = place.with_suffix(".part")
        with quiet_stderr():
            function = _compiled(images.shape[1], weights, cut, precision)
        try:
            _append(draft, images, function, shape)
            draft.replace(place)
        except OSError as error:
            raise SetupError(
                f"The features cannot be written to {place.parent} ({error.strerror}): make room "
                "or name another disk with --cache; --resume continues."
            ) from error
    place.touch()
    return Rows(place, np.float16, shape, len(images))


def _append(
    draft: Path, images: Rows, function: Callable[[Any], Any], shape: tuple[int, ...]
) -> None:
    """Write the features that `draft` lacks, a batch at a time; it ends between two batches."""
    batch_bytes = CPU_BATCH_SIZE * int(np.prod(shape)) * np.dtype(np.float16).itemsize
    done = draft.stat().st_size // batch_bytes * CPU_BATCH_SIZE if draft.exists() else 0
    batch = np.zeros((CPU_BATCH_SIZE, *images.shape[1:], 1), np.uint8)
    with draft.open("ab") as handle, bar("features", len(images), " images", done) as shown:
        handle.truncate(done // CPU_BATCH_SIZE * batch_bytes)
        for start in range(done, len(images), CPU_BATCH_SIZE):
            some = images[start : start + CPU_BATCH_SIZE]
            batch[: len(some), ..., 0] = some
            with deferred():
                features = function(batch)[: len(some)]
                handle.write(np.asarray(features, np.float16).tobytes())
            shown.update(len(some))


def _compiled(size: int, weights: Weights, cut: str, precision: str) -> Callable[[Any], Any]:
    """Return the frozen part, uint8 batch (n, size, size, 1) -> float32 array."""
    import tensorflow as tf

    from scanner.network import compile_fixed

    compiled = compile_fixed(cut_model(size, weights, cut, precision), CPU_BATCH_SIZE)
    return lambda batch: compiled(tf.constant(batch)).numpy()
