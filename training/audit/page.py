"""The audit as a page of its own; the training report has the same section."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

import templates
from scanner import __version__
from scanner.errors import SetupError
from scanner.records import write_atomically
from scanner.report import environment
from training.audit.result import SHARE, Audit, shown

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
    style = (Path(templates.__file__).parent / "report.css").read_text(encoding="utf-8")
    template_environment = environment()
    add_filters(template_environment)
    html = template_environment.get_template("audit_page.html").render(
        page=page,
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        version=__version__,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / PAGE, html)
    except OSError as error:
        raise SetupError(f"The page in {folder} cannot be written ({error.strerror}).") from error
    return folder / PAGE


def add_filters(template_environment: jinja2.Environment) -> None:
    """Add what templates/audit.html needs: ``measured``, ``between`` and ``picture``."""
    template_environment.filters.update(measured=_measured, between=_between, picture=_picture)


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
