"""The network computed by OpenVINO, on CPUs: the extra ``[openvino]``."""

from typing import Any

import numpy as np
import numpy.typing as npt

from scanner.architecture import ARCHITECTURES
from scanner.bundle import Bundle
from scanner.device import cpu_name
from scanner.errors import SetupError
from scanner.openvino_graph import build_graph, calibrated_ranges, import_openvino
from scanner.precision import choose_precision, cpu_computes_in_bfloat16
from scanner.predictor import CPU_BATCH_SIZE, largest_batch
from scanner.radiograph import FloatArray

# By precision: what OpenVINO calls it (in int8, that of what is not), and the bytes of a value in
# the maps between layers.
_COMPUTED = {"float32": ("f32", 4), "bfloat16": ("bf16", 2), "int8": ("bf16", 2)}
# What OpenVINO takes whatever the batch: weights as they come, and as its kernels want them.
_SPARE_MB = 256


class OpenVinoBackend:
    """See `predictor.Backend`. It is made, and the first batch ready, in under a second."""

    default_batch_size = CPU_BATCH_SIZE

    def __init__(self, bundle: Bundle, precision: str, require_gpu: bool) -> None:
        if require_gpu:
            raise SetupError(
                "--require-gpu was given, but OpenVINO computes on the CPU here: leave one of "
                "--require-gpu and --backend openvino out."
            )
        self.precision = choose_precision(bundle, precision, cpu_computes_in_bfloat16(), "openvino")
        if self.precision not in _COMPUTED:
            raise SetupError(
                f"OpenVINO does not compute in {self.precision} here: choose --precision "
                f"{' or '.join(_COMPUTED)}."
            )
        try:
            core = import_openvino().Core()
        except ImportError as error:
            raise SetupError(
                "OpenVINO is not installed: pip install 'cxr-scan[openvino]', or use --backend "
                "tensorflow."
            ) from error
        self.device = cpu_name()
        self._bundle = bundle
        # One stream over all cores: several, each with a part of the batch on a core of its own,
        # were no faster and need the memory of several.
        options = {"INFERENCE_PRECISION_HINT": _COMPUTED[self.precision][0], "NUM_STREAMS": 1}
        ranges = calibrated_ranges(bundle) if self.precision == "int8" else {}
        graph = build_graph(bundle, self.precision == "float32", ranges)
        self._request: Any = core.compile_model(graph, "CPU", options).create_infer_request()

    def fitting(self, batch_size: int) -> int:
        """Halve the batch until it fits: what has no memory may not raise, but be ended."""
        size, plan = self._bundle.spec.size, ARCHITECTURES[self._bundle.architecture]
        # The largest map is what the first convolution writes; the second reads it, and writes.
        image_mb = 2 * size * size * plan.blocks[0][0] * _COMPUTED[self.precision][1] / 2**20
        return largest_batch(batch_size, image_mb, _SPARE_MB, self.device)

    def run(self, batch: npt.NDArray[np.uint8]) -> dict[str, FloatArray] | None:
        """Return the fields of `Predictions`; never None, for a CPU does not say so in time."""
        outputs = self._request.infer({0: batch}, share_inputs=True).to_dict()
        return {next(iter(output.get_names())): array for output, array in outputs.items()}
