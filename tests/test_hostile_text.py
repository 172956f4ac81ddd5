"""File names and DICOM strings cannot forge a line, a direction, a formula or another text."""

import itertools
import unicodedata

import pytest

from scanner.text import cell, printable

HOSTILE = {
    "line feed": "a\nb",
    "carriage return": "a\rb",
    "tab": "a\tb",
    "null": "a\0b",
    "ANSI colour": "\x1b[31mred\x1b[0m",
    "terminal title": "\x1b]0;owned\x07",
    "C1 control": "a\x9b31mb",
    "next line": "a\x85b",
    "delete": "a\x7fb",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "right-to-left override": "gnp.\u202emcd.x",
    "isolate": "a\u2066b\u2069",
    "left-to-right mark": "a\u200eb",
    "arabic letter mark": "a\u061cb",
    "byte that is no UTF-8": "a\udcffb",
    "lone surrogate": "a\ud800b",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_terminals_and_viewers_obey_is_written_out(text: str) -> None:
    found = printable(text)
    assert found.isprintable()
    assert found.encode("utf-8")
    assert "\\" in found


def test_no_character_of_a_control_or_direction_category_gets_through() -> None:
    direction = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    marks = {0x061C, 0x200E, 0x200F}
    for code in range(0x10000):
        character = chr(code)
        if (
            unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
            or unicodedata.bidirectional(character) in direction
            or code in marks
        ):
            assert character not in printable(character), hex(code)


@pytest.mark.parametrize("text", ["", "ward 3/IM0001.dcm", "Röntgen 胸部 صدر", "a'b=c+d", "😀"])
def test_honest_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
    assert cell(text) == text


def test_undecodable_bytes_are_shown_as_such() -> None:
    assert printable(b"r\xf6ntgen.dcm".decode("utf-8", "surrogateescape")) == "r\\xf6ntgen.dcm"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0"])
def test_no_cell_begins_like_a_formula(text: str) -> None:
    assert cell(text) == "'" + text


@pytest.mark.parametrize("text", ["\t=1+1", "\r=1+1", "\n=1+1", "\0=1"])
def test_no_cell_hides_a_formula_behind_a_control_character(text: str) -> None:
    assert cell(text)[0] == "\\"


ALPHABET = ["a", "=", "'", "\\", "x", "8", "0", "\x80", "\udc80", "\n", "\u202e", "u"]


@pytest.mark.parametrize("function", [printable, cell])
def test_two_texts_never_become_one(function: object) -> None:
    assert callable(function)
    seen: dict[str, str] = {}
    for length in range(5):
        for letters in itertools.product(ALPHABET, repeat=length):
            text = "".join(letters)
            found = function(text)
            assert seen.setdefault(found, text) == text, (text, seen[found], found)


def test_every_single_character_is_told_from_every_other() -> None:
    assert len({printable(chr(code)) for code in range(0x10000)}) == 0x10000
