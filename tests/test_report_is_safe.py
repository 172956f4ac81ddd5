"""File names, DICOM strings, messages and models are hostile: on a page they are only ever text."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from report_samples import (
    DEFAULT_MANIFEST,
    HOSTILE,
    Element,
    failed,
    judged,
    judged_paths,
    read_page,
    write_output,
)

from scanner.records import Record
from scanner.report import render
from scanner.text import cell

_ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "article"),
    *("div", "h1", "h2", "h3", "p", "ul", "li", "dl", "dt", "dd", "b", "span", "strong", "code"),
    *("figure", "figcaption", "details", "summary"),
    *("a", "img", "svg", "rect", "line", "text", "table", "thead", "tbody", "tr", "th", "td"),
    *("nav", "script", "template"),
}
_ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "id", "role", "aria-label"),
    *("aria-hidden", "href", "rel", "src", "alt", "title", "loading", "scope", "width", "height"),
    *("viewbox", "preserveaspectratio", "open", "x", "y", "x1", "y1", "x2", "y2", "text-anchor"),
    *("aria-labelledby", "hidden", "nonce", "defer", "decoding", "data-slot", "data-need"),
}


def hostile_rows(texts: tuple[str, ...]) -> list[Record]:
    """A judged and a failed file for every text, with that text wherever one may come in."""
    rows = []
    for number, text in enumerate(texts):
        facts = dict.fromkeys(("modality", "body_part", "view", "photometric", "voi"), text)
        # A bare name would collide where two texts are the same.
        path = f"{number} {text}"
        rows.append(judged(path, flags=[text.replace(";", "")], format=text, patient=text, **facts))
        rows.append(failed(f"failed {path}", reason=f"{number} {text}", detail=text))
    return rows


def hostile_page(folder: Path, texts: tuple[str, ...], self_contained: bool = False) -> Path:
    card = dict(zip(DEFAULT_MANIFEST["card"], texts, strict=False))
    write_output(
        folder,
        hostile_rows(texts),
        pictures=True,
        root=texts[0],
        model=texts[1],
        warnings=[text for text in texts if text.isprintable()],
        passed_over={"other": 1},
        versions={"tensorflow": texts[2], "pydicom": texts[3]},
        card={**card, "negative_class": "Normal"},
    )
    return render(folder, self_contained)


def skeleton(page: Element) -> list[tuple[str, tuple[str, ...]]]:
    """Every element and the names of its attributes, without any of their values."""
    return [(element.tag, tuple(element.attributes)) for element in page.all()]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_page(tmp_path_factory.mktemp("hostile"), HOSTILE)


def test_hostile_texts_add_no_element_and_no_attribute(hostile: Path, tmp_path: Path) -> None:
    harmless = tuple(
        f"{n:03} harmless" if text.isprintable() else f"{n:03}\x07"
        for n, text in enumerate(HOSTILE)
    )
    assert skeleton(read_page(hostile)) == skeleton(read_page(hostile_page(tmp_path, harmless)))


def test_hostile_class_names_add_no_element(tmp_path: Path) -> None:
    def page(folder: Path, classes: tuple[str, ...]) -> Element:
        records = [judged("a.dcm", classes[0], classes=classes), failed("b.dcm")]
        return read_page(render(write_output(folder, records, classes)))

    found = page(tmp_path / "hostile", tuple(HOSTILE[:8]))
    assert skeleton(found) == skeleton(page(tmp_path / "plain", tuple("abcdefgh")))
    names = [row.one("th").text for row in found.one("table", "probabilities").all("tr")]
    assert names == list(HOSTILE[:8])


def test_hostile_texts_are_shown_as_they_are(hostile: Path) -> None:
    page = read_page(hostile)
    shown = set(judged_paths(page))
    assert shown == {" ".join(cell(f"{n} {text}").split()) for n, text in enumerate(HOSTILE)}
    details = {row.all("td")[2].text for row in page.one("tbody").all("tr")}
    assert details == {" ".join(cell(text).split()) for text in HOSTILE}


def test_only_expected_elements_and_attributes_are_on_a_page(hostile: Path) -> None:
    elements = read_page(hostile).all()
    assert {element.tag for element in elements} <= _ELEMENTS
    assert {name for element in elements for name in element.attributes} <= _ATTRIBUTES


def test_no_page_holds_a_handler_a_style_of_an_element_or_anothers_script(hostile: Path) -> None:
    scripts = []
    for element in read_page(hostile).all():
        assert element.tag not in {"iframe", "object", "embed", "form", "link", "base"}
        assert not [n for n in element.attributes if n.startswith("on") or n == "style"]
        scripts += [element] if element.tag == "script" else []
    assert [script.attributes["src"] for script in scripts] == ["app.js"]
    assert not scripts[0].children


def test_a_self_contained_page_has_no_script(tmp_path: Path) -> None:
    render(write_output(tmp_path, [judged("a")]))
    page = read_page(render(tmp_path, self_contained=True))
    assert not page.all("script") and not page.all(id="app")
    assert "script-src" not in policy_of(page)
    assert [path.name for path in (tmp_path / "report").rglob("*.js")] == []


def policy_of(page: Element) -> dict[str, list[str]]:
    policy = page.one("meta", **{"http-equiv": "Content-Security-Policy"}).attributes["content"]
    return {words[0]: words[1:] for words in map(str.split, policy.split(";"))}


@pytest.mark.parametrize("self_contained", [False, True])
def test_links_and_pictures_stay_in_the_output_folder(self_contained: bool, tmp_path: Path) -> None:
    page = read_page(hostile_page(tmp_path, HOSTILE, self_contained))
    urls = [e.attributes[n] for e in page.all() for n in ("href", "src") if n in e.attributes]
    assert urls
    for url in urls:
        assert re.fullmatch(
            r"thumbs/[0-9a-f]{2}/[0-9a-f]{64}(-cam)?\.jpg|data:image/jpeg;base64,[A-Za-z0-9+/=]+"
            r"|(page-\d{4}|index)\.html(#i-[0-9a-f]{12})?|#[a-z-]+|\.\./predictions\.csv|app\.js",
            url,
        ), url[:200]


@pytest.mark.parametrize("name", ["index.html", "page-0002.html"])
@pytest.mark.parametrize("self_contained", [False, True])
def test_no_page_names_a_web_address(name: str, self_contained: bool, tmp_path: Path) -> None:
    write_output(tmp_path, [judged(f"{n:03}") for n in range(201)] + [failed("f")], pictures=True)
    render(tmp_path, self_contained)
    html = (tmp_path / "report" / name).read_text(encoding="utf-8")
    assert not re.search(r"https?:|[\"'(=\s]//|@import|url\(", html)


@pytest.mark.parametrize("name", ["index.html", "page-0002.html"])
def test_a_content_security_policy_forbids_everything_but_pictures_and_its_own_style(
    name: str, tmp_path: Path
) -> None:
    render(write_output(tmp_path, [judged(f"{n:03}") for n in range(201)]))
    page = read_page(tmp_path / "report" / name)
    nonce = page.one("script").attributes["nonce"]
    style = page.one("style").children[0]
    assert isinstance(style, str)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy_of(page) == {
        "default-src": ["'none'"],
        "img-src": ["'self'", "file:", "data:"],
        "style-src": [f"'sha256-{digest}'"],
        "script-src": [f"'nonce-{nonce}'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }


def test_the_policy_stands_before_anything_it_governs(tmp_path: Path) -> None:
    head = read_page(render(write_output(tmp_path, [judged("a")]))).one("head")
    tags = [
        (element.tag, element.attributes.get("http-equiv", ""))
        for element in head.children
        if isinstance(element, Element)
    ]
    assert tags[:2] == [("meta", ""), ("meta", "Content-Security-Policy")]
    assert head.all("meta")[0].attributes == {"charset": "utf-8"}


def test_control_and_direction_characters_never_reach_a_page(hostile: Path) -> None:
    text = "".join(read_page(hostile)._raw_text())
    forbidden = (
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
    )
    assert re.findall(forbidden, text) == []


def test_a_style_sheet_cannot_be_closed_from_outside(hostile: Path) -> None:
    page = read_page(hostile)
    assert len(page.all("style")) == 1
    assert page.one("style").text.startswith(":root {")


def test_a_page_refers_nobody(hostile: Path) -> None:
    assert read_page(hostile).one("meta", name="referrer").attributes["content"] == "no-referrer"
