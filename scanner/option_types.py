"""Values of options that click has no type for."""

import difflib
from typing import Any

import click

# Value representations of DICOM elements that are bytes or sequences.
_NO_TEXT = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "OB or OW", "SQ", "UN"})


class Shard(click.ParamType[tuple[int, int]]):
    """``i/n``: part i of n, counted from 1."""

    name = "i/n"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        part, _, parts = str(value).partition("/")
        if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
            self.fail(f"{value!r} is not of the form i/n with 1 <= i <= n, as in 2/8.", param, ctx)
        return int(part), int(parts)


class Keywords(click.ParamType[tuple[str, ...]]):
    """DICOM keywords separated by commas."""

    name = "keywords"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple) or not value:
            return tuple(value)
        from pydicom.datadict import DicomDictionary, dictionary_VR, tag_for_keyword

        keywords = tuple(
            dict.fromkeys(word.strip() for word in str(value).split(",") if word.strip())
        )
        for keyword in keywords:
            if tag_for_keyword(keyword) is None:
                known = [entry[4] for entry in DicomDictionary.values()]
                near = difflib.get_close_matches(keyword, known, n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                self.fail(f"{keyword} is no DICOM keyword.{hint}", param, ctx)
            if dictionary_VR(keyword) in _NO_TEXT:
                self.fail(f"{keyword} is binary or nested, it cannot stand in a CSV.", param, ctx)
        return keywords
