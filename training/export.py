"""A bundle in the formats of other programs: Keras, ONNX, TensorFlow's SavedModel."""

import importlib.util
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scanner.bundle import Bundle
from scanner.errors import SetupError
from scanner.network import build_network, quiet_stderr, visible_gpus

if TYPE_CHECKING:
    import keras


def write(bundle: Bundle, form: str, output: Path) -> Path:
    """Write the whole network to `output` and what must be known of it beside; return that path.

    `form` is ``keras`` (`output` ends in .keras), ``onnx`` or ``savedmodel`` (a folder). One input,
    ``radiograph`` (N, size, size, 1) uint8, and the outputs of `network.build_network` by name, in
    float32, for any N. Raises `SetupError` if a file is in the way, nothing can be written, or
    what ONNX needs is not installed; then nothing is left behind.
    """
    sidecar = output.parent / f"{output.name}.json"
    for place in (output, sidecar):
        if place.exists():
            raise SetupError(f"{place} exists already: delete it or choose another --output.")
    if form == "onnx" and importlib.util.find_spec("tf2onnx") is None:
        raise SetupError("Export to ONNX needs tf2onnx: pip install 'cxr-scan[onnx]'.")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=".cxr-scan-export-") as draft:
            written = Path(draft) / output.name
            with quiet_stderr():
                visible_gpus()
                model = build_network(
                    bundle.spec.size,
                    bundle.weights,
                    bundle.temperature,
                    "float32",
                    bundle.architecture,
                )
                _write_network(model, form, written)
            about = json.dumps(_description(bundle, form, model), indent=2, ensure_ascii=False)
            beside = Path(draft) / sidecar.name
            beside.write_text(about + "\n", encoding="utf-8")
            written.rename(output)
            beside.rename(sidecar)
    except OSError as error:
        raise SetupError(f"{output} cannot be written: {error.strerror or error}.") from error
    return sidecar


def _write_network(model: "keras.Model", form: str, place: Path) -> None:
    if form == "keras":
        model.save(place)
    else:
        kind = {"onnx": "onnx", "savedmodel": "tf_saved_model"}[form]
        model.export(place, format=kind, verbose=False, input_signature=[model.input])


def _description(bundle: Bundle, form: str, model: "keras.Model") -> dict[str, Any]:
    """Return what a program must know to use the network rightly; shapes with null for N."""
    spec = bundle.spec
    return {
        "model": bundle.id,
        "name": bundle.card.get("name", ""),
        "architecture": bundle.architecture,
        "format": form,
        "intended_use": bundle.card.get("intended_use", ""),
        "classes": list(bundle.classes),
        "input": {"name": "radiograph", "shape": list(model.input.shape), "dtype": "uint8"},
        "outputs": {
            name: {"shape": list(tensor.shape), "dtype": "float32"}
            for name, tensor in model.output.items()
        },
        "preprocess": {
            **spec.as_json(),
            "text": (
                f"Grey radiograph, air dark and bone bright; the whole image to {spec.size} x "
                f"{spec.size} by area averaging; grey levels from percentile {spec.low:g} to "
                f"{spec.high:g} of the result spread over 0..255, clipped and rounded "
                "(scanner.preprocess.model_input)."
            ),
        },
        "temperature": bundle.temperature,
        "temperature_is_applied": True,
    }
