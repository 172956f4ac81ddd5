#!/usr/bin/env python3
"""The shipped model's Grad-CAM against automatic differentiation: grad_cam.py IMAGE_FOLDER [COUNT]

Prints the largest difference between the closed form in the graph and GradientTape over real
images, relative to each map's maximum, in float32.
"""

import sys
from pathlib import Path

import numpy as np

from scanner import bundle
from scanner.network import build_network, quiet_stderr
from scanner.reading import ReadSettings, read_file
from scanner.walk import list_files


def main() -> None:
    loaded = bundle.load(bundle.DEFAULT_BUNDLE)
    settings = ReadSettings(loaded.spec, key=b"")
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 32
    inputs: list[np.ndarray] = []
    for source in list_files(Path(sys.argv[1])).sources:
        reading = read_file(source, settings)
        if reading.model_input is not None:
            inputs.append(reading.model_input)
        if len(inputs) == count:
            break
    with quiet_stderr():
        import keras
        import tensorflow as tf

        model = build_network(loaded.spec.size, loaded.weights, loaded.temperature, "float32")
    inner = keras.Model(
        model.input, [model.get_layer("features").output, model.get_layer("logits").output]
    )
    worst = 0.0
    for image in inputs:
        batch = tf.constant(image[None, ..., None])
        with tf.GradientTape() as tape:
            maps, logits = inner(batch, training=False)
            top = tf.reduce_max(logits, axis=-1)
        importance = tf.reduce_mean(tape.gradient(top, maps), axis=(1, 2))
        reference = tf.nn.relu(tf.einsum("nhwk,nk->nhw", maps, importance)).numpy()
        ours = model(batch, training=False)["cam"].numpy()
        worst = max(worst, float(np.abs(ours - reference).max() / max(reference.max(), 1e-12)))
    print(f"{len(inputs)} images: largest relative difference {worst:.2e}")


if __name__ == "__main__":
    main()
