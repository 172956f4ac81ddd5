"""What data sets call the three classes, and what `--classes` makes of other names and numbers."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from scanner.errors import SetupError

COVID, NORMAL, PNEUMONIA = CLASSES = ("Covid-19", "Normal", "Pneumonia")
# Scans count this class as "nothing found": its images need a look last.
NEGATIVE = NORMAL

_ALIASES = {
    **dict.fromkeys(("covid", "covid19", "covid-19", "covid-19, ards", "covid 19"), COVID),
    **dict.fromkeys(("normal", "no finding", "no findings", "healthy"), NORMAL),
    **dict.fromkeys(
        ("pneumonia", "viral pneumonia", "bacterial pneumonia", "viral", "bacterial", "sars"),
        PNEUMONIA,
    ),
    # the agents that covid-chestxray-dataset (Cohen et al. 2020) files its pneumonias under
    **dict.fromkeys(
        ("streptococcus", "klebsiella", "legionella", "e.coli", "lipoid", "pneumocystis"), PNEUMONIA
    ),
    **dict.fromkeys(("mycoplasma bacterial pneumonia", "varicella", "influenza"), PNEUMONIA),
}
_NUMBER = re.compile(r"-?\d+")


def canonical(label: str) -> str | None:
    """Return the class that a data set's label means, or None if it means none of the three."""
    return _ALIASES.get(_folded(label))


def named(classes: Sequence[str]) -> list[str]:
    """Return the class of each name in `--classes`: one of the three, else the name as given."""
    return [canonical(name) or name.strip() for name in classes]


@dataclass(frozen=True)
class Vocabulary:
    """Which labels mean a class; case, blanks and underscores do not matter.

    With `classes` (from `--classes`) these alone are meant, by name or by number, counted from 0.
    Without, it is the three of `CLASSES` and those `known` to a bundle that is trained further.
    """

    classes: tuple[str, ...] = ()
    known: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Every class that may be meant, in the order of their indices."""
        return list(dict.fromkeys(named(self.classes or (*CLASSES, *self.known))))

    def class_of(self, label: str) -> str | None:
        """Return the class that a label means, or None."""
        by_text = {_folded(name): name for name in self.names}
        if (found := by_text.get(_folded(label)) or canonical(label)) is not None:
            return found if found in self.names else None
        numbered = named(self.classes)
        number = int(label) if _NUMBER.fullmatch(label.strip()) else -1
        return numbered[number] if 0 <= number < len(numbered) else None

    def near(self, label: str) -> str:
        """Return the class that a mistyped label may mean, else an empty text."""
        names = self.names if self.classes else [*self.names, *_ALIASES]
        folded = {_folded(name): name for name in names}
        found = difflib.get_close_matches(_folded(label), folded, n=1, cutoff=0.8)
        return (self.class_of(folded[found[0]]) or "") if found else ""

    def resolve(self, labels: Sequence[str], where: str) -> list[str | None]:
        """Return the class of each label, None where it means none; `where` names the labels.

        Raises `SetupError` if they are numbers and nothing says what those stand for.
        """
        found = {label: self.class_of(label) for label in set(labels)}
        numbers = sorted(int(label) for label in found if _NUMBER.fullmatch(label.strip()))
        if numbers and len(numbers) == len(found) and None in found.values():
            seen = ", ".join(map(str, numbers[:5])) + (", …" if len(numbers) > 5 else "")
            example = ",".join(CLASSES) + (",…" if len(numbers) > len(CLASSES) else "")
            known = f"--classes names {len(self.classes)}" if self.classes else "nothing names them"
            if self.classes and numbers[0] == 1 and numbers[-1] == len(self.classes):
                raise SetupError(
                    f"{where}: the labels are the numbers 1 to {numbers[-1]}, but classes are "
                    "counted from 0: subtract 1 from the labels."
                )
            raise SetupError(
                f"{where}: the labels are the numbers {seen} and {known}: say what they stand for, "
                f"counted from 0, for instance with --classes {example}."
            )
        return [found[label] for label in labels]


def _folded(label: str) -> str:
    return re.sub(r"[\s_]+", " ", label).strip().lower()
