"""What README and model card say is what the code says."""

import json
import re
import sys
from pathlib import Path

import click

from scanner import bundle, words
from scanner.cli import scan
from scanner.heads import KINDS
from scanner.records import describe_columns
from training.results.card import as_markdown

_ROOT = Path(__file__).parents[1]
_README = _ROOT / "README.md"
_TABLE = re.compile(r"(<!-- columns: .*? -->\n).*?(\n<!-- end of columns -->)", re.DOTALL)


def _columns_table() -> str:
    rows = [f"| `{name}` | {about} |" for name, about in describe_columns()]
    rows += [
        "| `prob_<class>` | calibrated probability of each class of the model |",
        "| `dicom_<keyword>` | elements asked for with `--include` |",
    ]
    return "\n".join(["| column | meaning |", "|---|---|", *rows])


def test_the_readme_has_the_columns_of_the_csv() -> None:
    found = _TABLE.search(_README.read_text(encoding="utf-8"))
    assert found is not None
    assert found.group().splitlines()[1:-1] == _columns_table().splitlines()


def test_the_readme_names_every_option_of_a_scan() -> None:
    text = _README.read_text(encoding="utf-8")
    for option in scan.params:
        if isinstance(option, click.Option):
            assert any(f"`{name}" in text or f"{name}`" in text for name in option.opts), option


def test_the_model_card_is_the_shipped_models() -> None:
    card = json.loads((bundle.DEFAULT_BUNDLE / bundle.CARD).read_text(encoding="utf-8"))
    written = (bundle.DEFAULT_BUNDLE.parent / "README.md").read_text(encoding="utf-8")
    assert written == as_markdown(card)


def test_every_reason_and_flag_in_the_code_has_words() -> None:
    raised = set()
    for module in (_ROOT / "scanner").glob("*.py"):
        source = module.read_text(encoding="utf-8")
        raised |= set(re.findall(r'(?:ReadError|Rejection)\(\s*"(\w+)"', source))
        raised |= set(re.findall(r'reason="(\w+)"', source))
    assert len(raised) > 15
    assert raised <= set(words.REASONS)
    flags = set()
    for module in ("gate", "display", "raster", "image_gate", "judgement", "records"):
        source = (_ROOT / "scanner" / f"{module}.py").read_text(encoding="utf-8")
        flags |= set(re.findall(r'["`]([a-z]+(?:_[a-z]+)+|coloured|uncertain)["`]', source))
    assert words.FLAGS.keys() <= flags  # no words for flags that nobody raises
    for module in ("gate", "image_gate"):
        source = (_ROOT / "scanner" / f"{module}.py").read_text(encoding="utf-8")
        for flag in re.findall(r"``(\w+)``", source):
            assert words.in_words(flag) != flag, flag
    assert set(KINDS[1:]) <= set(words.REASONS)


if __name__ == "__main__" and sys.argv[1:] == ["--update"]:
    text = _README.read_text(encoding="utf-8")
    _README.write_text(
        _TABLE.sub(lambda m: m.group(1) + _columns_table() + m.group(2), text), encoding="utf-8"
    )
