"""Jinja templates and the stylesheet of the reports, installed as package data."""
