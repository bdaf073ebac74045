"""Binds the keys of the actions where napari leaves them free."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from napari.layers import Labels, Shapes
from napari.utils.key_bindings import coerce_keybinding

from napari_sam.session.actions import ACTIONS
from napari_sam.session.napari_private import shape_being_drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_sam.session.actions import Action, Commands
    from napari_sam.session.keys.choices import KeyChoices

_SHARED: dict[type, frozenset[str]] = {
    Shapes: frozenset({"Enter", "Escape", "X"}),
    Labels: frozenset({"Enter", "Escape"}),
}
"""Keys of napari's that are the session's at times."""


class KeyBindings:
    """The key bindings of a session: on its prompt layers and on the viewer.

    napari asks the active layer first and the viewer last, and at each place its own bindings after those of the
    instance. A key that napari itself or the person uses there is left alone. Enter and Escape on the session's Shapes
    and Labels layers are shared: they end a shape that is just being drawn, as in napari, and are the session's
    otherwise. So is X on the Shapes layer: the session's while shapes are added, napari's while they are edited.

    A key that is held acts once. napari drops the repeats of a key whose release a binding waits for, in all versions,
    and those of other keys until 0.9 only; therefore each binding is a generator, which waits for it.

    Parameters
    ----------
    commands : Commands
        What runs, such as a session; held weakly, because viewers keep their bindings.
    choices : KeyChoices
        Which keys; when they change, all is bound anew.
    """

    def __init__(self, commands: Commands, choices: KeyChoices) -> None:
        self._commands = weakref.ref(commands)
        self._choices = choices
        self._places: list[Any] = []
        self._bound: list[tuple[Any, str]] = []
        self._own: list[Any] = []
        choices.changed.connect(self._on_choices_changed)

    def bind(self, place: Any, *, own: bool = False) -> None:
        """Bind all actions on a layer or a viewer; what is bound there already stays.

        Parameters
        ----------
        place : Layer or ViewerModel
            Where.
        own : bool
            Whether the layer is there for the session alone: keys that napari uses on such layers are its own, too.
        """
        if own and not any(other is place for other in self._own):
            self._own.append(place)
        if not any(other is place for other in self._places):
            self._places.append(place)
        mine = {key for other, key in self._bound if other is place}
        for action in ACTIONS.values():
            for key in self._choices.of(action.id):
                if key not in mine and (call := self._call(place, key, action)) is not None:
                    place.bind_key(key, call)
                    self._bound.append((place, key))

    def release(self, place: Any = None) -> None:
        """Unbind everything on one place, or everywhere."""
        for other, key in self._bound:
            if place is None or other is place:
                other.bind_key(key, None)  # None takes a binding away
        self._bound = [] if place is None else [(other, key) for other, key in self._bound if other is not place]
        self._places = [] if place is None else [other for other in self._places if other is not place]
        self._own = [] if place is None else [other for other in self._own if other is not place]

    def _on_choices_changed(self) -> None:
        places, own = self._places, self._own
        self.release()
        for place in places:
            self.bind(place, own=any(other is place for other in own))

    def _call(self, place: Any, key: str, action: Action) -> Callable[[Any], Iterator[None]] | None:
        """Make what a key calls at a place; None where the key is not free."""
        # The reference alone: what is bound outlives the session, and must not hold it.
        find = self._commands

        def run() -> None:
            # As a button that is greyed out, a key does nothing then.
            if (commands := find()) is not None and action.enabled(commands.state):
                action.run(commands)

        def press(place: Any) -> Iterator[None]:
            del place  # napari keeps the generator until the release, which is never seen where the window loses focus
            run()
            yield

        binding = coerce_keybinding(key)
        if binding in place.keymap:  # bound on this very layer or viewer by somebody else
            return None
        # Each class has a keymap of its own, and napari looks through those of its base classes, too.
        maps = [vars(kind).get("class_keymap", {}) for kind in type(place).__mro__]
        napari_own = next((keymap[binding] for keymap in maps if binding in keymap), None)
        if napari_own is None:
            return press
        if key not in _SHARED[Labels] and any(other is place for other in self._own):
            return press
        if not any(isinstance(place, kind) and key in keys for kind, keys in _SHARED.items()):
            return None

        def press_or_leave(layer: Shapes | Labels) -> Iterator[None]:
            if _is_napari_s(layer, key):
                napari_own(layer)
            else:
                run()
            del layer
            yield

        return press_or_leave


def _is_napari_s(layer: Shapes | Labels, key: str) -> bool:
    """Tell whether a shared key does what napari does with it, as things are."""
    if key == "X":
        return not str(layer.mode).startswith("add_")
    if isinstance(layer, Shapes):
        return shape_being_drawn(layer) is not None
    return str(layer.mode) == "polygon"
