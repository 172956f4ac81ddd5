"""Which image needs a human first: the one order of worklist, pages, cards and table."""

from collections.abc import Mapping

from scanner.records import UNCERTAIN

# What a header leaves out or names oddly says nothing against the picture, which the network was
# shown and which `image_gate` has seen: such an image waits with those that have no flag. Any other
# flag, also one of a later version, doubts the picture itself.
HEADER_FLAGS = frozenset(
    {"modality_unclear", "body_part_missing", "body_part_unclear", "view_missing", "view_unclear"}
)
# Where the evidence lies, or that there is none.
EVIDENCE_FLAGS = frozenset({"looks_outside_lungs", "cam_empty"})

UNCERTAIN_GROUP, DOUBTFUL, OUTSIDE, POSITIVE, REST, REJECTED, FAILED = range(7)
# (slug, words), those that need a human most first; the last two were not judged.
GROUPS: tuple[tuple[str, str], ...] = (
    ("uncertain", "uncertain: could be of several classes"),
    ("doubtful", "flagged: the picture itself is in doubt"),
    ("outside", "evidence outside the lungs, or none"),
    ("positive", "positive"),
    ("rest", "the rest"),
    ("rejected", "rejected, not judged"),
    ("failed", "failed, not read"),
)

Order = tuple[int, float, str]


def order(row: Mapping[str, str], negative: str) -> Order:
    """Return the sort key of a row of the CSV: its group's number, its confidence, its path.

    Within a group the least sure stand first. `negative` is the class of the well; without one
    every class is a finding. Raises `ValueError` if the confidence is no number.
    """
    return _group(row, negative), float(row["confidence"] or 0), row["path"]


def _group(row: Mapping[str, str], negative: str) -> int:
    if not row["prediction"]:
        return REJECTED if row["status"] == "rejected" else FAILED
    flags = frozenset(filter(None, row["flags"].split(";")))
    if row["prediction"] == UNCERTAIN:
        return UNCERTAIN_GROUP
    if flags - HEADER_FLAGS - EVIDENCE_FLAGS:
        return DOUBTFUL
    if flags & EVIDENCE_FLAGS:
        return OUTSIDE
    return REST if row["prediction"] == negative else POSITIVE
