"""Prediction sets: which classes an image may have, so that "not sure" is an answer."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from scanner.radiograph import FloatArray


def prediction_sets(
    probabilities: FloatArray, thresholds: FloatArray | Sequence[float]
) -> npt.NDArray[np.bool_]:
    """Return which of the classes each image may have, (N, C) bool, at least one of them.

    `probabilities` (N, C) are calibrated, `thresholds` (C,) in the same order. A class is in the
    set where its probability reaches its threshold; the most probable one always is, so that a set
    of one class is a sure answer and never another than the prediction. Sets after Sadinle, Lei and
    Wasserman (2019), with a threshold for each class (Vovk 2003); `training.results.trust` chooses
    them. A class of threshold 0 is always in: too little was known of it to promise anything.
    """
    sets = probabilities >= np.asarray(thresholds)
    sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
    return sets
