"""A self-contained HTML page of figures: its style is inside, allowed by its hash."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import templates
from scanner import __version__
from scanner.errors import SetupError
from scanner.report import environment
from scanner.storage import write_atomically


def write(
    place: Path,
    template: str,
    filters: Mapping[str, Callable[..., Any]],
    values: Mapping[str, Any],
) -> Path:
    """Render a template with `values` to the file `place` and return it.

    Raises `SetupError` if it cannot be written.
    """
    style = (Path(templates.__file__).parent / "report.css").read_text(encoding="utf-8")
    template_environment = environment()
    template_environment.filters.update(filters)
    html = template_environment.get_template(template).render(
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        version=__version__,
        **values,
    )
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, html)
    except OSError as error:
        raise SetupError(f"{place} cannot be written ({error.strerror}).") from error
    return place
