"""What the parts of a split are called."""

from training.data.tables import PARTS

TRAIN, VALIDATION, TEST = PARTS
# An image in no part: its group reaches into one that it must not teach for.
LEFT_OUT = "left out"

__all__ = ["LEFT_OUT", "PARTS", "TEST", "TRAIN", "VALIDATION"]
