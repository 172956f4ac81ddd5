"""An image that is there several times is judged once; its copies say where it was."""

from dataclasses import replace

from scanner.reading import Reading
from scanner.records import DUPLICATE_OF


class Originals:
    """The images judged so far, by the hash of their file and the pseudonym of their instance."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}

    def remember(self, sha256: str, instance: str, path: str) -> None:
        """Take in a judged image; of equal ones the first stays."""
        for name in filter(None, (sha256, instance)):
            self._paths.setdefault(name, path)

    def forget(self, sha256: str, instance: str, path: str) -> None:
        """Take out an image that was not judged after all: it is no original."""
        for name in (sha256, instance):
            if self._paths.get(name) == path:
                del self._paths[name]

    def refuse_copy(self, reading: Reading, path: str) -> Reading:
        """Return the reading of an image to be judged, `rejected` if an equal one was."""
        if reading.status:
            return reading
        instance = reading.header.instance
        original = self._paths.get(reading.sha256) or self._paths.get(instance)
        if original:
            detail = DUPLICATE_OF + original
            return replace(reading, status="rejected", reason="duplicate", detail=detail)
        self.remember(reading.sha256, instance, path)
        return reading
