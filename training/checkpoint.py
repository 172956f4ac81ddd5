"""The state of an unfinished training on disk, so that an interruption costs one epoch at most."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from scanner.errors import SetupError

if TYPE_CHECKING:
    import keras

_NOTES = "notes"

Arrays = list[npt.NDArray[Any]]


class Checkpoint:
    """The epochs so far, the best weights among them, and how to save both with the optimizer's."""

    def __init__(self, model: "keras.Model") -> None:
        self.history: list[dict[str, float]] = []
        self.best: Arrays = model.get_weights()
        self.best_epoch = 0

    def add(self, model: "keras.Model", figures: dict[str, float]) -> None:
        """Note an epoch; its weights are the best if validation is more accurate, or as, and surer.

        Equal accuracies are common on few images: then the smaller loss decides.
        """
        self.history.append(figures)
        if self.best_epoch == 0 or _score(figures) > _score(self.history[self.best_epoch - 1]):
            self.best, self.best_epoch = model.get_weights(), len(self.history)

    def save(self, place: Path, model: "keras.Model") -> None:
        """Write everything to `place`, in one piece or not at all; raises `SetupError` if full."""
        arrays = {
            **_numbered("model", model.get_weights()),
            **_numbered("best", self.best),
            **_numbered("optimizer", [v.numpy() for v in model.optimizer.variables]),
        }
        notes = json.dumps({"history": self.history, "best_epoch": self.best_epoch})
        draft = place.with_suffix(".part")
        try:
            save_file(arrays, draft, metadata={_NOTES: notes})
            draft.replace(place)
        except (OSError, SafetensorError) as error:
            raise SetupError(
                f"The state of the training cannot be written to {place} ({error}): make room, "
                "then continue with --resume."
            ) from error

    @classmethod
    def load(cls, place: Path, model: "keras.Model") -> Self:
        """Return the state in `place` and set model and optimizer to it."""
        stored = load_file(place)
        state = cls(model)
        model.set_weights(_in_order("model", stored))
        state.best = _in_order("best", stored)
        saved = _in_order("optimizer", stored)
        for variable, value in zip(model.optimizer.variables, saved, strict=True):
            variable.assign(value)
        notes = _notes(place)
        state.history, state.best_epoch = notes["history"], notes["best_epoch"]
        return state


def summary(place: Path) -> tuple[int, int, float]:
    """Return how many epochs a saved state has, the best of them, and its validation accuracy."""
    notes = _notes(place)
    best = notes["best_epoch"]
    return len(notes["history"]), best, notes["history"][best - 1]["validation_accuracy"]


def _notes(place: Path) -> dict[str, Any]:
    with safe_open(place, framework="np") as stored:
        return dict(json.loads(stored.metadata()[_NOTES]))


def _score(figures: dict[str, float]) -> tuple[float, float]:
    return figures["validation_accuracy"], -figures["validation_loss"]


def _numbered(name: str, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    return {f"{name}-{number}": np.asarray(array, order="C") for number, array in enumerate(arrays)}


def _in_order(name: str, stored: dict[str, npt.NDArray[Any]]) -> Arrays:
    count = sum(key.startswith(f"{name}-") for key in stored)
    return [stored[f"{name}-{number}"] for number in range(count)]
