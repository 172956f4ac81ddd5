"""VGG19 with its heads as one flat Keras graph, built in code. The only module that needs Keras.

Flat, because a nested VGG19 (`base(x)`, `Sequential([VGG19(...), …])`) cannot give inner feature
maps in Keras 3.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scanner.errors import CxrScanError, SetupError

if TYPE_CHECKING:
    import keras

# Filters and convolutions of each block (Simonyan and Zisserman 2015, table 1, column E).
_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
# ImageNet means of the caffe weights, in their channel order BGR.
_CAFFE_MEANS = (103.939, 116.779, 123.68)
EMBEDDING_SIZE = 512

# The compiled functions are TensorFlow's, whatever backend the user's own Keras settings name.
os.environ["KERAS_BACKEND"] = "tensorflow"

Weights = Mapping[str, npt.NDArray[np.float32]]


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep TensorFlow's start-up lines off the terminal; show them if what is run here fails.

    They are written by C++ code straight to file descriptor 2 and outlast TF_CPP_MIN_LOG_LEVEL.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        saved = os.dup(2)
    except OSError:  # there is no standard error to keep clean
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        try:
            yield
        except CxrScanError:
            raise  # it says in one line what is wrong
        except Exception:
            noise.seek(0)
            os.write(saved, noise.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)


def visible_gpus() -> list[str]:
    """Return the names of TensorFlow's GPUs, each set to take memory as it needs it.

    To be called before anything is computed: TensorFlow refuses the setting afterwards.
    """
    import tensorflow as tf

    names = []
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
        details = tf.config.experimental.get_device_details(gpu)
        names.append(str(details.get("device_name", gpu.name)))
    return names


def gpu_computes_in_bfloat16() -> bool:
    """Tell whether there are GPUs and all have tensor cores for bfloat16 (Ampere, capability 8)."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = (tf.config.experimental.get_device_details(gpu) for gpu in gpus)
    return bool(gpus) and all(d.get("compute_capability", (0, 0)) >= (8, 0) for d in details)


def compute_in_true_float32() -> None:
    """Keep GPUs from rounding float32 products to TensorFloat-32, as TensorFlow lets them."""
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(False)


def keras_policy(precision: str) -> str:
    """Return the Keras dtype policy for arithmetic in `precision`; variables stay float32."""
    return {"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision]


def layer_names() -> list[str]:
    """Return the names of VGG19's sixteen convolutions in order."""
    return [
        f"block{block}_conv{number}"
        for block, (_, depth) in enumerate(_BLOCKS, start=1)
        for number in range(1, depth + 1)
    ]


def backbone_shapes() -> dict[str, tuple[int, ...]]:
    """Return the shape of every backbone weight: ``<layer>/kernel`` (HWIO) and ``<layer>/bias``."""
    shapes: dict[str, tuple[int, ...]] = {}
    channels = 3
    names = iter(layer_names())
    for filters, depth in _BLOCKS:
        for _ in range(depth):
            name = next(names)
            shapes[f"{name}/kernel"] = (3, 3, channels, filters)
            shapes[f"{name}/bias"] = (filters,)
            channels = filters
    return shapes


def build_backbone(size: int, weights: Weights, precision: str) -> "keras.Model":
    """Return VGG19 from (N, size, size, 1) uint8 to block5_conv4, (N, size/16, size/16, 512).

    `precision` is ``float32`` or ``bfloat16`` (arithmetic; variables stay float32). The map is
    float32 either way. Raises `SetupError` if `weights` lacks or misshapes a layer.
    """
    _check_shapes(weights, backbone_shapes())
    import keras

    policy = keras_policy(precision)
    inputs = keras.Input((size, size, 1), dtype="uint8", name="radiograph")
    # In float32: bfloat16 has 8 bits of precision, too few for 256 grey levels less a mean.
    x = keras.layers.Rescaling(1.0, dtype="float32", name="as_float")(inputs)
    x = keras.layers.Concatenate(dtype="float32", name="bgr")([x, x, x])
    x = keras.layers.Rescaling(
        1.0, offset=[-mean for mean in _CAFFE_MEANS], dtype="float32", name="caffe"
    )(x)
    names = iter(layer_names())
    for block, (filters, depth) in enumerate(_BLOCKS, start=1):
        for _ in range(depth):
            x = keras.layers.Conv2D(
                filters, 3, padding="same", activation="relu", dtype=policy, name=next(names)
            )(x)
        if block < len(_BLOCKS):
            x = keras.layers.MaxPooling2D(dtype=policy, name=f"block{block}_pool")(x)
    features = keras.layers.Activation("linear", dtype="float32", name="features")(x)
    model = keras.Model(inputs, features, name="vgg19")
    for name in layer_names():
        model.get_layer(name).set_weights([weights[f"{name}/kernel"], weights[f"{name}/bias"]])
    return model


def build_network(size: int, weights: Weights, temperature: float, precision: str) -> "keras.Model":
    """Return the whole network: (N, size, size, 1) uint8 to a dictionary of float32 tensors.

    ``probabilities`` (N, C) are softmax(logits / temperature); ``cam`` (N, size/16, size/16) is
    Grad-CAM of the most probable class's logit on block5_conv4; ``embedding`` (N, 512) is the
    average of that feature map.

    The head is average pooling and one Dense layer, for which Grad-CAM (Selvaraju et al. 2017) has
    a closed form: the gradient of a logit with respect to a feature map, averaged over space, is
    the Dense weight over H*W. So cam = relu(sum_k w_k A_k) / (H*W), with no backward pass.
    """
    kernel, bias = weights["head/kernel"], weights["head/bias"]
    _check_shapes(weights, {"head/kernel": (EMBEDDING_SIZE, len(bias)), "head/bias": bias.shape})
    backbone = build_backbone(size, weights, precision)
    import keras

    features = backbone.output
    embedding = keras.layers.GlobalAveragePooling2D(dtype="float32", name="embedding")(features)
    logits_layer = keras.layers.Dense(len(bias), dtype="float32", name="logits")
    logits = logits_layer(embedding)
    # Dense works on the last axis: without its bias, a map of each class's evidence.
    evidence_layer = keras.layers.Dense(len(bias), use_bias=False, dtype="float32", name="evidence")
    evidence = evidence_layer(features)
    chosen = keras.ops.cast(
        keras.ops.equal(logits, keras.ops.max(logits, axis=-1, keepdims=True)), "float32"
    )
    pixels = features.shape[1] * features.shape[2]
    selected = keras.ops.einsum("nhwc,nc->nhw", evidence, chosen)
    outputs = {
        "probabilities": keras.ops.softmax(logits / temperature, axis=-1),
        "cam": keras.ops.relu(selected) / pixels,
        "embedding": embedding,
    }
    model = keras.Model(backbone.input, outputs, name="cxr_scan")
    logits_layer.set_weights([kernel, bias])
    evidence_layer.set_weights([kernel])
    return model


def _check_shapes(weights: Weights, expected: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in expected.items():
        if name not in weights:
            raise SetupError(f"The weights have no {name}: they are not of this VGG19.")
        if weights[name].shape != shape:
            raise SetupError(
                f"The weights' {name} has shape {weights[name].shape} where {shape} is expected: "
                "they are not of this VGG19."
            )


def compile_fixed(model: "keras.Model", batch_size: int) -> Any:
    """Return the model as one compiled TensorFlow function of (batch_size, size, size, 1) uint8.

    Keras's own `predict` sometimes runs on one core, and is eager around the edges.
    """
    import tensorflow as tf

    signature = tf.TensorSpec((batch_size, *model.input.shape[1:]), tf.uint8)
    function = tf.function(lambda batch: model(batch, training=False), input_signature=[signature])
    return function.get_concrete_function()
