"""The audit as a page of its own; the training report has the same section."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.audit.result import SHARE, Audit, shown
from training.results import page as page_file

PAGE = "audit.html"


@dataclass(frozen=True)
class AuditPage:
    """What the page is made of.

    `card` is the model's as in model.json, `facts` rows of name and text about the data, `warnings`
    sentences that stand first.
    """

    title: str
    audit: Audit
    card: Mapping[str, Any]
    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()


def render(folder: Path, page: AuditPage) -> Path:
    """Write ``audit.html`` into `folder` and return its path; pictures are embedded.

    Raises `SetupError` if it cannot be written.
    """
    return page_file.write(folder / PAGE, "audit_page.html", FILTERS, {"page": page})


def _measured(figure: Mapping[str, Any]) -> str:
    return shown(figure["value"], figure["unit"])


def _between(figure: Mapping[str, Any]) -> str:
    """Return the ends of a figure's interval."""
    if figure["interval"] is None:
        return ""
    low, high = (shown(end, figure["unit"]) for end in figure["interval"])
    return f"{low.removesuffix(' %') if figure['unit'] == SHARE else low} to {high}"


def _picture(content: bytes) -> str:
    """Return a JPEG or SVG as a data: URL."""
    kind = "image/jpeg" if content.startswith(b"\xff\xd8") else "image/svg+xml"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


# What templates/audit.html needs.
FILTERS: dict[str, Callable[..., Any]] = {
    "measured": _measured,
    "between": _between,
    "picture": _picture,
}
