"""What every HTML page of this project shares: its templates, its one style sheet, its script."""

import base64
import hashlib
from functools import cache
from pathlib import Path

import jinja2

import templates
from scanner.words import in_words

_TEMPLATES = Path(templates.__file__).parent


def environment() -> jinja2.Environment:
    """Return what renders a page's template: escaping everything, with the filters of pages."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,  # file names and DICOM strings are hostile
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["words"] = in_words
    made.filters["per_cent"] = per_cent
    made.filters["thousands"] = thousands
    return made


@cache
def style(with_app: bool = False) -> tuple[str, str]:
    """Return the style sheet, and its SHA-256 in Base64 as a content security policy names it.

    The app has a sheet of its own, behind the one that all pages share.
    """
    names = ("report.css", "app.css") if with_app else ("report.css",)
    text = "".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in names)
    return text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def script() -> str:
    """Return the report's script: the files of ``templates/app`` by name, in one scope.

    The files are numbered so that what one needs at load stands before it.
    """
    parts = [path.read_text(encoding="utf-8") for path in sorted((_TEMPLATES / "app").glob("*.js"))]
    return '(() => {\n"use strict";\n' + "\n".join(parts) + "\n})();\n"


def thousands(number: int) -> str:
    """Return a number with a narrow space between thousands, at which no line breaks."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def per_cent(cell: str) -> str:
    """Return a probability in per cent; nothing a network says is certain."""
    share = 100 * float(cell or 0)
    return f"{share:.0f} %" if share < 99.5 else "> 99 %"
