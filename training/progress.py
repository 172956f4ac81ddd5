"""How a long step of training shows itself."""

import sys
from typing import Any

from tqdm import tqdm

# On no terminal a bar is lines in a log: now and then is enough.
_SECONDS_BETWEEN_LINES = 30.0


def bar(what: str, total: int, unit: str, done: int = 0) -> "tqdm[Any]":
    """Return a progress bar with the time left on standard error, or now and then a line.

    `total` is what there is to do, `done` what an earlier run did of it; `unit` has its space.
    """
    interval = 0.1 if sys.stderr.isatty() else _SECONDS_BETWEEN_LINES
    return tqdm(
        total=total, initial=done, unit=unit, desc=what, mininterval=interval, file=sys.stderr
    )
