"""Batches, padding, precision and devices do not change what is said of an image."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_models import save_cnn10

from scanner import bundle, network
from scanner.errors import SetupError
from scanner.precision import choose_precision
from scanner.predictor import Predictor
from scanner.tensorflow_backend import devices


@pytest.fixture(scope="module")
def default() -> bundle.Bundle:
    return bundle.load(bundle.DEFAULT_BUNDLE)


def _images(count: int) -> list[np.ndarray]:
    """Smooth random pictures: closer to radiographs than noise, and all different."""
    random = np.random.default_rng(5)
    coarse = random.integers(0, 256, (count, 8, 8), dtype=np.uint8)
    return [np.kron(image, np.ones((32, 32), np.uint8)) for image in coarse]


def test_batch_size_changes_neither_labels_nor_scores(default: bundle.Bundle) -> None:
    images = _images(5)
    one = Predictor(default, batch_size=1, precision="float32").predict(images)
    four = Predictor(default, batch_size=4, precision="float32").predict(images)
    assert (one.probabilities.argmax(1) == four.probabilities.argmax(1)).all()
    np.testing.assert_allclose(one.probabilities, four.probabilities, atol=1e-3)
    np.testing.assert_allclose(one.cam, four.cam, atol=1e-3 * one.cam.max())


def test_shapes_and_ranges_are_as_promised(default: bundle.Bundle) -> None:
    result = Predictor(default, batch_size=2, precision="float32").predict(_images(3))
    assert result.probabilities.shape == (3, len(default.classes))
    assert result.cam.shape == (3, 16, 16)
    assert result.embedding.shape == (3, 512)
    assert all(a.dtype == np.float32 for a in (result.probabilities, result.cam, result.embedding))
    np.testing.assert_allclose(result.probabilities.sum(1), 1, atol=1e-5)
    assert result.cam.min() >= 0


def test_a_bundle_of_the_small_network_is_judged_by_it(tmp_path: Path) -> None:
    save_cnn10(tmp_path / "model")
    loaded = bundle.load(tmp_path / "model")
    judge = Predictor(loaded, batch_size=2, precision="float32")
    result = judge.predict(_images(3))
    assert result.probabilities.shape == (3, 3)
    assert result.cam.shape == (3, 16, 16)
    assert result.embedding.shape == (3, 256)
    np.testing.assert_allclose(result.probabilities.sum(1), 1, atol=1e-5)


def test_a_batch_that_does_not_fit_is_halved(
    default: bundle.Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU with memory for two images, stood in for by TensorFlow's own error.

    The real thing cannot be had on a CPU: with RLIMIT_AS set, TensorFlow 2.21 ends the process
    (SIGSEGV in oneDNN, std::bad_alloc without it) instead of raising ResourceExhaustedError.
    """
    import tensorflow as tf

    compiled = network.compiled
    tried = []

    def small_memory(model: object) -> object:
        function = compiled(model)

        def with_little(batch: tf.Tensor) -> object:
            tried.append(len(batch))
            if len(batch) > 2:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
            return function(batch)

        return with_little

    images = _images(5)
    expected = Predictor(default, batch_size=2, precision="float32").predict(images)
    monkeypatch.setattr(network, "compiled", small_memory)
    judge = Predictor(default, batch_size=8, precision="float32")
    found = judge.predict(images)
    assert tried == [5, 4, 2, 2, 1]
    assert judge.batch_size == 2
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)


def test_busy_is_the_share_of_the_time_since_the_first_batch(tmp_path: Path) -> None:
    save_cnn10(tmp_path / "model")
    judge = Predictor(bundle.load(tmp_path / "model"), batch_size=4, precision="float32")
    assert judge.busy is None
    judge.predict(_images(4))
    assert judge.busy is None  # kernels were compiled in it
    judge.predict(_images(4))
    judge.predict(_images(4))
    assert judge.busy is not None and judge.busy > 0.9
    time.sleep(20 * judge.seconds)
    judge.predict(_images(4))
    assert 0 < judge.busy < 0.5


def test_auto_takes_bfloat16_only_where_it_was_measured_to_agree(default: bundle.Bundle) -> None:
    def card(agreement: float, images: int = 1000) -> bundle.Bundle:
        values = {"precisions": {"bfloat16": {"images": images, "label_agreement": agreement}}}
        return bundle.Bundle("x", ("a",), default.spec, 1.0, {}, values)

    assert choose_precision(card(0.9995), "auto", fast=True, backend="tensorflow") == "bfloat16"
    assert choose_precision(card(0.9985), "auto", fast=True, backend="tensorflow") == "float32"
    assert (
        choose_precision(card(1.0, images=9), "auto", fast=True, backend="tensorflow") == "float32"
    )
    unmeasured = bundle.Bundle("x", ("a",), default.spec, 1.0, {}, {})
    assert choose_precision(unmeasured, "auto", fast=True, backend="tensorflow") == "float32"
    assert choose_precision(unmeasured, "bfloat16", fast=False, backend="tensorflow") == "bfloat16"


def test_a_required_gpu_that_is_missing_is_said(default: bundle.Bundle) -> None:
    if devices()[0].startswith("GPU"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(SetupError, match="--require-gpu was given, but"):
        Predictor(default, require_gpu=True)


@pytest.mark.gpu
def test_a_gpu_gives_the_labels_of_the_cpu(default: bundle.Bundle) -> None:
    if not devices()[0].startswith("GPU"):
        pytest.skip("TensorFlow sees no GPU here")
    import tensorflow as tf

    images = _images(6)
    on_gpu = Predictor(default, require_gpu=True, precision="float32").predict(images)
    with tf.device("CPU"):
        on_cpu = Predictor(default, precision="float32").predict(images)
    assert (on_gpu.probabilities.argmax(1) == on_cpu.probabilities.argmax(1)).all()
    np.testing.assert_allclose(on_gpu.probabilities, on_cpu.probabilities, atol=1e-3)


def test_start_up_noise_stays_off_the_terminal(tmp_path: Path) -> None:
    code = (
        "import numpy; from scanner import bundle; from scanner.predictor import Predictor;"
        "Predictor(bundle.load(bundle.DEFAULT_BUNDLE)).predict([numpy.zeros((256, 256), 'u1')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout == ""
