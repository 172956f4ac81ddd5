"""What an architecture is, and that a network cut in two is the network."""

import numpy as np
import pytest
from small_models import random_weights

from scanner.architecture import ARCHITECTURES, backbone_shapes, layer_names
from scanner.errors import SetupError
from scanner.network import (
    build_backbone,
    build_network,
    build_tail,
    cut_model,
    quiet_stderr,
)

_SIZE = 64  # no fully connected layer, so any multiple of 16 will do
_CUTS = [
    ("vgg19", "embedding"),
    ("vgg19", "block4_pool"),
    ("vgg19", "input"),
    ("cnn10", "embedding"),
    ("cnn10", "input"),
]


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> None:
    with quiet_stderr():
        import keras  # noqa: F401


def _images(count: int, size: int = _SIZE) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 1), dtype=np.uint8)


def test_the_small_network_has_ten_layers_and_ends_in_a_map_of_256() -> None:
    model = build_backbone(256, random_weights("cnn10"), "float32", "cnn10")
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv2D") == 4
    assert kinds.count("MaxPooling2D") == 4
    assert model.output.shape == (None, 16, 16, 256)
    assert [model.get_layer(n).filters for n in layer_names("cnn10")] == [32, 64, 128, 256]


def test_the_small_network_sees_grey_levels_from_0_to_1() -> None:
    weights = {name: np.zeros_like(array) for name, array in random_weights("cnn10").items()}
    for name in layer_names("cnn10"):
        weights[f"{name}/kernel"][1, 1, 0, 0] = 1  # the first channel passes as it is
    model = build_backbone(_SIZE, weights, "float32", "cnn10")
    for grey in (0, 51, 255):
        image = np.full((1, _SIZE, _SIZE, 1), grey, np.uint8)
        assert model(image).numpy()[0, 0, 0, 0] == pytest.approx(grey / 255)


def test_vgg19_is_named_and_shaped_as_keras_has_it() -> None:
    import keras

    theirs = keras.applications.VGG19(include_top=False, weights=None)
    found = {
        f"{layer.name}/{weight.name}": tuple(weight.shape)
        for layer in theirs.layers
        for weight in layer.weights
    }
    assert backbone_shapes("vgg19") == found


@pytest.mark.parametrize(("architecture", "cut"), _CUTS)
def test_a_network_cut_in_two_says_what_the_whole_says(architecture: str, cut: str) -> None:
    import keras

    weights = random_weights(architecture)
    tail = build_tail(_SIZE, architecture, cut, 3, "float32")
    for layer in tail.layers:
        if layer.weights:
            layer.set_weights([weights[f"{layer.name}/kernel"], weights[f"{layer.name}/bias"]])
    images = _images(3)
    features = images
    if cut != "input":
        cut_off = cut_model(_SIZE, weights, cut, "float32", architecture)
        features = cut_off(images)["cut"].numpy()
    found = keras.ops.softmax(tail(features)).numpy()
    expected = build_network(_SIZE, weights, 1.0, "float32", architecture)(images)
    np.testing.assert_allclose(found, expected["probabilities"].numpy(), atol=1e-5)


@pytest.mark.parametrize("cut", ["embedding", "block4_pool"])
def test_a_cut_in_bfloat16_is_handed_on_in_float32(cut: str) -> None:
    model = cut_model(_SIZE, random_weights("vgg19"), cut, "bfloat16")
    assert model.output["cut"].dtype == "float32"
    assert build_tail(_SIZE, "vgg19", cut, 3, "bfloat16").output.dtype == "float32"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_layer_of_a_tail_learns(precision: str) -> None:
    import keras

    keras.utils.set_random_seed(4)
    tail = build_tail(_SIZE, "cnn10", "input", 3, precision)
    tail.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = [weight.numpy() for weight in tail.trainable_weights]
    assert len(before) == 2 * (4 + 1)
    tail.train_on_batch(_images(4), np.array([0, 1, 2, 0]))
    for old, weight in zip(before, tail.trainable_weights, strict=True):
        assert np.abs(old - weight.numpy()).max() > 0, weight.path


def test_convolutions_start_with_the_variance_of_he() -> None:
    tail = build_tail(256, "vgg19", "block4_pool", 3, "float32")
    kernel = tail.get_layer("block5_conv1").get_weights()[0]
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 512)), rel=0.02)


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_weights_of_the_other_architecture_are_refused(architecture: str) -> None:
    other = next(name for name in ARCHITECTURES if name != architecture)
    weights = {**random_weights(architecture)} | {
        name: array for name, array in random_weights(other).items() if "head" not in name
    }
    with pytest.raises(SetupError, match=f"not of this {architecture}"):
        build_network(_SIZE, weights, 1.0, "float32", architecture)
