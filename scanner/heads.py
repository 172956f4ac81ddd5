"""The light heads on VGG19's block4_conv4: where the lungs are, and what kind of picture it is.

They stand on blocks 1 to 4, which fine-tuning leaves alone, so that one trained pair of heads
serves every bundle with the same blocks.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scanner.architecture import Weights, check_shapes, layer_names

if TYPE_CHECKING:
    import keras

# The feature map both heads see: (N, size/8, size/8, 512).
BASE = "block4_conv4"
_CHANNELS, _WIDTH = 512, 64
# The map's values are in the tens and hundreds, as caffe's input is.
SCALE = 0.01
# A cell of block4_conv4 sees 116 px; doubling distances let the lung head see the whole chest.
DILATIONS = (1, 2, 4, 8, 16)
LUNG_LAYERS = ("lungs_reduce", *(f"lungs_context{d}" for d in DILATIONS), "lungs_field")

# What a picture can be, by the slug of the reason for which it is not judged; the first is judged.
KINDS = (
    "frontal",
    "lateral_view",
    "upside_down",
    "turned",
    "inverted",
    "several_images",
    "ct_slice",
    "other_body_part",
    "not_a_radiograph",
)
# The picture is averaged over this many rows and columns of cells before its kind is told.
GRID = 4


def lung_shapes() -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight of the lung head."""
    shapes: dict[str, tuple[int, ...]] = {
        "lungs_reduce/kernel": (1, 1, _CHANNELS, _WIDTH),
        "lungs_field/kernel": (1, 1, _WIDTH, 1),
        "lungs_field/bias": (1,),
    }
    for name in LUNG_LAYERS[1:-1]:
        shapes[f"{name}/kernel"] = (3, 3, _WIDTH, _WIDTH)
    for name in LUNG_LAYERS[:-1]:
        shapes[f"{name}/bias"] = (_WIDTH,)
    return shapes


def kind_shapes() -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight of the head that tells kinds of pictures apart."""
    return {
        "kinds/kernel": (GRID * GRID * _CHANNELS, len(KINDS)),
        "kinds/bias": (len(KINDS),),
    }


def has_lungs(weights: Weights) -> bool:
    """Tell whether a model can say where the lungs are."""
    return "lungs_field/kernel" in weights


def has_kinds(weights: Weights) -> bool:
    """Tell whether a model can tell kinds of pictures apart."""
    return "kinds/kernel" in weights


def heads_of(weights: Weights) -> dict[str, npt.NDArray[np.float32]]:
    """Return the weights of both heads, as far as they are there."""
    names = [name for name in (*lung_shapes(), *kind_shapes()) if name in weights]
    return {name: weights[name] for name in names}


def without_heads(weights: Weights) -> dict[str, npt.NDArray[np.float32]]:
    """Return a model's weights but for those of both heads."""
    both = heads_of(weights)
    return {name: array for name, array in weights.items() if name not in both}


def lung_field(base: "keras.KerasTensor", policy: str) -> "keras.KerasTensor":
    """Return logits (N, size/8, size/8, 1) float32 of being lung, from the map `BASE`."""
    import keras

    x = keras.layers.Rescaling(SCALE, dtype=policy, name="lungs_scale")(base)
    x = keras.layers.Conv2D(_WIDTH, 1, activation="relu", dtype=policy, name=LUNG_LAYERS[0])(x)
    for name, dilation in zip(LUNG_LAYERS[1:-1], DILATIONS, strict=True):
        y = keras.layers.Conv2D(
            _WIDTH,
            3,
            padding="same",
            dilation_rate=dilation,
            activation="relu",
            dtype=policy,
            name=name,
        )(x)
        x = keras.layers.Add(dtype=policy, name=f"{name}_sum")([x, y])
    return keras.layers.Conv2D(1, 1, dtype="float32", name=LUNG_LAYERS[-1])(x)


def kinds_grid(base: "keras.KerasTensor") -> "keras.KerasTensor":
    """Return what kinds are told from, (N, 8192) float32: `BASE` averaged over a grid."""
    import keras

    cells = base.shape[1] // GRID
    pooled = keras.layers.AveragePooling2D(cells, dtype="float32", name="kinds_grid")(base)
    return keras.layers.Flatten(dtype="float32", name="kinds_flat")(pooled)


def kinds_logits(base: "keras.KerasTensor") -> "keras.KerasTensor":
    """Return logits (N, K) float32 of the `KINDS`, from the map `BASE`."""
    import keras

    return keras.layers.Dense(len(KINDS), dtype="float32", name="kinds")(kinds_grid(base))


def lungs(backbone: "keras.Model", weights: Weights, policy: str) -> "keras.KerasTensor":
    """Return the probability (N, size/8, size/8) float32 of being lung, on a built backbone."""
    import keras

    check_shapes(weights, lung_shapes(), "lung head")
    return keras.ops.sigmoid(lung_field(backbone.get_layer(BASE).output, policy))[..., 0]


def add_heads(backbone: "keras.Model", weights: Weights, policy: str) -> dict[str, object]:
    """Return the outputs of the heads that `weights` have, on a built backbone.

    ``lungs`` (N, size/8, size/8) float32 in 0..1 and ``kinds`` (N, K) float32 summing to 1. Raises
    `SetupError` over misshapen weights. `set_heads` gives the finished model their weights.
    """
    import keras

    outputs: dict[str, object] = {}
    if has_lungs(weights):
        outputs["lungs"] = lungs(backbone, weights, policy)
    if has_kinds(weights):
        check_shapes(weights, kind_shapes(), "head of kinds")
        logits = kinds_logits(backbone.get_layer(BASE).output)
        outputs["kinds"] = keras.ops.softmax(logits, axis=-1)
    return outputs


def set_heads(model: "keras.Model", weights: Weights) -> None:
    """Give the heads in a model their weights."""
    for layer in model.layers:
        if layer.name in (*LUNG_LAYERS, "kinds"):
            layer.set_weights([weights[f"{layer.name}/kernel"], weights[f"{layer.name}/bias"]])


# How far kernels may differ, relative to their size, and still be the same but for rounding. To
# store them as int8 changes them by up to 1.8 % in blocks 1 to 3; in block 4, where ImageNet's
# weights may come in 8 bits too, both roundings by up to 9.3 %. Training changed block 5 by 11 %.
_SAME_WITHIN = {"block1": 0.02, "block2": 0.02, "block3": 0.02, "block4": 0.1}


def same_base(
    one: Mapping[str, npt.NDArray[np.float32]], other: Mapping[str, npt.NDArray[np.float32]]
) -> bool:
    """Tell whether two VGG19s have the same blocks 1 to 4, but for rounding when stored."""
    for layer in layer_names("vgg19"):
        name, within = f"{layer}/kernel", _SAME_WITHIN.get(layer.split("_")[0])
        if within is None:
            continue
        if name not in one or name not in other or one[name].shape != other[name].shape:
            return False
        difference = float(np.linalg.norm(one[name] - other[name]))
        if difference > within * float(np.linalg.norm(other[name])):
            return False
    return True
