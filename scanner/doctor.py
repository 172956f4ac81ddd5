"""What a scan would run with, for `cxr-scan doctor`."""

from collections.abc import Iterator
from pathlib import Path

from scanner import bundle, codecs, manifest
from scanner.precision import choose_precision
from scanner.tensorflow_backend import devices, is_fast


def findings(model: Path | None) -> Iterator[tuple[str, list[str]]]:
    """Yield (title, lines) as they become known; raises `SetupError` over a broken model."""
    yield "versions", [f"{name} {version}" for name, version in manifest.versions().items()]
    yield (
        "transfer syntaxes read",
        [f"{syntax.name} ({syntax}): {package}" for syntax, package in codecs.DECODERS.items()],
    )
    folder = model or bundle.DEFAULT_BUNDLE
    loaded = bundle.load(folder)
    yield (
        "model",
        [
            f"{loaded.card.get('name', 'unnamed')} {loaded.id} in {folder}",
            f"classes: {', '.join(loaded.classes)}",
            str(loaded.card.get("headline", "no held-out figures in its card")),
        ],
    )
    found = devices()
    precision = choose_precision(loaded, "auto", is_fast(found[0].startswith("GPU")), "tensorflow")
    yield "devices", [f"{found[0]}: used, in {precision}", *found[1:]]
