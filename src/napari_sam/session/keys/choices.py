"""The keys of the actions, as the person chose them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes
from napari.utils.key_bindings import coerce_keybinding
from psygnal import Signal

from napari_sam.errors import InputError
from napari_sam.session.actions import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_KEY = re.compile(
    r"(?:(?:Ctrl|Control|Shift|Alt|Meta)-)*"
    r"(?:[A-Z0-9,.;'\[\]\\/=`]|F(?:[1-9]|1[0-2])|Enter|Escape|Delete|Backspace|Insert|Home|End|PageUp|PageDown|Space"
    r"|Up|Down|Left|Right)"
)
_PLACES = (
    (Points, "on points layers"),
    (Shapes, "on shapes layers"),
    (Labels, "on labels layers"),
    (Image, "on images"),
    (ViewerModel, "in its window"),
)


class KeyChoices:
    """Which keys run an action: those of the table of actions, unless the person chose another one.

    Parameters
    ----------
    chosen : mapping, optional
        Keys by action, as they were noted; what names no action or no key is passed over.
    note : callable, optional
        Takes the name of an action and its keys, to keep them; None for those of the table.
    """

    changed = Signal()
    """An action has other keys."""

    def __init__(
        self,
        chosen: Mapping[str, Any] | None = None,
        note: Callable[[str, list[str] | None], object] = lambda _name, _keys: None,
    ) -> None:
        self._note = note
        self._chosen: dict[str, tuple[str, ...]] = {
            name: tuple(keys)
            for name, keys in (chosen or {}).items()
            if name in ACTIONS and isinstance(keys, list) and keys and all(map(is_key, keys))
        }

    def of(self, name: str) -> tuple[str, ...]:
        """Return the keys of an action, as napari writes them, such as "Shift-X"."""
        return self._chosen.get(name, ACTIONS[name].keys)

    def is_chosen(self, name: str | None = None) -> bool:
        """Whether an action, or any action, has other keys than those of the table."""
        return bool(self._chosen) if name is None else name in self._chosen

    def choose(self, name: str, key: str) -> None:
        """Give an action a key in place of those that it has.

        Parameters
        ----------
        name : str
            The action.
        key : str
            As napari writes it.

        Raises
        ------
        InputError
            If that is no key, or is used by another action, or by napari where a person stands.
        """
        if problem := self.problem(name, key):
            raise InputError(problem)
        self._chosen[name] = (key,)
        self._note(name, [key])
        self.changed.emit()

    def reset(self, name: str | None = None) -> None:
        """Give one action, or all, the keys of the table again.

        Raises
        ------
        InputError
            If another action has one of them by now.
        """
        if name is not None:
            for key in ACTIONS[name].keys:
                if other := self._other(name, key):
                    raise InputError(f"{key} is the key of {other} now.")
        names = list(self._chosen) if name is None else [name] if name in self._chosen else []
        for one in names:
            del self._chosen[one]
            self._note(one, None)
        if names:
            self.changed.emit()

    def problem(self, name: str, key: str) -> str:
        """Say why an action cannot have a key; "" when it can."""
        if not is_key(key):
            return f"{key} cannot be used. Take a letter, a digit or a function key, alone or with Ctrl, Alt or Shift."
        if other := self._other(name, key):
            return f"{key} is the key of {other}. Give that another one first."
        # What an action has by the table is shared with napari where need be.
        if key not in ACTIONS[name].keys and (place := place_in_napari(key)):
            return f"napari uses {key} {place}. Choose another key."
        return ""

    def _other(self, name: str, key: str) -> str:
        """Return the title of another action that has a key."""
        binding = coerce_keybinding(key)
        for other in ACTIONS.values():
            if other.id != name and binding in map(coerce_keybinding, self.of(other.id)):
                return other.title
        return ""


def is_key(key: Any) -> bool:
    """Whether this is a key that can be bound everywhere, as napari writes it."""
    return isinstance(key, str) and _KEY.fullmatch(key) is not None


def place_in_napari(key: str) -> str:
    """Say where napari itself, or another plugin, uses a key; "" for nowhere.

    napari binds its shortcuts, also those that the person changed, when its first window opens.
    """
    binding = coerce_keybinding(key)
    for kind, place in _PLACES:
        for base in kind.__mro__:
            if binding in vars(base).get("class_keymap", {}):
                return place
    return ""
