"""Where a bundle's lung head and head of kinds come from: taught here, or taken from another."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from safetensors.numpy import save_file

from scanner import bundle, heads
from scanner.network import Weights
from scanner.preprocess import PreprocessSpec
from training import features, kinds, lungs, negatives
from training.data.dataset import Dataset
from training.data.rows import Rows
from training.fit import Recipe
from training.parts import TRAIN

Say = Callable[[str], None]
Arrays = dict[str, npt.NDArray[np.float32]]
# Weights, and figures about them.
Taught = tuple[Arrays, dict[str, Any]]


@dataclass(frozen=True)
class Heads:
    """The weights of both heads, as far as there are any, and what the card says of each."""

    weights: Arrays = field(default_factory=dict)
    lungs: str = ""
    kinds: str = ""
    recall: Mapping[str, Any] | None = None


def origin(data: Dataset, table: Path | None) -> str:
    """Return a name for what the heads of a training on `data` will come from.

    That is masks and negatives, by path, size and time, and the shipped model, which may lend its.
    """
    facts = [bundle.load_card(bundle.DEFAULT_BUNDLE)["id"]]
    given = [] if table is None else [table, *(one.path for one in negatives.read_table(table))]
    for file in (*map(Path, filter(None, data.masks)), *given):
        stat = file.stat()
        facts.append(f"{file} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def obtain(
    data: Dataset,
    parts: npt.NDArray[np.str_],
    start: Weights,
    spec: PreprocessSpec,
    recipe: Recipe,
    table: Path | None,
    work: Path,
    say: Say,
) -> Heads:
    """Return the heads for a network that begins with the weights `start`.

    The lung head is taught on the images of the train part (of `parts`, (N,)) that have masks, the
    head of kinds on them and on the negatives in `table`. Without masks or table the heads of
    `start` or else of the shipped model are taken, if they were taught on the same blocks 1 to 4.
    """
    if recipe.architecture != "vgg19":
        return Heads(
            lungs=f"{recipe.architecture} has no lung head",
            kinds=f"{recipe.architecture} has no gate on the image itself",
        )
    given, whose = _given(start, recipe)
    masked = np.array([bool(mask) for mask in data.masks]) & (parts == TRAIN)
    settings = lungs.LungSettings(recipe.size, recipe.precision, recipe.seed)
    names, recall = {}, None
    if masked.sum() >= lungs.LEAST_MASKS:
        count = min(int(masked.sum()), lungs.MOST_MASKS)
        names["lungs"] = f"taught on {count} images with lung masks"
        rows = np.flatnonzero(masked)
        weights, _ = _kept(
            work / "lungs.safetensors",
            lambda: (lungs.learn(data, rows, start, given, settings, work, say), {}),
        )
    else:
        weights = {name: given[name] for name in heads.lung_shapes() if name in given}
        names["lungs"] = whose if weights else _why_none(masked, whose)
    if table is not None:
        taught, recall = _kept(
            work / "kinds.safetensors",
            lambda: _taught_kinds(data, parts, start, spec, recipe, table, work, say),
        )
        names["kinds"] = (
            "taught on radiographs of the training part, pictures made of them, and the "
            f"{len(negatives.read_table(table))} negatives of {table.name}"
        )
        if unknown := [kind for kind in heads.KINDS if kind not in recall["recall"]]:
            names["kinds"] += f"; it had no picture of {', '.join(unknown)} and knows none"
        weights |= taught
    else:
        found = {name: given[name] for name in heads.kind_shapes() if name in given}
        names["kinds"] = whose if found else "none: the image itself is not checked"
        weights |= found
    say(f"lung head: {names['lungs']}")
    say(f"gate on the image: {names['kinds']}")
    return Heads(weights, names["lungs"], names["kinds"], recall)


def _given(start: Weights, recipe: Recipe) -> tuple[Arrays, str]:
    """Return the heads that fit the network's blocks 1 to 4, and whose they are or why none."""
    if recipe.cut == "input":
        return {}, "blocks 1 to 4 were trained too, so that no other lung head fits"
    own = heads.heads_of(start)
    if own:
        return own, "that of the model it was retrained from"
    shipped = bundle.load(bundle.DEFAULT_BUNDLE)
    found = heads.heads_of(shipped.weights)
    if found and heads.same_base(start, shipped.weights):
        return found, f"that of the shipped model {shipped.id}, whose blocks 1 to 4 are the same"
    if found:
        return {}, "blocks 1 to 4 are not those of the shipped model, whose lung head would not fit"
    return {}, "the shipped model has no lung head"


def _why_none(masked: npt.NDArray[np.bool_], whose: str) -> str:
    return f"{int(masked.sum())} images have masks, it takes {lungs.LEAST_MASKS}; and {whose}"


def _kept(place: Path, make: Callable[[], Taught]) -> Taught:
    """Return what is in `place`, or make it and keep it for a training that is continued."""
    if not place.exists():
        arrays, figures = make()
        draft = place.with_suffix(".draft")
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(arrays, draft, metadata={"figures": json.dumps(figures)})
        draft.replace(place)
    with safe_open(place, framework="np") as kept:
        figures = json.loads(kept.metadata()["figures"])
        return {name: kept.get_tensor(name) for name in kept.keys()}, figures  # noqa: SIM118, no dictionary


def _taught_kinds(
    data: Dataset,
    parts: npt.NDArray[np.str_],
    start: Weights,
    spec: PreprocessSpec,
    recipe: Recipe,
    table: Path,
    work: Path,
    say: Say,
) -> Taught:
    found = negatives.read(negatives.read_table(table), spec)
    rows = np.flatnonzero(parts == TRAIN)
    lesson = kinds.lesson(data.inputs, rows, data.sources, found, recipe.seed)
    pictures = work / "kinds.uint8"
    pictures.write_bytes(lesson.images.tobytes())
    images = Rows(pictures, np.uint8, lesson.images.shape[1:], len(lesson.images))
    say(f"gate on the image: {len(images)} pictures, {len(found)} of them given negatives")
    grid = features.compute(images, start, "kinds_grid", recipe.precision, work / "kinds.features")
    taught, figures = kinds.fit(grid[:].astype(np.float32), lesson.kinds, lesson.folds)
    for file in (images.path, grid.path):
        file.unlink()
    return taught, figures
