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
from scanner.openvino_graph import build_graph, calibrated_ranges, import_openvino
from scanner.predictor import Predictions, Predictor
from training.int8 import calibrate

# By precision: how far probabilities, lung fields and kinds may be from TensorFlow's in float32.
_WITHIN = {"float32": 1e-3, "bfloat16": 2e-2, "int8": 6e-2}
_OTHERS = [
    ("tensorflow", "bfloat16"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
    ("openvino", "int8"),
]
needs_openvino = pytest.mark.skipif(
    not find_spec("openvino"), reason="OpenVINO is not installed: pip install 'cxr-scan[openvino]'"
)


def _images(count: int) -> list[np.ndarray]:
    """Blocks of grey, ever coarser, so that even random weights tell them apart."""
    random = np.random.default_rng(11)
    pictures = []
    for number in range(count):
        cells = 64 >> 2 * number
        coarse = random.integers(0, 256, (cells, cells), dtype=np.uint8)
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


def _calibrated(loaded: Bundle) -> Bundle:
    """With ranges for one of the pictures here, unless it has some."""
    if "int8_ranges" not in loaded.card and find_spec("openvino"):
        ranges = calibrate(loaded, np.stack(_images(3)[1:2]), lambda _: None)
        loaded.card["int8_ranges"] = ranges
    return loaded


def _default(folder: Path) -> Bundle:
    return bundle.load(bundle.DEFAULT_BUNDLE)


_MODELS = [_small, _with_heads, pytest.param(_default, marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=_MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return _calibrated(request.param(tmp_path_factory.mktemp("model")))


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
    pairs = [(found.cam, expected.cam), (found.embedding, expected.embedding)]
    assert (found.lungs is None) == (expected.lungs is None) == (not heads.has_lungs(model.weights))
    if expected.lungs is not None and expected.kinds is not None:
        pairs.append((found.lungs, expected.lungs))
        np.testing.assert_allclose(found.kinds, expected.kinds, atol=within)
    for one, other in pairs:
        if precision == "int8":  # its rounding makes the random networks' maps weaker as a whole
            assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.9
        else:
            np.testing.assert_allclose(one, other, atol=2 * within * other.max())


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


@needs_openvino
def test_int8_is_refused_where_it_was_not_calibrated(tmp_path: Path) -> None:
    loaded = _small(tmp_path)
    with pytest.raises(SetupError, match="not calibrated for int8"):
        OpenVinoBackend(loaded, "int8", False)
    loaded.card["int8_ranges"] = {"block2_conv1": 3.0, "block3_conv1": -1.0}
    with pytest.raises(SetupError, match="int8_ranges"):
        OpenVinoBackend(loaded, "int8", False)


@needs_openvino
def test_int8_is_computed_in_int8(tmp_path: Path) -> None:
    """OpenVINO runs a graph with roundings in floats where it does not recognise them."""
    loaded = _calibrated(_small(tmp_path))
    graph = build_graph(loaded, False, calibrated_ranges(loaded))
    compiled = import_openvino().Core().compile_model(graph, "CPU")
    layers = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    kinds = {
        name: [str(rt[name].value) for rt in layers] for name in ("layerType", "primitiveType")
    }
    convolutions = [
        how
        for kind, how in zip(kinds["layerType"], kinds["primitiveType"], strict=True)
        if kind == "Convolution"
    ]
    assert sum(how.lower().endswith("i8") for how in convolutions) == 3
