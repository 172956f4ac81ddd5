#!/usr/bin/env python3
"""Time, memory and size of a large report: report_size.py [--rows 100000] [--keep FOLDER]

Makes the output folder of a scan of so many images without scanning: rows as a model with every
head writes them, and for each its pictures, hard links to a few real ones. Renders the report in a
process of its own and prints what that took and what lies there. With --keep the folder stays, to
be opened in a browser.
"""

import argparse
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from scanner import bundle, output
from scanner.records import header_row

MOST_SECONDS, MOST_MB, MOST_PAGE_MB = 60, 1024, 2
DECOYS = 12
_PAGE = "{pages} pages, the largest {page_mb:.2f} MB; index.js {index_mb:.1f} MB; {pieces} pieces"


def make_folder(folder: Path, count: int) -> None:
    """Write rows, manifest and pictures of `count` images; one in fifty could not be judged."""
    model = bundle.load_card(bundle.DEFAULT_BUNDLE)
    pictures = _pictures(folder / "pictures")
    header = header_row(model["classes"], ())
    rng = np.random.default_rng(0)
    chances = rng.dirichlet((0.35, 0.6, 0.25), count)
    focus, distance = rng.beta(14, 2, count), rng.gamma(30, 1 / 27, count)
    begin = datetime(2026, 11, 20, 20, tzinfo=UTC)
    with (folder / output.PREDICTIONS).open("w", newline="", encoding="utf-8") as handle:
        table = csv.DictWriter(handle, header, restval="", lineterminator="\n")
        table.writeheader()
        for number in range(count):
            row = _row(number, chances[number], focus[number], distance[number], model)
            row["scanned_at"] = f"{begin + timedelta(seconds=number // 4):%Y-%m-%dT%H:%M:%SZ}"
            table.writerow(row)
            if "prediction" in row:
                _link(folder, row["sha256"], pictures[number % DECOYS])
    card = {name: value for name, value in model.items() if name != "classes"}
    run = {
        **{"state": "complete", "started": "2026-11-20T20:00:00Z", "ended": "2026-11-21T05:10:11Z"},
        **{"new_rows": count, "seconds": count / 4, "device": "CPU", "precision": "bfloat16"},
        "batch_size": 16,
    }
    values = {
        **{"root": "/mnt/pacs-export/2026-11-20", "model": model["id"], "strict": False},
        **{"state": "complete", "classes": list(model["classes"]), "card": card, "runs": [run]},
    }
    (folder / output.MANIFEST).write_text(json.dumps(values), encoding="utf-8")


def _row(number: int, chances: Any, focus: float, distance: float, model: Any) -> dict[str, Any]:
    """Return the cells of one row, with the flags that the model's card would raise."""
    path = f"2026-11-20/ward-{number % 40:02}/P{number // 3:06}/CR/IM{number:06}.dcm"
    row = {"path": path, "sha256": hashlib.sha256(path.encode()).hexdigest(), "format": "dicom"}
    row |= {"model": model["id"], "seconds": "0.110"}
    if number % 50 == 49:
        kind = "failed" if number % 100 == 99 else "rejected"
        reason = "truncated" if kind == "failed" else "lateral_view"
        return row | {"status": kind, "reason": reason, "detail": "its view is LL"}
    trust = model["trust"]
    possible = [n for n, p in zip(model["classes"], chances, strict=True) if p > 0.2]
    best = model["classes"][int(chances.argmax())]
    names = possible if len(possible) > 1 else [best]
    flags = ["view_missing"] * (number % 9 == 0) + ["orientation_unusual"] * (number % 97 == 0)
    flags += ["out_of_distribution"] * bool(distance > trust["ood"]["threshold"])
    flags += ["uncertain"] * (len(names) > 1)
    flags += ["looks_outside_lungs"] * bool(focus < trust["lung_focus"]["threshold"])
    pairs = zip(model["classes"], chances, strict=True)
    return row | {
        **{"status": "flagged" if flags else "ok", "flags": ";".join(flags)},
        **{"prediction": names[0] if len(names) == 1 else "uncertain"},
        **{"confidence": f"{chances.max():.6f}", "prediction_set": ";".join(names)},
        **{"lung_focus": f"{focus:.6f}", "lung_area": "0.270000", "cam_empty": "no"},
        **{"lung_lift": f"{focus / 0.27:.6f}", "ood_score": f"{distance:.6f}", "modality": "DX"},
        **{"body_part": "CHEST", "view": ("PA", "AP", "")[number % 3], "voi": "window 2048/4096"},
        **{"photometric": "MONOCHROME2", "rows": 2840, "columns": 2330},
        **{"patient": f"{number // 3:016x}", "study": f"{number // 2:016x}"},
        **{f"prob_{name}": f"{chance:.6f}" for name, chance in pairs},
    }


def _pictures(place: Path) -> list[tuple[Path, Path]]:
    """Make the few pictures that all rows share: the tests' radiograph, varied."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from report_samples import lungs, radiograph, spot

    from scanner import thumbnails

    pixels = radiograph()[::4, ::4]
    made = []
    for number in range(DECOYS):
        crop = np.ascontiguousarray(pixels[number : number + 420, number : number + 400])
        sha256 = f"{number:064x}"
        heat = spot(4 + number % 8, 3 + number % 10)
        thumbnails.save(place, sha256, thumbnails.thumbnail(crop), heat, lungs(6 + number % 3))
        made.append(output.picture_paths(place, sha256))
    return made


def _link(folder: Path, sha256: str, pictures: tuple[Path, Path]) -> None:
    places = output.picture_paths(folder, sha256)
    places[0].parent.mkdir(parents=True, exist_ok=True)
    for picture, place in zip(pictures, places, strict=True):
        try:
            os.link(picture, place)
        except OSError:  # a file may have 65,000 names on ext4
            shutil.copyfile(picture, place)


_RENDER = """
import sys, time
from pathlib import Path
from scanner.memory import peak_mb
from scanner.report import render
began = time.perf_counter()
render(Path(sys.argv[1]))
print(time.perf_counter() - began, peak_mb())
"""


def measure(folder: Path) -> None:
    """Render once and print seconds, MB and sizes beside their limits."""
    command = [sys.executable, "-c", _RENDER, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, peak = map(float, done.stdout.split())
    report = folder / output.REPORT
    pages = [path.stat().st_size for path in report.glob("*.html")]
    pieces = list((report / "data").glob("rows-*.js"))
    index = (report / "data" / "index.js").stat().st_size
    print(f"rendered in {seconds:.1f} s (at most {MOST_SECONDS}), {peak:.0f} MB ({MOST_MB})")
    sizes = {"pages": len(pages), "page_mb": max(pages) / 1e6, "index_mb": index / 1e6}
    print(_PAGE.format(**sizes, pieces=len(pieces)))
    total = sum(pages) + index + sum(path.stat().st_size for path in pieces)
    print(f"all of it without pictures {total / 1e6:.0f} MB (a page at most {MOST_PAGE_MB} MB)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="make the folder here and leave it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = options.keep or Path(place) / "out"
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / output.MANIFEST).exists():
            began = time.perf_counter()
            make_folder(folder, options.rows)
            print(f"made {options.rows} rows in {time.perf_counter() - began:.0f} s")
        measure(folder)


if __name__ == "__main__":
    main()
