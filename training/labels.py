"""What data sets call the three classes."""

import re

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


def canonical(label: str) -> str | None:
    """Return the class that a data set's label means, or None if it means none of the three."""
    return _ALIASES.get(re.sub(r"[\s_]+", " ", label).strip().lower())
