"""The trainable tail, fitted on cached features: what `--fine-tune` names, and the head."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scanner.errors import SetupError
from scanner.interrupts import deferred
from scanner.network import Weights, build_tail, quiet_stderr
from training.checkpoint import Checkpoint
from training.data.rows import Rows
from training.draw import Draw
from training.features import CUTS
from training.progress import bar

if TYPE_CHECKING:
    import keras

# Images a step when nothing is learnt: the largest that gains anything on a CPU.
_JUDGED_AT_ONCE = 64

Tail = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Recipe:
    """How the tail is trained.

    `fine_tune` is ``none`` (head alone), ``block5`` or ``all``; `class_weights` weighs the loss of
    rare classes instead of showing their images more often; `early_stopping` ends after so many
    epochs without a better validation accuracy, 0 never.
    """

    architecture: str
    size: int
    fine_tune: str
    epochs: int
    batch_size: int
    learning_rate: float
    class_weights: bool
    early_stopping: int
    copies: int
    flip: bool
    seed: int
    precision: str

    @property
    def cut(self) -> str:
        """The layer at which the frozen part ends (`training.features.CUTS`)."""
        return CUTS[self.fine_tune]


@dataclass(frozen=True)
class Fitted:
    """The best tail by validation accuracy, and how training went.

    `weights` has ``head/kernel`` (E, C), ``head/bias`` and those of the convolutions that were
    trained. `history` has one dictionary an epoch: loss and accuracy, on training and validation
    images.
    """

    weights: Tail
    history: list[dict[str, float]]
    best_epoch: int


def fit(
    features: Rows,
    targets: npt.NDArray[np.int64],
    draw: Draw,
    validation: npt.NDArray[np.int64],
    weights: Weights,
    recipe: Recipe,
    place: Path,
    on_epoch: Callable[[int, dict[str, float]], None],
) -> Fitted:
    """Train on what `draw` gives each epoch, keep the epoch most accurate on `validation` (rows).

    `features` (R, …) from `training.features`, `targets` (R,) class indices of their rows,
    `weights` those to start from; layers it lacks start at random. Adam on categorical
    cross-entropy, its step falling to zero as a half cosine (Loshchilov and Hutter 2017), which
    ends the swings between epochs; what the network is too sure of is left to temperature scaling.

    After every epoch the state goes to `place`; if one is there already it is continued, to the
    same result as without the interruption. The same seed gives the same result on a CPU.
    """
    with quiet_stderr():
        import keras

    keras.utils.clear_session()  # the models of earlier folds, with their optimizers
    keras.utils.set_random_seed(recipe.seed)
    steps = math.ceil(draw.size / recipe.batch_size)
    model = _tail(features, draw.classes, weights, recipe)
    model.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(recipe.learning_rate, recipe.epochs * steps)
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=["accuracy"],
    )
    model.optimizer.build(model.trainable_variables)
    state = Checkpoint.load(place, model) if place.exists() else Checkpoint(model)
    with bar("epochs", recipe.epochs * steps, " steps", len(state.history) * steps) as shown:
        while not _finished(state, recipe):
            epoch = len(state.history)
            rows = draw.rows(epoch)
            shares = draw.weights(targets[rows]) if recipe.class_weights else np.ones(len(rows))
            trained = _pass(model, features, targets, rows, shares, recipe.batch_size, shown)
            checked = _judged(model, features, targets, validation)
            if not np.isfinite([*trained, *checked]).all():
                raise SetupError(
                    f"Epoch {epoch + 1} diverged (loss {trained[0]:g}): give a smaller "
                    f"--learning-rate than {recipe.learning_rate:g}."
                )
            state.add(
                model,
                {
                    "loss": trained[0],
                    "accuracy": trained[1],
                    "validation_loss": checked[0],
                    "validation_accuracy": checked[1],
                },
            )
            with deferred():
                state.save(place, model)
            on_epoch(epoch + 1, state.history[-1])
    model.set_weights(state.best)
    return Fitted(_named_weights(model), state.history, state.best_epoch)


def _finished(state: Checkpoint, recipe: Recipe) -> bool:
    epochs = len(state.history)
    idle = epochs - state.best_epoch
    return epochs >= recipe.epochs or 0 < recipe.early_stopping <= idle


def probabilities(
    features: Rows, rows: npt.NDArray[np.int64], weights: Weights, classes: int, recipe: Recipe
) -> npt.NDArray[np.float64]:
    """Return softmax of the tail's logits (n, C) for rows of the features, at temperature 1."""
    import keras

    model = _tail(features, classes, weights, recipe)
    logits = np.empty((len(rows), classes))
    for places, inputs in _batches(features, rows, _JUDGED_AT_ONCE):
        with deferred():
            logits[places] = model.predict_on_batch(inputs)
    return np.asarray(keras.ops.softmax(logits), np.float64)


def _batches(
    features: Rows, rows: npt.NDArray[np.int64], size: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[Any]]]:
    """Yield places in `rows` (n,) and their inputs as the tail takes them, `size` at a time."""
    for start in range(0, len(rows), size):
        places = np.arange(start, min(start + size, len(rows)))
        # Sorted within the batch: the features are read from disk front to back.
        places = places[np.argsort(rows[places], kind="stable")]
        batch = features[rows[places]]
        is_image = batch.dtype == np.uint8
        yield places, batch[..., None] if is_image else batch.astype(np.float32)


def _pass(
    model: "keras.Model",
    features: Rows,
    targets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    shares: npt.NDArray[np.float64],
    batch_size: int,
    shown: Any,
) -> tuple[float, float]:
    """Learn once from the rows, each with its share of the loss; return mean loss and accuracy."""
    total = np.zeros(2)
    for places, inputs in _batches(features, rows, batch_size):
        with deferred():
            model.reset_metrics()  # before Keras 3.15 they average over everything since compile
            result = model.train_on_batch(
                inputs, targets[rows[places]], sample_weight=shares[places]
            )
        total += len(places) * np.array(result, dtype=np.float64)
        shown.update(1)
    loss, accuracy = total / len(rows)
    return float(loss), float(accuracy)


def _judged(
    model: "keras.Model",
    features: Rows,
    targets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
) -> tuple[float, float]:
    """Return mean loss and accuracy on the rows, without learning from them."""
    total = np.zeros(2)
    for places, inputs in _batches(features, rows, _JUDGED_AT_ONCE):
        with deferred():
            model.reset_metrics()
            result = model.test_on_batch(inputs, targets[rows[places]])
        total += len(places) * np.array(result, dtype=np.float64)
    loss, accuracy = total / len(rows)
    return float(loss), float(accuracy)


def _tail(features: Rows, classes: int, weights: Weights, recipe: Recipe) -> "keras.Model":
    """Return the tail from the features on, with the weights that are there for its layers."""
    with quiet_stderr():
        model = build_tail(recipe.size, recipe.architecture, recipe.cut, classes, recipe.precision)
    for layer in model.layers:
        if f"{layer.name}/kernel" in weights:
            layer.set_weights([weights[f"{layer.name}/kernel"], weights[f"{layer.name}/bias"]])
    return model


def _named_weights(model: "keras.Model") -> Tail:
    named: Tail = {}
    for layer in model.layers:
        if layer.get_weights():
            kernel, bias = layer.get_weights()
            named |= {f"{layer.name}/kernel": kernel, f"{layer.name}/bias": bias}
    return named
