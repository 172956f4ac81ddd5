"""What is said of trust: a model's operating points, and what they give on images, by source."""

from collections.abc import Mapping
from typing import Any

from scanner.rates import with_interval
from training.results.metrics import Figures

# Parts of `trust_figures`: title, and the table's columns, key and heading. Where a part has
# figures per class, they are of the first column.
TABLES = (
    (
        "sets",
        "Prediction sets",
        (
            ("coverage", "class in the set"),
            ("uncertain", "uncertain"),
            ("accuracy_of_sure", "accuracy of the sure"),
        ),
    ),
    (
        "lung_focus",
        "Lung focus",
        (
            ("share", "focus"),
            ("lift", "lift"),
            ("area", "area of the lungs"),
            ("flagged", "flagged"),
        ),
    ),
    ("ood", "Out of distribution", (("flagged", "flagged"),)),
    ("gate", "Kind of picture", (("rejected", "rejected"), ("flagged", "flagged"))),
)


def trust_lines(card: Mapping[str, Any]) -> list[str]:
    """Return the section of a card in Markdown: nothing where the card has nothing of trust."""
    trust, lungs = card.get("trust", {}), card.get("lungs")
    lines = [f"- {text}" for text in _points(trust)]
    lines += [f"- {sentence}" for sentence in trust.get("left_out", [])]
    if lungs:
        lines.append(f"- Lung head: {lungs['text']}")
        for name, row in (lungs.get("dice") or {}).items():
            shown = with_interval(row, "dice")
            lines.append(f"- Dice of {name}, {row['images']} masks drawn by hand: {shown}")
    kinds = card.get("kinds")
    if kinds:
        lines.append(f"- Gate on the image: {kinds['text']}")
        told = ", ".join(
            f"{name} {row['recall']:.3f} of {row['n']}"
            for name, row in kinds.get("recall", {}).items()
        )
        if told:
            lines.append(f"- Kinds of pictures told apart, in cross-validation: {told}")
    found = card.get("metrics", {}).get("trust", {})
    for part, title, columns in TABLES:
        if part in found.get("all", {}):
            lines += ["", f"### {title}", "", *_table(part, columns, found)]
    return ["", "## Trust", "", *lines] if lines else []


def _points(trust: Mapping[str, Any]) -> list[str]:
    """Return each operating point in words."""
    said = []
    if "conformal" in trust:
        thresholds = trust["conformal"]["thresholds"].items()
        named = ", ".join(f"{name} from {threshold:g}" for name, threshold in thresholds)
        said.append(f"Prediction sets ({named}). {trust['conformal']['text']}")
    for part, title, side in (
        ("lung_focus", "Lung focus", "below"),
        ("ood", "Out of distribution", "above"),
    ):
        if part in trust:
            said.append(
                f"{title}, flagged {side} {trust[part]['threshold']}. {trust[part]['text']}"
            )
    for group, found in trust.get("ood", {}).get("auroc", {}).items():
        if found["auroc"]:
            said.append(
                f"Distance of {group} ({found['images']} images) against that of test images: "
                f"AUROC {found['auroc']}."
            )
    if "gate" in trust:
        gate = trust["gate"]
        said.append(
            f"Kind of picture, rejected below {gate['reject_below']:g}, flagged below "
            f"{gate['flag_below']:g}. {gate['text']}"
        )
    return said


def _table(
    part: str, columns: tuple[tuple[str, str], ...], found: Mapping[str, Figures]
) -> list[str]:
    """Return a table with a row for each source."""
    columns = tuple(column for column in columns if column[0] in found["all"][part])
    classes = list(found["all"][part].get("per_class", {}))
    headings = [heading for _, heading in columns]
    headings += [f"{columns[0][1]}, {name}" for name in classes]
    lines = [f"| images of | n | {' | '.join(headings)} |", "|---" * (2 + len(headings)) + "|"]
    for source, figures in found.items():
        row = figures[part]
        cells = [with_interval(row, key) for key, _ in columns]
        cells += [with_interval(row["per_class"][name], columns[0][0]) for name in classes]
        images = row.get("images", figures["images"])
        lines.append(f"| {source} | {images} | {' | '.join(cells)} |")
    return lines


def as_lines(found: Mapping[str, Figures]) -> list[str]:
    """Return a line for all images and one for each source, of what the figures hold of it."""
    lines = []
    for source, figures in found.items():
        words = [
            f"{title.lower()}: {heading} {with_interval(figures[part], key)}"
            for part, title, columns in TABLES
            for key, heading in columns
            if key in figures.get(part, {})
        ]
        if words:
            lines.append(f"{source}: " + "; ".join(words))
    return lines
