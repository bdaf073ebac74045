"""The commands of ``napari-sam``, one module each.

Modules here do without ``from __future__ import annotations``: typer reads the annotations when the program runs. What
is slow to import (torch, requests, image readers) is imported inside the functions.
"""
