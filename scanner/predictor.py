"""Batches of model input become predictions, whatever computes them: one protocol for all."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from scanner import memory
from scanner.bundle import Bundle
from scanner.errors import SetupError
from scanner.radiograph import FloatArray

# On a CPU larger batches gain nothing (measured: 16 and 32 within 2 %) and wait longer for files.
CPU_BATCH_SIZE = 16
GPU_BATCH_SIZE = 64


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


class Backend(Protocol):
    """What computes a batch.

    A backend is made of (bundle, precision, require_gpu) with `precision` as in the command line,
    ``auto`` too, which takes seconds. It raises `SetupError` if it is not installed, or cannot
    compute the bundle, in that precision or on the device that is required.
    """

    device: str
    precision: str
    default_batch_size: int

    def fitting(self, batch_size: int) -> int:
        """Return the largest part of `batch_size`, halved as often as need be, that has memory."""

    def run(self, batch: npt.NDArray[np.uint8]) -> dict[str, FloatArray] | None:
        """Return the fields of `Predictions` for (n, size, size, 1), None if there is no memory.

        `n` is at most what `fitting` said. Called by one thread, another than made the backend.
        """


class Predictor:
    """The network of one bundle on one device, which takes at most `batch_size` images at once.

    `precision` is ``auto`` or one of `precision.PRECISIONS`, `backend` one of `precision.BACKENDS`;
    `batch_size` None chooses by device. `seconds` is the time spent predicting.

    Raises `SetupError` as `Backend` does.
    """

    def __init__(
        self,
        bundle: Bundle,
        batch_size: int | None = None,
        precision: str = "auto",
        require_gpu: bool = False,
        backend: str = "tensorflow",
    ) -> None:
        self.backend = backend
        self._backend = _make(backend, bundle, precision, require_gpu)
        self.device, self.precision = self._backend.device, self._backend.precision
        self.batch_size = self._backend.fitting(batch_size or self._backend.default_batch_size)
        self._batch = np.zeros((self.batch_size, bundle.spec.size, bundle.spec.size, 1), np.uint8)
        self.seconds = 0.0
        self._first_seconds = 0.0
        self._first_ended = self._last_ended = 0.0

    @property
    def busy(self) -> float | None:
        """The share of the time since the first batch that was spent predicting, in 0..1.

        The first is left out: in it kernels are compiled. None before a second has ended.
        """
        passed = self._last_ended - self._first_ended
        return (self.seconds - self._first_seconds) / passed if passed else None

    def predict(self, images: list[npt.NDArray[np.uint8]]) -> Predictions:
        """Judge any number of (size, size) uint8 images, at least one.

        When a batch does not fit into memory its size is halved, for good. Raises `SetupError` if
        not even one image fits.
        """
        started = time.perf_counter()
        parts = []
        start = 0
        while start < len(images):
            some = images[start : start + self.batch_size]
            for index, image in enumerate(some):
                self._batch[index, :, :, 0] = image
            outputs = self._backend.run(self._batch[: len(some)])
            if outputs is None:
                self._halve()
            else:
                parts.append(Predictions(**outputs))
                start += len(some)
        self._note(started)
        return joined(parts)

    def _note(self, started: float) -> None:
        self._last_ended = time.perf_counter()
        self.seconds += self._last_ended - started
        if not self._first_ended:
            self._first_ended, self._first_seconds = self._last_ended, self.seconds

    def _halve(self) -> None:
        if self.batch_size == 1:
            raise no_image_fits(self.device)
        self.batch_size //= 2


# How a scan gets its predictor, once the first image is there: as the class is called.
MakePredictor = Callable[[Bundle, int | None, str, bool, str], Predictor]


def no_image_fits(device: str) -> SetupError:
    """Return what is raised where `device` has too little memory for one image."""
    return SetupError(
        f"Not even one image fits into the memory of {device}: close other programs, or hide the "
        "GPU with CUDA_VISIBLE_DEVICES= to use the CPU. The same command continues."
    )


def largest_batch(wanted: int, image_mb: float, spare_mb: float, device: str) -> int:
    """Return `wanted`, halved until so many images of `image_mb` fit beside `spare_mb`.

    Raises `SetupError` if not even one does.
    """
    free_mb = memory.free_mb() - spare_mb
    while wanted > 1 and wanted * image_mb > free_mb:
        wanted //= 2
    if wanted * image_mb > free_mb:
        raise no_image_fits(device)
    return wanted


def _make(backend: str, bundle: Bundle, precision: str, require_gpu: bool) -> Backend:
    if backend == "openvino":
        from scanner.openvino_backend import OpenVinoBackend

        return OpenVinoBackend(bundle, precision, require_gpu)
    from scanner.tensorflow_backend import TensorFlowBackend

    return TensorFlowBackend(bundle, precision, require_gpu)
