"""ImageNet's weights are read from every form they come in, and told from everything else."""

import hashlib
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import h5py
import numpy as np
import pytest
import safetensors.numpy
from small_models import random_weights

from scanner.architecture import layer_names
from scanner.errors import SetupError
from scanner.network import quiet_stderr
from training import weights as module
from training.download import fetched
from training.weights import content_hash, imagenet

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    found = random_weights("vgg19")
    return {name: array for name, array in found.items() if not name.startswith("head")}


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """Where to write weights, by a name that says nothing; 80 MB are not left to pytest's care."""
    yield tmp_path / "download"
    (tmp_path / "download").unlink(missing_ok=True)


def _npz(file: Path, arrays: Arrays) -> None:
    with file.open("wb") as handle:
        np.savez(handle, **arrays)


def _npz_with_underscores(file: Path, arrays: Arrays) -> None:
    _npz(file, {name.replace("/", "_"): array for name, array in arrays.items()})


def _safetensors(file: Path, arrays: Arrays) -> None:
    safetensors.numpy.save_file(arrays, file)


def _h5_of_keras_applications(file: Path, arrays: Arrays) -> None:
    """As in vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5, where pools have groups too."""
    with h5py.File(file, "w") as stored:
        for layer in (*layer_names(), "block1_pool", "input_1"):
            group = stored.create_group(layer)
            if f"{layer}/kernel" in arrays:
                group[f"{layer}_W_1:0"] = arrays[f"{layer}/kernel"]
                group[f"{layer}_b_1:0"] = arrays[f"{layer}/bias"]


def _keras(suffix: str, form: str) -> Callable[[Path, Arrays], None]:
    def write(file: Path, arrays: Arrays) -> None:
        with quiet_stderr():
            import keras

        base = keras.applications.VGG19(
            include_top=False, weights=None, input_shape=(32, 32, 3), name="vgg19"
        )
        for name in layer_names():
            base.get_layer(name).set_weights([arrays[f"{name}/kernel"], arrays[f"{name}/bias"]])
        inputs = keras.Input((32, 32, 3))
        whole = keras.layers.Dense(3)(keras.layers.Flatten()(base(inputs)))
        model = {"flat": base, "nested": keras.Model(inputs, whole)}[form]
        draft = file.with_name(f"draft{suffix}")
        getattr(model, "save_weights" if suffix == ".weights.h5" else "save")(draft)
        draft.rename(file)

    return write


_WRITERS = {
    "npz": _npz,
    "npz with underscores": _npz_with_underscores,
    "safetensors": _safetensors,
    "keras.applications": _h5_of_keras_applications,
    "weights.h5": _keras(".weights.h5", "flat"),
    "weights.h5 of a model around it": _keras(".weights.h5", "nested"),
    "whole model .h5": _keras(".h5", "flat"),
    "whole model .h5 around it": _keras(".h5", "nested"),
}


@pytest.mark.parametrize("form", list(_WRITERS))
def test_every_form_gives_the_same_weights(form: str, file: Path, arrays: Arrays) -> None:
    _WRITERS[form](file, arrays)
    found = imagenet(file)
    assert found.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert np.array_equal(found.arrays[name], array), name
        assert found.arrays[name].dtype == np.float32
    assert found.sha256 == content_hash(arrays)
    assert found.file == "download"
    assert found.known == ""  # random numbers are not ImageNet's


def test_the_hash_is_of_the_content(arrays: Arrays) -> None:
    shuffled = dict(reversed(arrays.items()))
    assert content_hash(shuffled) == content_hash(arrays)
    changed = arrays["block5_conv4/bias"].copy()
    changed[3] += 1
    assert content_hash({**arrays, "block5_conv4/bias": changed}) != content_hash(arrays)


@pytest.mark.shared
def test_the_weights_this_project_was_trained_from_are_known(shared: Path, file: Path) -> None:
    expand = [sys.executable, shared / "tools" / "expand_vgg19.py", file.with_suffix(".npz")]
    subprocess.run(expand, check=True)
    file.with_suffix(".npz").rename(file)
    assert imagenet(file).known == "ImageNet VGG19, block4-5 in 8 bits"


def test_a_file_is_known_by_its_hash(
    file: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    _safetensors(file, arrays)
    digest = hashlib.md5(file.read_bytes()).hexdigest()
    monkeypatch.setitem(module._KNOWN_FILES, digest, "somebody's VGG19")
    assert imagenet(file).known == "somebody's VGG19"


def _refused(file: Path) -> str:
    with pytest.raises(SetupError) as refusal:
        imagenet(file)
    message = str(refusal.value)
    assert "\n" not in message
    assert str(file) in message
    return message


def test_weights_of_another_network_are_refused_with_what_they_lack(file: Path) -> None:
    _npz(file, {"conv1_conv/kernel": np.zeros((7, 7, 3, 64), np.float32)})
    assert "lacks block1_conv1/kernel: it holds weights of another network" in _refused(file)


def test_vgg16_is_told_from_vgg19(file: Path, arrays: Arrays) -> None:
    fourth = ("block3_conv4", "block4_conv4", "block5_conv4")
    _safetensors(file, {n: a for n, a in arrays.items() if not n.startswith(fourth)})
    assert "lacks block3_conv4/kernel" in _refused(file)


def test_another_shape_is_refused_with_layer_found_and_expected(file: Path) -> None:
    _npz(file, {"block1_conv1_kernel": np.zeros((3, 3, 1, 64), np.float32)})
    message = _refused(file)
    assert "block1_conv1/kernel is float32 of shape (3, 3, 1, 64)" in message
    assert "VGG19 has floats of shape (3, 3, 3, 64)" in message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(file: Path, value: float) -> None:
    kernel = np.zeros((3, 3, 3, 64), np.float32)
    kernel[1, 1, 1, 1] = value
    _npz(file, {"block1_conv1/kernel": kernel})
    assert "block1_conv1/kernel holds NaN or infinite values" in _refused(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no weights file: expected .npz, .h5 or .safetensors"),
        (b"<html>404 Not Found</html>", "is no weights file"),
        (b"PK\x03\x04 and no more", "cannot be read as .npz"),
        (b"\x89HDF\r\n\x1a\n and no more", "cannot be read as HDF5"),
        (b"\x10\0\0\0\0\0\0\0{ and no more", "cannot be read as .safetensors"),
    ],
)
def test_damaged_files_are_refused(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    assert message in _refused(file)


def test_a_truncated_npz_is_refused(file: Path, arrays: Arrays) -> None:
    _npz(file, arrays)
    with file.open("r+b") as handle:
        handle.truncate(1_000_000)
    assert "cannot be read as .npz" in _refused(file)


def test_a_damaged_array_in_an_npz_is_refused(file: Path, arrays: Arrays) -> None:
    _npz(file, {name: array for name, array in arrays.items() if name < "block2"})
    with file.open("r+b") as handle:
        handle.seek(3000)
        handle.write(b"damage")
    assert "cannot be read as .npz" in _refused(file)


def test_an_npz_of_objects_is_not_unpickled(file: Path) -> None:
    with file.open("wb") as handle:
        np.savez(handle, **{"block1_conv1/kernel": np.array([{}], dtype=object)})
    assert "cannot be read as .npz" in _refused(file)


def test_another_zip_lacks_the_weights(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", "{}")
    assert "lacks block1_conv1/kernel" in _refused(file)


def test_without_a_network_the_option_is_named(tmp_path: Path) -> None:
    code = (
        "from scanner.errors import SetupError\n"
        "from training.weights import imagenet\n"
        "try:\n    imagenet(None)\nexcept SetupError as error:\n    print(error)\n"
    )
    nowhere = "http://127.0.0.1:9"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path), "https_proxy": nowhere},
        capture_output=True,
        text=True,
    )
    said = done.stdout.strip().splitlines()
    assert "cannot be downloaded" in said[-1]
    assert "--weights FILE (.npz, .h5 or .safetensors)" in said[-1]


_PUBLISHED = bytes(range(256)) * 4096  # 1 MB


class _Server(http.server.ThreadingHTTPServer):
    """Serves `_PUBLISHED`, and to begin with what a bad night makes of it."""

    answers: ClassVar[list[str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            how = _Server.answers.pop(0) if _Server.answers else "whole"
            if how == "missing":
                self.send_error(404)
                return
            self.send_response(200)
            if how != "without a length":
                self.send_header("Content-Length", str(len(_PUBLISHED)))
            self.end_headers()
            body = {
                "dropped half-way": _PUBLISHED[: len(_PUBLISHED) // 2],
                "without a length": _PUBLISHED[: len(_PUBLISHED) // 2],
                "altered": _PUBLISHED[:-1] + b"\0",
                "whole": _PUBLISHED,
            }[how]
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""


@pytest.fixture
def published() -> Iterator[str]:
    with _Server(("127.0.0.1", 0), _Server.Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/vgg19.h5"
        server.shutdown()


_MD5 = hashlib.md5(_PUBLISHED).hexdigest()


@pytest.mark.parametrize("how", ["dropped half-way", "without a length", "altered"])
def test_a_download_that_is_not_whole_never_becomes_a_file(
    how: str, published: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Server, "answers", [how])
    place = tmp_path / "cache" / "vgg19.h5"
    with pytest.raises(SetupError, match="arrived incomplete or altered") as refusal:
        fetched(published, _MD5, place)
    assert "\n" not in str(refusal.value)
    assert list(place.parent.iterdir()) == []
    # The next try has a whole one, and then the network is asked no more.
    assert fetched(published, _MD5, place).read_bytes() == _PUBLISHED
    assert fetched("http://127.0.0.1:9/", _MD5, place) == place
    assert list(place.parent.iterdir()) == [place]


def test_a_file_that_is_there_is_used_with_its_hash_alone(published: str, tmp_path: Path) -> None:
    place = tmp_path / "vgg19.h5"
    place.write_bytes(_PUBLISHED[:1000])
    assert fetched(published, _MD5, place).read_bytes() == _PUBLISHED


_KILLED = """
import sys
from pathlib import Path
from training.download import fetched
fetched(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
"""


def test_a_kill_half_way_leaves_nothing_that_is_taken_for_weights(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/vgg19.h5"
        place = tmp_path / "vgg19.h5"
        arguments = [sys.executable, "-c", _KILLED, url, _MD5, place]
        with subprocess.Popen(arguments) as download:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + 2 * _PUBLISHED)
                while not any(path.stat().st_size for path in tmp_path.iterdir()):
                    time.sleep(0.01)
                download.kill()
    (left,) = tmp_path.iterdir()
    assert left.suffix == ".part"


def test_a_download_that_is_missing_names_the_option(
    published: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Server, "answers", ["missing"])
    monkeypatch.setattr(module, "_URL", published)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(SetupError, match=r"cannot be downloaded \(HTTP Error 404.*--weights FILE"):
        imagenet(None)


def test_what_was_downloaded_is_known_and_checked_like_a_file(
    file: Path, arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _h5_of_keras_applications(file, arrays)
    cached = tmp_path / "cxr-scan" / "vgg19.h5"
    cached.parent.mkdir()
    file.rename(cached)
    monkeypatch.setattr(module, "_URL", "http://127.0.0.1:9/vgg19.h5")
    monkeypatch.setattr(module, "_MD5", hashlib.md5(cached.read_bytes()).hexdigest())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = imagenet(None)
    assert found.sha256 == content_hash(arrays)
    assert (found.file, found.known) == ("keras.applications", "Keras' ImageNet VGG19")
    cached.unlink()


@pytest.mark.parametrize(
    "header",
    [
        (1 << 63).to_bytes(8, "little") + b"{}",
        b'\x60\0\0\0\0\0\0\0{"block1_conv1/bias":{"dtype":"F32","shape":[64],"data_offsets":[0,9]}}',
        b"\x08\0\0\0\0\0\0\0" + b"[" * 8,
    ],
)
def test_a_hostile_header_of_safetensors_is_refused(header: bytes, file: Path) -> None:
    file.write_bytes(header.ljust(200))
    assert "is no weights file" in (said := _refused(file)) or "cannot be read as" in said
