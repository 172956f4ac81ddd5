"""ImageNet's VGG19 weights: from a file for machines without internet, else downloaded by Keras."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from scanner.errors import SetupError
from scanner.network import backbone_shapes, layer_names, quiet_stderr


def imagenet(file: Path | None) -> dict[str, npt.NDArray[np.float32]]:
    """Return backbone weights by name (``block1_conv1/kernel`` HWIO float32, ``…/bias``).

    `file` is an .npz with keys ``block1_conv1_kernel``, ``block1_conv1_bias`` and so on. Raises
    `SetupError` if it is not of VGG19, or if nothing can be downloaded without one.
    """
    return _from_npz(file) if file is not None else _download()


def _from_npz(file: Path) -> dict[str, npt.NDArray[np.float32]]:
    weights = {}
    try:
        with np.load(file, allow_pickle=False) as stored:
            for name, shape in backbone_shapes().items():
                array = stored[name.replace("/", "_")]
                if array.shape != shape:
                    raise SetupError(
                        f"{file}: {name} has shape {array.shape} where VGG19 has {shape}."
                    )
                weights[name] = array.astype(np.float32)
    except KeyError as error:
        raise SetupError(f"{file} is not of VGG19 without top: {error.args[0]}") from error
    except (OSError, ValueError) as error:
        raise SetupError(f"{file} is no .npz of arrays") from error
    return weights


def _download() -> dict[str, npt.NDArray[np.float32]]:
    with quiet_stderr():
        import keras

    try:
        model = keras.applications.VGG19(include_top=False, weights="imagenet")
    except Exception as error:  # urllib and Keras wrap a missing network in several classes
        raise SetupError(
            f"ImageNet's VGG19 weights cannot be downloaded ({error}): on a machine without "
            "internet give them with --weights FILE.npz."
        ) from error
    weights = {}
    for name in layer_names():
        weights[f"{name}/kernel"], weights[f"{name}/bias"] = model.get_layer(name).get_weights()
    return weights
