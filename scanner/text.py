"""Text from outside made safe to store and show: file names and DICOM strings are hostile."""

import re

_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\\]"
)
_ESCAPED = re.compile(r"\\(?:\\|x[0-9a-f]{2}|u[0-9a-f]{4})")
_FORMULA_STARTS = ("=", "+", "-", "@", "'")


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    if character == "\\":
        return "\\\\"
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"  # a byte that is not UTF-8 (PEP 383)
    # Not \x for C1 controls: that is how a byte of the same value looks.
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def printable(text: str) -> str:
    r"""Return `text` on one line: control, direction and undecodable characters as ``\xNN``.

    A backslash is doubled, so two different texts never become the same.
    """
    return _UNSAFE.sub(_escape, text)


def cell(text: str) -> str:
    """Return `text` as a CSV cell that no spreadsheet takes for a formula.

    Printable, and led by an apostrophe if it begins with ``= + - @`` or an apostrophe
    (OWASP, CSV injection), so two different texts never become the same cell.
    """
    safe = printable(text)
    return "'" + safe if safe.startswith(_FORMULA_STARTS) else safe


def unescaped(text: str) -> str:
    r"""Return what `printable` wrote as ``\xNN``, ``\uNNNN`` or two backslashes."""
    return _ESCAPED.sub(_original, text)


def from_cell(cell: str) -> str:
    """Return the text that `cell` made a CSV cell of."""
    return unescaped(cell.removeprefix("'"))


def _original(match: re.Match[str]) -> str:
    escape = match.group()
    if escape == "\\\\":
        return "\\"
    code = int(escape[2:], 16)
    # A byte that is not UTF-8 (PEP 383) is written like a control character.
    return chr(code + 0xDC00 if escape[1] == "x" and code >= 0x80 else code)
