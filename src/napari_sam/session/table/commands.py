"""What a person does with classes and the table of objects."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam.errors import InputError
from napari_sam.session.objects.history import HistoryStep
from napari_sam.session.table import messages as table_messages
from napari_sam.session.table.columns import COLUMNS, write_csv
from napari_sam.session.viewing.feature_table import CLASS, REVIEWED, NotesChange, find_labels, read_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import Protocol

    from napari.layers import Image

    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.objects.recording import ObjectRecorder
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.state import Review
    from napari_sam.session.table.controller import ObjectTable
    from napari_sam.session.table.rows import ObjectRows

    class TableContext(Protocol):
        """What each command is made of; `napari_sam.session.commands.CommandContext` is one."""

        def command(self) -> AbstractContextManager[Image | None]:
            """Run a command on the image."""

        def say(self, text: str) -> None:
            """Let the status line say something."""


class TableCommands:
    """The table of objects of a session, and their classes.

    Parameters
    ----------
    context : TableContext
        What each command is made of.
    table : ObjectTable
        Counts, sorts and remembers.
    log : ObjectLog
        The history.
    recorder : ObjectRecorder
        Tells the journal.
    live : LivePrediction
        What is prompted.
    settings : SessionSettings
        What class new objects get.
    """

    def __init__(
        self,
        context: TableContext,
        table: ObjectTable,
        log: ObjectLog,
        recorder: ObjectRecorder,
        live: LivePrediction,
        settings: SessionSettings,
    ) -> None:
        self._context = context
        self._table = table
        self._log = log
        self._recorder = recorder
        self._live = live
        self._settings = settings

    # -- the table --------------------------------------------------------------------------------

    @property
    def rows(self) -> ObjectRows | None:
        """All objects of the target, by ascending id; None while they are not counted, or the table is not open."""
        return self._table.rows

    @property
    def labels(self) -> list[int]:
        """Ids of the objects that the table shows, from top to bottom."""
        rows = self._table.rows
        return [] if rows is None else rows.labels[self._table.order].tolist()

    @property
    def order(self) -> object:
        """Which of the `rows` are shown, from top to bottom: an array of indices."""
        return self._table.order

    def open(self) -> None:
        """Count the objects of the target, and keep up with what changes, until `close`."""
        with self._context.command():
            self._table.open()

    def close(self) -> None:
        """Count no more."""
        with self._context.command():
            self._table.close()

    def recount(self) -> None:
        """Count everything anew, as after a script wrote into the layer's data."""
        with self._context.command():
            self._table.counter.recount()

    def sort(self, column: str, *, descending: bool = False) -> None:
        """Put the rows into the order of a column: an id in `napari_sam.session.table.columns.COLUMNS`.

        Raises
        ------
        InputError
            If there is no such column.
        """
        if column not in COLUMNS:
            raise InputError(f"There is no column {column!r}. Choose one of: {', '.join(COLUMNS)}.")
        with self._context.command():
            self._table.sort(column, descending=descending)

    def filter(self, text: str) -> None:
        """Show what a text says, such as "mitosis unchecked area > 200"; "" for everything."""
        with self._context.command():
            self._table.filter(text)

    def pick(self, label: int) -> None:
        """Choose an object: the viewer goes to it, and it is the selected label of its layer."""
        with self._context.command() as image:
            if image is not None and self._table.pick(label):
                # What keys and buttons mean is this object now, and no longer the one that was accepted last.
                self._log.accepted = None

    def next_unchecked(self) -> None:
        """Go to the next object, in the order of the table, of which the person said nothing yet."""
        with self._context.command() as image:
            if image is None:
                return
            if not self._table.is_open:
                self._table.open()
            label = self._table.next_label()
            if label is not None and self._table.pick(label):
                self._log.accepted = None
            elif self._table.rows is not None:
                self._context.say(table_messages.ALL_REVIEWED)

    def export(self, path: str | Path) -> None:
        """Write all rows into a CSV file, whatever the filter says; an error is told by the status line."""
        with self._context.command():
            rows = self._table.rows
            if rows is None:
                self._context.say(table_messages.NO_TARGET)
                return
            write_csv(rows, Path(path))
            self._context.say(table_messages.exported(len(rows), Path(path).name))

    # -- what the person says of objects ----------------------------------------------------------

    def review(self, value: Review, labels: Iterable[int] = ()) -> None:
        """Say that objects are checked, or that one is unsure; saying it again takes it back. One step of undo.

        Parameters
        ----------
        value : {"", "checked", "unsure"}
            What to say.
        labels : iterable of int
            The objects; by default the chosen one, or else the one that was accepted last.
        """
        with self._context.command() as image:
            if image is None:
                return
            ids, layer = list(labels) or self._meant(), self._table.layer
            if layer is None or not ids:
                self._context.say(table_messages.NOTHING_PICKED)
                return
            if all(before == value for before in read_column(layer, REVIEWED, ids)):
                value = ""
            self._note(image, NotesChange.make(layer, REVIEWED, dict.fromkeys(ids, value)))
            self._context.say(table_messages.reviewed(ids, value))

    def classify(self, labels: Iterable[int], name: str) -> None:
        """Give objects a class, "" for none, as one step of undo; a class that is not in the list is added."""
        with self._context.command() as image:
            if image is not None:
                self._classify(image, list(labels), name)

    # -- classes ----------------------------------------------------------------------------------

    def choose_class(self, number: int) -> None:
        """Take a class of the list, from 1 on; 0 for none.

        The object that the person chose gets it, while nothing is prompted; else new objects do.
        """
        with self._context.command() as image:
            classes = self._table.lists.of(self._table.layer)
            if number > len(classes):
                self._context.say(table_messages.no_class(number))
                return
            name = classes[number - 1].name if number else ""
            if image is not None and (ids := self._chosen()):
                self._classify(image, ids, name)
                return
            self._settings.object_class = name
            self._context.say(table_messages.next_class(name))

    def add_class(self, name: str) -> None:
        """Add a class at the end of the list of the target, in a colour of its own; new objects get it."""
        with self._context.command(), self._told():
            self._settings.object_class = self._table.lists.add(self._table.layer, name).name

    def rename_class(self, name: str, new_name: str) -> None:
        """Give a class another name, and all objects that have it; that is one step of undo."""
        with self._context.command() as image, self._told():
            layer = self._table.layer
            self._table.lists.change(layer, name, new_name=new_name)
            new_name = " ".join(new_name.split())
            if self._settings.object_class == name:
                self._settings.object_class = new_name
            if image is not None and layer is not None and CLASS in layer.features:
                labels = find_labels(layer, CLASS, name)
                self._note(image, NotesChange.make(layer, CLASS, dict.fromkeys(labels, new_name)))
                self._table.forget_names()

    def color_by_class(self, on: bool = True) -> None:
        """Show the objects of the target in the colours of their classes; False gives it its own colours back."""
        with self._context.command():
            if not self._table.color_by_class(on=on):
                self._context.say(table_messages.TOO_MANY_COLORS)

    def color_class(self, name: str, color: str) -> None:
        """Give a class another colour, "#rrggbb"."""
        with self._context.command(), self._told():
            self._table.lists.change(self._table.layer, name, color=color)
            self._table.colors.update()

    def remove_class(self, name: str) -> None:
        """Take a class off the list; objects that have it have none then, as one step of undo."""
        with self._context.command() as image:
            layer = self._table.layer
            if self._settings.object_class == name:
                self._settings.object_class = ""
            if image is not None and layer is not None and CLASS in layer.features:
                self._note(image, NotesChange.make(layer, CLASS, dict.fromkeys(find_labels(layer, CLASS, name), "")))
                self._table.forget_names()
            self._table.lists.remove(layer, name)

    # -- parts ------------------------------------------------------------------------------------

    def _chosen(self) -> list[int]:
        """Return the object that the person chose, unless they went on to the next one: then keys mean that."""
        picked = self._table.picked
        going_on = not self._live.reading.empty or self._log.accepted is not None
        return [] if picked is None or going_on else [picked]

    def _meant(self) -> list[int]:
        """Return the object that the person chose, or else the one that was accepted last."""
        if ids := self._chosen():
            return ids
        return [] if self._log.accepted is None else [self._log.accepted]

    def _classify(self, image: Image, labels: list[int], name: str) -> None:
        layer = self._table.layer
        if layer is None or not labels:
            self._context.say(table_messages.NOTHING_PICKED)
            return
        with self._told():
            if name and all(one.name != name for one in self._table.lists.of(layer)):
                name = self._table.lists.add(layer, name).name
            self._note(image, NotesChange.make(layer, CLASS, dict.fromkeys(labels, name)))
            self._context.say(table_messages.classified(labels, name))

    def _note(self, image: Image, change: NotesChange | None) -> None:
        """Make a change of what is noted, as a step of the history; the journal is told."""
        if change is None:
            return
        # Prompts and the current object stay as they are.
        drawn = self._log.drawn
        self._log.history(image).add(HistoryStep(drawn, drawn, notes=change))
        change.redo()
        self._log.accepted = None
        if trouble := self._recorder.add_notes(image, change, change.after):
            self._context.say(trouble)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what is wrong with what was typed; nothing else failed."""
        try:
            yield
        except InputError as error:
            self._context.say(str(error))
