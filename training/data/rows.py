"""Equal arrays one after another in a raw file, read without staying in memory."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class Rows:
    """An array (N, *shape) on disk; indexing copies the rows asked for into memory.

    The file is mapped anew for every access: pages of a map that stays open count as resident
    memory, and a few epochs over a cache of gigabytes would touch them all.
    """

    def __init__(
        self, path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...], count: int
    ) -> None:
        self.path = path
        self.dtype = np.dtype(dtype)
        self.shape = (count, *shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        if not len(self):
            return np.asarray(np.zeros(self.shape, self.dtype)[index])
        rows = np.memmap(self.path, self.dtype, "r", shape=self.shape)
        return np.array(rows[index], self.dtype)
