"""`cxr-scan audit`: the shortcut audit of a finished bundle on labelled data."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scanner import bundle as bundles
from scanner.storage import write_atomically
from training.audit import sample as samples
from training.audit import shortcuts
from training.audit.page import AuditPage, render
from training.data.dataset import Dataset, DataSettings
from training.data.labels import NEGATIVE
from training.labelled import check_writable, class_indices, load, taught

Say = Callable[[str], None]
FIGURES = "audit.json"
# Of the sample and of every test, so that the same command gives the same figures.
_SEED = 0


@dataclass(frozen=True)
class AuditSettings:
    """The options of one audit; `model` None is the shipped one.

    `images` is the most that are audited. `part` is empty, or the part of the data that its own
    split column names so.
    """

    data: DataSettings
    model: Path | None
    output: Path
    images: int
    precision: str = "auto"
    part: str = ""


def audit(settings: AuditSettings, say: Say) -> Path:
    """Audit a bundle on labelled images; write audit.json and audit.html, return the latter.

    Images that taught the model are passed over if its bundle knows them and others are left.
    Raises `SetupError` over a model, data or output folder that will not do, and if no image is
    left.
    """
    place = settings.model or bundles.DEFAULT_BUNDLE
    bundle = bundles.load(place)
    check_writable(settings.output)
    # In the output folder: /tmp is memory on many machines.
    with tempfile.TemporaryDirectory(dir=settings.output, prefix="inputs-") as work:
        data, rows, _ = load(settings.data, bundle, settings.part, Path(work), say)
        rows, about_seen, warnings = _unseen(data, rows, place)
        strata = [(data.sources[row], data.labels[row]) for row in rows]
        chosen = samples.choose(rows, strata, settings.images, _SEED)
        sample = samples.take(
            data.inputs,
            chosen,
            class_indices(data, bundle),
            data.sources,
            data.masks,
            bundle.classes,
            str(bundle.card.get("negative_class", NEGATIVE)),
        )
        judged = f"{len(chosen)} of {len(data)} images, drawn by source and class; {about_seen}"
        for line in (f"audited: {judged}", *warnings):
            say(line)
        found = shortcuts.run(bundle, sample, _SEED, settings.precision, say)
        counts = Counter(data.labels[row] for row in chosen)
        fingerprint = data.fingerprint
    figures = {
        **found.figures,
        "model": bundle.id,
        "data": {
            "fingerprint": fingerprint,
            "counts": dict(sorted(counts.items())),
            "sources": dict(sorted(Counter(sample.sources).items())),
            "seen": about_seen,
        },
    }
    text = json.dumps(figures, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(settings.output / FIGURES, text + "\n")
    name = bundle.card.get("name", bundle.id)
    page = AuditPage(
        title=f"Shortcut audit of {name} on {settings.data.path.resolve().name}",
        audit=found,
        card=bundle.card,
        facts={
            "Audited": judged,
            "Of these": ", ".join(f"{n} {label}" for label, n in sorted(counts.items())),
            "Named right": f"{found.figures['right']} of {len(sample)} before anything was changed",
            "Precision": found.figures["precision"],
            "Data": fingerprint,
        },
        warnings=warnings,
    )
    return render(settings.output, page)


def _unseen(
    data: Dataset, rows: samples.Indices, model: Path
) -> tuple[samples.Indices, str, list[str]]:
    """Return the rows that did not teach the model, what is said of that, and warnings."""
    seen = taught(data, model)
    if seen is None:
        text = "the model does not say which images it was made from"
        return rows, text, [f"{text[0].upper()}{text[1:]}: it may have seen some of these."]
    count = int(seen[rows].sum())
    if count == len(rows):
        text = f"all {count} images taught the model"
        return rows, text, [f"A{text[1:]}: new ones may give worse figures."]
    return rows[np.logical_not(seen[rows])], f"{count} that taught the model were passed over", []
