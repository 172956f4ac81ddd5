"""Models that cost nothing: random weights, the small network, a card with the least it needs."""

from pathlib import Path
from typing import Any

import numpy as np

from scanner import bundle
from scanner.architecture import ARCHITECTURES, backbone_shapes
from scanner.preprocess import PreprocessSpec


def random_weights(architecture: str, classes: int = 3, seed: int = 7) -> dict[str, np.ndarray]:
    """Weights with which activations neither vanish nor explode (He et al. 2015)."""
    random = np.random.default_rng(seed)
    shapes = backbone_shapes(architecture)
    shapes["head/kernel"] = (ARCHITECTURES[architecture].embedding_size, classes)
    shapes["head/bias"] = (classes,)
    return {
        name: random.normal(
            0, np.sqrt(2 / np.prod(shape[:-1])) if name.endswith("kernel") else 0.01, shape
        ).astype(np.float32)
        for name, shape in shapes.items()
    }


def save_cnn10(folder: Path, seed: int = 7, **card: Any) -> str:
    """Write a bundle of the small network and return its id."""
    least = {
        "architecture": "cnn10",
        "classes": ["Covid-19", "Normal", "Pneumonia"],
        "preprocess": PreprocessSpec().as_json(),
        "temperature": 1.5,
    }
    return bundle.save(folder, least | card, bundle.quantise(random_weights("cnn10", seed=seed)))
