"""The folder of an unfinished training: what it keeps, who may continue it, and when it goes."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from scanner.bundle import CARD
from scanner.errors import SetupError
from scanner.storage import write_atomically
from training import checkpoint
from training.results.report import METRICS, REPORT

# Below the output folder: /tmp is memory on many machines, and a cache may be large.
_WORK = "unfinished"
_OPTIONS = "options.json"
_STATES = "round-{}.safetensors"
# Options that say nothing to a reader.
_HASHED = ("data", "split", "heads")
# What a training writes beside the model, and somebody else may have written before.
_WRITTEN = ("README.md", METRICS, REPORT)


def check(output: Path, data: Path, resume: bool) -> None:
    """Raise `SetupError` if a training on `data` may not begin, or be continued, in `output`."""
    if output.exists() and not output.is_dir():
        raise SetupError(f"{output} is a file: --output names a folder for the model.")
    if data.is_dir() and output.absolute().is_relative_to(data.absolute()):
        raise SetupError(f"{output} lies in the data: choose an --output outside of {data}.")
    begun = (output / _WORK / _OPTIONS).exists()
    if (output / CARD).exists() and not (begun and resume):
        raise SetupError(f"{output} holds a model already: choose another --output.")
    others = [name for name in _WRITTEN if (output / name).exists()]
    if others and not begun:
        raise SetupError(
            f"{output} holds {' and '.join(others)}, which would be overwritten: choose another "
            "--output."
        )
    if begun and not resume:
        raise SetupError(
            f"{output} holds an unfinished training: continue it with --resume, or delete "
            f"{output / _WORK} to start over."
        )
    if resume and not begun:
        raise SetupError(f"{output} holds no unfinished training: leave out --resume to begin one.")


@contextmanager
def folder(output: Path) -> Iterator[Path]:
    """Yield the folder for what an unfinished training needs; it goes when the model is there.

    Raises `SetupError` if another training is at work in it.
    """
    work, new = output / _WORK, not output.exists()
    work.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(work / ".lock", timeout=0):
            yield work
    except Timeout:
        raise SetupError(
            f"Another training is at work in {output}: wait for it, or choose another --output."
        ) from None
    except BaseException:
        if not (work / _OPTIONS).exists():  # nothing was begun that could be continued
            shutil.rmtree(output if new else work)
        raise
    shutil.rmtree(work)


@contextmanager
def passing_folder() -> Iterator[Path]:
    """Yield a folder that goes whatever happens, for a dry run."""
    with tempfile.TemporaryDirectory(prefix="cxr-scan-train-") as place:
        yield Path(place)


def state(work: Path, number: int) -> Path:
    """Return the file for the state of round `number`, counted from 0."""
    return work / _STATES.format(number + 1)


def note(work: Path, options: dict[str, Any]) -> None:
    """Write down what is begun; raises `SetupError` if something else was begun here.

    `options` are what the result depends on, as JSON values.
    """
    place = work / _OPTIONS
    if place.exists():
        before = json.loads(place.read_text(encoding="utf-8"))
        changed = sorted(name for name in options if before.get(name) != options[name])
        if changed:
            told = (
                f"the {name} is another"
                if name in _HASHED
                else f"{name} was {before.get(name)}, is {options[name]}"
                for name in changed
            )
            raise SetupError(f"--resume needs the data and options of before: {', '.join(told)}.")
    write_atomically(place, json.dumps(options, indent=2) + "\n")


def in_words(output: Path) -> str:
    """Return what an interrupted training left behind, and how to go on."""
    work = output / _WORK
    again = "the same command with --resume continues"
    states = list(work.glob(_STATES.format("*")))
    if not (work / _OPTIONS).exists():
        return "Interrupted before anything was kept: run the same command again."
    if not states:
        return f"Interrupted. What was computed is in {work}; {again}."
    epochs, best, accuracy = checkpoint.summary(state(work, len(states) - 1))
    which = f" of round {len(states)}" if len(states) > 1 else ""
    return (
        f"Interrupted after epoch {epochs}{which}. The best weights so far (epoch {best}, "
        f"validation accuracy {accuracy:.4f}) are kept in {work}; {again}"
        + ("." if which else f", with --epochs {epochs} it ends there and makes the model.")
    )
