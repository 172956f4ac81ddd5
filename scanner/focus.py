"""Lung focus: how much of what speaks for a prediction lies in the lungs."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scanner.radiograph import FloatArray

# A cell is lung where the lung head finds that more likely than not.
FIELD_FROM = 0.5


@dataclass(frozen=True)
class Focus:
    """Of N images: `share` of the Grad-CAM energy inside the lung field, `area`, the field's share
    of the image, both 0..1, and `lift` = share / area.

    A map that looks everywhere alike has lift 1, one that shuns the lungs less. `share` and `lift`
    are NaN where the map is empty, `lift` also where there is no field. All are (N,) float64.
    """

    share: npt.NDArray[np.float64]
    area: npt.NDArray[np.float64]
    lift: npt.NDArray[np.float64]


def lung_focus(cam: FloatArray, lungs: FloatArray) -> Focus:
    """Return the focus of Grad-CAM maps (N, h, w) >= 0 on lung probabilities (N, H, W) in 0..1.

    H and W are multiples of h and w. The field is where the probability reaches `FIELD_FROM`; a
    cell of the map that lies partly in it counts with the part that does.
    """
    count, rows, columns = cam.shape
    blocks = (count, rows, lungs.shape[1] // rows, columns, lungs.shape[2] // columns)
    field = (lungs >= FIELD_FROM).astype(np.float64).reshape(blocks).mean(axis=(2, 4))
    energy = cam.astype(np.float64)
    area = field.mean(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):  # 0/0 is the NaN that is promised
        share = (energy * field).sum(axis=(1, 2)) / energy.sum(axis=(1, 2))
        lift = np.where(area > 0, share / area, np.nan)
    return Focus(share, area, lift)
