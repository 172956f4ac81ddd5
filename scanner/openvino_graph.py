"""The network as an OpenVINO graph: `network.build_network` again, without TensorFlow or Keras.

Everything OpenVINO is told to compute in bfloat16 or int8 it computes so up to the last convolution
of every path; what follows, averages, logits, softmax and Grad-CAM, stays float32. Therefore the
small products of the heads are written as multiplications and sums: a MatMul would be rounded.

int8 is that of activations, eight bits from 0 to a range of each layer (`calibrated_ranges`): the
kernels of a bundle have eight bits already, and the same ones are used. So to round activations is
all that int8 adds. The first convolution, and the heads, are as in bfloat16.
"""

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from scanner import heads
from scanner.architecture import (
    ARCHITECTURES,
    Weights,
    backbone_shapes,
    check_shapes,
    first_kernel,
    layer_names,
)
from scanner.bundle import Bundle
from scanner.errors import SetupError
from scanner.radiograph import FloatArray

# A node of the graph; OpenVINO's types are made by its C++ part.
Node = Any


def import_openvino() -> Any:
    """Return the module `openvino`, kept from telling its maker's server that it was imported.

    Its converter of models sends that, and writes ~/intel, as soon as it is imported, which
    `import openvino` does where it can. Raises `ImportError`.
    """
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def calibrated_ranges(bundle: Bundle) -> dict[str, float]:
    """Return the card's ``int8_ranges``: by convolution but the first, its largest input in int8.

    Raises `SetupError` if the card has none, or others than of its network.
    """
    ranges = bundle.card.get("int8_ranges")
    if ranges is None:
        raise SetupError(
            "This model was not calibrated for int8 (its card has no int8_ranges): choose another "
            "--precision."
        )
    layers = layer_names(bundle.architecture)[1:]
    if not isinstance(ranges, dict) or not all(_above_0(ranges.get(name)) for name in layers):
        raise SetupError(
            "The model card's int8_ranges are not a number above 0 for each convolution but the "
            "first: use another model, or another --precision."
        )
    return {name: float(ranges[name]) for name in layers}


def _above_0(value: object) -> bool:
    return isinstance(value, int | float) and 0 < value < math.inf


def build_graph(
    bundle: Bundle, exact: bool, ranges: Mapping[str, float], with_maxima: bool = False
) -> Any:
    """Return an `openvino.Model` from (n, size, size, 1) uint8 to `Predictions`' fields, any n.

    Outputs are float32, named as the fields. `exact` tells that it will be computed in float32.
    Convolutions in `ranges` round their input to int8. `with_maxima` adds the largest input (n,) of
    each convolution but the first, under its name. Raises `SetupError` over wrong weights.
    """
    openvino = import_openvino()
    from openvino import opset13 as ops

    plan, weights, size = ARCHITECTURES[bundle.architecture], bundle.weights, bundle.spec.size
    shapes = backbone_shapes(bundle.architecture)
    shapes["head/kernel"] = (plan.embedding_size, len(bundle.classes))
    shapes["head/bias"] = (len(bundle.classes),)
    check_shapes(weights, shapes, bundle.architecture)

    radiograph = ops.parameter([-1, size, size, 1], np.uint8, name="radiograph")
    grey = ops.reshape(radiograph, _ints(-1, 1, size, size), special_zero=False)
    x = _first(ops.convert(grey, "f32"), bundle, 1 if exact else 2)
    base, maxima = x, {}
    first, *rest = layer_names(bundle.architecture)
    block = first.split("_")[0]
    for name in rest:
        if not name.startswith(block):
            x, block = _halved(x), name.split("_")[0]
        if with_maxima:
            maxima[name] = ops.reduce_max(x, _ints(1, 2, 3), keep_dims=False)
        kernel, bias = weights[f"{name}/kernel"], weights[f"{name}/bias"]
        x = _convolution(x, kernel, bias, largest=ranges.get(name))
        if name == heads.BASE:
            base = x
    if plan.last_pool:
        x = _halved(x)
    outputs = maxima | _classified(x, weights, bundle.temperature)
    if heads.has_lungs(weights):
        check_shapes(weights, heads.lung_shapes(), "lung head")
        outputs["lungs"] = _lungs(base, weights)
    if heads.has_kinds(weights):
        check_shapes(weights, heads.kind_shapes(), "head of kinds")
        outputs["kinds"] = _kinds(base, weights)
    results = []
    for name, node in outputs.items():
        node.output(0).get_tensor().set_names({name})
        results.append(ops.result(node))
    return openvino.Model(results, [radiograph], "cxr_scan")


def _first(grey: Node, bundle: Bundle, parts: int) -> Node:
    """Apply the first convolution to grey levels 0..255; in two `parts` exact in bfloat16 too."""
    from openvino import opset13 as ops

    plan = ARCHITECTURES[bundle.architecture]
    channels = [grey] * parts
    if plan.caffe_input:
        channels += [ops.convert(ops.greater_equal(grey, _floats(0)), "f32")] * parts
    x = ops.concat(channels, 1) if len(channels) > 1 else grey
    kernel = first_kernel(bundle.weights["block1_conv1/kernel"], plan, parts)
    return _convolution(x, kernel, bundle.weights["block1_conv1/bias"])


def _classified(features: Node, weights: Weights, temperature: float) -> dict[str, Node]:
    """Return probabilities, Grad-CAM and embedding of feature maps (N, E, h, w).

    Sums keep their dimensions: OpenVINO 2026.4 gets an addition behind a sum over the last of
    three dimensions wrong where they are dropped.
    """
    from openvino import opset13 as ops

    pixels = _side(features) ** 2
    kernel = _floats(weights["head/kernel"][None])
    embedding = ops.reduce_mean(features, _ints(2, 3), keep_dims=False)
    products = ops.multiply(ops.unsqueeze(embedding, _ints(2)), kernel)
    sums = ops.squeeze(ops.reduce_sum(products, _ints(1), keep_dims=True), _ints(1))
    logits = ops.add(sums, _floats(weights["head/bias"][None]))
    best = ops.equal(logits, ops.reduce_max(logits, _ints(1), keep_dims=True))
    chosen = ops.unsqueeze(ops.convert(best, "f32"), _ints(1))
    of_best = ops.reduce_sum(ops.multiply(kernel, chosen), _ints(2), keep_dims=True)
    evidence = ops.multiply(features, ops.unsqueeze(of_best, _ints(3)))
    cam = ops.relu(ops.squeeze(ops.reduce_sum(evidence, _ints(1), keep_dims=True), _ints(1)))
    return {
        "probabilities": ops.softmax(ops.multiply(logits, _floats([[1 / temperature]])), 1),
        "cam": ops.multiply(cam, _floats([[[1 / pixels]]])),
        "embedding": embedding,
    }


def _lungs(base: Node, weights: Weights) -> Node:
    """Return what `heads.lungs` does."""
    from openvino import opset13 as ops

    reduce, *contexts, field = heads.LUNG_LAYERS
    kernel = weights[f"{reduce}/kernel"] * np.float32(heads.SCALE)
    x = _convolution(base, kernel, weights[f"{reduce}/bias"])
    for name, dilation in zip(contexts, heads.DILATIONS, strict=True):
        y = _convolution(x, weights[f"{name}/kernel"], weights[f"{name}/bias"], dilation)
        x = ops.add(x, y)
    products = ops.multiply(x, _floats(weights[f"{field}/kernel"].reshape(1, -1, 1, 1)))
    sums = ops.squeeze(ops.reduce_sum(products, _ints(1), keep_dims=True), _ints(1))
    return ops.sigmoid(ops.add(sums, _floats(weights[f"{field}/bias"].reshape(1, 1, 1))))


def _kinds(base: Node, weights: Weights) -> Node:
    """Return what `heads.add_heads` does for the kinds of pictures."""
    from openvino import opset13 as ops

    cell = [_side(base) // heads.GRID] * 2
    grid = ops.avg_pool(base, cell, [0, 0], [0, 0], cell, exclude_pad=False)
    features = len(weights["kinds/kernel"])
    flat = ops.reshape(grid, _ints(-1, features, 1), special_zero=False)
    # Keras flattens (row, column, channel), OpenVINO's maps are (channel, row, column).
    kernel = weights["kinds/kernel"].reshape(heads.GRID**2, -1, len(heads.KINDS))
    kernel = kernel.transpose(1, 0, 2).reshape(1, features, -1)
    products = ops.multiply(flat, _floats(kernel))
    sums = ops.squeeze(ops.reduce_sum(products, _ints(1), keep_dims=True), _ints(1))
    return ops.softmax(ops.add(sums, _floats(weights["kinds/bias"][None])), 1)


def _convolution(
    x: Node,
    kernel: FloatArray,
    bias: FloatArray,
    dilation: int = 1,
    largest: float | None = None,
) -> Node:
    """Return relu(convolution), padded to the same size; `kernel` HWIO as in a bundle.

    With `largest` in int8: input, 0 or more, in 256 steps up to it, kernels as `bundle.quantise`.
    """
    from openvino import opset13 as ops

    pad = [kernel.shape[0] // 2 * dilation] * 2
    filters = _floats(kernel.transpose(3, 2, 0, 1))
    if largest is not None:
        x = _rounded_to_int8(x, [[[[0.0]]]], [[[[largest]]]], 256)
        most = np.maximum(np.abs(kernel).max(axis=(0, 1, 2)), 1e-12).reshape(-1, 1, 1, 1)
        filters = _rounded_to_int8(filters, -most, most, 255)
    y = ops.convolution(x, filters, [1, 1], pad, pad, [dilation, dilation])
    return ops.relu(ops.add(y, _floats(bias.reshape(1, -1, 1, 1))))


def _rounded_to_int8(x: Node, low: npt.ArrayLike, high: npt.ArrayLike, steps: int) -> Node:
    """Return values in equal steps from `low` to `high`, which OpenVINO computes with in int8."""
    from openvino import opset13 as ops

    ends = [_floats(low), _floats(high)]
    return ops.fake_quantize(x, *ends, *ends, steps)


def _halved(x: Node) -> Node:
    """Return the 2x2 maxima."""
    from openvino import opset1 as ops

    return ops.max_pool(x, [2, 2], [0, 0], [0, 0], [2, 2])


def _side(maps: Node) -> int:
    """Return the height, and width, of (N, K, height, width)."""
    return int(maps.get_output_partial_shape(0)[2].get_length())


def _floats(values: npt.ArrayLike) -> Node:
    from openvino import opset13 as ops

    return ops.constant(np.ascontiguousarray(values, np.float32))


def _ints(*values: int) -> Node:
    from openvino import opset13 as ops

    return ops.constant(np.array(values, np.int64))
