"""Which form labelled data has, told by looking at it."""

from collections.abc import Sequence
from pathlib import Path

from scanner.errors import SetupError
from scanner.output import is_output
from training.data import arrays, folders, tables
from training.data.forms import Found
from training.data.labels import Vocabulary

_EXPECTED = (
    "expected a folder with images.npy and labels.npy, an .npz, a folder with one folder for each "
    "class, a folder of images with a label CSV, a CSV with the columns path and label, or the "
    "output folder of a reviewed scan"
)


def find(
    path: Path,
    images: str,
    labels: str,
    vocabulary: Vocabulary,
    value_range: tuple[float, float] | None,
) -> Found:
    """Return the labelled images at `path`, none of which is decoded yet.

    `images` and `labels` name files relative to the data, or keys of an .npz; empty, they are told
    by looking. Raises `SetupError` with what was seen if it is none of the known forms.
    """
    if path.is_dir():
        return _in_folder(path, images, labels, vocabulary, value_range)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return arrays.in_npz(path, images, labels, value_range)
    if suffix == ".npy":
        return arrays.in_npy(path, path.parent / (labels or arrays.LABELS), value_range)
    if suffix == ".csv" and path.is_file():
        return tables.reviewed(path) if tables.is_review(path) else tables.from_csv(path)
    raise SetupError(f"{path} is no training data: {_EXPECTED}.")


def _in_folder(
    folder: Path,
    images: str,
    labels: str,
    vocabulary: Vocabulary,
    value_range: tuple[float, float] | None,
) -> Found:
    if is_output(folder):
        return tables.reviewed(folder)
    by_suffix = {suffix: _with_suffix(folder, suffix) for suffix in (".csv", ".npy", ".npz")}
    if labels.lower().endswith(".csv"):
        return tables.from_csv(_existing(folder / labels, "--labels"), folder)
    if images.endswith(".npy") or (not images and (folder / arrays.IMAGES).is_file()):
        files = (folder / (images or arrays.IMAGES), folder / (labels or arrays.LABELS))
        return arrays.in_npy(*files, value_range)
    if folders.class_folders(folder, vocabulary):
        if tables_beside := [file for file in by_suffix[".csv"] if tables.is_labelled(file)]:
            raise SetupError(
                f"{folder} holds class folders and {_names(tables_beside)}, which has labels too: "
                "--labels FILE takes the labels from the table; move it away for those of the "
                "folders."
            )
        return folders.by_class(folder, vocabulary)
    if len(by_suffix[".csv"]) == 1:
        return tables.from_csv(by_suffix[".csv"][0])
    if len(by_suffix[".npz"]) == 1:
        return arrays.in_npz(by_suffix[".npz"][0], images, labels, value_range)
    inner = folders.subfolders(folder)
    if len(inner) == 1 and not any(by_suffix.values()):  # a zip unpacked into a folder of its name
        return _in_folder(inner[0], images, labels, vocabulary, value_range)
    raise SetupError(_unknown(folder, by_suffix))


def _with_suffix(folder: Path, suffix: str) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() == suffix and p.is_file())


def _existing(file: Path, option: str) -> Path:
    if not file.is_file():
        raise SetupError(f"{file} is not there: {option} names a file relative to the data.")
    return file


def _unknown(folder: Path, by_suffix: dict[str, list[Path]]) -> str:
    """Return one line that says what a folder holds and which option would make data of it."""
    if len(by_suffix[".npy"]) > 1:
        return (
            f"{folder} holds {_names(by_suffix['.npy'])} but no {arrays.IMAGES}: say which are "
            "which with --images FILE --labels FILE."
        )
    if len(by_suffix[".csv"]) > 1:
        return f"{folder} holds {_names(by_suffix['.csv'])}: --labels FILE says which has labels."
    if len(by_suffix[".npz"]) > 1:
        return f"{folder} holds {_names(by_suffix['.npz'])}: give the one that is meant."
    seen = folders.subfolders(folder)
    known = "COVID, Normal, Viral Pneumonia, …"
    if seen:
        return (
            f"{folder} has no folder whose name is a class ({known}) but {_names(seen)}: "
            "--classes names other classes."
        )
    return f"{folder} has no folder whose name is a class ({known}): {_EXPECTED}."


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths[:5]) + (", …" if len(paths) > 5 else "")
