"""All tests of the audit on one model and one sample of images."""

from collections.abc import Callable, Iterator

import numpy as np

from scanner.bundle import Bundle
from scanner.interrupts import deferred
from scanner.predictor import Predictions, Predictor
from training.audit import changes, evidence, probes
from training.audit.result import Audit, Finding, as_json
from training.audit.sample import Fields, Indices, Sample, ask, find_lungs

FORMAT = 1
# Images for the tests that ask the network dozens of times about each.
_FEW_LEAST, _FEW_MOST, _FEW_SHARE = 2, 60, 0.1


def run(
    bundle: Bundle,
    sample: Sample,
    seed: int = 0,
    precision: str = "auto",
    say: Callable[[str], None] = lambda line: None,
) -> Audit:
    """Make every test, say one line about each, and return what was found.

    Of 200 images or more it takes at most 12 forward passes an image. `precision` is the
    predictor's; the same bundle, sample, precision and seed give the same audit. Raises
    `SetupError` if the network does not fit into memory.
    """
    with deferred():
        predictor = Predictor(bundle, precision=precision)
    clean = ask(predictor, sample.images, "auditing", len(sample))
    fields = find_lungs(sample, bundle, clean)
    findings, pictures = [], {}
    for finding, picture in _tests(bundle, predictor, sample, clean, fields, seed):
        say(finding.line())
        findings.append(finding)
        if picture is not None:
            pictures[finding.name] = picture
    right = int((clean.probabilities.argmax(axis=1) == sample.targets).sum())
    figures = {
        "format": FORMAT,
        "images": len(sample),
        "right": right,
        "seed": seed,
        "precision": predictor.precision,
        "lungs": fields.text,
        "tests": [as_json(finding) for finding in findings],
    }
    return Audit(figures, pictures)


def _tests(
    bundle: Bundle,
    predictor: Predictor,
    sample: Sample,
    clean: Predictions,
    fields: Fields,
    seed: int,
) -> Iterator[tuple[Finding, bytes | None]]:
    """Make one test after the other, in the order of the page."""
    few = _few(len(sample), seed)
    yield changes.letters(predictor, sample, clean, seed)
    yield changes.corners(predictor, sample, clean)
    yield changes.lungs(predictor, sample, fields)
    yield probes.frame(sample, seed)
    yield evidence.focus(sample, clean, fields)
    yield evidence.removal(predictor, sample, clean, few, seed)
    yield probes.source(sample, clean.embedding, seed)
    yield evidence.randomised(bundle, predictor, sample, clean, few, seed)


def _few(images: int, seed: int) -> Indices:
    """Return some images, in order, for the tests that cost most."""
    wanted = int(np.clip(_FEW_SHARE * images, _FEW_LEAST, _FEW_MOST))
    drawn = np.random.default_rng(seed).permutation(images)[:wanted]
    return np.sort(drawn)
