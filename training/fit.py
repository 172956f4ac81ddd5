"""The trainable tail, fitted on cached features: what `--fine-tune` names, and the head."""

import math
from collections import Counter
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
from training.draw import Draw, Shown
from training.features import CUTS
from training.progress import bar

if TYPE_CHECKING:
    import keras

# Images a step when nothing is learnt: the largest that gains anything on a CPU.
_JUDGED_AT_ONCE = 64
# The share of the evidence that may lie outside the lungs for nothing: a cell of the map sees far
# beyond its own 16 pixels, and all that is asked beyond this costs accuracy and gains no focus.
TOLERATED_OUTSIDE = 0.15

Tail = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Recipe:
    """How the tail is trained.

    `fine_tune` is ``none`` (head alone), ``block5`` or ``all``; `class_weights` weighs the loss of
    rare classes instead of showing their images more often; `early_stopping` ends after so many
    epochs without a better validation accuracy, 0 never. `lung_penalty` weighs in the loss by how
    much the share of the evidence outside the lungs exceeds what is tolerated, 0 leaves it out.
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
    lung_penalty: float
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
    shown: Shown,
    draw: Draw,
    validation: npt.NDArray[np.int64],
    weights: Weights,
    recipe: Recipe,
    place: Path,
    on_epoch: Callable[[int, dict[str, float]], None],
) -> Fitted:
    """Train on what `draw` gives each epoch, keep the epoch most accurate on `validation` (rows).

    `features` (R, …) from `training.features`, `targets` (R,) class indices of their rows, `shown`
    what they show beside, `weights` those to start from; layers it lacks start at random. Adam on
    categorical cross-entropy, its step falling to zero as a half cosine (Loshchilov and Hutter
    2017), which ends the swings between epochs; what the network is too sure of is left to
    temperature scaling. Rows that say nothing are taught as every class alike. Where the lungs are
    known, the share of the evidence outside of them, as far as it is over 0.15, is part of the loss
    (Ross et al. 2017, right for the right reasons). Evidence is the Grad-CAM of every class,
    without ReLU, less its mean over classes: what tells classes apart.

    After every epoch the state goes to `place`; if one is there already it is continued, to the
    same result as without the interruption. The same seed gives the same result on a CPU.
    """
    with quiet_stderr():
        import keras

    keras.utils.clear_session()  # the models of earlier folds, with their optimizers
    keras.utils.set_random_seed(recipe.seed)
    steps = math.ceil(draw.size / recipe.batch_size)
    tail = _tail(features, draw.classes, weights, recipe)
    fields = shown.fields if recipe.lung_penalty and recipe.cut != "embedding" else None
    rate = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, recipe.epochs * steps)
    model = _teachable(tail, fields is not None, recipe.lung_penalty, rate)
    soft = _soft(targets, shown.silent, draw.classes)
    model.optimizer.build(model.trainable_variables)
    state = Checkpoint.load(place, model) if place.exists() else Checkpoint(model)
    with bar("epochs", recipe.epochs * steps, " steps", len(state.history) * steps) as done:
        while not _finished(state, recipe):
            epoch = len(state.history)
            rows = draw.rows(epoch)
            shares = draw.weights(targets[rows]) if recipe.class_weights else np.ones(len(rows))
            figures = _pass(model, features, soft, fields, rows, shares, recipe.batch_size, done)
            loss, accuracy = _judged(tail, features, targets, validation)
            figures |= {"validation_loss": loss, "validation_accuracy": accuracy}
            if not np.isfinite(list(figures.values())).all():
                raise SetupError(
                    f"Epoch {epoch + 1} diverged (loss {figures['loss']:g}): give a smaller "
                    f"--learning-rate than {recipe.learning_rate:g}."
                )
            state.add(model, figures)
            with deferred():
                state.save(place, model)
            on_epoch(epoch + 1, state.history[-1])
    model.set_weights(state.best)
    return Fitted(_centred(_named_weights(tail)), state.history, state.best_epoch)


def _centred(weights: Tail) -> Tail:
    """Return the tail with the mean over classes taken from the head's weights.

    Softmax does not see what all logits have in common, so no probability changes. Grad-CAM does:
    without this a map may show what speaks against every class alike, not what speaks for one.
    """
    kernel, bias = weights["head/kernel"], weights["head/bias"]
    centred = {"head/kernel": kernel - kernel.mean(axis=1, keepdims=True)}
    return {**weights, **centred, "head/bias": bias - bias.mean()}


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


def _soft(
    targets: npt.NDArray[np.int64], silent: npt.NDArray[np.bool_], classes: int
) -> npt.NDArray[np.float32]:
    """Return what each row is taught as (R, C): its class, or of those that say nothing, all."""
    soft = np.eye(classes, dtype=np.float32)[targets]
    soft[silent] = 1 / classes
    return soft


def _teachable(
    tail: "keras.Model", watched: bool, penalty: float, rate: "keras.optimizers.schedules"
) -> "keras.Model":
    """Return the tail, compiled, with the share of evidence outside the lungs as second output.

    It takes the tail's input and, if `watched`, the share of lung 0..1 in each cell of its map.
    """
    import keras

    tail.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=["accuracy"],
    )
    outputs, inputs = {"logits": tail.output}, [tail.input]
    loss = {"logits": keras.losses.CategoricalCrossentropy(from_logits=True)}
    if watched:
        features, head = tail.get_layer("features").output, tail.get_layer("head")
        field = keras.Input(features.shape[1:3], name="field")
        inputs.append(field)
        # The head is linear: without its bias, what each cell says for and against every class.
        bias = head(keras.ops.zeros_like(tail.get_layer("embedding").output))
        evidence = head(features) - bias[:, None, None, :]
        # What speaks for all classes alike tells none apart, and would hide where the rest lies.
        evidence -= keras.ops.mean(evidence, axis=-1, keepdims=True)
        strength = keras.ops.sum(keras.ops.abs(evidence), axis=-1)
        outside = keras.ops.sum(strength * (1 - field), axis=(1, 2))
        outputs["outside"] = outside / (keras.ops.sum(strength, axis=(1, 2)) + 1e-6)
        loss["outside"] = lambda _, share: keras.ops.relu(share - TOLERATED_OUTSIDE)
    model = keras.Model(inputs, outputs)
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=loss,
        loss_weights={"logits": 1.0, "outside": penalty} if watched else None,
        weighted_metrics={name: [_accuracy] if name == "logits" else [_itself] for name in outputs},
    )
    return model


def _accuracy(taught: Any, logits: Any) -> Any:
    """Return 1 where the class is right, scaled so that rows taught as no class do not count."""
    import keras

    told = keras.ops.cast(keras.ops.max(taught, axis=-1) > 0.99, "float32")
    same = keras.ops.equal(keras.ops.argmax(taught, -1), keras.ops.argmax(logits, -1))
    return keras.ops.cast(same, "float32") * told / (keras.ops.mean(told) + 1e-6)


def _itself(_: Any, value: Any) -> Any:
    return value


def _pass(
    model: "keras.Model",
    features: Rows,
    taught: npt.NDArray[np.float32],
    fields: npt.NDArray[np.uint8] | None,
    rows: npt.NDArray[np.int64],
    shares: npt.NDArray[np.float64],
    batch_size: int,
    done: Any,
) -> dict[str, float]:
    """Learn once from the rows, each with its share of the loss; return the mean figures."""
    total: Counter[str] = Counter()
    for places, inputs in _batches(features, rows, batch_size):
        some = rows[places]
        x, y = [inputs], {"logits": taught[some]}
        if fields is not None:
            x, y = (
                [inputs, fields[some] / np.float32(255)],
                {**y, "outside": np.ones(len(some), np.float32)},
            )
        with deferred():
            model.reset_metrics()  # before Keras 3.15 they average over everything since compile
            weights = {name: shares[places] for name in y}
            result = model.train_on_batch(x, y, sample_weight=weights, return_dict=True)
        total.update({name: len(places) * float(value) for name, value in result.items()})
        done.update(1)
    mean = {name: value / len(rows) for name, value in total.items()}
    if fields is None:  # Keras names no output where there is only one
        return {"loss": mean["loss"], "accuracy": mean["_accuracy"]}
    return {
        "loss": mean["logits_loss"],
        "accuracy": mean["logits__accuracy"],
        "outside_lungs": mean["outside__itself"],
    }


def _judged(
    tail: "keras.Model",
    features: Rows,
    targets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
) -> tuple[float, float]:
    """Return mean loss and accuracy on the rows, without learning from them."""
    total = np.zeros(2)
    for places, inputs in _batches(features, rows, _JUDGED_AT_ONCE):
        with deferred():
            tail.reset_metrics()
            result = tail.test_on_batch(inputs, targets[rows[places]])
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
