"""Is this a frontal chest radiograph we may judge? The picture's part of the answer.

What the model's heads see in it: the kind of picture, and where the lungs are.
"""

import numpy as np
import numpy.typing as npt

from scanner.errors import Rejection
from scanner.focus import FIELD_FROM
from scanner.heads import KINDS
from scanner.radiograph import FloatArray
from scanner.words import in_words

# Share of the picture. The smallest of 1,564 lung fields drawn by people on frontal radiographs of
# children and adults is 0.10 (Kaggle's database and ieee8023's, on 32 x 32 cells).
MIN_LUNG_AREA = 0.02
# Share of one side of the picture that is lung. Of the same drawings 6 % have more, most of them of
# children whose apices are cut off; a picture cut through a lung has 0.4 and more.
MAX_LUNG_ON_A_SIDE = 0.3


def admit_kind(kinds: FloatArray, reject_below: float, flag_below: float) -> tuple[str, ...]:
    """Return the flags that the probabilities (K,) of `heads.KINDS` raise.

    Flag: ``kind_unclear``, where a frontal chest radiograph has less than `flag_below` of the
    probability. Raises `Rejection` where it has less than `reject_below`, with the most probable of
    the other kinds as the reason.
    """
    frontal = float(kinds[0])
    if frontal < reject_below:
        kind = 1 + int(kinds[1:].argmax())
        raise Rejection(
            KINDS[kind],
            f"its picture says: {in_words(KINDS[kind])} (probability {kinds[kind]:.2f}; "
            f"a frontal chest radiograph {frontal:.3f})",
        )
    return ("kind_unclear",) if frontal < flag_below else ()


def admit_lungs(lungs: FloatArray) -> tuple[str, ...]:
    """Return the flags that lung probabilities (H, W) in 0..1 raise.

    Flag: ``lungs_cut``, where the field takes up more than `MAX_LUNG_ON_A_SIDE` of a side of the
    picture. Raises `Rejection` with reason ``no_lungs`` below `MIN_LUNG_AREA`.
    """
    field: npt.NDArray[np.bool_] = lungs >= FIELD_FROM
    area = float(field.mean())
    if area < MIN_LUNG_AREA:
        raise Rejection(
            "no_lungs",
            f"lungs are found on {area:.1%} of the picture, at least {MIN_LUNG_AREA:.0%} expected",
        )
    on_sides = [side.mean() for side in (field[0], field[-1], field[:, 0], field[:, -1])]
    return ("lungs_cut",) if max(on_sides) > MAX_LUNG_ON_A_SIDE else ()
