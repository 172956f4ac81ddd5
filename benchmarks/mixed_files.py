#!/usr/bin/env python3
"""Real files in quantity: mixed_files.py DATA_FOLDER [COUNT] [SEED]

Draws COUNT image files (1000) below DATA_FOLDER, scans them with batch sizes 1 and 32 through the
command, and prints: rows a file, label agreement, largest change of a probability, files a second.
"""

import csv
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def scan(folder: Path, output: Path, *options: str) -> tuple[dict[str, dict[str, str]], float]:
    code = "from scanner.cli import main; main()"
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, folder, "--output", output, "--no-report", *options],
        capture_output=True,
        text=True,
    )
    if done.returncode not in (0, 3):
        sys.exit(done.stderr)
    seconds = time.perf_counter() - started
    with (output / "predictions.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    by_path = {row["path"]: row for row in rows}
    if len(by_path) != len(rows):
        sys.exit(f"{len(rows) - len(by_path)} paths have more than one row")
    return by_path, seconds


def main() -> None:
    data = Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    files = sorted(p for p in data.rglob("*") if p.suffix in (".jpg", ".png", ".dcm"))
    chosen = random.Random(seed).sample(files, min(count, len(files)))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "files"
        for index, file in enumerate(chosen):
            target = folder / file.relative_to(data).parent / f"{index:05}{file.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
        one, slow = scan(folder, Path(place) / "one", "--batch-size", "1")
        many, quick = scan(folder, Path(place) / "many", "--batch-size", "32")
    print(f"{len(chosen)} files; rows: {len(one)} with batches of 1, {len(many)} of 32")
    judged = [path for path, row in one.items() if row["prediction"]]
    same = sum(one[path]["prediction"] == many[path]["prediction"] for path in judged)
    names = [name for name in next(iter(one.values())) if name.startswith("prob_")]
    change = max(abs(float(one[p][n]) - float(many[p][n])) for p in judged for n in names)
    print(
        f"judged {len(judged)}; equal labels {same}; largest change of a probability {change:.2g}"
    )
    statuses = [row["status"] for row in many.values()]
    print({status: statuses.count(status) for status in sorted(set(statuses))})
    print(f"files a second, start-up included: {len(one) / slow:.1f} and {len(many) / quick:.1f}")


if __name__ == "__main__":
    main()
