"""The network as one flat Keras graph, built in code. The only module that needs Keras.

Flat, because a nested VGG19 (`base(x)`, `Sequential([VGG19(...), …])`) cannot give inner feature
maps in Keras 3.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from scanner import heads
from scanner.architecture import (
    ARCHITECTURES,
    CAFFE_MEANS,
    DEFAULT_ARCHITECTURE,
    Architecture,
    backbone_shapes,
    check_shapes,
    first_kernel,
    layer_names,
)
from scanner.architecture import Weights as Weights  # of every signature here
from scanner.errors import CxrScanError

if TYPE_CHECKING:
    import keras

# The compiled functions are TensorFlow's, whatever backend the user's own Keras settings name.
os.environ["KERAS_BACKEND"] = "tensorflow"


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
    """Return the Keras dtype policy to train in `precision` by; variables stay float32."""
    return "float32" if precision == "float32" else f"mixed_{precision}"


def build_backbone(
    size: int, weights: Weights, precision: str, architecture: str = DEFAULT_ARCHITECTURE
) -> "keras.Model":
    """Return the network from (N, size, size, 1) uint8 to its feature map (N, size/16, size/16, E).

    For vgg19 that is block5_conv4 and E 512, for cnn10 block4_pool and E 256. `precision` is
    ``float32``, ``bfloat16`` or ``float16``, of arithmetic and variables: to predict by, not to
    train. The map is float32 in any case. Raises `SetupError` if `weights` lacks or misshapes a
    layer.
    """
    check_shapes(weights, backbone_shapes(architecture), architecture)
    import keras

    plan = ARCHITECTURES[architecture]
    inputs = _radiograph(size)
    # Grey levels 0..255 have a bfloat16 each; less a mean they have not.
    grey = keras.ops.cast(inputs, precision)
    parts = 1 if precision == "float32" else 2
    seen = [grey] * parts + [keras.ops.ones_like(grey)] * (parts if plan.caffe_input else 0)
    first, *rest = layer_names(architecture)
    if len(seen) > 1:
        grey = keras.layers.Concatenate(dtype=precision, name="grey_and_ones")(seen)
    x = _convolution(plan.blocks[0][0], precision, first)(grey)
    model = keras.Model(inputs, _convolve(x, plan, 1, 2, precision), name=architecture)
    kernel = first_kernel(weights[f"{first}/kernel"], plan, parts)
    model.get_layer(first).set_weights([kernel, weights[f"{first}/bias"]])
    for name in rest:
        model.get_layer(name).set_weights([weights[f"{name}/kernel"], weights[f"{name}/bias"]])
    return model


def _radiograph(size: int) -> "keras.KerasTensor":
    import keras

    return keras.Input((size, size, 1), dtype="uint8", name="radiograph")


def _scaled(inputs: "keras.KerasTensor", plan: Architecture) -> "keras.KerasTensor":
    """Scale grey levels as the first convolution expects them, to train it."""
    import keras

    if not plan.caffe_input:
        return keras.layers.Rescaling(1 / 255, dtype="float32", name="unit")(inputs)
    x = keras.layers.Rescaling(1.0, dtype="float32", name="as_float")(inputs)
    x = keras.layers.Concatenate(dtype="float32", name="bgr")([x, x, x])
    offset = [-mean for mean in CAFFE_MEANS]
    return keras.layers.Rescaling(1.0, offset=offset, dtype="float32", name="caffe")(x)


def _convolution(filters: int, dtype: str, name: str) -> "keras.Layer":
    import keras

    return keras.layers.Conv2D(
        filters,
        3,
        padding="same",
        activation="relu",
        kernel_initializer="he_normal",
        dtype=dtype,
        name=name,
    )


def _convolve(
    x: "keras.KerasTensor", plan: Architecture, block: int, number: int, dtype: str
) -> "keras.KerasTensor":
    """Apply all from convolution `number` of a block on; return the feature map in float32."""
    import keras

    for at, (filters, depth) in enumerate(plan.blocks[block - 1 :], start=block):
        for one in range(number if at == block else 1, depth + 1):
            x = _convolution(filters, dtype, f"block{at}_conv{one}")(x)
        if at < len(plan.blocks) or plan.last_pool:
            x = keras.layers.MaxPooling2D(dtype=dtype, name=f"block{at}_pool")(x)
    return keras.layers.Activation("linear", dtype="float32", name="features")(x)


def _average(features: "keras.KerasTensor") -> "keras.KerasTensor":
    import keras

    return keras.layers.GlobalAveragePooling2D(dtype="float32", name="embedding")(features)


def cut_model(
    size: int,
    weights: Weights,
    cut: str,
    precision: str,
    architecture: str = DEFAULT_ARCHITECTURE,
    with_lungs: bool = False,
) -> "keras.Model":
    """Return the network from (N, size, size, 1) uint8 to ``{"cut": …}``, in float32.

    `cut` is a layer, for instance ``block4_pool`` (N, size/16, size/16, 512), ``embedding`` (N, E),
    or ``kinds_grid`` (N, 8192), what `heads` tells kinds of pictures from. What follows the first
    two is `build_tail` with the same `cut`. `with_lungs` adds ``lungs`` (N, size/8, size/8).
    """
    backbone = build_backbone(size, weights, precision, architecture)
    import keras

    if cut == "embedding":
        output = _average(backbone.output)
    elif cut == "kinds_grid":
        output = heads.kinds_grid(backbone.get_layer(heads.BASE).output)
    else:
        inner = backbone.get_layer(cut).output
        output = keras.layers.Activation("linear", dtype="float32", name="cut")(inner)
    outputs = {"cut": output}
    if with_lungs:
        outputs["lungs"] = heads.lungs(backbone, weights, precision)
    model = keras.Model(backbone.input, outputs)
    heads.set_heads(model, weights)
    return model


def build_tail(
    size: int, architecture: str, cut: str, classes: int, precision: str
) -> "keras.Model":
    """Return the trainable rest of the network, from `cut` to the logits (N, classes) float32.

    `cut` is ``input`` (N, size, size, 1) uint8, or as in `cut_model`. Convolutions start by He et
    al. 2015 (normal), the logits' layer ``head`` as Keras starts a Dense; layers have the names
    they have in a bundle.
    """
    import keras

    plan = ARCHITECTURES[architecture]
    policy = keras_policy(precision)
    if cut == "embedding":
        inputs = embedding = keras.Input((plan.embedding_size,), name="cut")
    else:
        if cut == "input":
            inputs = _radiograph(size)
            # In float32: `first_kernel` says why.
            x = _convolution(plan.blocks[0][0], "float32", "block1_conv1")(_scaled(inputs, plan))
            features = _convolve(x, plan, 1, 2, policy)
        else:
            done = 1 + [f"block{n + 1}_pool" for n in range(len(plan.blocks))].index(cut)
            side = size // 2**done
            inputs = keras.Input((side, side, plan.blocks[done - 1][0]), name="cut")
            features = _convolve(inputs, plan, done + 1, 1, policy)
        embedding = _average(features)
    logits = keras.layers.Dense(classes, dtype="float32", name="head")(embedding)
    return keras.Model(inputs, logits, name=f"{architecture}_from_{cut}")


def build_network(
    size: int,
    weights: Weights,
    temperature: float,
    precision: str,
    architecture: str = DEFAULT_ARCHITECTURE,
) -> "keras.Model":
    """Return the whole network: (N, size, size, 1) uint8 to a dictionary of float32 tensors.

    ``probabilities`` (N, C) are softmax(logits / temperature); ``cam`` (N, size/16, size/16) is
    Grad-CAM of the most probable class's logit on the feature map of `build_backbone`;
    ``embedding`` (N, E) is the average of that map. Models with the heads of `scanner.heads` give
    ``lungs`` and ``kinds`` too. Raises `SetupError` over wrong `weights`.

    The head is average pooling and one Dense layer, for which Grad-CAM (Selvaraju et al. 2017) has
    a closed form: the gradient of a logit with respect to a feature map, averaged over space, is
    the Dense weight over H*W. So cam = relu(sum_k w_k A_k) / (H*W), with no backward pass.
    """
    kernel, bias = weights["head/kernel"], weights["head/bias"]
    width = ARCHITECTURES[architecture].embedding_size
    head = {"head/kernel": (width, len(bias)), "head/bias": bias.shape}
    check_shapes(weights, head, architecture)
    backbone = build_backbone(size, weights, precision, architecture)
    import keras

    features = backbone.output
    embedding = _average(features)
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
        **heads.add_heads(backbone, weights, precision),
    }
    model = keras.Model(backbone.input, outputs, name="cxr_scan")
    logits_layer.set_weights([kernel, bias])
    evidence_layer.set_weights([kernel])
    heads.set_heads(model, weights)
    return model


def compiled(model: "keras.Model") -> Any:
    """Return the model as one compiled TensorFlow function of (n, size, size, 1) uint8, any n.

    Keras's own `predict` sometimes runs on one core, and is eager around the edges. A fixed n would
    be no faster (measured: 1.00 times), and a part-filled batch would cost as much as a full one.
    """
    import tensorflow as tf

    signature = tf.TensorSpec((None, *model.input.shape[1:]), tf.uint8)
    function = tf.function(lambda batch: model(batch, training=False), input_signature=[signature])
    return function.get_concrete_function()
