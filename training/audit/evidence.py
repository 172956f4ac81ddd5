"""Is the heat map in the lungs, does it point at what counts, and does it hang on the weights?"""

from dataclasses import replace

import cv2
import numpy as np

from scanner.architecture import layer_names
from scanner.bundle import Bundle
from scanner.focus import lung_focus
from scanner.interrupts import deferred
from scanner.predictor import Predictions, Predictor
from training.audit.pictures import heat, side_by_side
from training.audit.result import SHARE, Finding, Goal, mean, not_done, share
from training.audit.sample import FIELD_SIDE, Fields, Image, Indices, Sample, ask
from training.results import plots
from training.results.intervals import FloatArray

FOCUS_GOAL, LIFT_GOAL = 0.75, 2.0
# The cells of a map are taken away, or put in, in so many equal steps.
_STEPS = 8
# Of a side: what is taken away is blurred so much that no rib is left.
_BLUR = 1 / 12
_SHOWN = 4
Told = tuple[Finding, bytes | None]


def focus(sample: Sample, clean: Predictions, fields: Fields) -> Told:
    """Measure the share of Grad-CAM energy in the lungs, its lift, and the pointing game."""
    title, label = "Evidence in the lungs", "share of heat in the lungs"
    means = (
        "How much of the heat map lies inside the lungs, on average. Evidence outside them is what "
        "a radiologist would not call evidence. Lift is that share over the lungs' share of the "
        "image: 1 is what a map without aim would have."
    )
    if not fields.known.any():
        return not_done("focus", title, means, label, fields.text), None
    measured = lung_focus(clean.cam, fields.inside.astype(np.float32))
    # An empty map has no share.
    seen = fields.known & ~np.isnan(measured.share)
    if not seen.any():
        return not_done("focus", title, means, label, "every heat map is empty"), None
    headline, lift = mean(label, measured.share[seen]), mean("lift", measured.lift[seen])
    inside = _peaks_inside(clean.cam, fields)
    details = [
        lift,
        share("hottest point in the lungs", int(inside[seen].sum()), int(seen.sum())),
        mean("lungs' share of the image", measured.area[seen], SHARE),
    ]
    rows = []
    for index, name in enumerate(sample.classes):
        members = np.flatnonzero((sample.targets == index) & seen)
        if not len(members):
            continue
        details += [mean(f"share, {name}", measured.share[members])]
        details += [mean(f"lift, {name}", measured.lift[members])]
        # The one in the middle is what to expect.
        ranked = members[np.argsort(measured.share[members], kind="stable")]
        rows.append(int(ranked[len(ranked) // 2]))
    goals = [
        Goal(f"at least {FOCUS_GOAL}", (headline.value or 0) >= FOCUS_GOAL),
        Goal(f"lift above {LIFT_GOAL:g}", (lift.value or 0) > LIFT_GOAL),
    ]
    finding = Finding(
        "focus",
        title,
        means + f" Here: {fields.text}.",
        headline,
        int(seen.sum()),
        details=details,
        goals=goals,
        caption="For each class the image whose share is in the middle, with its lungs outlined.",
    )
    pictures = [heat(sample.images[n], clean.cam[n], fields.inside[n]) for n in rows[:_SHOWN]]
    return finding, side_by_side([pictures])


def removal(
    predictor: Predictor, sample: Sample, clean: Predictions, few: Indices, seed: int
) -> Told:
    """Take away what the map calls hottest, and put it in: deletion and insertion curves.

    Petsiuk et al. 2018 (RISE). Cells of the map in the order of their heat, in `_STEPS` steps;
    blurred where they remove or begin without. `few` are the images taken.
    """
    random = np.random.default_rng(seed)
    orders = {
        "heat map": [_order(clean.cam[n], random) for n in few],
        "random": [_order(np.zeros_like(clean.cam[n]), random) for n in few],
    }
    named = clean.probabilities[few].argmax(axis=1)
    images = [sample.images[n] for n in few]
    blurred = [cv2.GaussianBlur(image, (0, 0), _BLUR * image.shape[0]) for image in images]
    made = (
        _mixed(image, soft, (order >= step * order.size / _STEPS) == deleted)
        for ranks in orders.values()
        for deleted in (True, False)
        for step in range(_STEPS + 1)
        for image, soft, order in zip(images, blurred, ranks, strict=True)
    )
    count = 2 * 2 * (_STEPS + 1) * len(few)
    answers = ask(predictor, made, "taking evidence away", count).probabilities
    answers = answers.reshape(2, 2, _STEPS + 1, len(few), -1)
    curves = answers[:, :, :, np.arange(len(few)), named]
    areas = np.asarray(np.trapezoid(curves, axis=2) / _STEPS)
    deletion, insertion = areas[0]
    by_chance, by_chance_in = areas[1]
    finding = Finding(
        "removal",
        "Does the heat map point at what counts?",
        "The hottest parts of the map were blurred away first (deletion), or alone shown first "
        "(insertion), and the probability of the answer followed. If the map is true, it falls "
        "early and rises early: insertion less deletion is above that of a random order, which is "
        "about 0.",
        mean("insertion less deletion", insertion - deletion),
        len(few),
        mean("in a random order", by_chance_in - by_chance),
        [
            mean("deletion, area under the curve (low is good)", deletion),
            mean("insertion, area under the curve (high is good)", insertion),
        ],
        caption="Mean probability of the answer while parts of the image are taken away or put in.",
    )
    means = curves.mean(axis=3)
    svg = plots.removal(
        {
            "deletion, hottest first": means[0, 0].tolist(),
            "insertion, hottest first": means[0, 1].tolist(),
            "deletion, random": means[1, 0].tolist(),
            "insertion, random": means[1, 1].tolist(),
        }
    )
    return finding, svg.encode()


def randomised(
    bundle: Bundle,
    predictor: Predictor,
    sample: Sample,
    clean: Predictions,
    few: Indices,
    seed: int,
) -> Told:
    """Replace weights by random ones: does Grad-CAM change? After Adebayo et al. 2018.

    `few` are the images taken; `predictor` is `bundle`'s and lends its precision and batch size.
    """
    last = layer_names(bundle.architecture)[-1].split("_")[0]
    images = [sample.images[n] for n in few]
    cams, agreements = [], []
    for layers in (("head",), ("head", last)):
        with deferred():
            other = Predictor(
                replace(bundle, weights=_random(bundle, layers, seed)),
                predictor.batch_size,
                predictor.precision,
            )
        cams.append(ask(other, images, "randomising weights", len(few)).cam)
        agreements.append(_agreement(clean.cam[few], cams[-1]))
    finding = Finding(
        "randomised",
        "Heat maps of random weights",
        f"The network's head and {last} were replaced by random numbers. Its heat map must then "
        "be another: a map that stays shows edges of the image, not the model's reasons. 1 is the "
        "same order of cells, 0 none in common.",
        mean(f"rank correlation, head and {last} random", agreements[1]),
        len(few),
        details=[mean("rank correlation, head alone random", agreements[0])],
        caption=f"From left: the model's map, with a random head, with random {last} and head.",
    )
    rows = [
        [heat(images[n], cam) for cam in (clean.cam[few[n]], cams[0][n], cams[1][n])]
        for n in range(min(2, len(few)))
    ]
    return finding, side_by_side(rows)


def _peaks_inside(cam: FloatArray, fields: Fields) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell of each map whether the middle of its hottest cell is in the lungs."""
    cell = FIELD_SIDE // cam.shape[1]
    row, column = np.unravel_index(cam.reshape(len(cam), -1).argmax(axis=1), cam.shape[1:])
    at = (np.arange(len(cam)), row * cell + cell // 2, column * cell + cell // 2)
    return np.asarray(fields.inside[at])


def _order(cam: FloatArray, random: np.random.Generator) -> Indices:
    """Return the place (h, w) of each cell in the order of heat; cells alike come at random."""
    shuffled = random.permutation(cam.size)
    order = shuffled[np.argsort(-cam.ravel()[shuffled], kind="stable")]
    places = np.empty(cam.size, np.int64)
    places[order] = np.arange(cam.size)
    return places.reshape(cam.shape)


def _mixed(
    image: Image, blurred: Image, kept: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> Image:
    """Return an image with the cells not `kept` from its blurred copy."""
    side = image.shape[0]
    mask = cv2.resize(kept.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    return np.where(mask > 0, image, blurred).astype(np.uint8)


def _random(bundle: Bundle, layers: tuple[str, ...], seed: int) -> dict[str, FloatArray]:
    """Return the weights with those of some layers drawn from a normal of their own spread."""
    random = np.random.default_rng(seed)
    weights = dict(bundle.weights)
    # Sorted: a file gives its weights in any order.
    for name, array in sorted(weights.items()):
        if name.split("_")[0].split("/")[0] in layers:
            spread = float(array.std()) if name.endswith("kernel") else 0.0
            weights[name] = random.normal(0, spread, array.shape).astype(np.float32)
    return weights


def _agreement(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return Spearman's rank correlation (n,) of maps (n, h, w); 0 with a map that is empty."""
    from scipy.stats import spearmanr

    both = zip(one.reshape(len(one), -1), other.reshape(len(other), -1), strict=True)
    return np.array([spearmanr(a, b).statistic if a.std() and b.std() else 0.0 for a, b in both])
