"""Whatever computes the network, and in whichever arithmetic, the answers are TensorFlow's."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from small_models import save_cnn10, save_vgg19_with_heads

from scanner import bundle, heads, memory
from scanner.bundle import Bundle
from scanner.errors import SetupError
from scanner.openvino_backend import OpenVinoBackend
from scanner.predictor import Predictions, Predictor

# By precision: how far probabilities, lung fields and kinds may be from TensorFlow's in float32.
_WITHIN = {"float32": 1e-3, "bfloat16": 2e-2}
_OTHERS = [
    ("tensorflow", "bfloat16"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
]
needs_openvino = pytest.mark.skipif(
    not find_spec("openvino"), reason="OpenVINO is not installed: pip install 'cxr-scan[openvino]'"
)


def _images(count: int) -> list[np.ndarray]:
    """Blocks of grey, ever coarser and brighter, so that even random weights tell them apart."""
    random = np.random.default_rng(11)
    pictures = []
    for number in range(count):
        cells = 64 >> 2 * number
        coarse = random.integers(60 * number, 100 + 60 * number, (cells, cells), dtype=np.uint8)
        pictures.append(np.kron(coarse, np.ones((256 // cells,) * 2, np.uint8)))
    return pictures


def _small(folder: Path) -> Bundle:
    save_cnn10(folder)
    return bundle.load(folder)


def _with_heads(folder: Path) -> Bundle:
    """A vgg19 whose heads, unlike those of `small_models`, look at the picture."""
    save_vgg19_with_heads(folder)
    loaded = bundle.load(folder)
    random = np.random.default_rng(3)
    changed = {"lungs_field/kernel": 0.05, "kinds/kernel": 2e-5}
    for name, scale in changed.items():
        shape = loaded.weights[name].shape
        loaded.weights[name] = random.normal(0, scale, shape).astype(np.float32)
    loaded.weights["lungs_field/bias"][:] = 0
    loaded.weights["kinds/bias"][:] = 0
    return loaded


def _default(folder: Path) -> Bundle:
    return bundle.load(bundle.DEFAULT_BUNDLE)


_MODELS = [_small, _with_heads, pytest.param(_default, marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=_MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return request.param(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def expected(model: Bundle) -> Predictions:
    return Predictor(model, 2, "float32").predict(_images(3))


@pytest.mark.parametrize(("backend", "precision"), _OTHERS)
def test_every_backend_says_the_same(
    model: Bundle, expected: Predictions, backend: str, precision: str
) -> None:
    if backend == "openvino" and not find_spec("openvino"):
        pytest.skip("OpenVINO is not installed: pip install 'cxr-scan[openvino]'")
    found = Predictor(model, 2, precision, backend=backend).predict(_images(3))
    within = _WITHIN[precision]
    assert (found.probabilities.argmax(1) == expected.probabilities.argmax(1)).all()
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=within)
    np.testing.assert_allclose(found.cam, expected.cam, atol=2 * within * expected.cam.max())
    scale = expected.embedding.max()
    np.testing.assert_allclose(found.embedding, expected.embedding, atol=within * scale)
    assert (found.lungs is None) == (expected.lungs is None) == (not heads.has_lungs(model.weights))
    if expected.lungs is not None and expected.kinds is not None:
        np.testing.assert_allclose(found.lungs, expected.lungs, atol=2 * within)
        np.testing.assert_allclose(found.kinds, expected.kinds, atol=within)


def test_the_pictures_tell_outputs_apart(expected: Predictions) -> None:
    """Were an output the same for all, or flat, the test above would say little."""
    assert np.ptp(expected.embedding, axis=0).max() > 0.1 * expected.embedding.max()
    assert expected.cam.max() > 0
    if expected.lungs is not None and expected.kinds is not None:
        assert np.ptp(expected.lungs) > 0.02
        assert np.ptp(expected.kinds) > 0.02


@needs_openvino
def test_openvino_gives_every_image_the_same_in_any_batch(tmp_path: Path) -> None:
    loaded = _small(tmp_path)
    one = Predictor(loaded, 1, "float32", backend="openvino").predict(_images(3))
    four = Predictor(loaded, 4, "float32", backend="openvino").predict(_images(3))
    np.testing.assert_allclose(one.probabilities, four.probabilities, atol=1e-5)
    np.testing.assert_allclose(one.cam, four.cam, atol=1e-5 * one.cam.max())


@needs_openvino
def test_openvino_needs_neither_tensorflow_nor_the_network(tmp_path: Path) -> None:
    """It starts in a second because it never loads TensorFlow, and it tells nobody that it starts.

    openvino itself reports every import to its maker, and leaves a number in the home folder.
    """
    save_cnn10(tmp_path / "model")
    code = f"""
import sys
said = []
sys.addaudithook(lambda event, args: said.append(event) if event.startswith("socket.") else None)
from pathlib import Path
import numpy as np
from scanner import bundle
from scanner.predictor import Predictor
loaded = bundle.load(Path({str(tmp_path / "model")!r}))
Predictor(loaded, 1, backend="openvino").predict([np.zeros((256, 256), np.uint8)])
print(sorted(name for name in ("tensorflow", "keras", "openvino_telemetry") if name in sys.modules))
print(said)
"""
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment |= {"HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n[]\n"
    assert done.stderr == ""
    assert list(home.iterdir()) == []


def test_openvino_that_is_not_installed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # an import then fails as if it were not
    with pytest.raises(SetupError, match=r"pip install 'cxr-scan\[openvino\]'"):
        OpenVinoBackend(_small(tmp_path), "auto", False)


def test_openvino_computes_on_no_gpu(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="--require-gpu"):
        OpenVinoBackend(_small(tmp_path), "auto", True)


@pytest.mark.parametrize(
    ("backend", "precision"),
    [("tensorflow", "int8"), pytest.param("openvino", "float16", marks=needs_openvino)],
)
def test_arithmetic_that_a_backend_lacks_is_said(
    tmp_path: Path, backend: str, precision: str
) -> None:
    with pytest.raises(SetupError, match="does not compute in"):
        Predictor(_small(tmp_path), 1, precision, backend=backend)


@needs_openvino
def test_auto_goes_by_what_was_measured_with_openvino(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scanner.precision.cpu_computes_in_bfloat16", lambda: True)
    good = {"images": 1000, "label_agreement": 1.0}
    save_cnn10(tmp_path / "theirs", precisions={"bfloat16": good})
    save_cnn10(tmp_path / "ours", precisions={"openvino bfloat16": good})
    theirs, ours = bundle.load(tmp_path / "theirs"), bundle.load(tmp_path / "ours")
    assert OpenVinoBackend(theirs, "auto", False).precision == "float32"
    assert OpenVinoBackend(ours, "auto", False).precision == "bfloat16"


@needs_openvino
def test_weights_that_lack_a_layer_are_refused(tmp_path: Path) -> None:
    loaded = _small(tmp_path)
    del loaded.weights["block3_conv1/bias"]
    with pytest.raises(SetupError, match="block3_conv1/bias"):
        Predictor(loaded, 1, "float32", backend="openvino")


@needs_openvino
def test_openvino_takes_as_large_a_batch_as_memory_has_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = _small(tmp_path)
    monkeypatch.setattr(memory, "free_mb", lambda: 320.0)
    assert 1 <= OpenVinoBackend(loaded, "float32", False).fitting(16) < 16
    monkeypatch.setattr(memory, "free_mb", lambda: 100.0)
    with pytest.raises(SetupError, match="Not even one image"):
        OpenVinoBackend(loaded, "float32", False).fitting(16)
