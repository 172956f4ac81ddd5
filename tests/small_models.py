"""Models that cost little: random weights, the small network, a card with the least it needs."""

from pathlib import Path
from typing import Any

import numpy as np

from scanner import bundle, heads, ood
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


def save_vgg19_with_heads(folder: Path, kind: str = "frontal", **card: Any) -> str:
    """Write a vgg19 with every head, all random, and return its id; 20 MB, seconds to run.

    It takes every picture for one of `kind`, and all of it for lung.
    """
    random = np.random.default_rng(7)
    weights = random_weights("vgg19")
    for name, shape in {**heads.lung_shapes(), **heads.kind_shapes()}.items():
        scale = np.sqrt(2 / np.prod(shape[:-1])) if name.endswith("kernel") else 0.01
        weights[name] = random.normal(0, scale, shape).astype(np.float32)
    weights["lungs_field/kernel"] *= 0
    weights["lungs_field/bias"] += 3
    weights["kinds/kernel"] *= 0
    weights["kinds/bias"] = 9 * np.eye(len(heads.KINDS), dtype=np.float32)[heads.KINDS.index(kind)]
    embeddings = random.uniform(0, 1, (40, 512)).astype(np.float32)
    weights |= ood.fit(embeddings, np.arange(40) % 3)
    least = {
        "classes": ["Covid-19", "Normal", "Pneumonia"],
        "negative_class": "Normal",
        "preprocess": PreprocessSpec().as_json(),
        "temperature": 1.5,
        "lungs": {"text": "Random.", "dice": {"all": {"dice": 0.5}}},
        "trust": {
            "lung_focus": {"threshold": 0.4, "quantile": 0.02, "text": "Made up."},
            "conformal": {
                "promised": 0.95,
                "thresholds": {"Covid-19": 0.0, "Normal": 0.0, "Pneumonia": 1.0},
                "text": "Made up.",
            },
            "ood": {"threshold": 0.1, "quantile": 0.99, "text": "Made up."},
            "gate": {"reject_below": 0.05, "flag_below": 0.5, "text": "Made up."},
            "left_out": [],
        },
    }
    return bundle.save(folder, least | card, bundle.quantise(weights))
