"""Features are computed once, continued after an interruption, bounded and cleaned."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_models import random_weights

from scanner.errors import SetupError
from scanner.heads import lung_shapes
from training import checksums, features
from training.data.rows import Rows

_SIZE = 64


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return random_weights("vgg19")


@pytest.fixture
def images(tmp_path: Path) -> Rows:
    place = tmp_path / "inputs.uint8"
    noise = np.random.default_rng(0).integers(0, 256, (40, _SIZE, _SIZE), dtype=np.uint8)
    place.write_bytes(noise.tobytes())
    return Rows(place, np.uint8, (_SIZE, _SIZE), 40)


def _compute(images: Rows, weights: dict[str, np.ndarray], place: Path) -> np.ndarray:
    return features.compute(images, weights, "block4_pool", "float32", place)[:]


def test_an_interrupted_cache_is_continued_to_the_same_features(
    images: Rows, weights: dict[str, np.ndarray], tmp_path: Path
) -> None:
    place = tmp_path / "a.features"
    whole = _compute(images, weights, place)
    assert whole.shape == (40, _SIZE // 16, _SIZE // 16, 512)
    # Cut in the middle of the second batch, and its beginning marked, to see that it is kept.
    half = bytearray(place.read_bytes()[: 20 * whole[0].nbytes + 7])
    half[: whole[0].nbytes] = bytes(whole[0].nbytes)
    (tmp_path / "b.part").write_bytes(half)
    continued = _compute(images, weights, tmp_path / "b.features")
    assert (continued[0] == 0).all()
    assert (continued[1:] == whole[1:]).all()
    assert not (tmp_path / "b.part").exists()


def test_finished_features_are_used_again(
    images: Rows, weights: dict[str, np.ndarray], tmp_path: Path
) -> None:
    place = tmp_path / "a.features"
    marked = np.full((40, _SIZE // 16, _SIZE // 16, 512), 7, np.float16)
    place.write_bytes(marked.tobytes())
    assert (_compute(images, weights, place) == 7).all()


def test_the_name_depends_on_data_weights_copies_and_making(
    weights: dict[str, np.ndarray],
) -> None:
    copies = np.array([1, 2])
    names = {
        features.key("data", weights, copies, "block4_pool"),
        features.key("other", weights, copies, "block4_pool"),
        features.key("data", weights, np.array([2, 1]), "block4_pool"),
        features.key("data", weights, copies, "embedding"),
        features.key("data", {**weights, "block1_conv1/bias": np.ones(64, np.float32)}, copies, ""),
    }
    assert len(names) == 5
    assert features.key("data", weights, copies, "block4_pool") in names


def test_the_predicted_size_is_the_size(
    images: Rows, weights: dict[str, np.ndarray], tmp_path: Path
) -> None:
    place = tmp_path / "a.features"
    _compute(images, weights, place)
    written = place.stat().st_size + images.path.stat().st_size
    assert features.predicted_bytes("block4_pool", 40, _SIZE) == written


def test_features_that_are_cut_short_are_made_again(
    images: Rows, weights: dict[str, np.ndarray], tmp_path: Path
) -> None:
    place = tmp_path / "a.features"
    whole = _compute(images, weights, place)
    place.write_bytes(place.read_bytes()[:-100])
    assert not features.is_whole(place, "block4_pool", 40, _SIZE)
    assert (_compute(images, weights, place) == whole).all()


def test_what_is_there_already_is_not_asked_for_again(tmp_path: Path) -> None:
    place = tmp_path / "a.features"
    inputs = 40 * _SIZE * _SIZE
    everything = features.predicted_bytes("block4_pool", 40, _SIZE)
    missing = features.missing_bytes(place, "block4_pool", 30, 10, _SIZE)
    assert missing == everything - 30 * inputs // 40  # the originals' inputs were written
    (tmp_path / "a.part").write_bytes(bytes(5000))
    assert features.missing_bytes(place, "block4_pool", 30, 10, _SIZE) == missing - 5000
    place.write_bytes(bytes(everything - inputs))
    assert features.missing_bytes(place, "block4_pool", 30, 10, _SIZE) == 10 * inputs // 40


def test_a_cache_over_its_limit_is_refused_with_what_would_help(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"would need 3.00 GB, more than --cache-limit 2.00 GB"):
        features.check_room(tmp_path, 3_000_000_000, 2_000_000_000)


def test_a_disk_too_small_is_refused_before_any_work(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(SetupError, match=r"has .* GB free, the cache needs"):
        features.check_room(tmp_path / "not" / "yet", free, 2 * free)


def _aged(folder: Path, names: tuple[str, ...]) -> None:
    """Write files of 1000 bytes, the first the oldest."""
    for age, name in enumerate(reversed(names)):
        (folder / name).write_bytes(bytes(1000))
        os.utime(folder / name, (1e9 - age, 1e9 - age))


def test_the_oldest_features_go_when_the_limit_asks_for_it(tmp_path: Path) -> None:
    _aged(tmp_path, ("old.part", "middle.features", "new.features"))
    (tmp_path / "notes.txt").write_bytes(bytes(5000))
    features.check_room(tmp_path, 1500, 3000)
    assert (tmp_path / "old.part").exists()  # looking deletes nothing
    features.make_room(tmp_path, 1500, 3000, tmp_path / "mine.features")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.features", "notes.txt"]


def test_a_training_does_not_delete_what_it_has_begun_itself(tmp_path: Path) -> None:
    _aged(tmp_path, ("mine.part", "other.features"))
    features.make_room(tmp_path, 1500, 2000, tmp_path / "mine.features")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.part"]


def test_one_training_at_a_time_uses_a_cache(tmp_path: Path) -> None:
    with (
        features.held(tmp_path),
        pytest.raises(SetupError, match="Another training is using the cache"),
        features.held(tmp_path),
    ):
        pass


def test_rows_that_were_read_do_not_stay_resident(tmp_path: Path) -> None:
    place = tmp_path / "rows"
    np.zeros((300, 1_000_000), np.uint8).tofile(place)
    rows = Rows(place, np.uint8, (1_000_000,), 300)
    before = _mapped()
    for start in range(0, 300, 10):
        rows[start : start + 10]
    assert _mapped() - before < 100_000_000


def _mapped() -> int:
    """Resident bytes of this process that belong to mapped files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssFile:"):
            return int(line.split()[1]) * 1024
    pytest.skip("/proc does not say what is resident: not Linux")


def test_lung_fields_come_from_the_same_pass_which_is_continued(
    images: Rows, weights: dict[str, np.ndarray], tmp_path: Path
) -> None:
    random = np.random.default_rng(1)
    with_head = {
        **weights,
        **{n: random.normal(0, 0.05, s).astype(np.float32) for n, s in lung_shapes().items()},
    }
    originals = Rows(images.path, images.dtype, images.shape[1:], 24)
    place = tmp_path / "a.features"
    fields = features.lung_fields(originals, with_head, "block4_pool", "float32", place)
    assert fields.shape == (24, _SIZE // 8, _SIZE // 8)
    assert 0 < fields.mean() < 255
    # What is there already is kept: the first row, marked, survives the rest.
    draft = place.with_suffix(".part")
    marked = bytearray(draft.read_bytes())
    row = len(marked) // 24
    marked[:row] = bytes(row)
    draft.write_bytes(marked)
    checksums.beside(draft).unlink()  # the mark is not to be taken for damage
    continued = features.compute(images, with_head, "block4_pool", "float32", place)[:]
    assert (continued[0] == 0).all()
    assert (continued[1:] == _compute(images, weights, tmp_path / "b.features")[1:]).all()
    again = features.lung_fields(originals, with_head, "block4_pool", "float32", place)
    assert (again == fields).all()


@pytest.mark.parametrize("finished", [True, False])
def test_features_with_one_bit_flipped_are_computed_again(
    finished: bool, images: Rows, weights: dict[str, np.ndarray], tmp_path: Path
) -> None:
    place = tmp_path / "a.features"
    whole = _compute(images, weights, place)
    if not finished:
        for name in ("", "-sums"):
            (tmp_path / f"a.features{name}").rename(tmp_path / f"a.part{name}")
    damaged = place if finished else tmp_path / "a.part"
    content = bytearray(damaged.read_bytes())
    content[:2] = bytes(2)
    content[25 * whole[0].nbytes + 77] ^= 4
    damaged.write_bytes(content)
    assert (_compute(images, weights, place) == whole).all()
    content = bytearray(place.read_bytes())
    content[-1] ^= 128
    place.write_bytes(content)
    assert (_compute(images, weights, place) == whole).all()
