"""Tells the journal of every accepted object."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari_sam.session import messages
from napari_sam.session.objects.recording.describing import account, describe_layer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari.layers import Image

    from napari_sam.inference.worker import Worker
    from napari_sam.journal import Journal
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.prompts import PromptSet
    from napari_sam.session.labels.edit import LabelEdit
    from napari_sam.session.viewing.feature_table import NotesChange

_TIDY_EVERY = 64
"""Records after which it is looked whether the journal wants to be put in order."""


class ObjectRecorder:
    """Tells the journal of every accepted object.

    Parameters
    ----------
    journal : Journal
        Where records go.
    worker : Worker, optional
        Puts the journal in order now and then; without it, that is done when the session ends.
    """

    def __init__(self, journal: Journal, worker: Worker | None = None) -> None:
        self._journal = journal
        self._worker = worker
        self._told: Path | None = None

    @property
    def path(self) -> Path | None:
        """The file of the journal; None before the first record."""
        return self._journal.path

    @property
    def database(self) -> Path:
        """Where the journal is, or would be, also that of other sessions."""
        return self._journal.database

    @property
    def session(self) -> str:
        """Name of the session in the journal."""
        return self._journal.session

    @property
    def count(self) -> int:
        """How many records there are of this session."""
        return self._journal.count

    @property
    def unsaved(self) -> str:
        """What the person should know while records cannot be written to the journal; "" when all are there."""
        return "" if self._journal.trouble is None else messages.no_journal(self._journal.trouble)

    def add(self, kind: str, **fields: Any) -> tuple[int, str]:
        """Add an entry: its number, and what the person should know if that failed."""
        number = self._journal.add(kind, **fields)
        if number % _TIDY_EVERY == 0 and self._journal.is_untidy and self._worker is not None:
            journal = self._journal
            self._worker.submit("journal tidied", lambda _progress: journal.tidy())
        return number, self.unsaved or self._damage_notice()

    def _damage_notice(self) -> str:
        """Say, once, that a damaged journal was found."""
        before, self._told = self._told, self._journal.set_aside
        return "" if self._told in (None, before) else messages.journal_set_aside(self._told)

    def add_plane(
        self, kind: str, image: Image, view: PlaneIndex, written: LabelEdit, prompts: PromptSet, **more: Any
    ) -> tuple[int, str]:
        """Record what a run wrote on one plane; `sync` brings it to the disk.

        Parameters
        ----------
        kind : str
            "accepted", or "erased" where an object was taken off a plane.
        image : Image
            The image.
        view : PlaneIndex
            The plane.
        written : LabelEdit
            What was written.
        prompts : PromptSet
            What the person drew for it; empty where nobody did.
        **more
            What else the journal should know.

        Returns
        -------
        (int, str)
            The number in the journal, and what the person should know.
        """
        # Not on the disk yet: a run writes plane after plane, and `sync` waits for the disk on another thread.
        return self.add(kind, **account(image, view, written, prompts), **more, on_disk=False)

    def note_pixels(self, image: Image, pixels: str) -> None:
        """Say what the pixels of an image are, by which it is known again; "" where they cannot be read."""
        if pixels:
            self._journal.note_pixels(str(image.unique_id), pixels)

    def add_notes(self, image: Image, change: NotesChange, values: Mapping[int, str]) -> str:
        """Record what the person said of objects; return what they should know.

        Parameters
        ----------
        image : Image
            The image.
        change : NotesChange
            Names the layer and the column.
        values : mapping from int to str
            What is there now, by id: that of before where the change was undone.
        """
        told = {str(label): value for label, value in values.items()}
        return self.add("noted", **describe_layer(image, change.layer), column=change.column, values=told)[1]

    def sync(self) -> None:
        """Bring what was noted to the disk, which takes too long for the owner's thread; safe on any."""
        # What cannot be written is told by the next record, on the owner's thread.
        with suppress(OSError):
            self._journal.sync()

    def close(self) -> None:
        """Try a last time to write what could not be written, and end the session in the journal."""
        self._journal.close()
