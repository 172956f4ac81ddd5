"""Images that are one radiograph, or of one patient, found so that a split keeps them together."""

import cv2
import numpy as np
import numpy.typing as npt

from training.data.rows import Rows

_HASH_SIDE = 16
# Of 256 bits. Copies of one radiograph resized and recompressed by different data sets differ by
# fewer; pairs of different patients' radiographs by more (see benchmarks/near_duplicates.py).
NEAR_DUPLICATE_BITS = 16


def difference_hashes(inputs: Rows | npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return a 256-bit perceptual hash (N, 32) uint8 of each image: does grey rise to the right?"""
    hashes = np.empty((len(inputs), _HASH_SIDE * _HASH_SIDE // 8), np.uint8)
    for index in range(len(inputs)):
        image = inputs[index]
        small = cv2.resize(image, (_HASH_SIDE + 1, _HASH_SIDE), interpolation=cv2.INTER_AREA)
        rises = small[:, 1:] > small[:, :-1]
        hashes[index] = np.packbits(rises)
    return hashes


def groups(patients: list[str], hashes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return a group number (N,) for each image: same patient or near-duplicate, same group."""
    parent = np.arange(len(patients))

    def find(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    def join(first: int, second: int) -> None:
        parent[find(first)] = find(second)

    first_of: dict[str, int] = {}
    for index, patient in enumerate(patients):
        if patient:
            join(index, first_of.setdefault(patient, index))
    words = hashes.view(np.uint64)
    for index in range(len(words)):
        distance = np.bitwise_count(words[index + 1 :] ^ words[index]).sum(axis=1)
        for other in np.flatnonzero(distance <= NEAR_DUPLICATE_BITS):
            join(index, index + 1 + int(other))
    return np.array([find(index) for index in range(len(patients))])
