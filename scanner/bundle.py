"""A trained model on disk: `model.json` (the card) and `weights.safetensors`. No code in either."""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from scanner.architecture import ARCHITECTURES, DEFAULT_ARCHITECTURE
from scanner.errors import SetupError
from scanner.preprocess import PreprocessSpec
from scanner.storage import write_atomically

CARD = "model.json"
WEIGHTS = "weights.safetensors"
DEFAULT_BUNDLE = Path(__file__).parent / "models" / "default"
_FORMAT = 1
_SCALE_SUFFIX = ":scale"


@dataclass(frozen=True)
class Bundle:
    """A model as it is used: weights as float32 whatever the file holds, and the card about them.

    `weights` maps ``<layer>/kernel`` and ``<layer>/bias`` to arrays, kernels HWIO, ``head/kernel``
    (E, C) for the embedding of its `architecture`. `card` is `model.json` as read.
    """

    id: str
    classes: tuple[str, ...]
    spec: PreprocessSpec
    temperature: float
    weights: dict[str, npt.NDArray[np.float32]]
    card: dict[str, Any]
    architecture: str = DEFAULT_ARCHITECTURE


def load(folder: Path) -> Bundle:
    """Read and verify a bundle; raises `SetupError` with what is wrong and what to do."""
    card = load_card(folder)
    try:
        stored = (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise SetupError(
            f"The model's weights {folder / WEIGHTS} cannot be read: {error}"
        ) from error
    if (
        hashlib.sha256(stored).hexdigest() != card["weights_sha256"]
        or _identify(card) != card["id"]
    ):
        raise SetupError(
            f"The model in {folder} is damaged or was altered (its hash differs from model.json): "
            "copy it again, or reinstall cxr-scan for the default model."
        )
    return Bundle(
        id=card["id"],
        classes=_classes(folder, card),
        spec=PreprocessSpec.from_json(card["preprocess"]),
        temperature=_temperature(folder, card),
        weights=_weights(folder, stored),
        card=card,
        architecture=_architecture(folder, card),
    )


def load_card(folder: Path) -> dict[str, Any]:
    """Return a bundle's `model.json`, its hash unchecked; raises `SetupError` if it will not do."""
    path = folder / CARD
    if not path.is_file():
        raise SetupError(
            f"There is no model in {folder}: expected a folder with {CARD} and {WEIGHTS}, as "
            "`cxr-scan train` writes it."
        )
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        missing = {"id", "format", "classes", "preprocess", "temperature", "weights_sha256"} - set(
            card
        )
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise SetupError(f"The model card {path} cannot be read: {error}") from error
    if missing:
        raise SetupError(f"The model card {path} lacks {', '.join(sorted(missing))}.")
    if card["format"] != _FORMAT:
        raise SetupError(
            f"The model card {path} has format {card['format']}, this cxr-scan reads {_FORMAT}: "
            "update cxr-scan or use another model."
        )
    return dict(card)


def _weights(folder: Path, stored: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """Return the arrays of a file whose hash is right; a stranger may have made both."""
    try:
        weights = dequantise(load_safetensors(stored))
    except Exception as error:  # safetensors, and NumPy over shapes and types that do not fit
        raise SetupError(
            f"The model's weights {folder / WEIGHTS} cannot be read as safetensors "
            f"({type(error).__name__}): use another model."
        ) from error
    for name, array in weights.items():
        if not np.isfinite(array).all():
            raise SetupError(
                f"The model's weights {folder / WEIGHTS} hold NaN or infinite values ({name}): "
                "train it again, or use another model."
            )
    return weights


def _classes(folder: Path, card: dict[str, Any]) -> tuple[str, ...]:
    classes = card["classes"]
    named = isinstance(classes, list) and all(isinstance(c, str) and c for c in classes)
    if not named or not 2 <= len(classes) == len(set(classes)):
        raise SetupError(
            f"The model card {folder / CARD} does not name two or more different classes: use "
            "another model."
        )
    return tuple(classes)


def _temperature(folder: Path, card: dict[str, Any]) -> float:
    temperature = card["temperature"]
    if not (isinstance(temperature, int | float) and 0 < temperature < math.inf):
        raise SetupError(
            f"The model card {folder / CARD} has the temperature {temperature!r} where a number "
            "above 0 is expected: use another model."
        )
    return float(temperature)


def _architecture(folder: Path, card: dict[str, Any]) -> str:
    """Return what the card names; cards from before there was a second one name none."""
    architecture = str(card.get("architecture", DEFAULT_ARCHITECTURE))
    if architecture not in ARCHITECTURES:
        raise SetupError(
            f"The model in {folder} is a {architecture}, this cxr-scan knows "
            f"{' and '.join(ARCHITECTURES)}: update cxr-scan or use another model."
        )
    return architecture


def save(folder: Path, card: dict[str, Any], stored: dict[str, npt.NDArray[Any]]) -> str:
    """Write a bundle and return its id, the hash over weights and card.

    `card` has at least ``classes``, ``preprocess`` and ``temperature``, and ``architecture`` unless
    it is vgg19; `stored` are the arrays as they go to disk, for instance from `quantise`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = save_safetensors({name: np.ascontiguousarray(a) for name, a in stored.items()})
    card = {name: value for name, value in card.items() if name != "id"}
    card = {"format": _FORMAT, **card, "weights_sha256": hashlib.sha256(data).hexdigest()}
    card = {"id": _identify(card), **card}
    write_atomically(folder / WEIGHTS, data)
    write_atomically(folder / CARD, json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    return str(card["id"])


def _identify(card: dict[str, Any]) -> str:
    """Hash everything in the card but the id; the weights take part through their own hash."""
    content = {name: value for name, value in card.items() if name != "id"}
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def quantise(weights: dict[str, npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[Any]]:
    """Return kernels of convolutions as int8 with one float32 scale per output channel.

    kernel = int8 * scale, symmetric, so that a quarter of the bytes keeps the answers; biases and
    the head stay float32.
    """
    stored: dict[str, npt.NDArray[Any]] = {}
    for name, array in weights.items():
        if array.ndim == 4:
            scale = np.maximum(np.abs(array).max(axis=(0, 1, 2)), 1e-12).astype(np.float32) / 127
            stored[name] = np.rint(array / scale).astype(np.int8)
            stored[name + _SCALE_SUFFIX] = scale.astype(np.float32)
        else:
            stored[name] = array.astype(np.float32)
    return stored


def dequantise(stored: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.float32]]:
    """Undo `quantise`; float16 and float32 arrays pass as float32."""
    weights = {}
    for name, array in stored.items():
        if not name.endswith(_SCALE_SUFFIX):
            scale = stored.get(name + _SCALE_SUFFIX, np.float32(1))
            weights[name] = (array.astype(np.float32) * scale).astype(np.float32)
    return weights
