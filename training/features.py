"""What the frozen part of the network makes of every image, computed once and kept on disk."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from scanner.network import Weights, build_backbone, compile_fixed, quiet_stderr
from scanner.predictor import CPU_BATCH_SIZE
from training.dataset import Dataset

# Where the frozen part ends, by --fine-tune, and the layer whose output is kept.
CUTS = {"none": "embedding", "block5": "block4_pool"}


def compute(
    dataset: Dataset, weights: Weights, cut: str, precision: str, cache: Path
) -> npt.NDArray[np.float16]:
    """Return the features of all images as a memory-mapped float16 array.

    (N, 512) for cut ``embedding``, (N, 16, 16, 512) for ``block4_pool``. They are kept in `cache`
    under a name made of data, weights, cut and precision, and used again if they are there.
    """
    digest = hashlib.sha256(dataset.fingerprint.encode())
    for name in sorted(weights):
        digest.update(np.ascontiguousarray(weights[name]).tobytes())
    place = cache / f"features-{cut}-{precision}-{digest.hexdigest()[:16]}.npy"
    if not place.exists():
        draft = place.with_suffix(".part")
        _fill(draft, dataset, weights, cut, precision)
        draft.replace(place)
    return np.asarray(np.load(place, mmap_mode="r"))


def _fill(place: Path, dataset: Dataset, weights: Weights, cut: str, precision: str) -> None:
    with quiet_stderr():
        function, shape = _prefix(dataset.inputs.shape[1], weights, cut, precision)
    features = np.lib.format.open_memmap(
        place, mode="w+", dtype=np.float16, shape=(len(dataset), *shape)
    )
    batch = np.zeros((CPU_BATCH_SIZE, *dataset.inputs.shape[1:], 1), np.uint8)
    starts = range(0, len(dataset), CPU_BATCH_SIZE)
    bar = tqdm(total=len(dataset), unit=" images", desc=f"features at {cut}", file=sys.stderr)
    with bar:
        for start in starts:
            images = dataset.inputs[start : start + CPU_BATCH_SIZE]
            batch[: len(images), ..., 0] = images
            features[start : start + len(images)] = function(batch)[: len(images)]
            bar.update(len(images))
    features.flush()


def _prefix(size: int, weights: Weights, cut: str, precision: str) -> tuple[Any, tuple[int, ...]]:
    """Return the compiled frozen part (uint8 array -> float32 array) and its output shape."""
    import keras

    backbone = build_backbone(size, weights, precision)
    if cut == "embedding":
        output = keras.layers.GlobalAveragePooling2D(dtype="float32")(backbone.output)
    else:
        output = backbone.get_layer(cut).output
    output = keras.layers.Activation("linear", dtype="float32")(output)
    compiled = compile_fixed(keras.Model(backbone.input, output), CPU_BATCH_SIZE)
    import tensorflow as tf

    return lambda batch: compiled(tf.constant(batch)).numpy(), tuple(output.shape[1:])
