"""The audit of a network that was just trained, on its test images, for report and card."""

from scanner import bundle as bundles
from training.audit.result import Audit
from training.audit.sample import choose, take
from training.audit.shortcuts import run
from training.outcome import Measured, Outcome, Say, Stored
from training.parts import TEST

# Enough for intervals of a few per cent, at the cost of some 2400 forward passes.
_IMAGES = 200


def audit_of_training(outcome: Outcome, stored: Stored, measured: Measured, say: Say) -> Audit:
    """Audit the bundle as it will be `stored` on at most 200 of its test images.

    In the precision that a scan would take; the rest is as in `run`.
    """
    taught, seed = outcome.lesson, outcome.recipe.seed
    import keras

    keras.utils.clear_session()  # the networks that were measured are not needed any more
    bundle = bundles.Bundle(
        "",
        tuple(taught.classes),
        outcome.start.spec,
        measured.temperature,
        bundles.dequantise(stored),
        measured.coarser,
        outcome.recipe.architecture,
    )
    data, rows = taught.data, taught.part(0, TEST)
    strata = [(data.sources[row], data.labels[row]) for row in rows]
    chosen = choose(rows, strata, _IMAGES, seed)
    say(f"auditing for shortcuts on {len(chosen)} test images")
    sample = take(
        data.inputs,
        chosen,
        taught.targets,
        data.sources,
        data.masks,
        taught.classes,
        outcome.negative_class,
    )
    return run(bundle, sample, seed, say=say)
