"""`cxr-scan models`: what it lists, what it shows, and that what it exports is the model."""

import json
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pydicom
import pytest
from click.testing import CliRunner, Result
from dicom_files import as_bytes
from small_models import save_cnn10

from scanner import bundle
from scanner.errors import SetupError
from scanner.network import quiet_stderr
from scanner.predictor import Predictor
from scanner.reading import ReadSettings, read_file
from scanner.walk import list_files
from training.models import find, models

_LOAD_KERAS = """
import sys, numpy, keras
model = keras.models.load_model(sys.argv[1])
numpy.savez(sys.argv[3], **model(numpy.load(sys.argv[2])))
assert "scanner" not in sys.modules
"""
_LOAD_SAVEDMODEL = """
import sys, numpy, tensorflow
serve = tensorflow.saved_model.load(sys.argv[1]).signatures["serving_default"]
numpy.savez(sys.argv[3], **serve(radiograph=tensorflow.constant(numpy.load(sys.argv[2]))))
assert "scanner" not in sys.modules
"""
_LOAD_ONNX = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
found = session.run(None, {"radiograph": numpy.load(sys.argv[2])})
numpy.savez(sys.argv[3], **{o.name: v for o, v in zip(session.get_outputs(), found)})
assert "scanner" not in sys.modules
"""
_LOADERS = {"keras": _LOAD_KERAS, "savedmodel": _LOAD_SAVEDMODEL, "onnx": _LOAD_ONNX}
_OUTPUTS = {"keras": "model.keras", "savedmodel": "model", "onnx": "model.onnx"}


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> None:
    with quiet_stderr():
        import keras  # noqa: F401


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(models, [str(argument) for argument in arguments])


def _said(*arguments: object) -> str:
    result = _run(*arguments)
    assert result.exit_code == 0, result.output or result.exception
    return result.output


def _refused(*arguments: object) -> str:
    result = _run(*arguments)
    assert isinstance(result.exception, SetupError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "small"
    save_cnn10(folder, intended_use="Research.", name="tiny")
    return folder


def test_the_shipped_model_is_listed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    card = json.loads((bundle.DEFAULT_BUNDLE / bundle.CARD).read_text(encoding="utf-8"))
    lines = _said().splitlines()
    assert lines == _said("list").splitlines()
    assert lines[0] == f"{card['id']}  {card['name']}"
    assert lines[1].strip() == f"vgg19: {', '.join(card['classes'])}"
    assert lines[2].strip() == card["headline"]
    assert lines[3].strip() == f"{bundle.DEFAULT_BUNDLE} (shipped)"
    assert len(lines) == 4


def test_models_are_found_two_levels_deep_and_once(tmp_path: Path) -> None:
    for number, place in enumerate((".", "a", "a/b", "a/b/too-deep")):
        save_cnn10(tmp_path / place, seed=number)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    found = find([tmp_path, tmp_path / "a"])
    assert {path.resolve() for path in found} == {
        tmp_path,
        tmp_path / "a",
        tmp_path / "a" / "b",
        tmp_path / "a" / "b" / "too-deep",  # two levels below the second folder
    }
    assert len(found) == 4
    assert len(find([tmp_path])) == 3
    assert find([bundle.DEFAULT_BUNDLE.parent]) == []  # the shipped one is listed anyway


def test_architecture_classes_figures_and_place_are_listed(tmp_path: Path) -> None:
    name = save_cnn10(tmp_path / "mine", name="tiny", headline="accuracy 0.5 on 2 images")
    assert _said("list", tmp_path).splitlines()[4:] == [
        f"{name}  tiny",
        "  cnn10: Covid-19, Normal, Pneumonia",
        "  accuracy 0.5 on 2 images",
        f"  {tmp_path / 'mine'}",
    ]


def test_a_damaged_model_is_listed_with_the_reason(tmp_path: Path) -> None:
    save_cnn10(tmp_path / "cut")
    weights = tmp_path / "cut" / bundle.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:1000])
    save_cnn10(tmp_path / "gone")
    (tmp_path / "gone" / bundle.WEIGHTS).unlink()
    said = _said("list", tmp_path)
    assert said.count("not usable") == 2
    assert "is damaged or was altered" in said
    assert "cannot be read" in said


def test_control_characters_in_a_card_do_not_reach_the_terminal(tmp_path: Path) -> None:
    save_cnn10(tmp_path, name="\x1b[2Jevil", headline="\x07")
    assert "\x1b" not in (said := _said("list", tmp_path))
    assert "\x07" not in said


def test_show_prints_the_card() -> None:
    from training.results.card import as_markdown

    card = json.loads((bundle.DEFAULT_BUNDLE / bundle.CARD).read_text(encoding="utf-8"))
    assert _said("show") == as_markdown(card)
    assert _said("show", bundle.DEFAULT_BUNDLE) == _said("show")


def test_show_refuses_a_folder_without_a_model(tmp_path: Path) -> None:
    assert "There is no model in" in _refused("show", tmp_path)


def test_a_card_that_says_too_little_is_told(tmp_path: Path) -> None:
    save_cnn10(tmp_path)
    assert "says too little to be shown: it has no 'name'" in _refused("show", tmp_path)


def _radiographs(radiograph_dataset: pydicom.Dataset, folder: Path) -> np.ndarray:
    """A real radiograph as a scan prepares it, and its negative: a batch of two."""
    folder.mkdir()
    (folder / "RG1.dcm").write_bytes(as_bytes(radiograph_dataset))
    settings = ReadSettings(bundle.load(bundle.DEFAULT_BUNDLE).spec, key=b"")
    prepared = read_file(list_files(folder).sources[0], settings).model_input
    assert prepared is not None
    return np.stack([prepared, 255 - prepared])[..., None]


def _check_export(form: str, model: Path, images: np.ndarray, home: Path) -> None:
    """Export, load in a process without this project, compare with what a scan would say."""
    output = home / _OUTPUTS[form]
    _said("export", model, "--format", form, "--output", output)
    np.save(home / "images.npy", images)
    subprocess.run(
        [sys.executable, "-c", _LOADERS[form], output, home / "images.npy", home / "said.npz"],
        cwd=home,
        check=True,
    )
    said = np.load(home / "said.npz")
    judge = Predictor(bundle.load(model), precision="float32")
    expected = judge.predict(list(images[..., 0]))
    assert set(said) == {name for name, array in vars(expected).items() if array is not None}
    for name in said:
        np.testing.assert_allclose(said[name], getattr(expected, name), atol=1e-4, err_msg=name)
    left = {path.name for path in home.iterdir()}
    assert left == {"scan", "images.npy", "said.npz", output.name, f"{output.name}.json"}


@pytest.mark.parametrize("form", list(_LOADERS))
def test_an_exported_model_says_what_the_scan_says(
    form: str, small: Path, radiograph_dataset: pydicom.Dataset, tmp_path: Path
) -> None:
    images = _radiographs(radiograph_dataset, tmp_path / "scan")
    _check_export(form, small, images, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("form", list(_LOADERS))
def test_the_shipped_model_exported_says_what_the_scan_says(
    form: str, radiograph_dataset: pydicom.Dataset, tmp_path: Path
) -> None:
    images = _radiographs(radiograph_dataset, tmp_path / "scan")
    _check_export(form, bundle.DEFAULT_BUNDLE, images, tmp_path)


def test_what_must_be_known_to_use_it_stands_beside(small: Path, tmp_path: Path) -> None:
    output = tmp_path / "deep" / "model.keras"
    said = _said("export", small, "--format", "keras", "--output", output)
    assert str(output) in said
    about = json.loads((tmp_path / "deep" / "model.keras.json").read_text(encoding="utf-8"))
    loaded = bundle.load(small)
    assert about["model"] == loaded.id
    assert about["classes"] == list(loaded.classes)
    assert about["temperature"] == loaded.temperature
    assert about["preprocess"].items() >= loaded.spec.as_json().items()
    assert about["input"] == {
        "name": "radiograph",
        "shape": [None, 256, 256, 1],
        "dtype": "uint8",
    }
    assert about["outputs"]["embedding"]["shape"] == [None, 256]


def test_nothing_is_overwritten(small: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.keras"
    output.write_text("precious")
    arguments = ("export", small, "--format", "keras", "--output", output)
    assert "exists already" in _refused(*arguments)
    assert output.read_text() == "precious"
    output.rename(tmp_path / "model.keras.json")
    assert "model.keras.json exists already" in _refused(*arguments)
    assert not output.exists()


def test_a_suffix_that_could_not_be_loaded_is_a_usage_error(small: Path, tmp_path: Path) -> None:
    result = _run("export", small, "--format", "keras", "--output", tmp_path / "model.h5")
    assert result.exit_code == 2
    assert "must end in .keras" in result.output


def test_onnx_without_its_package_says_what_to_install(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tf2onnx", None)  # as if it were not installed
    message = _refused("export", small, "--format", "onnx", "--output", tmp_path / "model.onnx")
    assert "pip install 'cxr-scan[onnx]'" in message
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_line(small: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "model.keras"
    assert "cannot be written" in _refused("export", small, "--format", "keras", "-o", place)


def test_every_command_is_documented_with_an_example() -> None:
    assert models.help
    assert "Example: cxr-scan models" in (models.epilog or "")
    for name in models.list_commands(click.Context(models)):
        command = models.commands[name]
        assert command.help, name
        assert f"Example: cxr-scan models {name}" in (command.epilog or ""), name
        assert all(o.help for o in command.params if isinstance(o, click.Option)), name


def test_help_waits_for_nothing_heavy() -> None:
    code = (
        "import sys\nfrom training.models import models\n"
        "models(['export', '--help'], standalone_mode=False)\n"
        "print('LOADED', *({'tensorflow', 'keras', 'cv2', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("LOADED")
