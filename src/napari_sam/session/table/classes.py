"""The classes that a person tells objects apart by: names with colours, kept with each labels layer."""

from __future__ import annotations

import json
import weakref
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_sam.errors import InputError
from napari_sam.files import home, read_small, write_whole
from napari_sam.session.labels.remembered import recall_choices, remember_choices
from napari_sam.session.state import ObjectClass
from napari_sam.session.viewing.feature_table import CLASS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari.layers import Labels

PALETTE = (
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
    "#999933",
    "#882255",
)
"""Colours of classes 1 to 9: those of Okabe and Ito, and two of Paul Tol's, which people of any colour vision can tell
apart (https://jfly.uni-koeln.de/color/, https://sronpersonalpages.nl/~pault/)."""
NO_CLASS_COLOR = "#9a9a9a"
"""Colour of objects without a class."""
_LONGEST = 60
"""Letters of a name."""
_FILE = "classes.json"


class ClassLists:
    """Keeps the list of classes of each labels layer; a layer without one begins with the list used last.

    Parameters
    ----------
    folder : Path, optional
        Where the list used last is kept; by default `napari_sam.files.home`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._noted: weakref.WeakKeyDictionary[Labels, tuple[Any, tuple[str, ...]]] = weakref.WeakKeyDictionary()
        self._usual: tuple[ObjectClass, ...] | None = None

    def of(self, layer: Labels | None) -> tuple[ObjectClass, ...]:
        """Return the classes of a layer: those chosen for it, and others that its objects have already."""
        if layer is None:
            return self._read_usual()
        kept = recall_choices(layer).get("classes")
        chosen = self._read_usual() if kept is None else _parse(kept)
        return _with_names(chosen, self._names_in(layer))

    def keep(self, layer: Labels) -> None:
        """Let a layer that has no list begin with the one used last, whatever is used after that."""
        if recall_choices(layer).get("classes") is None and (usual := self._read_usual()):
            remember_choices(layer, classes=_rows(usual))

    def set(self, layer: Labels | None, classes: Iterable[ObjectClass]) -> None:
        """Choose the classes of a layer; new layers begin with them, too."""
        self._usual = tuple(classes)
        rows = _rows(self._usual)
        if layer is not None:
            remember_choices(layer, classes=rows)
        path = self._path()
        # A list that cannot be kept for next time is still that of the layer.
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps({"classes": rows}))

    def add(self, layer: Labels | None, name: str) -> ObjectClass:
        """Add a class at the end of the list of a layer, in the next colour.

        Raises
        ------
        InputError
            If there is one of this name, or it is none.
        """
        classes = self.of(layer)
        (new,) = _with_names((), [self._checked(classes, name)], len(classes), {one.color for one in classes})
        self.set(layer, (*classes, new))
        return new

    def change(self, layer: Labels | None, name: str, *, new_name: str | None = None, color: str | None = None) -> None:
        """Give a class of a layer another name or colour; objects that have it are not changed.

        Raises
        ------
        InputError
            If there is a class of the new name, or it is none.
        """
        classes = self.of(layer)
        if new_name is not None and new_name != name:
            new_name = self._checked(classes, new_name)
        self.set(
            layer,
            [
                replace(one, name=new_name or name, color=color or one.color) if one.name == name else one
                for one in classes
            ],
        )

    def remove(self, layer: Labels | None, name: str) -> None:
        """Take a class off the list of a layer."""
        self.set(layer, [one for one in self.of(layer) if one.name != name])

    def note_names(self, layer: Labels, names: Iterable[str]) -> None:
        """Take note of classes that some objects of a layer got."""
        if (known := self._noted.get(layer)) is not None:
            self._noted[layer] = known[0], tuple(dict.fromkeys((*known[1], *filter(None, names))))

    def forget_names(self, layer: Labels) -> None:
        """Read anew which classes objects of a layer have, the next time that is asked for."""
        self._noted.pop(layer, None)

    def _checked(self, classes: tuple[ObjectClass, ...], name: str) -> str:
        name = " ".join(name.split())[:_LONGEST]
        if not name:
            raise InputError("A class needs a name.")
        if any(one.name == name for one in classes):
            raise InputError(f'There is a class "{name}" already.')
        return name

    def _names_in(self, layer: Labels) -> tuple[str, ...]:
        """Return the classes that objects of a layer have, in the order in which they come."""
        table = layer.features
        known = self._noted.get(layer)
        # napari puts another table in its place when rows or columns are added.
        if known is None or known[0]() is not table:
            names = table[CLASS].unique().tolist() if CLASS in table else []
            found = tuple(name for name in names if isinstance(name, str) and name)
            self._noted[layer] = known = weakref.ref(table), found
        return known[1]

    def _read_usual(self) -> tuple[ObjectClass, ...]:
        """Return the list that was used last."""
        if self._usual is None:
            self._usual = ()
            # A file that cannot be read, or is something else, is none.
            with suppress(OSError, ValueError, InputError):
                found = json.loads(read_small(self._path()))
                self._usual = _parse(found.get("classes") if isinstance(found, dict) else None)
        return self._usual

    def _path(self) -> Path:
        return (self._folder or home()) / _FILE


def _with_names(
    classes: tuple[ObjectClass, ...], names: Iterable[str], before: int = 0, taken: Iterable[str] = ()
) -> tuple[ObjectClass, ...]:
    """Add classes for names that have none, each in a colour that is free, or else in the next one."""
    found = list(classes)
    used = {*taken, *(one.color for one in found)}
    for name in names:
        if any(one.name == name for one in found):
            continue
        free = [color for color in PALETTE if color not in used]
        color = free[0] if free else PALETTE[(before + len(found)) % len(PALETTE)]
        used.add(color)
        found.append(ObjectClass(name, color))
    return tuple(found)


def _rows(classes: Iterable[ObjectClass]) -> list[list[str]]:
    """Return names and colours as plain values."""
    return [[one.name, one.color] for one in classes]


def _parse(rows: Any) -> tuple[ObjectClass, ...]:
    """Read a list of names and colours; what is none is left out."""
    found = []
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, list) and len(row) == 2 and all(isinstance(one, str) for one in row) and row[0]:
            is_color = len(row[1]) == 7 and row[1][0] == "#" and all(c in "0123456789abcdefABCDEF" for c in row[1][1:])
            found.append(ObjectClass(row[0], row[1] if is_color else NO_CLASS_COLOR))
    return tuple(found)
