"""What the frozen part of the network makes of every image, computed once and kept on disk."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from scanner.errors import SetupError
from scanner.heads import kind_shapes
from scanner.interrupts import deferred
from scanner.network import Weights, cut_model, quiet_stderr
from scanner.predictor import CPU_BATCH_SIZE
from training import checksums
from training.data.rows import Rows
from training.progress import bar

# Where the frozen part of VGG19 ends, by --fine-tune: the layer whose output is kept. With
# ``input`` nothing is frozen, so nothing is kept.
CUTS = {"none": "embedding", "block5": "block4_pool", "all": "input"}
_SUFFIX, _DRAFT = ".features", ".part"
# Where the lungs of the originals are, beside their features.
_LUNGS, _LUNGS_DRAFT = ".lungs", ".lungs-part"
# A disk filled to the last byte fails other programs.
_SPARE_BYTES = 200 * 2**20


def predicted_bytes(cut: str, rows: int, size: int) -> int:
    """Return what the cache of so many images will take on disk: model inputs and features."""
    values = 0 if cut == "input" else int(np.prod(_shape(cut, size)))
    return rows * (size * size + values * np.dtype(np.float16).itemsize)


def _shape(cut: str, size: int) -> tuple[int, ...]:
    return {
        "embedding": (512,),
        "kinds_grid": kind_shapes()["kinds/kernel"][:1],
        "block4_conv4": (size // 8, size // 8, 512),
        "block4_pool": (size // 16, size // 16, 512),
    }[cut]


def check_room(cache: Path, needed: int, limit: int) -> None:
    """Raise `SetupError` unless `needed` bytes more can be had within `limit` and on the disk.

    What `make_room` may delete counts as free. The folder need not be there yet.
    """
    if needed > limit:
        raise SetupError(
            f"The cache would need {gigabytes(needed)}, more than --cache-limit "
            f"{gigabytes(limit)}: raise it, make fewer --copies, or use --fine-tune none."
        )
    existing = next(place for place in (cache, *cache.absolute().parents) if place.exists())
    free = shutil.disk_usage(existing).free + sum(size for _, size in _kept(cache))
    if free < needed + _SPARE_BYTES:
        raise SetupError(
            f"The disk of {cache} has {gigabytes(free)} free, the cache needs "
            f"{gigabytes(needed)}: make room, name another disk with --cache, or make fewer "
            "--copies."
        )


def make_room(cache: Path, needed: int, limit: int, mine: Path) -> None:
    """Delete features of other trainings than `mine`, oldest first, until `check_room` holds."""
    kept = [(place, size) for place, size in _kept(cache) if place.stem != mine.stem]
    total = sum(size for _, size in kept)
    free = shutil.disk_usage(cache).free
    for place, size in kept:
        if total + needed <= limit and free >= needed + _SPARE_BYTES:
            break
        place.unlink()
        lungs = place.with_suffix(_LUNGS)
        for path in (lungs, checksums.beside(place), checksums.beside(lungs)):
            path.unlink(missing_ok=True)
        total, free = total - size, free + size


def _kept(cache: Path) -> list[tuple[Path, int]]:
    """Return features and unfinished ones in a cache with their sizes, the oldest first."""
    places = [place for suffix in (_SUFFIX, _DRAFT) for place in cache.glob(f"*{suffix}")]
    facts = [(place, place.stat()) for place in places]
    return [(p, s.st_size) for p, s in sorted(facts, key=lambda fact: fact[1].st_mtime)]


@contextmanager
def held(cache: Path) -> Iterator[None]:
    """Keep other trainings out of a cache: they might delete what this one reads.

    Raises `SetupError` if one is in it.
    """
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(cache / ".lock", timeout=0):
            yield
    except Timeout:
        raise SetupError(
            f"Another training is using the cache {cache}: wait for it, or name another --cache."
        ) from None


def missing_bytes(place: Path, cut: str, originals: int, copies: int, size: int) -> int:
    """Return how many bytes of `predicted_bytes` are not on disk yet, with the originals' inputs.

    `place` is the file of the features, perhaps begun.
    """
    rows = originals + copies
    inputs = size * size
    features = predicted_bytes(cut, rows, size) - rows * inputs
    if is_whole(place, cut, rows, size):
        return copies * inputs
    draft = place.with_suffix(_DRAFT)
    return copies * inputs + features - (draft.stat().st_size if draft.exists() else 0)


def is_whole(place: Path, cut: str, rows: int, size: int) -> bool:
    """Tell whether the features of so many images are in `place`, none missing."""
    features = predicted_bytes(cut, rows, size) - rows * size * size
    return cut != "input" and place.exists() and place.stat().st_size == features


def gigabytes(size: int) -> str:
    """Return bytes as people read them."""
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


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


def lung_fields(
    images: Rows, weights: Weights, cut: str, precision: str, place: Path
) -> npt.NDArray[np.uint8]:
    """Return the lung fields (N, size/8, size/8) of the originals, 0..255, as `weights` see them.

    The features of the originals come from the same pass, and `compute` goes on from there.
    """
    side = images.shape[1] // 8
    found = place.with_suffix(_LUNGS)
    draft = place.with_suffix(_LUNGS_DRAFT)
    if not _stands(found, draft, side * side, len(images)):
        _write(images, weights, cut, precision, place, with_lungs=True)
        checksums.move(draft, found)
    return np.fromfile(found, np.uint8).reshape(len(images), side, side)


def compute(images: Rows, weights: Weights, cut: str, precision: str, place: Path) -> Rows:
    """Return the features of all images (N, size, size) uint8 as float16 rows in `place`.

    (512,) for cut ``embedding``, (16, 16, 512) for ``block4_pool``; for ``input`` the images
    themselves. Finished features are used again; unfinished ones, of a training that was
    interrupted, are continued, and those that were damaged since, from the first such row on.
    Raises `SetupError` if the disk fills up.
    """
    if cut == "input":
        return images
    draft = place.with_suffix(_DRAFT)
    if not _stands(place, draft, _row_bytes(cut, images.shape[1]), len(images)):
        _write(images, weights, cut, precision, place)
        checksums.move(draft, place)
    place.touch()
    return Rows(place, np.float16, _shape(cut, images.shape[1]), len(images))


def _row_bytes(cut: str, size: int) -> int:
    return int(np.prod(_shape(cut, size))) * np.dtype(np.float16).itemsize


def _stands(finished: Path, draft: Path, row_bytes: int, rows: int) -> bool:
    """Tell whether a finished file is whole and intact; one that was damaged is a draft again."""
    if not finished.exists() or finished.stat().st_size != rows * row_bytes:
        return False
    intact = checksums.intact_rows(finished, row_bytes) == rows
    if not intact:
        checksums.move(finished, draft)
    return intact


def _write(
    images: Rows,
    weights: Weights,
    cut: str,
    precision: str,
    place: Path,
    with_lungs: bool = False,
) -> None:
    """Write the features that the draft of `place` lacks, and the lung fields."""
    with quiet_stderr(), deferred():
        function = _compiled(images.shape[1], weights, cut, precision, with_lungs)
    size = images.shape[1]
    forms: dict[str, tuple[Path, npt.DTypeLike, int]] = {}
    forms["cut"] = (place.with_suffix(_DRAFT), np.float16, _row_bytes(cut, size))
    if with_lungs:
        forms["lungs"] = (place.with_suffix(_LUNGS_DRAFT), np.uint8, (size // 8) ** 2)
    try:
        with ExitStack() as files:
            drafts = {}
            for name, (path, dtype, row_bytes) in forms.items():
                checksums.keep_intact(path, row_bytes)
                rows = files.enter_context(path.open("ab"))
                sums = files.enter_context(checksums.beside(path).open("ab"))
                drafts[name] = _Draft(rows, sums, np.dtype(dtype), row_bytes)
            _append(drafts, images, function)
    except OSError as error:
        raise SetupError(
            f"The features cannot be written to {place.parent} ({error.strerror}): make room "
            "or name another disk with --cache; --resume continues."
        ) from error


@dataclass(frozen=True)
class _Draft:
    """A file of rows of one form, and its checksums, appended to a batch at a time."""

    handle: BinaryIO
    sums: BinaryIO
    dtype: np.dtype[Any]
    row_bytes: int

    @property
    def rows(self) -> int:
        """How many rows there are, in whole batches: it ends between two."""
        rows = min(
            os.fstat(self.handle.fileno()).st_size // self.row_bytes,
            os.fstat(self.sums.fileno()).st_size // checksums.ROW_BYTES,
        )
        return rows // CPU_BATCH_SIZE * CPU_BATCH_SIZE

    def cut(self, rows: int) -> None:
        self.handle.truncate(rows * self.row_bytes)
        self.sums.truncate(rows * checksums.ROW_BYTES)

    def write(self, values: npt.NDArray[np.float32]) -> None:
        scaled = np.rint(255 * values) if self.dtype == np.uint8 else values
        rows = scaled.astype(self.dtype)
        self.handle.write(rows.tobytes())
        self.sums.write(checksums.of_rows(rows))


def _append(
    drafts: dict[str, _Draft], images: Rows, function: Callable[[Any], dict[str, Any]]
) -> None:
    """Write the rows that drafts lack, a batch at a time."""
    done = min(draft.rows for draft in drafts.values())
    for draft in drafts.values():
        draft.cut(done)
    with bar("features", len(images), " images", done) as shown:
        for start in range(done, len(images), CPU_BATCH_SIZE):
            some = images[start : start + CPU_BATCH_SIZE]
            with deferred():
                outputs = function(some[..., None])
                for name, draft in drafts.items():
                    draft.write(outputs[name])
            shown.update(len(some))


def _compiled(
    size: int, weights: Weights, cut: str, precision: str, with_lungs: bool
) -> Callable[[Any], dict[str, Any]]:
    """Return the frozen part, uint8 batch (n, size, size, 1) -> float32 arrays by name."""
    import tensorflow as tf

    from scanner.network import compiled

    function = compiled(cut_model(size, weights, cut, precision, with_lungs=with_lungs))
    return lambda batch: {n: t.numpy() for n, t in function(tf.constant(batch)).items()}
