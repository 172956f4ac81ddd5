"""The report's pictures are drawn, encoded and written in a process of their own.

Predicting then waits for none of it, and a full disk is still said before a row is written.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pebble import ProcessExpired

from scanner import thumbnails, worker_process
from scanner.output import detail_path
from scanner.radiograph import FloatArray


@dataclass(frozen=True)
class Picture:
    """What is drawn of one image: JPEGs of it, and what the network saw in it.

    `thumbnail` has at most 512 pixels a side, `large` 1024, empty if none is kept. `cam` (16, 16)
    and `lungs` (32, 32) as in `predictor.Predictions`; without `cam` the radiograph stands alone.
    """

    sha256: str
    thumbnail: bytes
    large: bytes = b""
    cam: FloatArray | None = None
    lungs: FloatArray | None = None


class PictureSaver:
    """The process that saves pictures into one output folder; use it as a context manager."""

    def __init__(self, folder: Path, colormap: str) -> None:
        self._folder, self._colormap = folder, colormap
        self._pool: worker_process.ProcessPool | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            worker_process.end(self._pool)

    def begin(self, pictures: Sequence[Picture]) -> "Future[None] | None":
        """Start saving; None if there is nothing to save, or the process cannot be had any more."""
        if not pictures:
            return None
        if self._pool is None:
            self._pool = worker_process.pool(1, worker_process.settle)
        arguments = (self._folder, self._colormap, list(pictures))
        try:
            begun: Future[None] = self._pool.schedule(save_all, args=arguments)
        except RuntimeError:  # the pool is lost
            return None
        return begun

    def wait(self, begun: "Future[None] | None", pictures: Sequence[Picture]) -> None:
        """Return once they are saved, by this process if the other was lost; raises `OSError`."""
        if begun is not None:
            try:
                begun.result()
            except (ProcessExpired, BrokenProcessPool):  # for want of memory, or by somebody
                pass
            else:
                return
        save_all(self._folder, self._colormap, pictures)


def save_all(folder: Path, colormap: str, pictures: Sequence[Picture]) -> None:
    """Write the files of some images; raises `OSError`."""
    for picture in pictures:
        name, radiograph = picture.sha256, picture.thumbnail
        if picture.cam is None:
            thumbnails.save_plain(folder, name, radiograph)
        else:
            thumbnails.save(folder, name, radiograph, picture.cam, picture.lungs, colormap)
        if picture.large:
            detail_path(folder, name).write_bytes(picture.large)
