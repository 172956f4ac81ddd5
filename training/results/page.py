"""A self-contained HTML page of figures: its style is inside, allowed by its hash."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scanner import __version__
from scanner.errors import SetupError
from scanner.pages import environment, style
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
    sheet, sheet_hash = style()
    template_environment = environment()
    template_environment.filters.update(filters)
    html = template_environment.get_template(template).render(
        style=sheet,
        style_hash=sheet_hash,
        image_sources="data:",  # pictures are inside, so that the page can be mailed alone
        version=__version__,
        **values,
    )
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, html)
    except OSError as error:
        raise SetupError(f"{place} cannot be written ({error.strerror}).") from error
    return place
