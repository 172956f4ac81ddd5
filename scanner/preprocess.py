"""Display pixels become model input. The one function: scanning and training both call it."""

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scanner.errors import SetupError
from scanner.radiograph import FloatArray

# The versions this code can do; any change of what `model_input` returns is a new one.
VERSIONS = (1,)


@dataclass(frozen=True)
class PreprocessSpec:
    """How pixels are prepared; stored in the bundle, so that a scan repeats what training did.

    `size` is the side of the square input in pixels. Grey levels between the percentiles `low` and
    `high` of the image are spread over 0..255, which cancels most differences of window and
    exposure between hospitals.
    """

    version: int = 1
    size: int = 256
    low: float = 1.0
    high: float = 99.0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "PreprocessSpec":
        """Read a bundle's spec; raises `SetupError` if this code lacks its version."""
        if values.get("version") not in VERSIONS:
            raise SetupError(
                f"The model wants preprocessing version {values.get('version')}, this cxr-scan "
                f"knows {', '.join(map(str, VERSIONS))}: update cxr-scan or use another model."
            )
        try:
            return cls(**values)
        except TypeError as error:
            raise SetupError(
                f"The model's preprocessing spec is not understood: {error}"
            ) from error


def model_input(pixels: FloatArray, spec: PreprocessSpec) -> npt.NDArray[np.uint8]:
    """Return (size, size) uint8 from display pixels (H, W) float32 in 0..1 of any shape.

    The whole image is used and its aspect ratio given up, as in the Kaggle database the backbone's
    head is trained on; nothing is cropped, so a Grad-CAM map covers the image edge to edge.
    """
    size = (spec.size, spec.size)
    resized = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    low, high = np.percentile(resized, (spec.low, spec.high))
    spread = (resized - low) * (255.0 / max(float(high - low), 1e-6))
    return np.asarray(np.clip(np.rint(spread), 0, 255), dtype=np.uint8)
