"""The card of a model as text: `models/README.md` is what this prints of the default bundle."""

import json
import sys
from pathlib import Path
from typing import Any

from scanner.bundle import CARD


def as_markdown(card: dict[str, Any]) -> str:
    """Return a model card in Markdown, made from nothing but `model.json`."""
    lines = [
        f"# {card['name']} ({card['id']})",
        "",
        card["intended_use"],
        "",
        f"**Limits.** {card['known_limits']}",
        "",
        f"**Trained on.** {card['trained_on']}",
        "",
        f"**Recipe.** {card['recipe']['text']}",
        "",
        f"Classes: {', '.join(card['classes'])}. Temperature {card['temperature']:.3f}; expected "
        f"calibration error on test images {card['metrics']['calibration_error']['after']} "
        f"(before: {card['metrics']['calibration_error']['before']}).",
        "",
        "## Held-out images",
        "",
        "Split by patient where the data names one, else by near-duplicate; "
        f"{card['data']['crossing']} images would have had a near-duplicate or the same patient in "
        "another part, had the split been by image.",
        "",
        f"| images of | n | accuracy (95 %) | macro F1 | AUC {card['classes'][0]} |",
        "|---|---|---|---|---|",
    ]
    for source, figures in card["metrics"]["test"].items():
        low, high = figures["accuracy_95"]
        auc = figures["per_class"][card["classes"][0]]["auc"]
        lines.append(
            f"| {source or 'unnamed source'} | {figures['images']} | {figures['accuracy']:.3f} "
            f"({low:.3f} to {high:.3f}) | {figures['macro_f1']:.3f} "
            f"| {'-' if auc is None else f'{auc:.3f}'} |"
        )
    lines += [
        "",
        "Per class, all sources together:",
        "",
        "| class | precision | recall | F1 | n |",
        "|---|---|---|---|---|",
    ]
    for name, row in card["metrics"]["test"]["all"]["per_class"].items():
        lines.append(
            f"| {name} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} "
            f"| {row['support']} |"
        )
    lines += ["", "## Precisions, against float32 on validation images", ""]
    for name, row in card["precisions"].items():
        lines.append(
            f"- {name}: {100 * row['label_agreement']:.2f} % equal labels on {row['images']} "
            f"images, largest change of a probability {row['largest_change']:.4f}"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_markdown(json.loads((Path(sys.argv[1]) / CARD).read_text(encoding="utf-8"))), end="")
