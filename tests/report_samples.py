"""Output folders as a scan leaves them, made without a model: rows, pictures and manifest."""

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from scanner import dicom, thumbnails
from scanner.focus import lung_focus
from scanner.output import MANIFEST
from scanner.radiograph import FloatArray
from scanner.records import UNCERTAIN, Record, RecordFile, header_row
from scanner.walk import Source

CLASSES = ("Covid-19", "Normal", "Pneumonia")
NEGATIVE = "Normal"

# What a file name, a DICOM string, an error message or a foreign model may hold. None has a
# semicolon where it would be a list of flags, none a slash that a file name could not have.
HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    '" autofocus onfocus="alert(1)',
    "</p></article></main></body></html><h1>The end",
    "</style><style>*{display:none}",
    "</title><base href='javascript:alert(1)'>",
    "<a href=javascript:alert(1)>click</a>",
    "javascript:alert(document.domain)",
    "url(http://evil.example/x.png)",
    "<!--",
    "]]><![CDATA[",
    "{{ 7 * 7 }}{% raw %}",
    "&lt\N{FULLWIDTH SEMICOLON}script&gt\N{FULLWIDTH SEMICOLON}",
    "\x1b[2J\x1b]0;owned\x07",
    "abc\u202egnp.exe",
    "1234\u061c-5678",
    "line\nbreak\rand\u2028more\0",
    "\udcff\udcfe not UTF-8",
    "=HYPERLINK('http://evil.example')",
)

DEFAULT_MANIFEST: dict[str, Any] = {
    "root": "/mnt/pacs-export/2026-11-20",
    "model": "20ee48f61273",
    "strict": False,
    "state": "complete",
    "classes": list(CLASSES),
    "include": [],
    "card": {
        "id": "20ee48f61273",
        "name": "frontal-cxr-3",
        "negative_class": NEGATIVE,
        "trained_on": "6 100 radiographs of three public collections, split by patient",
        "headline": "accuracy 0.88 (0.86 to 0.90) on 1 100 held-out images",
        "intended_use": "Sorting of adult frontal chest radiographs for research.",
        "known_limits": "Collections and classes are confounded; children are under-represented.",
    },
    "versions": {"cxr-scan": "0.1.0", "tensorflow": "2.21.0", "pydicom": "3.0.2"},
    "files": 0,
    "passed_over": {"other": 12, "dicomdir": 1},
    "warnings": [],
    "runs": [
        {
            "ended": "2026-11-20T04:31:07Z",
            "state": "complete",
            "new_rows": 45,
            "seconds": 12.5,
            "predicting_seconds": 6.1,
            "device": "CPU Example 9000",
            "precision": "bfloat16",
            "batch_size": 16,
        }
    ],
}


# What a model with every head adds to its card.
TRUSTED: dict[str, Any] = {
    "lungs": {
        "text": "Taught with masks drawn by people.",
        "dice": {"adults": {"dice": 0.934}, "all": {"dice": 0.952}},
    },
    "trust": {
        "lung_focus": {
            "threshold": 0.41,
            "quantile": 0.02,
            "text": "Of the validation images judged rightly, 2 % have less.",
        },
        "conformal": {
            "promised": 0.95,
            "thresholds": {"Covid-19": 0.03, "Normal": 0.05, "Pneumonia": 0.05},
            "text": "Chosen on 865 validation images; it holds for images like these only.",
        },
        "ood": {
            "threshold": 1.62,
            "quantile": 0.99,
            "text": "Of the validation images, 1 % are farther away.",
        },
        "gate": {
            "reject_below": 0.05,
            "flag_below": 0.5,
            "text": "Of frontal radiographs of validation, 0.4 % are rejected.",
        },
        "left_out": [],
    },
}


# The probabilities from which on such a model counts a class as found.
POINTS: dict[str, Any] = {
    "operating_points": [
        {
            "class": name,
            "rule": rule,
            "threshold": threshold,
            "validation": {"sensitivity": 0.97, "specificity": 0.96},
            "test": {
                "sensitivity": 0.951,
                "sensitivity_95": [0.91, 0.98],
                "specificity": 0.94,
                "specificity_95": [0.92, 0.96],
            },
        }
        for name, threshold in (("Covid-19", 0.4906), ("Pneumonia", 0.2781))
        for rule in ("balanced", "sensitive")
    ]
}


def source(relative: str, size: int = 1000, modified: int = 1) -> Source:
    return Source(Path("/nowhere") / relative.replace("\0", ""), relative, size, modified)


def file_hash(path: str) -> str:
    return hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()


def judged(
    path: str,
    prediction: str = NEGATIVE,
    confidence: float = 0.9,
    flags: Sequence[str] = (),
    classes: Sequence[str] = CLASSES,
    **facts: Any,
) -> Record:
    """A row that was judged; what is left of 1 is shared by the other classes."""
    rest = (1 - confidence) / max(len(classes) - 1, 1)
    record = Record(
        path=path,
        status="flagged" if flags else "ok",
        flags=";".join(flags),
        prediction=prediction,
        confidence=confidence,
        cam_empty="yes" if "cam_empty" in flags else "no",
        probabilities=tuple(confidence if name == prediction else rest for name in classes),
        sha256=file_hash(path),
        format="dicom",
        modality="DX",
        body_part="CHEST",
        view="PA",
        photometric="MONOCHROME2",
        transfer_syntax="1.2.840.10008.1.2.1",
        voi="window 2048/4096",
        rows=2840,
        columns=2330,
        patient="cc94235d0570f6c3",
        study="daec537e72cc3f38",
        instance=file_hash(path)[:16],
        model="20ee48f61273",
        scanned_at="2026-11-20T03:11:28Z",
        seconds=0.11,
    )
    return replace(record, **facts)


def failed(path: str, reason: str = "truncated", detail: str = "it ends too early") -> Record:
    return _unjudged(path, "failed", reason, detail)


def rejected(path: str, reason: str = "lateral_view", detail: str = "its view is LL") -> Record:
    return _unjudged(path, "rejected", reason, detail)


def _unjudged(path: str, status: str, reason: str, detail: str) -> Record:
    return Record(
        path=path,
        status=status,
        reason=reason,
        detail=detail,
        sha256=file_hash(path),
        format="dicom",
        model="20ee48f61273",
        scanned_at="2026-11-20T03:11:28Z",
        seconds=0.02,
    )


def write_rows(
    folder: Path,
    records: Sequence[Record],
    classes: Sequence[str] = CLASSES,
    include: Sequence[str] = (),
) -> Path:
    """Write `predictions.csv` as a scan does and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    with RecordFile(folder, header_row(classes, include), "20ee48f61273") as rows:
        rows.resume([source(record.path) for record in records])
        rows.append([(source(record.path), record) for record in records])
        return rows.path


def write_output(
    folder: Path,
    records: Sequence[Record],
    classes: Sequence[str] = CLASSES,
    pictures: bool = False,
    **manifest: Any,
) -> Path:
    """Write rows, manifest and, if wanted, pictures.

    Keyword arguments change the manifest; None leaves an entry out.
    """
    write_rows(folder, records, classes)
    values = {**DEFAULT_MANIFEST, "classes": list(classes), **manifest}
    values = {name: value for name, value in values.items() if value is not None}
    (folder / MANIFEST).write_text(json.dumps(values), encoding="utf-8")
    if pictures:
        for number, record in enumerate(record for record in records if record.prediction):
            thumbnails.save(folder, record.sha256, phantom(number % 4), spot(5 + number % 7, 4))
    return folder


@cache
def phantom(seed: int = 0) -> bytes:
    """A thumbnail of something like a chest: dark lungs either side of a bright middle."""
    height, width = 320, 270
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.full((height, width), 0.55 + 0.02 * seed)
    for centre in (0.29, 0.71):
        lung = ((x / width - centre) / 0.17) ** 2 + ((y / height - 0.47) / 0.34) ** 2 < 1
        pixels[lung] = 0.15 + 0.02 * seed
    pixels[:, :4] = 0
    return thumbnails.thumbnail(pixels.astype(np.float32))


def spot(row: int, column: int, size: int = 16) -> FloatArray:
    """A Grad-CAM map with one round spot, (size, size) float32."""
    y, x = np.mgrid[0:size, 0:size]
    return np.exp(-((y - row) ** 2 + (x - column) ** 2) / 6.0).astype(np.float32)


def lungs(top: float = 7, height: float = 17) -> FloatArray:
    """Lung probabilities (32, 32) of a chest like `phantom`'s."""
    y, x = np.mgrid[0:32, 0:32]
    middle = top + height / 2
    inside = np.full((32, 32), 4.0)
    for centre in (9.0, 22.5):
        ellipse = ((x - centre) / 5.5) ** 2 + ((y - middle) / (height / 2)) ** 2
        inside = np.minimum(inside, ellipse)
    return (1 / (1 + np.exp(6 * (inside - 1)))).astype(np.float32)


def trusted(record: Record, cam: FloatArray, field: FloatArray, distance: float) -> Record:
    """A judged row with what a model with every head adds to it."""
    focus = lung_focus(cam[None], field[None])
    share = None if record.cam_empty == "yes" else float(focus.share[0])
    flags = [flag for flag in record.flags.split(";") if flag]
    flags += ["out_of_distribution"] * (distance > 1.62)
    names = [record.prediction]
    if record.confidence is not None and record.confidence < 0.6:
        names = (
            ["Covid-19", "Pneumonia"] if record.prediction != NEGATIVE else ["Covid-19", NEGATIVE]
        )
        flags.append(UNCERTAIN)
    flags += ["looks_outside_lungs"] * (share is not None and share < 0.41)
    return replace(
        record,
        status="flagged" if flags else "ok",
        flags=";".join(flags),
        prediction=UNCERTAIN if len(names) > 1 else names[0],
        prediction_set=";".join(names),
        lung_focus=share,
        lung_area=float(focus.area[0]),
        lung_lift=None if share is None else float(focus.lift[0]),
        ood_score=distance,
    )


@cache
def radiograph() -> FloatArray:
    """The real chest radiograph of pydicom-data as a viewer shows it, (H, W) float32 in 0..1."""
    return dicom.read_pixels(dicom.parse(radiograph_file().read_bytes()))[0]


def radiograph_file() -> Path:
    """RG1_UNCR.dcm where pip put it."""
    spec = importlib.util.find_spec("data_store")
    assert spec is not None and spec.origin is not None, "pip install pydicom-data"
    return Path(spec.origin).parent / "data" / "RG1_UNCR.dcm"


def realistic_night(folder: Path, long_names: bool = False) -> Path:
    """Forty pictures of one real radiograph, varied, with what else a night brings."""
    rng = np.random.default_rng(7)
    pixels = radiograph()[::4, ::4]
    flags = ((), (), (), ("view_missing",), (), (), ("orientation_unusual", "cam_empty"), ())
    name = "x" * 180 if long_names else "IM"
    records = []
    for number in range(40):
        prediction = CLASSES[(1, 1, 2, 1, 0, 1, 2)[number % 7]]
        path = f"2026-11-20/ward-{number % 5}/P{number // 2:03}/{name}{number:04}.dcm"
        record = judged(
            path,
            prediction,
            confidence=round(float(rng.uniform(0.45, 0.999)), 6),
            flags=flags[number % len(flags)],
            view=("PA", "AP", "")[number % 3],
            patient=file_hash(f"P{number // 2}")[:16],
            scanned_at=f"2026-11-20T0{1 + number // 20}:{(7 * number) % 60:02}:28Z",
        )
        records.append(record)
        top, left = rng.integers(0, 40, 2)
        crop = pixels[top : top + 420, left : left + 400] ** rng.uniform(0.8, 1.25)
        cam = spot(int(rng.integers(4, 12)), int(rng.integers(3, 13)))
        if "cam_empty" in record.flags:
            cam = np.zeros_like(cam)
        picture = thumbnails.thumbnail(np.ascontiguousarray(crop, dtype=np.float32))
        field = lungs(top=6 + number % 3)
        records[-1] = trusted(record, cam, field, round(float(rng.uniform(0.8, 1.7)), 3))
        thumbnails.save(folder, record.sha256, picture, cam, field)
    turned = rejected(
        f"archive/{name}-turned.png",
        "turned",
        "its picture says: turned on its side (probability 0.97; a frontal chest radiograph 0.004)",
    )
    thumbnails.save_plain(
        folder, turned.sha256, thumbnails.thumbnail(np.ascontiguousarray(np.rot90(pixels)))
    )
    records += [
        failed(f"archive/{name}-sent-incompletely.dcm", detail="it ends 899599 bytes too early"),
        failed(f"archive/{name}-scan.gif", "unsupported_format", "this image format is not read"),
        rejected(f"archive/{name}-lateral.dcm"),
        turned,
        rejected(f"archive/{name}-hand.dcm", "other_body_part", "its body part is HAND"),
        rejected(f"copies/{name}0001.dcm", "duplicate", f"duplicate_of {records[1].path}"),
    ]
    return write_output(
        folder,
        records,
        card=DEFAULT_MANIFEST["card"] | TRUSTED | POINTS,
        warnings=[f"folder archive/{name} cannot be opened; the files in it have no rows"],
    )


_VOID = frozenset({"meta", "img", "link", "base", "br", "hr", "input"})


@dataclass
class Element:
    """One element of a page: tag, attributes, and what is inside."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text inside, white space collapsed."""
        return " ".join(self._raw_text().split())

    def _raw_text(self) -> str:
        parts = [c if isinstance(c, str) else c._raw_text() for c in self.children]
        return "" if self.tag == "template" else "".join(parts)

    def all(self, tag: str = "", css_class: str = "", **attributes: str) -> list["Element"]:
        """Every element inside that has this tag, this class and these attributes, in order.

        As for a browser, what a <template> holds is no part of the page.
        """
        found = []
        for child in self.children:
            if isinstance(child, Element):
                classes = child.attributes.get("class", "").split()
                if (
                    (not tag or child.tag == tag)
                    and (not css_class or css_class in classes)
                    and all(child.attributes.get(k) == v for k, v in attributes.items())
                ):
                    found.append(child)
                if child.tag != "template":
                    found += child.all(tag, css_class, **attributes)
        return found

    def one(self, tag: str = "", css_class: str = "", **attributes: str) -> "Element":
        found = self.all(tag, css_class, **attributes)
        assert len(found) == 1, f"{len(found)} of <{tag} class={css_class} {attributes}>"
        return found[0]


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("document")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read_page(path: Path) -> Element:
    """Parse a page of the report; every element must be closed where it was opened."""
    builder = _Builder()
    builder.feed(path.read_text(encoding="utf-8"))
    builder.close()
    assert len(builder.open) == 1, f"<{builder.open[-1].tag}> is never closed"
    return builder.open[0]


def judged_paths(page: Element) -> list[str]:
    """The file names of the cards on a page, in order."""
    return [card.one("p", "path").text for card in page.all("article", "card")]
