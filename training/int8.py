"""Calibration for int8: the largest input of each convolution that its 256 steps should reach.

Too small a range cuts off what a radiograph has most of, too large a one has coarse steps. Neither
the largest value seen nor the least squared error is right for every layer (measured: `logits` off
by 0.056 and 0.069 against 0.042), so each layer is tried alone with several.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from scanner.architecture import layer_names
from scanner.bundle import Bundle
from scanner.openvino_graph import build_graph, import_openvino
from scanner.radiograph import FloatArray

Say = Callable[[str], None]
# Shares of the largest value that calibration images have in a layer.
_SHARES = (0.5, 0.6, 0.75, 1.0)
_BATCH = 16


def calibrate(bundle: Bundle, images: npt.NDArray[np.uint8], say: Say) -> dict[str, float]:
    """Return the ``int8_ranges`` of a bundle's card, by convolution but the first.

    Of each layer, when only its input is rounded to int8, that range of several is taken with which
    logits change least. `images` (N, size, size), model inputs that it was trained on: 64 are
    enough. Takes four forward passes a layer. Raises `ImportError` without OpenVINO, `SetupError`
    over wrong weights.
    """
    layers = layer_names(bundle.architecture)[1:]
    before = _outputs(bundle, images, {}, with_maxima=True)
    ranges = {}
    for name in layers:
        largest = float(before[name].max())
        changes = {}
        for share in _SHARES:
            after = _outputs(bundle, images, {name: share * largest})
            changes[share] = _change(before["probabilities"], after["probabilities"])
        best = min(changes, key=changes.__getitem__)
        ranges[name] = float(f"{best * largest:.4g}")
        said = ", ".join(f"{share:g}: {change:.4f}" for share, change in changes.items())
        say(f"{name}: {ranges[name]:g} of {largest:.4g} (logits change by {said})")
    return ranges


def _change(before: FloatArray, after: FloatArray) -> float:
    """Return how far logits changed, root mean square over images and classes."""
    logits = [np.log(np.maximum(p, 1e-9)) for p in (before, after)]
    one, other = (each - each.mean(axis=1, keepdims=True) for each in logits)
    return float(np.sqrt(np.mean((one - other) ** 2)))


def _outputs(
    bundle: Bundle,
    images: npt.NDArray[np.uint8],
    ranges: dict[str, float],
    with_maxima: bool = False,
) -> dict[str, FloatArray]:
    """Run the network, at temperature 1, in bfloat16 but for what is in `ranges`."""
    plain = dataclasses.replace(bundle, temperature=1.0)
    graph = build_graph(plain, False, ranges, with_maxima)
    options = {"INFERENCE_PRECISION_HINT": "bf16", "NUM_STREAMS": 1}
    request = import_openvino().Core().compile_model(graph, "CPU", options).create_infer_request()
    parts: dict[str, list[FloatArray]] = {}
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH, ..., None]
        for output, array in request.infer({0: batch}).to_dict().items():
            parts.setdefault(next(iter(output.get_names())), []).append(array)
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}
