"""The closed form in the graph is Grad-CAM as automatic differentiation computes it."""

import numpy as np
import pytest

from scanner.architecture import ARCHITECTURES, backbone_shapes
from scanner.network import build_network, quiet_stderr

_SIZE = 64  # the network has no fully connected layer, so any multiple of 16 will do
_CLASSES = 3


def _random_weights(architecture: str) -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    weights = {}
    for name, shape in backbone_shapes(architecture).items():
        # He initialisation keeps activations from vanishing over sixteen layers.
        scale = np.sqrt(2 / np.prod(shape[:-1])) if len(shape) == 4 else 0.01
        weights[name] = random.normal(0, scale, shape).astype(np.float32)
    width = ARCHITECTURES[architecture].embedding_size
    weights["head/kernel"] = random.normal(0.02, 0.05, (width, _CLASSES)).astype(np.float32)
    weights["head/bias"] = random.normal(0, 0.05, _CLASSES).astype(np.float32)
    return weights


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return _random_weights("vgg19")


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_closed_form_equals_gradient_tape(architecture: str) -> None:
    with quiet_stderr():
        import keras
        import tensorflow as tf
    weights = _random_weights(architecture)
    model = build_network(_SIZE, weights, 1.7, "float32", architecture)
    images = np.random.default_rng(1).integers(0, 256, (4, _SIZE, _SIZE, 1), dtype=np.uint8)
    ours = model(images, training=False)

    inner = keras.Model(
        model.input, [model.get_layer("features").output, model.get_layer("logits").output]
    )
    with tf.GradientTape() as tape:
        maps, logits = inner(images, training=False)
        top = tf.reduce_max(logits, axis=-1)
    gradient = tape.gradient(top, maps)
    importance = tf.reduce_mean(gradient, axis=(1, 2))  # alpha_k of Selvaraju et al., equation 1
    reference = tf.nn.relu(tf.einsum("nhwk,nk->nhw", maps, importance)).numpy()

    assert reference.max() > 0
    assert np.abs(ours["cam"].numpy() - reference).max() < 1e-4 * reference.max()
    expected = tf.nn.softmax(logits / 1.7).numpy()
    np.testing.assert_allclose(ours["probabilities"].numpy(), expected, atol=1e-6)


def test_a_class_nothing_speaks_for_has_an_empty_map(weights: dict[str, np.ndarray]) -> None:
    against = {
        **weights,
        "head/kernel": -np.abs(weights["head/kernel"]),
        "head/bias": np.array([5.0, 0.0, 0.0], np.float32),
    }
    model = build_network(_SIZE, against, temperature=1.0, precision="float32")
    images = np.random.default_rng(2).integers(0, 256, (2, _SIZE, _SIZE, 1), dtype=np.uint8)
    outputs = model(images, training=False)
    assert not outputs["cam"].numpy().any()
    assert np.isfinite(outputs["probabilities"].numpy()).all()


def test_weights_of_another_network_are_refused(weights: dict[str, np.ndarray]) -> None:
    from scanner.errors import SetupError

    with pytest.raises(SetupError, match="not of this vgg19"):
        build_network(
            _SIZE, {**weights, "block3_conv4/kernel": np.zeros((1, 1), np.float32)}, 1.0, "float32"
        )
