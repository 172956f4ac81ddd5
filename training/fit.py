"""The trainable tail: block5 and the head, or the head alone, fitted on cached features."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scanner.network import Weights, keras_policy, layer_names, quiet_stderr

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Recipe:
    """How the tail is trained; `fine_tune` is ``none`` (head alone) or ``block5``."""

    fine_tune: str
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    precision: str


@dataclass(frozen=True)
class Fitted:
    """The best tail by validation accuracy, and how training went.

    `weights` has ``head/kernel`` (512, C), ``head/bias`` and, if they were trained, block5's.
    `history` has one dictionary an epoch: loss and accuracy, on training and validation images.
    """

    weights: dict[str, npt.NDArray[np.float32]]
    history: list[dict[str, float]]
    best_epoch: int


def fit(
    features: npt.NDArray[np.float16],
    targets: npt.NDArray[np.int64],
    train: npt.NDArray[np.int64],
    validation: npt.NDArray[np.int64],
    weights: Weights,
    recipe: Recipe,
    on_epoch: Callable[[int, dict[str, float]], None],
) -> Fitted:
    """Train on the images `train`, keep the epoch most accurate on `validation` (indices).

    `features` (N, …) from `training.features`, `targets` (N,) class indices, `weights` the
    backbone's. Adam on categorical cross-entropy, its step falling to zero as a half cosine
    (Loshchilov and Hutter 2017), which ends the swings between epochs; what the network is too sure
    of is left to temperature scaling. The same seed gives the same result on a CPU.
    """
    with quiet_stderr():
        import keras

    keras.utils.set_random_seed(recipe.seed)
    model = _tail(features.shape[1:], int(targets.max()) + 1, weights, recipe)
    model.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(
                recipe.learning_rate, recipe.epochs * math.ceil(len(train) / recipe.batch_size)
            )
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history: list[dict[str, float]] = []
    best: list[npt.NDArray[np.float32]] = model.get_weights()
    best_epoch = 0
    order = np.random.default_rng(recipe.seed)
    for epoch in range(recipe.epochs):
        trained = _pass(model, features, targets, order.permutation(train), recipe, True)
        checked = _pass(model, features, targets, validation, recipe, False)
        figures = {
            "loss": trained[0],
            "accuracy": trained[1],
            "validation_loss": checked[0],
            "validation_accuracy": checked[1],
        }
        history.append(figures)
        if checked[1] >= max(past["validation_accuracy"] for past in history):
            best, best_epoch = model.get_weights(), epoch + 1
        on_epoch(epoch + 1, figures)
    model.set_weights(best)
    return Fitted(_named_weights(model), history, best_epoch)


def _pass(
    model: "keras.Model",
    features: npt.NDArray[np.float16],
    targets: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int64],
    recipe: Recipe,
    training: bool,
) -> tuple[float, float]:
    """Go once over the images; return mean loss and accuracy."""
    step = model.train_on_batch if training else model.test_on_batch
    total = np.zeros(2)
    for start in range(0, len(indices), recipe.batch_size):
        # Sorted within the batch: the features are read from disk front to back.
        chosen = np.sort(indices[start : start + recipe.batch_size])
        batch = features[chosen].astype(np.float32)
        total += len(chosen) * np.array(step(batch, targets[chosen]), dtype=np.float64)
    loss, accuracy = total / len(indices)
    return float(loss), float(accuracy)


def _tail(shape: tuple[int, ...], classes: int, weights: Weights, recipe: Recipe) -> "keras.Model":
    import keras

    inputs = keras.Input(shape, name="features")
    x = inputs
    if recipe.fine_tune == "block5":
        policy = keras_policy(recipe.precision)
        names = [name for name in layer_names() if name.startswith("block5")]
        for name in names:
            x = keras.layers.Conv2D(
                512, 3, padding="same", activation="relu", dtype=policy, name=name
            )(x)
        x = keras.layers.GlobalAveragePooling2D(dtype="float32")(x)
    logits = keras.layers.Dense(classes, dtype="float32", name="head")(x)
    model = keras.Model(inputs, logits)
    for layer in model.layers:
        if f"{layer.name}/kernel" in weights:
            layer.set_weights([weights[f"{layer.name}/kernel"], weights[f"{layer.name}/bias"]])
    return model


def _named_weights(model: "keras.Model") -> dict[str, npt.NDArray[np.float32]]:
    named: dict[str, npt.NDArray[np.float32]] = {}
    for layer in model.layers:
        if layer.get_weights():
            kernel, bias = layer.get_weights()
            named |= {f"{layer.name}/kernel": kernel, f"{layer.name}/bias": bias}
    return named
