"""Labelled radiographs of any form become model inputs: recognised, read, stored."""
