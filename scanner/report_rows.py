"""One row of the CSV as the report shows it, and which pictures there are."""

import base64
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scanner import output
from scanner.records import UNCERTAIN
from scanner.trust_words import about_image

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ANY = "0" * 64
_PLAIN, _OVERLAY = (path.name[64:] for path in output.picture_paths(Path(), _ANY))
_DETAIL = output.detail_path(Path(), _ANY).name[64:]
# So many characters of a pseudonym tell patients of one scan apart.
_SHOWN_OF_PSEUDONYM = 8


class Pictures:
    """The pictures of an output folder that are there and not empty.

    The folders are listed once: a question for every picture takes minutes on a file share. With
    `embed` an address holds the picture itself.
    """

    def __init__(self, folder: Path, embed: bool = False) -> None:
        self._report = folder / output.REPORT
        self._embed = embed
        self._there: dict[str, frozenset[str]] = {}
        kinds = (_PLAIN, _OVERLAY, _DETAIL)
        thumbs = output.picture_paths(folder, _ANY)[0].parent.parent
        # Most images have the same pictures: one set stands for all of them.
        sets: dict[frozenset[str], frozenset[str]] = {}
        for place in _entries(thumbs):
            found: dict[str, set[str]] = {}
            for entry in _entries(Path(place.path)):
                sha256, kind = entry.name[:64], entry.name[64:]
                if kind in kinds and _SHA256.fullmatch(sha256) and _is_filled(entry):
                    found.setdefault(sha256, set()).add(kind)
            for sha256, have in found.items():
                frozen = frozenset(have)
                self._there[sha256] = sets.setdefault(frozen, frozen)

    def pair(self, sha256: str) -> list[str] | None:
        """Return the addresses of radiograph and overlay, None if one of them is missing."""
        if {_PLAIN, _OVERLAY} <= self._there.get(sha256, frozenset()):
            return [self._address(sha256, _PLAIN), self._address(sha256, _OVERLAY)]
        return None

    def plain(self, sha256: str) -> str:
        """Return the address of the radiograph, empty if it is missing."""
        there = _PLAIN in self._there.get(sha256, ())
        return self._address(sha256, _PLAIN) if there else ""

    def detail(self, sha256: str) -> str:
        """Return the address of the larger radiograph, empty if it is missing."""
        there = _DETAIL in self._there.get(sha256, ())
        return self._address(sha256, _DETAIL) if there else ""

    def _address(self, sha256: str, kind: str) -> str:
        name = f"thumbs/{sha256[:2]}/{sha256}{kind}"
        if not self._embed:
            return name
        data = (self._report / name).read_bytes()
        return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:  # missing, a file in its place, or not ours to read
        return []


def _is_filled(entry: "os.DirEntry[str]") -> bool:
    """Tell whether a power cut left anything of a picture."""
    try:
        return entry.stat().st_size > 0
    except OSError:
        return False


def add_view(
    row: dict[str, Any], classes: Sequence[str], pictures: Pictures, card: Mapping[str, Any]
) -> None:
    """Add to a judged row's cells what a card shows beyond them.

    `probabilities` [(class, 0..1)], `best` class, `set` of classes it could be, `uncertain`,
    `flag_list`, `pictures` (`Pictures.pair`), `trust` (sentences), `facts` (one line). Raises
    `ValueError` if a number is none.
    """
    row["probabilities"] = [(name, float(row[f"prob_{name}"] or 0)) for name in classes]
    row["flag_list"] = [flag for flag in row["flags"].split(";") if flag]
    row["best"] = max(row["probabilities"], key=lambda pair: pair[1], default=("", 0))[0]
    row["uncertain"] = row["prediction"] == UNCERTAIN
    row["set"] = row["prediction_set"].split(";")
    row["pictures"] = pictures.pair(row["sha256"])
    row["trust"] = about_image(row, card)
    row["facts"] = _facts(row)


def for_app(row: Mapping[str, Any], pictures: Pictures) -> dict[str, Any]:
    """Return what the app shows of a row beyond the index, as values of JSON.

    `row` has its view (`add_view`) if it was judged. Of one that was rejected for what it shows,
    `pictures` is the radiograph alone; a duplicate's original has its own row.
    """
    judged = bool(row["prediction"])
    shown = row["pictures"] if judged else None
    if row["status"] == "rejected" and row["reason"] != "duplicate":
        plain = pictures.plain(row["sha256"])
        shown = [plain] if plain else None
    return {
        "sha256": row["sha256"],
        "pictures": shown,
        "detail": (pictures.detail(row["sha256"]) or None) if shown else None,
        "best": row["best"] if judged else "",
        "set": row["set"] if judged else [],
        "uncertain": judged and row["uncertain"],
        "probabilities": row["probabilities"] if judged else [],
        "trust": row["trust"] if judged else [],
        "facts": row["facts"] if judged else _facts(row),
        "detailText": row["detail"],
        "camEmpty": row["cam_empty"] == "yes",
        "patient": row["patient"][:_SHOWN_OF_PSEUDONYM],
    }


def _facts(row: Mapping[str, str]) -> str:
    size = f"{row['columns']} × {row['rows']}" if row["columns"] else ""
    patient = row["patient"][:_SHOWN_OF_PSEUDONYM]
    said = (row["format"], row["modality"], row["body_part"], row["view"], size, row["voi"])
    return " · ".join(filter(None, (*said, f"patient {patient}" if patient else "")))
