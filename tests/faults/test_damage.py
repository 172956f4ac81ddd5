"""Damaged results are mended by the same command, a damaged model is refused.

What is damaged are real files, at places drawn by a seed.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fault_table import FaultTable
from scanning import only_on_linux, scan
from small_models import random_weights
from studies import Studies

from training import features
from training.data.rows import Rows

pytestmark = only_on_linux()

# The tail that is damaged: the rows of the last files, which take no TensorFlow to make again.
_TAIL = 600

Damage = Callable[[bytearray, random.Random], bytes]


def _cut(content: bytearray, moments: random.Random) -> bytes:
    return bytes(content[: -moments.randrange(1, _TAIL)])


def _zeros(content: bytearray, moments: random.Random) -> bytes:
    """As a power cut leaves blocks that were allocated but not written."""
    count = moments.randrange(1, _TAIL)
    return bytes(content[:-count]) + bytes(count)


def _noise(content: bytearray, moments: random.Random) -> bytes:
    count = moments.randrange(1, _TAIL)
    return bytes(content[:-count]) + moments.randbytes(count)


def _garbage(content: bytearray, moments: random.Random) -> bytes:
    return bytes(content) + moments.randbytes(_TAIL)


def _flipped_bits(content: bytearray, moments: random.Random) -> bytes:
    for _ in range(3):
        content[-moments.randrange(1, _TAIL)] ^= 1 << moments.randrange(8)
    return bytes(content)


def _empty(content: bytearray, moments: random.Random) -> bytes:
    return b""


def _strike(path: Path, damage: Damage, moments: random.Random) -> None:
    path.write_bytes(damage(bytearray(path.read_bytes()), moments))


@pytest.mark.parametrize("damage", [_cut, _zeros, _noise, _garbage, _flipped_bits])
@pytest.mark.parametrize("name", ["predictions.csv", "sources.csv"])
def test_a_damaged_tail(
    name: str, damage: Damage, studies: Studies, scale: int, table: FaultTable, tmp_path: Path
) -> None:
    moments = random.Random(f"{name}{damage.__name__}")
    for number in range(scale):
        output = studies.copy_of_finished(tmp_path / str(number))
        with table.fault(f"tail of {name} corrupted") as case:
            _strike(output / name, damage, moments)
            scan(studies.home, *studies.arguments(output)).says(3, f"{len(studies.rows)} images")
            case.compare(output, studies.rows)


_NOT_MANIFESTS = (b"", b"{", b"[]", b"null", b'{"runs": 5, "root": 7, "card": []}', b"\xff\xfe{}")


@pytest.mark.parametrize("damage", [_cut, _zeros, _noise, _garbage, _empty])
def test_a_damaged_manifest(
    damage: Damage, studies: Studies, scale: int, table: FaultTable, tmp_path: Path
) -> None:
    moments = random.Random(damage.__name__)
    for number in range(scale):
        output = studies.copy_of_finished(tmp_path / str(number))
        with table.fault("manifest corrupted") as case:
            _strike(output / "manifest.json", damage, moments)
            scan(studies.home, *studies.arguments(output)).says(3, "(0 new in")
            case.compare(output, studies.rows)


@pytest.mark.parametrize("content", _NOT_MANIFESTS)
def test_a_manifest_of_something_else(
    content: bytes, studies: Studies, table: FaultTable, tmp_path: Path
) -> None:
    output = studies.copy_of_finished(tmp_path / "out")
    with table.fault("manifest corrupted") as case:
        (output / "manifest.json").write_bytes(content)
        ended = scan(studies.home, *studies.arguments(output))
        if ended.code == 1:  # it says that this is another folder's, and by what it can tell
            ended.says(1, "--fresh")
            (output / "manifest.json").unlink()
            ended = scan(studies.home, *studies.arguments(output))
        ended.says(3, "(0 new in")
        case.compare(output, studies.rows)


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
def test_a_bundle_with_one_bit_flipped(
    name: str, studies: Studies, scale: int, table: FaultTable, tmp_path: Path
) -> None:
    moments = random.Random(name)
    bundle = tmp_path / "model"
    shutil.copytree(studies.model, bundle)
    whole = (bundle / name).read_bytes()
    output = studies.copy_of_finished(tmp_path / "out")
    arguments = [*studies.arguments(output), "--model", bundle]  # the later option counts
    for _ in range(3 * scale):
        with table.fault("bundle with one bit flipped") as case:
            flipped = bytearray(whole)
            flipped[moments.randrange(len(whole))] ^= 1 << moments.randrange(8)
            (bundle / name).write_bytes(flipped)
            ended = scan(studies.home, *arguments)
            ended.says(1)
            assert len(ended.stderr.splitlines()) == 1, ended.stderr
            case.compare(output, studies.rows)
    with table.fault("bundle with one bit flipped, then mended") as case:
        (bundle / name).write_bytes(whole)
        scan(studies.home, *arguments).says(3, "(0 new in")
        case.compare(output, studies.rows)


_IMAGES, _SIDE = 24, 64


@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_a_feature_cache_with_one_bit_flipped(
    state: str, scale: int, table: FaultTable, tmp_path: Path
) -> None:
    moments = random.Random(state)
    noise = np.random.default_rng(0).integers(0, 256, (_IMAGES, _SIDE, _SIDE), dtype=np.uint8)
    (tmp_path / "inputs").write_bytes(noise.tobytes())
    images = Rows(tmp_path / "inputs", np.uint8, (_SIDE, _SIDE), _IMAGES)
    weights, place = random_weights("vgg19"), tmp_path / "a.features"

    def computed() -> np.ndarray:
        return features.compute(images, weights, "block4_pool", "float32", place)[:]

    whole = computed()
    for _ in range(scale):
        with table.fault("feature cache with one bit flipped") as case:
            struck = place
            if state == "unfinished":
                struck = place.with_suffix(".part")
                for name in ("", "-sums"):
                    place.with_name(place.name + name).rename(struck.with_name(struck.name + name))
            content = bytearray(struck.read_bytes())
            content[moments.randrange(len(content))] ^= 1 << moments.randrange(8)
            struck.write_bytes(content)
            found = computed()
            case.lost = len(whole) - len(found)
            case.wrong = int((found != whole).any(axis=(1, 2, 3)).sum())
            assert (case.lost, case.wrong) == (0, 0)
