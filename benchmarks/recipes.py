#!/usr/bin/env python3
"""What a user would pick instead: recipes.py NAME LIST OUTPUT COUNT [--model BUNDLE]

Each recipe is one program as people write it: it reads the first COUNT image files of LIST (a text
file, a path a line), judges them with the weights of BUNDLE, and writes into OUTPUT a CSV and a
Grad-CAM overlay of each. It prints as JSON when its first batch was written, which is its start-up
with whatever is compiled on the first call, when its last was, and the probabilities.

Preprocessing is as in `scanner.preprocess`, so that labels can be compared; none checks its files.
"""

import argparse
import csv
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

# What a recipe gives for a batch (N, 256, 256, 3) float32 after caffe preprocessing: probabilities
# (N, C) and heat maps (N, h, w) of the most probable class.
Judge = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
SIZE, BATCH = 256, 32
_MEANS = np.array([103.939, 116.779, 123.68], np.float32)


def read(path: Path) -> np.ndarray:
    """Read a file as notebooks do; return (256, 256) uint8."""
    if path.suffix == ".dcm":
        import pydicom
        from pydicom.pixels import apply_voi_lut

        dataset = pydicom.dcmread(path)
        grey = apply_voi_lut(dataset.pixel_array, dataset).astype(np.float32)
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            grey = grey.max() - grey
    else:
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.float32)
    small = cv2.resize(grey, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    low, high = np.percentile(small, (1, 99))
    return np.clip(np.rint((small - low) * (255 / max(high - low, 1e-6))), 0, 255).astype(np.uint8)


def keras_model(loaded: Any) -> Any:
    """Return VGG19 of keras.applications with average pooling, a Dense layer and softmax."""
    import keras

    base = keras.applications.VGG19(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    features = base.get_layer("block5_conv4").output
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    head = keras.layers.Dense(len(loaded.classes), activation="softmax", name="head")
    model = keras.Model(base.input, head(pooled))
    for layer in model.layers:
        if layer.name.startswith("block") and "conv" in layer.name:
            names = (f"{layer.name}/kernel", f"{layer.name}/bias")
            layer.set_weights([loaded.weights[name] for name in names])
    head.set_weights(
        [loaded.weights[f"head/{part}"] / loaded.temperature for part in ("kernel", "bias")]
    )
    return model


def keras_predict(loaded: Any) -> Judge:
    """Keras `predict` and no Grad-CAM at all."""
    model = keras_model(loaded)
    blank = np.zeros((SIZE // 16, SIZE // 16), np.float32)
    return lambda images: (model.predict(images, verbose=0), np.stack([blank] * len(images)))


def keras_tape(loaded: Any) -> Judge:
    """Keras `predict`, then Grad-CAM with GradientTape (Keras's own example, keras.io)."""
    model = keras_model(loaded)
    import keras
    import tensorflow as tf

    inner = keras.Model(model.input, [model.get_layer("block5_conv4").output, model.output])

    def judge(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probabilities = model.predict(images, verbose=0)
        with tf.GradientTape() as tape:
            maps, outputs = inner(images)
            chosen = tf.gather(outputs, probabilities.argmax(axis=-1), axis=1, batch_dims=1)
        importance = tf.reduce_mean(tape.gradient(chosen, maps), axis=(1, 2))
        heat = tf.nn.relu(tf.einsum("nhwk,nk->nhw", maps, importance))
        return probabilities, heat.numpy()

    return judge


def tf_keras_vis(loaded: Any) -> Judge:
    """Keras `predict`, then `Gradcam` of tf-keras-vis on logits, as its documentation shows it."""
    model = keras_model(loaded)
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    grad_cam = Gradcam(model, model_modifier=ReplaceToLinear(), clone=True)

    def judge(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probabilities = model.predict(images, verbose=0)
        score = CategoricalScore(probabilities.argmax(axis=-1).tolist())
        heat = grad_cam(score, images, penultimate_layer="block5_conv4", expand_cam=False)
        return probabilities, np.asarray(heat)

    return judge


def torch_grad_cam(loaded: Any) -> Judge:
    """PyTorch with Grad-CAM by hooks: one forward and one backward pass, as `grad-cam` does it.

    Its steps (pytorch-grad-cam, base_cam.py and activations_and_gradients.py): keep the layer's
    activations and, by a hook on them, their gradients; zero the gradients, call backward on the
    sum of the chosen logits.
    """
    import torch
    from torch import nn

    from scanner.architecture import ARCHITECTURES

    layers: list[nn.Module] = []
    before = 3
    for block, (filters, depth) in enumerate(ARCHITECTURES["vgg19"].blocks, start=1):
        layers += [nn.MaxPool2d(2)] if block > 1 else []
        for number in range(1, depth + 1):
            layer = nn.Conv2d(before, filters, 3, padding=1)
            kernel = loaded.weights[f"block{block}_conv{number}/kernel"].transpose(3, 2, 0, 1)
            layer.weight.data = torch.from_numpy(kernel.copy())
            layer.bias.data = torch.from_numpy(loaded.weights[f"block{block}_conv{number}/bias"])
            layers += [layer, nn.ReLU()]
            before = filters
    head = nn.Linear(before, len(loaded.classes))
    head.weight.data = torch.from_numpy(loaded.weights["head/kernel"].T / loaded.temperature)
    head.bias.data = torch.from_numpy(loaded.weights["head/bias"] / loaded.temperature)
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval()
    kept: dict[str, torch.Tensor] = {}

    def keep(_: nn.Module, __: Any, output: torch.Tensor) -> None:
        kept["maps"] = output.detach()
        output.register_hook(lambda gradient: kept.update(gradients=gradient.detach()))

    layers[-1].register_forward_hook(keep)

    def judge(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits = model(torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))))
        chosen = logits.argmax(dim=1)
        model.zero_grad()
        logits[torch.arange(len(images)), chosen].sum().backward(retain_graph=True)
        importance = kept["gradients"].mean(dim=(2, 3), keepdim=True)
        heat = torch.relu((importance * kept["maps"]).sum(dim=1))
        return logits.softmax(dim=1).detach().numpy(), heat.numpy()

    return judge


# What each is called on the command line: how it judges, and how many images at a time.
RECIPES: dict[str, tuple[Callable[[Any], Judge], int]] = {
    "notebook": (keras_tape, 1),
    "notebook-batched": (keras_tape, BATCH),
    "tf-keras-vis": (tf_keras_vis, BATCH),
    "torch-grad-cam": (torch_grad_cam, BATCH),
    "keras-predict": (keras_predict, BATCH),
}


def batches(paths: list[Path], size: int) -> Iterator[tuple[list[Path], np.ndarray]]:
    """Yield files and their grey pictures (N, 256, 256) uint8, `size` at a time."""
    for start in range(0, len(paths), size):
        chosen = paths[start : start + size]
        yield chosen, np.stack([read(path) for path in chosen])


def overlay(grey: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return the picture with its heat map over it, coloured as notebooks do."""
    large = cv2.resize(heat / max(heat.max(), 1e-12), (SIZE, SIZE))
    coloured = cv2.applyColorMap(np.uint8(255 * large), cv2.COLORMAP_JET)
    return cv2.addWeighted(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), 0.6, coloured, 0.4, 0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("files", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from scanner import bundle

    loaded = bundle.load(options.model or bundle.DEFAULT_BUNDLE)
    make, size = RECIPES[options.recipe]
    judge = make(loaded)
    paths = [Path(line) for line in options.files.read_text().splitlines()][: options.count]
    moments: list[float] = []
    found: dict[str, list[float]] = {}
    with (options.output / "predictions.csv").open("w", newline="") as handle:
        rows = csv.writer(handle)
        for chosen, grey in batches(paths, size):
            colour = np.repeat(grey[..., None], 3, axis=-1).astype(np.float32) - _MEANS
            probabilities, heat = judge(colour)
            for path, picture, cam, each in zip(chosen, grey, heat, probabilities, strict=True):
                cv2.imwrite(str(options.output / f"{path.stem}.jpg"), overlay(picture, cam))
                rows.writerow([path, loaded.classes[each.argmax()], *each])
                found[str(path)] = each.tolist()
            moments.append(time.time())
    print(json.dumps({"moments": moments, "batch": size, "probabilities": found}))


if __name__ == "__main__":
    main()
