"""The report's data files read back as the browser reads them."""

import json
import re
from pathlib import Path
from typing import Any


def index_of(folder: Path) -> dict[str, Any]:
    """Return what `data/index.js` hands to the app."""
    text = (folder / "report" / "data" / "index.js").read_text(encoding="ascii")
    quoted = text.removeprefix("cxrScan.index(JSON.parse('").removesuffix("'));\n")
    assert not re.search(r"(?<!\\)(\\\\)*'", quoted)
    values = json.loads(re.sub(r"\\(['\\])", r"\1", quoted))
    assert isinstance(values, dict)
    return values


def details_of(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of all pieces, which are numbered from 1 on, in their order."""
    rows: list[dict[str, Any]] = []
    for number, path in enumerate(sorted((folder / "report" / "data").glob("rows-*.js")), 1):
        assert path.name == f"rows-{number:04}.js"
        text = path.read_text(encoding="ascii")
        rendering = index_of(folder)["rendering"]
        end = f", '{rendering}');\n"
        assert text.endswith(end)
        rows += json.loads(text.removeprefix(f"cxrScan.rows({number}, ").removesuffix(end))
    return rows
