"""Train, validation and test parts that share neither a patient nor a near-duplicate image."""

from collections import Counter, defaultdict

import cv2
import numpy as np
import numpy.typing as npt

PARTS = ("train", "validation", "test")
_SHARES = (0.8, 0.1, 0.1)
_HASH_SIDE = 16
# Of 256 bits. Copies of one radiograph resized and recompressed by different data sets differ by
# fewer; pairs of different patients' radiographs by more (see benchmarks/near_duplicates.py).
NEAR_DUPLICATE_BITS = 16


def difference_hashes(inputs: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return a 256-bit perceptual hash (N, 32) uint8 of each image: does grey rise to the right?"""
    hashes = np.empty((len(inputs), _HASH_SIDE * _HASH_SIDE // 8), np.uint8)
    for index, image in enumerate(inputs):
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


def split(
    labels: list[str], sources: list[str], group: npt.NDArray[np.int64], seed: int
) -> npt.NDArray[np.str_]:
    """Return the part (N,) of each image; whole groups, stratified by source and label.

    Groups go, in a seeded random order, to the part that lacks most of what its share asks for.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(group):
        members[int(number)].append(index)
    strata = list(zip(sources, labels, strict=True))
    totals = Counter(strata)
    filled: dict[str, Counter[tuple[str, str]]] = {part: Counter() for part in PARTS}
    parts = np.empty(len(labels), dtype="<U10")
    order = np.random.default_rng(seed).permutation(sorted(members))
    for number in sorted(order, key=lambda number: -len(members[int(number)])):
        indices = members[int(number)]
        stratum = Counter(strata[index] for index in indices).most_common(1)[0][0]
        # The first images must not all go to the largest part: compare fill by share.
        part = min(
            zip(PARTS, _SHARES, strict=True),
            key=lambda part: filled[part[0]][stratum] / (part[1] * totals[stratum]),
        )[0]
        parts[indices] = part
        filled[part].update(strata[index] for index in indices)
    return parts
