"""A file from the internet becomes a file here whole and unaltered, or not at all."""

import hashlib
import os
import tempfile
import urllib.request
from pathlib import Path
from typing import BinaryIO

from scanner.errors import SetupError

_SECONDS_OF_SILENCE = 60.0
_PIECE = 1 << 20


def fetched(url: str, md5: str, place: Path) -> Path:
    """Return `place`, a file with this hash, downloaded from `url` unless it is there already.

    It is written under a temporary name beside `place` and renamed once its hash is right, so that
    what a lost connection or a kill leaves is never read. MD5 is what Keras publishes; it tells
    damage, and an altered file as long as nobody made both the file and its twin.

    Raises `SetupError` if the hash is another, and `OSError` if nothing can be had or written.
    """
    if place.is_file() and _hash_of(place) == md5:
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=place.name, suffix=".part")
    draft = Path(name)
    try:
        with open(descriptor, "wb") as handle:  # noqa: PTH123
            size = _download(url, handle)
        if (found := _hash_of(draft)) != md5:
            raise SetupError(
                f"{url} arrived incomplete or altered: {size:,} bytes with MD5 {found}, expected "
                f"{md5}. Nothing of it is kept: try again, or give the file with --weights."
            )
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)
    return place


def _download(url: str, handle: BinaryIO) -> int:
    with urllib.request.urlopen(url, timeout=_SECONDS_OF_SILENCE) as answer:
        while piece := answer.read(_PIECE):
            handle.write(piece)
    handle.flush()
    os.fsync(handle.fileno())
    return handle.tell()


def _hash_of(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
