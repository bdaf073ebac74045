"""What the status line and the Objects section say about classes and the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

NO_TARGET = "There are no objects yet: accept one, or choose a labels layer under Into."
NOTHING_PICKED = "No object is chosen: click a row of the table, or accept an object."
TOO_MANY_COLORS = "Classes can be shown by colours in layers with ids up to 65,534."
ALL_REVIEWED = "Every object of the table was reviewed."


def no_class(number: int) -> str:
    """Say that there are not so many classes."""
    return f"There is no class {number} yet. Add it under Objects."


def next_class(name: str) -> str:
    """Say what new objects will be."""
    return f'New objects get the class "{name}".' if name else "New objects get no class."


def classified(labels: Collection[int], name: str) -> str:
    """Say what objects are now."""
    return f'{_objects(labels)}: "{name}".' if name else f"{_objects(labels)}: no class."


def reviewed(labels: Collection[int], value: str) -> str:
    """Say what was noted of objects."""
    return f"{_objects(labels)}: {value or 'unchecked again'}."


def counted(count: int, shown: int) -> str:
    """Say how many objects there are, and how many of them the filter leaves."""
    objects = "1 object" if count == 1 else f"{count:,} objects"
    return objects if shown == count else f"{shown:,} of {objects}"


def counting(share: float) -> str:
    """Say how far the objects are counted."""
    return f"Counting objects: {share:.0%}"


def exported(count: int, name: str) -> str:
    """Say what was written."""
    return f"{count:,} {'object' if count == 1 else 'objects'} written to {name}."


def _objects(labels: Collection[int]) -> str:
    return f"Object {next(iter(labels))}" if len(labels) == 1 else f"{len(labels):,} objects"
