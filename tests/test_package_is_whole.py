"""What pip installs has the default model, the templates and the type marker in it."""

import importlib.resources
import json


def test_the_installed_packages_have_their_data() -> None:
    scanner = importlib.resources.files("scanner")
    card = json.loads((scanner / "models" / "default" / "model.json").read_text(encoding="utf-8"))
    assert card["classes"] == ["Covid-19", "Normal", "Pneumonia"]
    weights = scanner / "models" / "default" / "weights.safetensors"
    assert 1_000_000 < len(weights.read_bytes()) < 42_000_000
    assert (scanner / "py.typed").is_file()
    assert (scanner / "models" / "README.md").is_file()
    templates = importlib.resources.files("templates")
    assert (templates / "report.html").is_file()
    assert (templates / "report.css").is_file()


def test_the_default_model_keeps_its_promise_on_held_out_radiography_images() -> None:
    scanner = importlib.resources.files("scanner")
    card = json.loads((scanner / "models" / "default" / "model.json").read_text(encoding="utf-8"))
    assert card["metrics"]["test"]["radiography"]["accuracy"] >= 0.95
