"""What the network says of a batch becomes what the CSV says of every image in it."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from scanner import conformal, ood
from scanner.bundle import Bundle
from scanner.errors import Rejection, SetupError
from scanner.focus import Focus, lung_focus
from scanner.gate import states_frontal_chest
from scanner.image_gate import admit_kind, admit_lungs
from scanner.predictor import Predictions
from scanner.records import UNCERTAIN, Record


@dataclass(frozen=True)
class OperatingPoints:
    """Where a bundle's card draws the lines; None where it draws none.

    Flagged are a lung focus below `focus` and a distance above `distance`. `sets` (C,) are the
    thresholds of prediction sets; `gate` is (reject_below, flag_below) on the probability of a
    frontal chest radiograph.
    """

    focus: float | None = None
    distance: float | None = None
    sets: tuple[float, ...] | None = None
    gate: tuple[float, float] | None = None

    @classmethod
    def of(cls, bundle: Bundle) -> Self:
        """Read them from a card; raises `SetupError` if it says something else."""
        trust = bundle.card.get("trust") or {}
        try:
            points: dict[str, Any] = {}
            if focus := trust.get("lung_focus"):
                points["focus"] = float(focus["threshold"])
            if distance := trust.get("ood"):
                points["distance"] = float(distance["threshold"])
            if sets := trust.get("conformal"):
                points["sets"] = tuple(float(sets["thresholds"][n]) for n in bundle.classes)
            if gate := trust.get("gate"):
                points["gate"] = (float(gate["reject_below"]), float(gate["flag_below"]))
            return cls(**points)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SetupError(
                f"The card of model {bundle.id} has operating points (trust) that cannot be read "
                f"({type(error).__name__}: {error}): train it again, or use another model."
            ) from error


class Judge:
    """What one bundle makes of predictions; raises `SetupError` over a bundle it cannot use.

    In this order: what the picture shows, whether it is like those of training, which classes it
    may have, and whether the evidence lies in the lungs. A picture that is no frontal chest
    radiograph is rejected, unless its header states one: then what would reject it is a flag, by
    the same word, because losing a patient's chest radiograph is worse than a second look.
    """

    def __init__(self, bundle: Bundle) -> None:
        if UNCERTAIN in bundle.classes:
            raise SetupError(
                f"The model {bundle.id} has a class named {UNCERTAIN}, which is what the CSV says "
                "of images that could be several: train it with another name for the class."
            )
        self._bundle = bundle
        self._points = OperatingPoints.of(bundle)

    def judge(self, records: list[Record], predictions: Predictions) -> list[Record]:
        """Return `records` with what `predictions` of the same N images add, in order.

        Flags that a record has already stay. Rejected ones have a reason and no prediction.
        """
        seen = _Seen.of(predictions, self._bundle, self._points)
        return [self._one(record, seen, index) for index, record in enumerate(records)]

    def _one(self, record: Record, seen: "_Seen", index: int) -> Record:
        try:
            flags = self._admit(record, seen.predictions, index)
        except Rejection as error:
            return replace(
                record, status="rejected", reason=error.reason, detail=error.detail, flags=""
            )
        points, probabilities = self._points, seen.predictions.probabilities[index]
        classes = [self._bundle.classes[number] for number in np.flatnonzero(seen.sets[index])]
        empty = not seen.predictions.cam[index].any()
        focus, distance = _number(seen.focus.share, index), _number(seen.distances, index)
        if points.distance is not None and distance is not None and distance > points.distance:
            flags.append("out_of_distribution")
        if len(classes) > 1:
            flags.append(UNCERTAIN)
        if points.focus is not None and focus is not None and focus < points.focus:
            flags.append("looks_outside_lungs")
        if empty:
            flags.append("cam_empty")
        flags = [*filter(None, record.flags.split(";")), *flags]
        best = int(probabilities.argmax())
        return replace(
            record,
            status="flagged" if flags else "ok",
            flags=";".join(flags),
            prediction=UNCERTAIN if len(classes) > 1 else self._bundle.classes[best],
            confidence=float(probabilities[best]),
            prediction_set=";".join(classes) if points.sets is not None else "",
            lung_focus=focus,
            lung_area=_number(seen.focus.area, index),
            lung_lift=_number(seen.focus.lift, index),
            cam_empty="yes" if empty else "no",
            ood_score=distance,
            probabilities=tuple(map(float, probabilities)),
        )

    def _admit(self, record: Record, predictions: Predictions, index: int) -> list[str]:
        """Return the flags that the picture raises; raise `Rejection` if it rules itself out."""
        flags: list[str] = []
        stated = states_frontal_chest(record.body_part, record.view)
        try:
            if predictions.kinds is not None and self._points.gate is not None:
                flags += admit_kind(predictions.kinds[index], *self._points.gate)
            if predictions.lungs is not None:
                flags += admit_lungs(predictions.lungs[index])
        except Rejection as error:
            if not stated:
                raise
            flags.append(error.reason)
        return flags


@dataclass(frozen=True)
class _Seen:
    """A batch, and what is computed of all its images at once; NaN where it does not apply."""

    predictions: Predictions
    sets: npt.NDArray[np.bool_]
    focus: Focus
    distances: npt.NDArray[np.floating[Any]]

    @classmethod
    def of(cls, predictions: Predictions, bundle: Bundle, points: OperatingPoints) -> Self:
        probabilities = predictions.probabilities
        unknown = np.full(len(probabilities), np.nan)
        sets = np.eye(len(bundle.classes), dtype=bool)[probabilities.argmax(axis=1)]
        if points.sets is not None:
            sets = conformal.prediction_sets(probabilities, points.sets)
        focus = Focus(unknown, unknown, unknown)
        if predictions.lungs is not None:
            focus = lung_focus(predictions.cam, predictions.lungs)
        distances: npt.NDArray[np.floating[Any]] = unknown
        if ood.has_statistics(bundle.weights):
            distances = ood.score(predictions.embedding, bundle.weights)
        return cls(predictions, sets, focus, distances)


def _number(values: npt.NDArray[Any], index: int) -> float | None:
    return None if np.isnan(values[index]) else float(values[index])
