"""Labelled files in a tree: a folder for each class, with lung masks as in Kaggle's database."""

from collections import Counter
from pathlib import Path

from scanner.errors import SetupError
from scanner.walk import HEAD_BYTES, IMAGE_KINDS, list_files, recognise
from training.data.forms import Found, Item, of_files
from training.data.labels import Vocabulary
from training.data.tables import part_of

_IMAGES, _MASKS = "images", "masks"


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted, without hidden ones and the rests of archives."""
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def class_folders(folder: Path, vocabulary: Vocabulary) -> bool:
    """Tell whether the folders in a folder are named like classes, or like parts that hold such."""
    places = subfolders(folder)
    return any(vocabulary.class_of(place.name) for place in places) or any(
        part_of(place.name) and any(vocabulary.class_of(inner.name) for inner in subfolders(place))
        for place in places
    )


def by_class(folder: Path, vocabulary: Vocabulary) -> Found:
    """Return the files of a tree whose folders are named like classes, in sorted order.

    ``COVID/images`` beside ``COVID/masks``: images are taken from the first, and a mask of the same
    stem belongs to each. ``train``, ``val`` and ``test`` above the classes are the images' parts.
    Folders of other names come along under their name. Raises `SetupError` if the folder of a
    class holds no image.
    """
    paths: list[Path] = []
    items: list[Item] = []
    left_out: Counter[str] = Counter()
    for place, part in _places(folder, vocabulary):
        inner = place / _IMAGES
        listing = list_files(inner if inner.is_dir() else place)
        found = [source.path for source in listing.sources]
        if vocabulary.class_of(place.name) and not any(map(_is_image, found)):
            raise SetupError(
                f"{place} holds no image: a label without images cannot be learnt; add some, or "
                "take the folder away."
            )
        masks = _masks(place) if inner.is_dir() else {}
        for path in found:
            name = path.relative_to(folder).as_posix()
            items.append(Item(name, place.name, mask=masks.get(path.stem, ""), part=part))
        paths += found
        left_out.update(listing.passed_over)
        left_out.update(unreadable_folder=len(listing.unreadable_folders))
    kaggle = any(item.mask for item in items)
    parts = any(item.part for item in items)
    form = "Kaggle's folders of images and masks" if kaggle else "a folder for each class"
    return of_files(form + (", in parts" if parts else ""), paths, items, +left_out)


def _places(folder: Path, vocabulary: Vocabulary) -> list[tuple[Path, str]]:
    """Return the folders of the classes, each with the part it is in."""
    places = subfolders(folder)
    if any(vocabulary.class_of(place.name) for place in places):
        return [(place, "") for place in places]
    parts = [(place, part_of(place.name)) for place in places]
    return [(inner, part) for place, part in parts if part for inner in subfolders(place)]


def _masks(place: Path) -> dict[str, str]:
    return {s.path.stem: str(s.path.absolute()) for s in list_files(place / _MASKS).sources}


def _is_image(path: Path) -> bool:
    try:
        with path.open("rb") as handle:
            return recognise(handle.read(HEAD_BYTES), path.name) in IMAGE_KINDS
    except OSError:
        return False
