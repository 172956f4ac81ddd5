"""The network computed by TensorFlow, on GPU or CPU."""

from typing import Any

import numpy as np
import numpy.typing as npt

from scanner import network
from scanner.bundle import Bundle
from scanner.device import cpu_name
from scanner.errors import SetupError
from scanner.precision import choose_precision, cpu_computes_in_bfloat16
from scanner.predictor import CPU_BATCH_SIZE, GPU_BATCH_SIZE, largest_batch
from scanner.radiograph import FloatArray

# What TensorFlow takes on its first batch whatever its size: threads, compiled functions.
_SPARE_MB = 256


class TensorFlowBackend:
    """See `predictor.Backend`. Importing and building TensorFlow's part happens when it is made."""

    def __init__(self, bundle: Bundle, precision: str, require_gpu: bool) -> None:
        if precision == "int8":
            raise SetupError(
                "TensorFlow does not compute in int8: choose --backend openvino, or another "
                "--precision."
            )
        with network.quiet_stderr():
            gpus = _loaded_gpus()
            if require_gpu and not gpus:
                raise SetupError(_why_no_gpu())
            self.device = _device_name(gpus)
            self.default_batch_size = GPU_BATCH_SIZE if gpus else CPU_BATCH_SIZE
            self.precision = choose_precision(bundle, precision, is_fast(bool(gpus)), "tensorflow")
            if self.precision == "float32":
                network.compute_in_true_float32()
            self._model = network.build_network(
                bundle.spec.size,
                bundle.weights,
                bundle.temperature,
                self.precision,
                bundle.architecture,
            )
            self._function: Any = network.compiled(self._model)
        self._on_gpu = bool(gpus)

    def fitting(self, batch_size: int) -> int:
        """Halve the batch until it fits: a CPU that runs out of memory raises nothing, it dies."""
        if self._on_gpu:
            return batch_size  # which raises, and `run` tells
        largest = max(int(np.prod(layer.output.shape[1:])) for layer in self._model.layers)
        # The map that a layer reads and the one it writes, each also as oneDNN arranges it.
        image_mb = 4 * largest * np.dtype(np.float32).itemsize / 2**20
        return largest_batch(batch_size, image_mb, _SPARE_MB, self.device)

    def run(self, batch: npt.NDArray[np.uint8]) -> dict[str, FloatArray] | None:
        """Return the fields of `Predictions`, None if the device has no memory for the batch."""
        import tensorflow as tf

        try:
            outputs = self._function(tf.constant(batch))
            return {name: tensor.numpy() for name, tensor in outputs.items()}
        except tf.errors.ResourceExhaustedError:
            return None


def is_fast(on_gpu: bool) -> bool:
    """Tell whether the device that TensorFlow would use computes in bfloat16."""
    return network.gpu_computes_in_bfloat16() if on_gpu else cpu_computes_in_bfloat16()


def devices() -> list[str]:
    """Return what a scan could run on, best first, as text for `cxr-scan doctor`."""
    with network.quiet_stderr():
        gpus = network.visible_gpus()
    return [*(f"GPU {name}" for name in gpus), _device_name([])]


def _loaded_gpus() -> list[str]:
    """Return `network.visible_gpus`, the first to load TensorFlow."""
    try:
        return network.visible_gpus()
    except (ImportError, OSError, MemoryError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise SetupError(
            f"TensorFlow cannot be loaded ({first}): is there memory left, and is it installed "
            "whole? Then run the same command again; it continues."
        ) from error


def _device_name(gpus: list[str]) -> str:
    return f"GPU {gpus[0]}" if gpus else cpu_name()


def _why_no_gpu() -> str:
    import tensorflow as tf

    if not tf.test.is_built_with_gpu_support():
        reason = "this TensorFlow is built without GPU support: pip install 'cxr-scan[gpu]'"
    else:
        reason = (
            "TensorFlow finds no usable one: check the driver with nvidia-smi, and that the CUDA "
            "libraries are installed: pip install 'cxr-scan[gpu]'"
        )
    return f"--require-gpu was given, but {reason}; or leave the option out to use the CPU."
