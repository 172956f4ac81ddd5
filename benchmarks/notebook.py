#!/usr/bin/env python3
"""`cxr-scan train` against the usual notebook: training.py DATA WEIGHTS.npz FINE_TUNE [OPTIONS …]

The notebook is Keras `fit` in float32 with VGG19 inside the model, frozen (and for block5 with that
block trainable), on images in memory; its 40 epochs are extrapolated from steps measured before and
after ours. Ours is the whole command, from start to bundle and report, with OPTIONS, for instance
`--epochs 40 --copies 0`; of fewer epochs, the time of the others is extrapolated too, and said.
Both see the same images as often.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from memory import peaks

BATCH, STEPS, EPOCHS = 32, 4, 40
MEASURE = """
import sys, time, numpy as np, keras
weights, fine_tune, batch, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
base = keras.applications.VGG19(include_top=False, weights=None, input_shape=(256, 256, 3))
stored = np.load(weights)
for layer in base.layers:
    if layer.name + "_kernel" in stored:
        layer.set_weights([stored[layer.name + "_kernel"], stored[layer.name + "_bias"]])
    layer.trainable = fine_tune == "block5" and layer.name.startswith("block5")
x = keras.layers.GlobalAveragePooling2D()(base.output)
model = keras.Model(base.input, keras.layers.Dense(3, activation="softmax")(x))
model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
images = np.random.default_rng(0).random((batch * steps, 256, 256, 3)).astype("float32") * 255
labels = np.eye(3)[np.arange(batch * steps) % 3]
model.fit(images[:batch], labels[:batch], batch_size=batch, verbose=0)
model.evaluate(images[:batch], labels[:batch], batch_size=batch, verbose=0)
started = time.perf_counter()
model.fit(images, labels, batch_size=batch, verbose=0)
middle = time.perf_counter()
model.evaluate(images, labels, batch_size=batch, verbose=0)
ended = time.perf_counter()
print((middle - started) / len(images), (ended - middle) / len(images))
"""


def notebook(weights: str, fine_tune: str) -> tuple[float, float]:
    """Return the seconds an image costs the notebook, in training and in validation."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, weights, fine_tune, str(BATCH), str(STEPS)],
        capture_output=True,
        text=True,
        check=True,
    )
    training, validation = map(float, done.stdout.split()[-2:])
    return training, validation


def ours(
    data: str, weights: str, fine_tune: str, options: list[str]
) -> tuple[float, float, str, float]:
    """Return seconds, peak resident megabytes, what was said, and the seconds of all epochs."""
    code = "from scanner.cli import main; main()"
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        words = ["train", data, "--output", f"{folder}/model", "--weights", weights]
        words += ["--fine-tune", fine_tune, *options]
        with (Path(folder) / "said").open("w+") as said:
            started = time.perf_counter()
            process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=said)
            highest = 0
            while process.poll() is None:
                highest = max(highest, peaks(process.pid).get(process.pid, 0))
                time.sleep(0.05)
            seconds = time.perf_counter() - started
            if process.returncode:
                sys.exit(f"cxr-scan train failed with exit code {process.returncode}")
            said.seek(0)
            stages = json.loads((Path(folder) / "model" / "metrics.json").read_text())["run"]
            return seconds, highest / 1024, said.read(), stages["seconds"]["epochs"]


def main() -> None:
    data, weights, fine_tune, *options = sys.argv[1:]
    before = notebook(weights, fine_tune)
    seconds, memory, said, learning = ours(data, weights, fine_tune, options)
    print(said)
    after = notebook(weights, fine_tune)
    training, validation = np.mean([before, after], axis=0)
    shown = int(re.search(r"(\d+) images an epoch", said)[1])
    checked = int(re.search(r"validation (\d+)", said)[1])
    epochs = len(re.findall(r"^epoch \d+", said, re.MULTILINE))
    whole = EPOCHS * (shown * training + checked * validation)
    print(f"notebook: {1000 * training:.0f} ms an image in training")
    print(f"  (before ours {1000 * before[0]:.0f}, after {1000 * after[0]:.0f}),")
    print(f"  {1000 * validation:.0f} ms in validation;")
    print(f"  {EPOCHS} epochs of {shown} and {checked} images: {whole:.0f} s")
    print(f"cxr-scan train, from start to report: {seconds:.0f} s, peak memory {memory:.0f} MB")
    print(f"  of these {learning:.0f} s for {epochs} epochs")
    if epochs < EPOCHS:
        seconds += (EPOCHS - epochs) * learning / epochs
        print(f"  with {EPOCHS} epochs (extrapolated): {seconds:.0f} s")
    print(f"{whole / seconds:.1f} times quicker")


if __name__ == "__main__":
    main()
