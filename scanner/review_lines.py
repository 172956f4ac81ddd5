"""What `cxr-scan review` prints, as lines for a terminal."""

from collections import Counter
from collections.abc import Iterator, Sequence

from scanner import agreement, manifest, output
from scanner.agreement import DISAGREES, Kappa, Verdict
from scanner.decisions import UNCLEAR, Decision
from scanner.records import UNCERTAIN
from scanner.review import Review
from scanner.text import printable

# What follows is in the file; a terminal is no place for more.
_MOST_LISTED = 20
# What `Review.merged` counts.
_MERGED = ("new", "changed", "as before", "earlier")


def lines(review: Review, files: int) -> Iterator[str]:
    """Yield what was merged from `files` files, what is in conflict, and how far people agree."""
    if files:
        counts = [f"{n:,} {what}" for what in _MERGED if (n := review.merged[what])]
        yield f"merged: {', '.join(counts) or 'no decisions'}"
    if not review.decisions:
        yield "reviewed: nothing yet; the report exports decisions.csv"
        return
    yield _about_reviewers(review.decisions)
    yield from _about_conflicts(review.decisions)
    yield from _about_model(review)
    for first, second, kappa in agreement.between(review.decisions):
        yield printable(f"{first} and {second}: {_in_words(kappa)}")
    seconds = agreement.median_seconds(review.decisions)
    if seconds is not None:
        yield f"time: {seconds:.1f} s an image (median)"
    yield printable(f"decisions: {review.folder / output.REVIEWED}")


def warnings(review: Review) -> Iterator[str]:
    """Yield what was not taken in, and why; nothing of it is in ``reviewed.csv``."""
    for reason, said in review.left_out.items():
        first = f"{printable(said[0].where)}, {said[0].path}"
        yield f"{len(said):,} decision(s) left out, {reason}: the first is {first}"


def _about_reviewers(said: Sequence[Decision]) -> str:
    images = len({(one.path, one.sha256) for one in said})
    names: dict[str, str] = {}
    for one in said:
        names.setdefault(one.by, one.reviewer)
    of_each = Counter(one.by for one in said)
    who = ", ".join(f"{names[by]} {count:,}" for by, count in of_each.most_common())
    return printable(f"reviewed: {images:,} images, {len(said):,} decisions by {who}")


def _about_conflicts(said: Sequence[Decision]) -> Iterator[str]:
    of_image: dict[tuple[str, str], list[Decision]] = {}
    for one in said:
        if one.conflict:
            of_image.setdefault((one.path, one.sha256), []).append(one)
    if not of_image:
        return
    yield f"conflicts: {len(of_image):,}, without a label until one of the reviewers changes it"
    for (path, _), both in list(of_image.items())[:_MOST_LISTED]:
        words = (f"{one.reviewer} {_decided(one)}" for one in both if _decided(one))
        yield f"  {path}: {printable(', '.join(words))}"
    if len(of_image) > _MOST_LISTED:
        yield f"  and {len(of_image) - _MOST_LISTED:,} more, where conflict is yes"


def _decided(one: Decision) -> str:
    if one.decision or not one.agrees:
        return one.decision
    answer = one.prediction or "the rejection"
    return f"agrees with {answer}" if one.agrees == "yes" else f"not {answer}"


def _about_model(review: Review) -> Iterator[str]:
    said = agreement.verdicts(review)
    judged = [one for one in said if one.image.probabilities]
    other = [one for one in said if not one.image.probabilities]
    beside = len(review.decisions) - sum(len(both) for _, both in review.current())
    if judged:
        yes, asked = agreement.agreed(judged)
        yield f"model: reviewers agree with its answer on {yes:,} of {asked:,} images"
        yield from _table(judged, review.classes)
        kappa = agreement.with_model(judged, review.classes)
        yield f"kappa of reviewers and model: {_in_words(kappa)}"
        yield from _about_points(review, judged)
        yield (
            "  These are of the images reviewed, by people who saw the model's answer: no estimate "
            "for the whole scan."
        )
    if other:
        yes, asked = agreement.agreed(other)
        yield f"rejected or failed: reviewers agree on {yes:,} of {asked:,}"
    if beside:
        yield (
            f"kept but not compared: {beside:,} decision(s) on another model's answer, or on files "
            "that are others since"
        )


def _table(judged: Sequence[Verdict], classes: Sequence[str]) -> Iterator[str]:
    """Yield the confusion as lines of a table; rows and columns beyond the classes if needed."""
    counts = agreement.confusion(judged)
    if not counts:
        return
    rows = [*classes, *(n for n in (UNCLEAR, DISAGREES) if any(r == n for r, _ in counts))]
    columns = [*classes, *(n for n in (UNCERTAIN,) if any(c == n for _, c in counts))]
    cells = [
        ["reviewers \\ model", *map(printable, columns)],
        *([printable(row), *(f"{counts[row, c]:,}" for c in columns)] for row in rows),
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for first, *others in cells:
        numbers = (text.rjust(width) for text, width in zip(others, widths[1:], strict=True))
        yield "  ".join([f"  {first.ljust(widths[0])}", *numbers])


def _in_words(kappa: Kappa) -> str:
    if not kappa.images:
        return "undefined, no image was given a class by both"
    if kappa.value is None:
        return f"undefined, {kappa.images:,} images that both gave a class are of one class alone"
    return f"{kappa.value:.3f} on {kappa.images:,} images that both gave a class"


def _about_points(review: Review, judged: Sequence[Verdict]) -> Iterator[str]:
    card = manifest.load(review.folder / output.MANIFEST).get("card")
    points = agreement.at_points(judged, review.classes, card if isinstance(card, dict) else {})
    if not points:
        yield "sensitivity, specificity: no operating point in the model's card, or no class given"
        return
    from scanner.rates import with_interval

    yield "at the operating points of the model's card (95 % intervals):"
    for point in points:
        rules = f" ({', '.join(point.rules)})" if point.rules else ""
        yield printable(f"  {point.name} from {point.threshold:g}{rules}:")
        for name, count in (("sensitivity", point.positive), ("specificity", point.negative)):
            yield f"    {name} {with_interval(point.figures, name)} on {count:,} images"
