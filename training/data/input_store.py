"""Model inputs on disk, appended one by one: they need not fit into memory."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from scanner.errors import SetupError
from training.data.forms import Item
from training.data.rows import Rows


class InputStore:
    """A file of model inputs (N, size, size) uint8 and the item of each; a context manager.

    Images that were reviewed are added before all others: one of those with the same pixels only
    adds what it knows to the reviewed one, whose label stands.
    """

    def __init__(self, file: Path, size: int, expected: int) -> None:
        """Open `file` for `expected` images; raises `SetupError` if the disk is too small."""
        free, needed = shutil.disk_usage(file.parent).free, expected * size * size
        if free < needed:
            raise SetupError(
                f"{file.parent} has {free >> 20} MB left where {needed >> 20} MB are needed for "
                f"{expected} images: make room there."
            )
        self.items: list[Item] = []
        self.superseded = 0
        self._file, self._size = file, size
        self._digests: list[bytes] = []
        self._reviewed: dict[bytes, int] = {}
        self._fingerprint = hashlib.sha256()

    def __enter__(self) -> Self:
        self._handle = self._file.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()

    def add(self, model_input: npt.NDArray[np.uint8], item: Item, *, reviewed: bool) -> None:
        """Append one image, unless it is one that was reviewed."""
        data = model_input.tobytes()
        digest = hashlib.blake2b(data, digest_size=8).digest()
        if (position := self._reviewed.get(digest)) is not None:
            self.superseded += 1
            known = self.items[position]
            # Of two reviews the later one stands. The source of the data is kept, so that an image
            # of a source that is held out stays held out.
            self.items[position] = replace(
                item,
                label=item.label if reviewed else known.label,
                patient=item.patient or known.patient,
                source=item.source or known.source,
                mask=item.mask or known.mask,
            )
            return
        if reviewed:
            self._reviewed[digest] = len(self.items)
        self._handle.write(data)
        self._fingerprint.update(data)
        self._digests.append(digest)
        self.items.append(item)

    def inputs(self) -> Rows:
        """Return all inputs (N, size, size) uint8; the store must be closed."""
        return Rows(self._file, np.uint8, (self._size, self._size), len(self.items))

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits of a hash over inputs and labels, in order."""
        digest = self._fingerprint.copy()
        digest.update("\n".join(item.label for item in self.items).encode())
        return digest.hexdigest()[:16]

    def digests(self) -> list[str]:
        """Return a hash of each input, by which the same image is known in other data."""
        return [digest.hex() for digest in self._digests]

    def duplicates(self) -> tuple[int, int]:
        """Return how many images repeat an earlier one, and how many of those its label not."""
        first: dict[bytes, str] = {}
        repeated = contradicting = 0
        for item, digest in zip(self.items, self._digests, strict=True):
            repeated += digest in first
            contradicting += first.setdefault(digest, item.label) != item.label
        return repeated, contradicting
