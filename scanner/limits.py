"""What one file may cost: bytes, pixels, seconds and memory. Settings, with defaults that hold.

More than one frame is no setting: only single radiographs are judged (`gate`, from the header).
"""

from dataclasses import dataclass

from scanner.errors import ReadError

_MB = 1 << 20


class NeedsMoreError(MemoryError):
    """A file needs `mb` megabytes to be read, more than its share: again, with so much."""

    def __init__(self, mb: int) -> None:
        super().__init__(f"{mb} MB are needed")
        self.mb = mb


@dataclass(frozen=True)
class Limits:
    """What one file may cost before it ends as `failed`, as ``too_large`` or ``timeout``.

    `file_mb`: megabytes of a file, and of a deflated data set once it is inflated. The largest
    uncompressed radiograph has about 50; archives of multi-frame images are larger.
    `megapixels`: millions of pixels. The largest detectors have 22; four times that leaves room
    for stitched films.
    `seconds`: reading, decoding and preparing. The slowest real file seen (JPEG 2000 of 20
    megapixels) takes 3; a slow share adds to it.
    `memory_mb`: megabytes that all decoders together may take on top of what they need when idle;
    one file may take all of it, alone. A 90-megapixel radiograph of 16 bits takes 750.
    `share_mb`: what a file gets at first, None for all of `memory_mb` (`decoding` sets it).
    """

    file_mb: int = 512
    megapixels: int = 90
    seconds: float = 60.0
    memory_mb: int = 1536
    share_mb: int | None = None

    @property
    def file_bytes(self) -> int:
        return self.file_mb * _MB

    def check_pixels(self, width: int, height: int, when: str = "") -> None:
        """Raise `ReadError` with reason ``too_large`` for an image of too many pixels."""
        if width * height > self.megapixels * 1_000_000:
            raise ReadError(
                "too_large",
                f"{width} x {height} pixels{when}; the limit is {self.megapixels} million "
                "(--max-megapixels)",
            )

    def claim(self, size: int) -> None:
        """Say that reading takes about `size` bytes; raises `NeedsMoreError` if the share is less.

        Decoders that run out of memory often call the file damaged, so they are not to begin.
        """
        if self.share_mb is not None and size > self.share_mb * _MB:
            raise NeedsMoreError(-(-size // _MB))


STANDARD = Limits()
