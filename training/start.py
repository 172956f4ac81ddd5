"""What a training starts from: ImageNet's weights, random ones, or a trained bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from scanner import bundle
from scanner.errors import SetupError
from scanner.network import Weights
from scanner.preprocess import PreprocessSpec
from training.made_from import load_parts
from training.weights import content_hash, imagenet


@dataclass(frozen=True)
class Start:
    """The weights before the first step, and where they come from.

    `weights` are the backbone's, with a head if a bundle is retrained, or empty if everything
    starts at random; `classes` are the bundle's, `parts` those that its images had, by digest.
    `text` and `sha256` go into the new card.
    """

    weights: Weights
    architecture: str
    classes: tuple[str, ...]
    spec: PreprocessSpec
    text: str
    sha256: str
    parts: Mapping[str, str] = field(default_factory=dict)


def begin(architecture: str, weights: Path | None, retrained: Path | None, dry_run: bool) -> Start:
    """Return the start that the options name; raises `SetupError` if they do not go together.

    A dry run downloads nothing: its weights stay empty if no file is named.
    """
    if retrained is not None:
        return _from_bundle(retrained, architecture, weights)
    if architecture != "vgg19":
        if weights is not None:
            raise SetupError(
                f"--weights are of VGG19, {architecture} starts at random: leave it out."
            )
        return Start({}, architecture, (), PreprocessSpec(), "random weights", "")
    if dry_run and weights is None:
        text = "ImageNet's weights, which Keras will download"
        return Start({}, architecture, (), PreprocessSpec(), text, "")
    found = imagenet(weights)
    # The shipped weights are int8: train on features of exactly those, not of finer ones.
    stored = bundle.dequantise(bundle.quantise(found.arrays))
    known = found.known or "not known as ImageNet's"
    text = f"weights of {found.file} ({known})"
    return Start(stored, architecture, (), PreprocessSpec(), text, found.sha256)


def _from_bundle(folder: Path, architecture: str, weights: Path | None) -> Start:
    if weights is not None:
        raise SetupError("--from and --weights both say where to start: give one of them.")
    loaded = bundle.load(folder)
    if loaded.architecture != architecture:
        raise SetupError(
            f"The model in {folder} is a {loaded.architecture}: say --architecture "
            f"{loaded.architecture} to retrain it."
        )
    return Start(
        loaded.weights,
        loaded.architecture,
        loaded.classes,
        loaded.spec,
        f"model {loaded.card.get('name', 'unnamed')} {loaded.id}",
        content_hash(loaded.weights),
        load_parts(folder),
    )


def with_classes(start: Start, classes: Sequence[str]) -> Weights:
    """Return the start's weights with a head for `classes`: known ones keep theirs, new ones are 0.

    Without a head, for instance ImageNet's weights, they are returned as they are.
    """
    if "head/kernel" not in start.weights:
        return start.weights
    kernel = np.zeros((start.weights["head/kernel"].shape[0], len(classes)), np.float32)
    bias = np.zeros(len(classes), np.float32)
    for number, name in enumerate(classes):
        if name in start.classes:
            known = start.classes.index(name)
            kernel[:, number] = start.weights["head/kernel"][:, known]
            bias[number] = start.weights["head/bias"][known]
    return {**start.weights, "head/kernel": kernel, "head/bias": bias}


def joined(start: Start, found: Sequence[str]) -> list[str]:
    """Return the classes of the new model: the bundle's, then those that only the data has."""
    return [*start.classes, *(name for name in found if name not in start.classes)]
