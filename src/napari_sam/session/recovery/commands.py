"""The commands of a session for work that the journal knows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

from napari_sam.errors import InputError
from napari_sam.journal.catalog import find_prompts
from napari_sam.prompts import PromptSet
from napari_sam.session.recovery.lookup import database

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from napari.layers import Image, Labels

    from napari_sam.session.recovery.controller import RecoveryController


class RecoveryContext(Protocol):
    """What a command is made of, as `napari_sam.session.commands` has it."""

    def command(self) -> AbstractContextManager[Image | None]:
        """Run a command on the image: changes of layers are the session's own, and what comes of it is told."""

    def say(self, text: str) -> None:
        """Let the status line say something; "" for nothing."""


class RecoveryCommands:
    """Objects that the journal knows: `restore` those that are offered, look up the prompts of one.

    Parameters
    ----------
    context : RecoveryContext
        What each command is made of.
    controller : RecoveryController
        Offers and restores.
    """

    def __init__(self, context: RecoveryContext, controller: RecoveryController) -> None:
        self._context = context
        self._controller = controller

    def restore(self) -> None:
        """Write the objects that are offered into a labels layer, with their ids, as one step of undo.

        That is the target, if it is empty, and else a new layer. `Session.cancel` stops it.
        """
        with self._context.command() as image:
            if image is not None:
                self._context.say(self._controller.start(image))

    def dismiss(self) -> None:
        """Offer nothing for this image any more, in this session; the journal keeps it."""
        with self._context.command():
            self._controller.dismiss()

    def prompts_of(self, target: Labels, label: int, plane: Sequence[int | None]) -> PromptSet | None:
        """Return the prompts that an object came of, in this session, an earlier one, or one that was restored.

        Parameters
        ----------
        target : Labels
            The layer that carries it.
        label : int
            Its id there.
        plane : sequence of (int or None)
            For each axis the index of the plane; None for the two of the plane: `PlaneIndex.index`.

        Returns
        -------
        PromptSet or None
            None where the journal knows none, or cannot be read: an object that was painted, or carried to this plane.
        """
        path = database()
        if not path.is_file():
            return None
        try:
            entry = find_prompts(path, str(target.unique_id), label, plane)
            prompts = None if entry is None else PromptSet.from_json(json.dumps(entry.asked["prompts"]))
        except InputError:
            return None
        return prompts if prompts is not None and len(prompts) else None
