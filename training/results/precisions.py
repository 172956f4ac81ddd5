"""What a finished network loses in coarser arithmetic, measured for its card."""

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from scanner.bundle import Bundle
from scanner.interrupts import deferred
from scanner.precision import MIN_COMPARED_IMAGES, name_of
from scanner.predictor import Predictor
from training.data.rows import Rows
from training.int8 import Say, calibrate
from training.results.measure import Indices, Judgement, agreement, judge, recalibrated

# Enough to see one label in a thousand change, without an hour in float32 on two cores.
_COMPARED = 1000
_CALIBRATED_ON = 64


def compare(
    raw: Bundle,
    temperature: float,
    inputs: Rows,
    targets: Indices,
    exact: Judgement,
    taught: Indices,
    say: Say,
) -> dict[str, Any]:
    """Return what the card says of coarser arithmetic: ``precisions``, and ``int8_ranges``.

    `raw` is the bundle at temperature 1, `exact` what it says, at `temperature`, of validation
    images in float32; `inputs` and `targets` are of all images. Backends that are not installed are
    left out. int8 is calibrated on some of the rows `taught`, if there are enough validation images
    to show how many labels it keeps.
    """
    # The images are in the order of their folders: the first would all be of one class.
    few = np.random.default_rng(0).permutation(len(exact.rows))[:_COMPARED]
    rows, expected = exact.rows[few], exact.predictions.probabilities[few]
    wanted = [("tensorflow", "bfloat16")]
    found: dict[str, Any] = {"precisions": {}}
    if find_spec("openvino"):
        wanted.append(("openvino", "bfloat16"))
        if len(few) >= MIN_COMPARED_IMAGES:
            say("calibrating int8, a layer at a time")
            seen = np.sort(np.random.default_rng(0).permutation(taught)[:_CALIBRATED_ON])
            found["int8_ranges"] = calibrate(raw, inputs[seen], say)
            raw = replace(raw, card=found)
            wanted.append(("openvino", "int8"))
    for backend, precision in wanted:
        with deferred():
            predictor = Predictor(raw, precision=precision, backend=backend)
        coarse = recalibrated(judge(predictor, inputs, rows, targets), temperature)
        found["precisions"][name_of(backend, precision)] = agreement(
            expected, coarse.predictions.probabilities
        )
    return found
