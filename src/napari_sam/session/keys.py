"""Binds the keys of the actions where napari leaves them free."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from napari.layers import Labels, Shapes
from napari.utils.key_bindings import coerce_keybinding

from napari_sam.session.actions import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam.session.actions import Action, Commands

_VERTEX_MODES = frozenset({"add_path", "add_polyline", "add_polygon", "add_polygon_lasso", "polygon"})
"""Modes of a layer in which napari's Enter and Escape end a shape; in the others these keys do nothing."""


class KeyBindings:
    """The key bindings of a session: on its prompt layers and on the viewer.

    napari asks the active layer first and the viewer last, and at each place its own bindings after those of the
    instance. A key that napari itself or the person uses there is left alone. Enter and Escape on the session's Shapes
    and Labels layers are shared: they end a shape that is drawn vertex by vertex, as in napari, and are the session's
    otherwise.

    Parameters
    ----------
    commands : Commands
        What runs, such as a session; held weakly, because viewers keep their bindings.
    """

    def __init__(self, commands: Commands) -> None:
        self._commands = weakref.ref(commands)
        self._bound: list[tuple[Any, str]] = []

    def bind(self, place: Any) -> None:
        """Bind all actions on a layer or a viewer; what is bound there already stays."""
        mine = {key for other, key in self._bound if other is place}
        for action in ACTIONS.values():
            for key in action.keys:
                if key not in mine and (call := self._call(place, key, action)) is not None:
                    place.bind_key(key, call)
                    self._bound.append((place, key))

    def release(self, place: Any = None) -> None:
        """Unbind everything on one place, or everywhere."""
        for other, key in self._bound:
            if place is None or other is place:
                other.bind_key(key, None)  # None takes a binding away
        self._bound = [] if place is None else [(other, key) for other, key in self._bound if other is not place]

    def _call(self, place: Any, key: str, action: Action) -> Callable[[Any], None] | None:
        """Make what a key calls at a place; None where the key is not free."""
        # The reference alone: what is bound outlives the session, and must not hold it.
        find = self._commands

        def run(_place: Any) -> None:
            # As a button that is greyed out, a key does nothing then.
            if (commands := find()) is not None and action.enabled(commands.state):
                action.run(commands)

        binding = coerce_keybinding(key)
        if binding in place.keymap:  # bound on this very layer or viewer by somebody else
            return None
        # Each class has a keymap of its own, and napari looks through those of its base classes, too.
        maps = [vars(kind).get("class_keymap", {}) for kind in type(place).__mro__]
        napari_own = next((keymap[binding] for keymap in maps if binding in keymap), None)
        if napari_own is None:
            return run
        if not (isinstance(place, Shapes | Labels) and key in ("Enter", "Escape")):
            return None

        def run_or_end_shape(layer: Shapes | Labels) -> None:
            if str(layer.mode) in _VERTEX_MODES:
                napari_own(layer)
            else:
                run(layer)

        return run_or_end_shape
