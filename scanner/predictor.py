"""Batches of model input become predictions: device, precision, fixed shapes, memory fallback."""

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scanner import memory, network
from scanner.bundle import Bundle
from scanner.errors import SetupError
from scanner.radiograph import FloatArray

# On a CPU larger batches gain nothing (measured: 16 and 32 within 2 %) and wait longer for files.
CPU_BATCH_SIZE = 16
GPU_BATCH_SIZE = 64
# What TensorFlow takes on its first batch whatever its size: threads, compiled functions.
_SPARE_MB = 256
# Below this share of equal labels on the validation images, `auto` keeps float32.
MIN_LABEL_AGREEMENT = 0.999
# Fewer compared images cannot show that: one label more or less would decide.
MIN_COMPARED_IMAGES = 500


@dataclass(frozen=True)
class Predictions:
    """What the network says of N images; all arrays are float32.

    `probabilities` (N, C) calibrated and summing to 1; `cam` (N, 16, 16), Grad-CAM of the most
    probable class on its logit, ReLU'd, absolute scale kept, all zero where nothing speaks for it;
    `embedding` (N, E), E 512 for vgg19 and 256 for cnn10. `lungs` (N, 32, 32) is the probability
    0..1 that a cell is lung, `kinds` (N, K) that of each of `heads.KINDS`; None without the head.
    """

    probabilities: FloatArray
    cam: FloatArray
    embedding: FloatArray
    lungs: FloatArray | None = None
    kinds: FloatArray | None = None


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Return the predictions of several batches of one model as one."""
    together: dict[str, Any] = {}
    for each in fields(Predictions):
        arrays = [getattr(part, each.name) for part in parts]
        together[each.name] = None if arrays[0] is None else np.concatenate(arrays)
    return Predictions(**together)


class Predictor:
    """The network of one bundle on one device, compiled once for a fixed batch size.

    `precision` is ``auto``, ``float32`` or ``bfloat16``; `batch_size` None chooses by device.
    Importing and building TensorFlow's part takes seconds and happens here, in the constructor.

    Raises `SetupError` if `require_gpu` and there is none.
    """

    def __init__(
        self,
        bundle: Bundle,
        batch_size: int | None = None,
        precision: str = "auto",
        require_gpu: bool = False,
    ) -> None:
        with network.quiet_stderr():
            gpus = _loaded_gpus()
            if require_gpu and not gpus:
                raise SetupError(_why_no_gpu())
            self.device = _device_name(gpus)
            self.precision = choose_precision(bundle, precision, network.gpu_computes_in_bfloat16())
            if self.precision == "float32":
                network.compute_in_true_float32()
            self.batch_size = batch_size or (GPU_BATCH_SIZE if gpus else CPU_BATCH_SIZE)
            self._size = bundle.spec.size
            self._model = network.build_network(
                bundle.spec.size,
                bundle.weights,
                bundle.temperature,
                self.precision,
                bundle.architecture,
            )
            if not gpus:
                self._shrink_to_memory()
            self._compile()
        self.seconds = 0.0

    def _shrink_to_memory(self) -> None:
        """Halve the batch until it fits: a CPU that runs out of memory raises nothing, it dies."""
        largest = max(int(np.prod(layer.output.shape[1:])) for layer in self._model.layers)
        # The map that a layer reads and the one it writes, each also as oneDNN arranges it.
        image_mb = 4 * largest * np.dtype(np.float32).itemsize / 2**20
        free_mb = memory.free_mb() - _SPARE_MB
        while self.batch_size > 1 and self.batch_size * image_mb > free_mb:
            self.batch_size //= 2
        if self.batch_size * image_mb > free_mb:
            raise _no_image_fits(self.device)

    def _compile(self) -> None:
        self._function = network.compile_fixed(self._model, self.batch_size)
        self._batch = np.zeros((self.batch_size, self._size, self._size, 1), np.uint8)

    def predict(self, images: list[npt.NDArray[np.uint8]]) -> Predictions:
        """Judge any number of (size, size) uint8 images; the last batch is padded.

        When a batch does not fit into memory its size is halved, for good. Raises `SetupError` if
        not even one image fits.
        """
        started = time.perf_counter()
        parts = []
        start = 0
        while start < len(images):
            batch = images[start : start + self.batch_size]
            part = self._predict_batch(batch)
            if part is None:
                self._halve()
            else:
                parts.append(part)
                start += len(batch)
        self.seconds += time.perf_counter() - started
        return joined(parts)

    def _predict_batch(self, images: list[npt.NDArray[np.uint8]]) -> Predictions | None:
        """Return the predictions of at most one batch, or None if it does not fit into memory."""
        import tensorflow as tf

        for index, image in enumerate(images):
            self._batch[index, :, :, 0] = image
        self._batch[len(images) :] = 0
        try:
            outputs = self._function(tf.constant(self._batch))
            return Predictions(
                **{name: tensor.numpy()[: len(images)] for name, tensor in outputs.items()}
            )
        except tf.errors.ResourceExhaustedError:
            return None

    def _halve(self) -> None:
        if self.batch_size == 1:
            raise _no_image_fits(self.device)
        self.batch_size //= 2
        self._compile()


# How a scan gets its predictor, once the first image is there: as the class is called.
MakePredictor = Callable[[Bundle, int | None, str, bool], Predictor]


def _no_image_fits(device: str) -> SetupError:
    return SetupError(
        f"Not even one image fits into the memory of {device}: close other programs, or hide the "
        "GPU with CUDA_VISIBLE_DEVICES= to use the CPU. The same command continues."
    )


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


def choose_precision(bundle: Bundle, wanted: str, fast_gpu: bool) -> str:
    """Return the precision to use: `wanted`, or for ``auto`` the fastest that keeps the labels.

    bfloat16 is taken where hardware computes in it and the bundle's card says that it agreed with
    float32 on at least `MIN_LABEL_AGREEMENT` of `MIN_COMPARED_IMAGES` or more validation images.
    """
    if wanted != "auto":
        return wanted
    measured = bundle.card.get("precisions", {}).get("bfloat16", {})
    enough = measured.get("images", 0) >= MIN_COMPARED_IMAGES
    agrees = enough and measured.get("label_agreement", 0.0) >= MIN_LABEL_AGREEMENT
    fast = fast_gpu or cpu_computes_in_bfloat16()
    return "bfloat16" if fast and agrees else "float32"


def cpu_computes_in_bfloat16() -> bool:
    """Tell whether the CPU has AMX or AVX512-BF16; only Linux says so without a native library."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def _device_name(gpus: list[str]) -> str:
    if gpus:
        return f"GPU {gpus[0]}"
    return f"CPU {_cpu_model()}".strip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="ignore").splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


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


def devices() -> list[str]:
    """Return what a scan could run on, best first, as text for `cxr-scan doctor`."""
    with network.quiet_stderr():
        gpus = network.visible_gpus()
    return [*(f"GPU {name}" for name in gpus), _device_name([])]
