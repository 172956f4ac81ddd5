"""`cxr-scan review`: decisions of one or more people merged into `reviewed.csv`, and held up.

A reviewer's later decision on an image takes the place of the earlier one. Where two reviewers
differ both rows stay, marked: such an image has no label until one of them changes it.
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from scanner import decisions, output
from scanner.decisions import NO, UNCLEAR, YES, Decision
from scanner.errors import SetupError
from scanner.records import UNCERTAIN, SavedRows

# Of a hash, so many digits are enough beside the path; the report's index has no more.
_LEAST_DIGITS = 12
_PROBABILITY = "prob_"


@dataclass(frozen=True)
class Image:
    """What the scan's row says of one image; `probabilities` by class, empty if it has none."""

    path: str
    sha256: str
    prediction: str
    model: str
    probabilities: dict[str, float]


@dataclass
class Review:
    """All decisions on the images of a scan after a merge, sorted by path and reviewer.

    `images` are those decided on, by path; `classes` those of the model. `merged` counts what
    became of the decisions that were read: ``new``, ``changed``, ``as before``, ``earlier`` than
    the one that stands. `left_out` are those of no image of this scan, by reason.
    """

    folder: Path
    classes: list[str]
    images: dict[str, Image]
    decisions: list[Decision] = field(default_factory=list)
    merged: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, list[Decision]] = field(default_factory=dict)

    def current(self) -> list[tuple[Image, list[Decision]]]:
        """Return every image as it is in the scan now with what was said of this model's answer."""
        grouped: dict[str, list[Decision]] = {}
        for one in self.decisions:
            image = self.images.get(one.path)
            if image and (image.sha256, image.model) == (one.sha256, one.model):
                grouped.setdefault(one.path, []).append(one)
        return [(self.images[path], said) for path, said in grouped.items()]


def merge(folder: Path, files: Sequence[Path]) -> Review:
    """Merge exported decisions into the ``reviewed.csv`` of an output folder; merged twice is once.

    Raises `SetupError`, and changes nothing, over a file that is damaged or of another scan, over
    an unknown class, and if the folder cannot be written.
    """
    read = [one for file in files for one in decisions.read(file)]
    saved = folder / output.REVIEWED
    with SavedRows(folder / output.PREDICTIONS):
        pass  # what is no output folder is told before there is a lock in it
    try:
        with output.locked(folder, "then merge again"):
            known = _read_saved(saved)
            review = _look_up(folder, [*known, *read])
            standing = {_key(one): one for one in known}
            for one in read:
                _add(one, review, standing)
            _refuse_all_left_out(read, review)
            review.decisions = _marked(standing.values())
            if review.decisions or saved.exists():
                decisions.write(saved, review.decisions)
    except OSError as error:
        raise SetupError(
            f"{saved} cannot be written ({error.strerror}), nothing was merged: make room or give "
            "it write permission, then run the same command again."
        ) from error
    return review


def _read_saved(saved: Path) -> list[Decision]:
    if not saved.exists():
        return []
    try:
        return decisions.read(saved)
    except SetupError as error:
        raise SetupError(
            f"{error} Nothing was merged: mend {saved.name} or move it away, its decisions stand "
            "nowhere else but in what was exported."
        ) from error


def _look_up(folder: Path, said: Iterable[Decision]) -> Review:
    """Return a review without decisions yet, with the rows of the images that are spoken of."""
    wanted = {name for one in said for name in (one.path, one.path.removeprefix("'"))}
    with SavedRows(folder / output.PREDICTIONS) as rows:
        classes = [
            name.removeprefix(_PROBABILITY) for name in rows.header if name.startswith(_PROBABILITY)
        ]
        found = (_image(row, classes) for _, row in rows if row["path"] in wanted)
        return Review(folder, classes, {image.path: image for image in found})


def _image(row: dict[str, str], classes: list[str]) -> Image:
    try:
        judged = {n: float(row[_PROBABILITY + n]) for n in classes} if row["prediction"] else {}
    except ValueError:
        raise SetupError(
            f"The row of {row['path']} in {output.PREDICTIONS} is damaged: run the scan again with "
            "the same command, it makes anew what is damaged."
        ) from None
    return Image(row["path"], row["sha256"], row["prediction"], row["model"], judged)


def _add(one: Decision, review: Review, standing: dict[tuple[str, str, str], Decision]) -> None:
    """Take in a decision that was read: as the one that stands, or among what is left out."""
    image = _image_of(one, review)
    if image is None:
        return
    one = replace(one, path=image.path, sha256=image.sha256, model=one.model or image.model)
    if one.model == image.model:
        one = _answering(one, image, review.classes)
    before = standing.get(_key(one))
    if before is not None and before.model == one.model and not one.prediction:
        one = replace(one, prediction=before.prediction)
    if before is None:
        what = "new"
    elif replace(before, conflict=False) == replace(one, conflict=False):
        what = "as before"
    else:
        what = "changed" if one.decided_at >= before.decided_at else "earlier"
    review.merged[what] += 1
    if what in ("new", "changed"):
        standing[_key(one)] = one


def _image_of(one: Decision, review: Review) -> Image | None:
    """Return the image that a decision is of; if there is none, note why."""
    digits = max(len(one.sha256), _LEAST_DIGITS)
    reason = "no such image in this scan"
    for path in (one.path, one.path.removeprefix("'")):
        if image := review.images.get(path):
            if one.sha256 == image.sha256[:digits]:
                return image
            reason = "the file is another one since"
    review.left_out.setdefault(reason, []).append(one)
    return None


def _answering(one: Decision, image: Image, classes: list[str]) -> Decision:
    """Return a decision with the model's answer beside it; raise over a class that it lacks."""
    decision = _class_meant(one, classes)
    agrees = one.agrees
    if decision:
        same = decision == (UNCLEAR if image.prediction == UNCERTAIN else image.prediction)
        agrees = YES if same else NO
    return replace(one, decision=decision, agrees=agrees, prediction=image.prediction)


def _class_meant(one: Decision, classes: list[str]) -> str:
    known = {name.casefold(): name for name in ("", UNCLEAR, *classes)}
    meant = known.get(one.decision.casefold())
    if meant is None:
        near = difflib.get_close_matches(one.decision.casefold(), [*known], n=1)
        hint = f" Did you mean {known[near[0]]}?" if near else ""
        raise SetupError(
            f"{one.where}: the decision {one.decision!r} is no class of the model; expected "
            f"{', '.join(classes)} or {UNCLEAR}.{hint}"
        )
    return meant


def _refuse_all_left_out(read: list[Decision], review: Review) -> None:
    out = [one for said in review.left_out.values() for one in said]
    if read and len(out) == len(read):
        raise SetupError(
            f"None of the {len(read)} decision(s) is of an image in {review.folder} (the first is "
            f"of {read[0].path}: {next(iter(review.left_out))}): give the output folder whose "
            "report they were exported from."
        )


def _key(one: Decision) -> tuple[str, str, str]:
    return one.path, one.sha256, one.by


def _marked(said: Iterable[Decision]) -> list[Decision]:
    """Return decisions sorted, those in conflict marked."""
    ordered = sorted(said, key=_key)
    of_image: dict[tuple[str, str], list[Decision]] = {}
    for one in ordered:
        of_image.setdefault((one.path, one.sha256), []).append(one)
    return [replace(one, conflict=_in_conflict(of_image[one.path, one.sha256])) for one in ordered]


def _in_conflict(said: Sequence[Decision]) -> bool:
    """Tell whether two reviewers differ on one image.

    They do if they name different classes, or one names none and differs on the model's answer.
    """
    if len({one.decision for one in said if one.decision}) > 1:
        return True
    if all(one.decision for one in said):
        return False
    answers = {(one.model, one.agrees) for one in said if one.agrees}
    return len(answers) > len({model for model, _ in answers})
