"""The scan: everything between a folder of chest radiographs and a report."""

__version__ = "0.1.0"
