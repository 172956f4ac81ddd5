"""An audit made without a model: a finding of every kind, with pictures."""

import numpy as np

from training.audit.pictures import heat, side_by_side
from training.audit.result import SHARE, Audit, Figure, Finding, Goal, as_json, not_done
from training.results import plots


def made_audit(text: str = "Letters in the corners") -> Audit:
    """Findings with a row of pictures, two rows, a drawing, and none; `text` is long or hostile."""
    grey = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    inside = np.zeros((64, 64), bool)
    inside[20:50, 10:30] = True
    hot = heat(grey, np.eye(16, dtype=np.float32), inside)
    share = Figure("labels flipped", 0.0123, [0.004, 0.021], SHARE)
    findings = [
        Finding(
            "letters",
            text,
            f"A sentence with {text} in it.",
            share,
            200,
            details=[Figure(f"mean change of p({text})", 0.0042, [0.001, 0.009]), share],
            goals=[Goal("under 0.5 %", False), Goal(f"mean change of p({text}) under 0.01", True)],
            caption=f"What {text} did.",
        ),
        not_done("lungs", "Lungs blanked", "What it means.", "accuracy above chance", "no masks"),
        Finding(
            "removal",
            "Does the heat map point at what counts?",
            "What it means.",
            Figure("insertion less deletion", -0.334, [-0.402, -0.269]),
            20,
            Figure("in a random order", 0.0),
            caption="Mean probability.",
        ),
        Finding("randomised", "Random weights", "It means.", Figure("rank correlation", 0.05), 20),
    ]
    figures = {
        "format": 1,
        "images": 200,
        "right": 190,
        "seed": 0,
        "precision": "float32",
        "lungs": f"lungs of 200 images drawn by {text}",
        "tests": [as_json(finding) for finding in findings],
    }
    curves = {f"{way}, {order}": [0.9, 0.5, 0.1] for order in "ab" for way in ("out", "in")}
    pictures = {
        "letters": side_by_side([[grey, grey, grey, grey]]),
        "removal": plots.removal(curves).encode(),
        "randomised": side_by_side([[hot, hot, hot], [hot, hot, hot]]),
    }
    return Audit(figures, pictures)
