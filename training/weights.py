"""ImageNet's VGG19 weights: from a file for machines without internet, else downloaded."""

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from platformdirs import user_cache_path

from scanner.architecture import backbone_shapes, layer_names
from scanner.errors import SetupError
from training.download import fetched

_KERAS = "Keras' ImageNet VGG19"
# Where keras.applications.vgg19 gets it from, and what it checks: without the dense layers.
_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg19/"
    "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
_MD5 = "253f8cb515780f3b799900260a226db6"
# MD5 of whole files.
_KNOWN_FILES = {
    _MD5: _KERAS,
    "cbe5617147190e668d6c5d5026f83318": _KERAS,
}
# `content_hash` of weights that have come in other files.
_KNOWN_CONTENT = {
    "6392a700b7018ba2fe375412c8b1913664a6c063901899740272a50937c63240": (
        "ImageNet VGG19, block4-5 in 8 bits"
    ),
}

Arrays = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class ImagenetWeights:
    """VGG19's convolutions to start from.

    `arrays` maps ``block1_conv1/kernel`` (HWIO) and ``…/bias`` to float32, `file` is the name of
    the file or ``keras.applications``, `sha256` the `content_hash`. `known` says what weights of
    that hash are known as; empty for weights that nobody has vouched for.
    """

    arrays: Arrays
    file: str
    sha256: str
    known: str


def imagenet(file: Path | None) -> ImagenetWeights:
    """Return VGG19's weights from `file`, or without one those that Keras uses, downloaded once.

    `file` is, by its content, an .npz or .safetensors with our names (``block1_conv1/kernel`` or
    ``block1_conv1_kernel``), or an .h5 of Keras in any of its layouts, dense layers or not. Raises
    `SetupError` if it is none of these, not of VGG19 or not finite, or nothing can be downloaded.
    """
    if file is None:
        arrays = _download()
        return ImagenetWeights(arrays, "keras.applications", content_hash(arrays), _KERAS)
    arrays = _checked(file, _reader(file)(file))
    digest = content_hash(arrays)
    known = _KNOWN_CONTENT.get(digest) or _KNOWN_FILES.get(_md5(file), "")
    return ImagenetWeights(arrays, file.name, digest, known)


def content_hash(arrays: Arrays) -> str:
    """Return a SHA-256 over names (sorted) and float32 values, whatever file they came in."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + b"\0")
        digest.update(np.ascontiguousarray(arrays[name], dtype="<f4").tobytes())
    return digest.hexdigest()


def _md5(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _reader(file: Path) -> Callable[[Path], Arrays]:
    """Tell the form of a file by its first bytes: names of downloads cannot be relied on."""
    try:
        with file.open("rb") as handle:
            start = handle.read(9)
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror}.") from error
    if start.startswith(b"PK"):
        return _from_npz
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return _from_h5
    if start[8:] == b"{":  # after eight bytes with the length of that JSON
        return _from_safetensors
    raise SetupError(f"{file} is no weights file: expected .npz, .h5 or .safetensors of VGG19.")


def _from_npz(file: Path) -> Arrays:
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[key] for name, key in _our_names(stored.files)}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise SetupError(f"{file} cannot be read as .npz of arrays: {error}") from error


def _from_safetensors(file: Path) -> Arrays:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as stored:
            return {name: stored.get_tensor(key) for name, key in _our_names(stored.keys())}
    except (OSError, SafetensorError, TypeError) as error:
        raise SetupError(f"{file} cannot be read as .safetensors: {error}") from error


def _our_names(keys: Iterable[str]) -> list[tuple[str, str]]:
    """Return (``<layer>/kernel`` or ``…/bias``, key) of the keys that name a weight of VGG19."""
    present = set(keys)
    forms = ((name, key) for name in backbone_shapes() for key in (name, name.replace("/", "_")))
    return [(name, key) for name, key in forms if key in present]


def _from_h5(file: Path) -> Arrays:
    """Read any of Keras' layouts: what holds a layer's arrays is a group with the layer's name.

    ``block1_conv1/block1_conv1_W_1:0`` (keras.applications), ``block1_conv1/block1_conv1/kernel:0``
    (below ``model_weights`` in a whole model), ``layers/conv2d/vars/0`` with the name in an
    attribute (.weights.h5).
    """
    import h5py

    arrays: Arrays = {}

    def visit(path: str, item: object) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        group = item.parent
        layer = str(group.attrs.get("name", group.name.rsplit("/", 1)[-1]))
        if layer in layers:
            arrays[f"{layer}/{'bias' if item.ndim == 1 else 'kernel'}"] = item[()]

    layers = set(layer_names())
    try:
        with h5py.File(file) as stored:
            stored.visititems(visit)
    except (OSError, RuntimeError, KeyError) as error:
        raise SetupError(f"{file} cannot be read as HDF5: {error}") from error
    return arrays


def _checked(file: Path, arrays: Arrays) -> Arrays:
    """Return the arrays as float32 if they are VGG19's, all of them and finite."""
    for name, shape in backbone_shapes().items():
        if name not in arrays:
            raise SetupError(
                f"{file} lacks {name}: it holds weights of another network than VGG19."
            )
        found = arrays[name]
        if found.shape != shape or found.dtype.kind != "f":
            raise SetupError(
                f"{file}: {name} is {found.dtype} of shape {found.shape} where VGG19 has floats of "
                f"shape {shape}: it holds weights of another network."
            )
        if not np.isfinite(found).all():
            raise SetupError(f"{file}: {name} holds NaN or infinite values: get the file again.")
    return {name: arrays[name].astype(np.float32) for name in backbone_shapes()}


def _download() -> Arrays:
    place = user_cache_path("cxr-scan") / _URL.rpartition("/")[2]
    try:
        return _checked(place, _from_h5(fetched(_URL, _MD5, place)))
    except OSError as error:
        reason = " ".join(str(error).split())
        raise SetupError(
            f"ImageNet's VGG19 weights cannot be downloaded ({reason}): on a machine without "
            "internet give them with --weights FILE (.npz, .h5 or .safetensors)."
        ) from error
