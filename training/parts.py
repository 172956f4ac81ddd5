"""What the parts of a split are called."""

TRAIN, VALIDATION, TEST = PARTS = ("train", "validation", "test")
# An image in no part: its group reaches into one that it must not teach for.
LEFT_OUT = "left out"
