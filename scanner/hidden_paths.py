"""Names for files that say nothing of them: what ``--hide-paths`` writes instead of paths."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from scanner import manifest, output
from scanner.errors import SetupError
from scanner.pseudonyms import PSEUDONYM_HEX_DIGITS, load_key, pseudonym
from scanner.records import SavedRows
from scanner.text import cell, printable
from scanner.walk import EXTENSIONS, list_files

_OUTPUT_DIGITS = 8
_ROW_NAME = re.compile(rf"[0-9a-f]{{{PSEUDONYM_HEX_DIGITS}}}(\.\w+)?")


def row_name(key: bytes, relative: str) -> str:
    """Return what a row calls a file: 16 hexadecimal digits of its path, keyed, and its extension.

    Extensions of image files alone are kept, in lower case; of ``scan.Smith`` nothing is.
    """
    extension = PurePosixPath(relative).suffix.lower()
    return pseudonym(key, "path", relative) + (extension if extension in EXTENSIONS else "")


def folder_name(key: bytes, relative: str) -> str:
    """Return what warnings call a folder below the scanned one."""
    return pseudonym(key, "path", relative.rstrip("/")) + "/"


def root_name(key: bytes, root: Path) -> str:
    """Return what manifest and report call the scanned folder."""
    return pseudonym(key, "root", str(root.resolve()))


def default_output(key: bytes, root: Path) -> str:
    """Return the name of an output folder, the same for the same scanned folder."""
    return f"cxr-scan-{root_name(key, root)[:_OUTPUT_DIGITS]}"


def as_rows_say(folder: Path) -> dict[str, bool]:
    """Return what `output.refuse_other_run` may go by where the manifest was lost: the first row.

    Names of this form are taken for ours; hardly anyone else calls files so.
    """
    try:
        with SavedRows(folder / output.PREDICTIONS) as rows:
            first = next((row["path"] for _, row in rows), None)
    except SetupError:  # there is none, or one that `records` will refuse
        return {}
    return {} if first is None else {"hide_paths": bool(_ROW_NAME.fullmatch(first))}


def lookup(root: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (row name, path) of the files and closed folders below `root` that `folder` may name.

    Paths are relative to `root` and `printable`. `folder` is the output folder of a scan of `root`
    with ``--hide-paths``, made with this user's key; raises `SetupError` if it is none.
    """
    made = manifest.load(folder / output.MANIFEST)
    if "root" not in made:
        raise SetupError(f"{folder} holds no manifest.json that says how its rows were named.")
    if not made.get("hide_paths"):
        raise SetupError(f"The rows in {folder} name their files themselves: --hide-paths was off.")
    key = load_key()
    if made["root"] != root_name(key, root):
        raise SetupError(
            f"The rows in {folder} are of another folder than {root}, or were named with another "
            "key: give the folder that was scanned, as the user who scanned it."
        )
    listing = list_files(root.resolve(), skip=folder.resolve())
    for source in listing.sources:
        yield cell(row_name(key, source.relative)), printable(source.relative)
    for closed in listing.unreadable_folders:
        yield folder_name(key, closed), printable(closed)
