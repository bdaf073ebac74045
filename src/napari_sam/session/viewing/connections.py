"""Listening: connections in one table, so that all of them can be released, and not listening to oneself."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Connections:
    """Remembers what was connected to what.

    Signals hold bound methods weakly (napari's and psygnal's both do), so the table keeps nobody alive who would not
    be alive anyway.
    """

    def __init__(self) -> None:
        self._table: list[tuple[str, Any, Callable[..., None]]] = []

    def connect(self, group: str, signal: Any, slot: Callable[..., None], *, last: bool = False) -> None:
        """Connect a bound method to a napari or psygnal signal, as one of a group.

        Parameters
        ----------
        group : str
            Name to release it by.
        signal : napari or psygnal signal
            What to listen to.
        slot : callable
            The bound method.
        last : bool
            Call it after all that listen already; only napari's signals, which call the newest first, take this.
        """
        if last:
            signal.connect(slot, position="last")
        else:
            signal.connect(slot)
        self._table.append((group, signal, slot))

    def release(self, group: str | None = None) -> None:
        """Disconnect one group, or everything. Releasing twice is fine."""
        kept = []
        for entry in self._table:
            name, signal, slot = entry
            if group is None or name == group:
                signal.disconnect(slot)
            else:
                kept.append(entry)
        self._table = kept


class Mute:
    """Tells the session's own changes of layers from those of the person.

    Attributes
    ----------
    active : bool
        Whether what changes now is the session's own.
    """

    def __init__(self) -> None:
        self.active = False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Take changes of layers for the session's own."""
        # May be nested: only the outermost lets the session hear again.
        before, self.active = self.active, True
        try:
            yield
        finally:
            self.active = before
