"""The commands of a session for every object of a plane or a stack at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from napari_sam.session.everything.parts import SearchScope
from napari_sam.session.everything.ranking.queries import WordsQuery
from napari_sam.session.napari_private import unwrapped
from napari_sam.text.models import DEFAULT

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from napari.layers import Image, Layer

    from napari_sam.automatic.proposals import ProposalFilter
    from napari_sam.journal.notes.decisions import StageCounts
    from napari_sam.session.everything.controller import EverythingController
    from napari_sam.session.everything.deciding.data_set import DataSetQuestion
    from napari_sam.session.everything.parts import LinkChoice, SearchPlace
    from napari_sam.session.everything.search import SearchMode


class EverythingContext(Protocol):
    """What a command is made of, as `napari_sam.session.commands` has it."""

    def command(self) -> AbstractContextManager[Image | None]:
        """Run a command on the image: changes of layers are the session's own, and what comes of it is told."""

    def say(self, text: str) -> None:
        """Let the status line say something; "" for nothing."""


class EverythingCommands:
    """Every object of a plane at once: `find` them, choose among them, and `accept`.

    Parameters
    ----------
    context : EverythingContext
        What each command is made of.
    controller : EverythingController
        Finds, shows and writes.
    """

    def __init__(self, context: EverythingContext, controller: EverythingController) -> None:
        self._context = context
        self._controller = controller

    def find(
        self,
        where: SearchPlace = "plane",
        mode: SearchMode = "auto",
        axis: int | None = None,
        link: LinkChoice = "auto",
    ) -> None:
        """Find the objects of the plane on screen, or of a stack; `Session.cancel` stops that.

        Parameters
        ----------
        where : {"plane", "screen", "box", "stack"}
            The whole plane, what of it is on screen, the box that is drawn, or all planes of a stack.
        mode : {"auto", "dense", "grid"}
            Whether the model's dense maps say where objects are, or a grid of points; "auto": the maps, if it has any.
        axis : int, optional
            The data axis that planes of a stack follow each other along; by default, the one scrolled along last.
        link : {"auto", "depth", "time", "off"}
            What objects of the planes of a stack become when they are accepted: objects of a volume, tracks that keep
            their ids, or nothing more than they are; "auto": tracks along an axis of time, else objects of a volume.
        """
        with self._context.command() as image:
            if image is not None:
                self._context.say(self._controller.find(image, SearchScope(where, mode, axis, link)))

    def make(self, layer: Layer | None = None) -> None:
        """Make an object of each of many prompts on the plane on screen, in batches; `Session.cancel` stops that.

        They are then shown, to be kept or dropped, and `accept` writes all of them as one step.

        Parameters
        ----------
        layer : Points, Shapes or Labels, optional
            What says where the objects are: its points, the boxes around its shapes, or its ids. An object that is made
            of an id takes its place and keeps it, unless it is dropped. By default, what is drawn for the session:
            every positive point and every box is an object, and a negative point belongs to the nearest of them.
        """
        with self._context.command() as image:
            if image is not None:
                self._context.say(self._controller.make(image, unwrapped(layer)))

    def add_grid(self, spacing: float) -> None:
        """Draw points on a regular grid over what is on screen of the plane, so many data pixels apart.

        Each stands for an object, in the tempo "batch"; undo takes them back.
        """
        with self._context.command() as image:
            if image is not None:
                self._controller.sources.add_grid(image, spacing)

    def layers(self) -> list[Layer]:
        """List the layers that `make` takes, lowest first."""
        return self._controller.sources.layers()

    def find_words(
        self,
        words: str,
        negative: str = "",
        model: str = DEFAULT,
        where: SearchPlace = "plane",
        mode: SearchMode = "auto",
        axis: int | None = None,
        link: LinkChoice = "auto",
    ) -> None:
        """Rank the objects that were found by words, and show those that fit; `Session.cancel` stops that.

        Parameters
        ----------
        words : str
            What to look for, in English: a phrase, or several with commas between them, which give a class each. The
            class of an object goes into the features of the labels layer, column "class", when it is accepted.
        negative : str
            What looks like it and is not wanted; likewise.
        model : str
            A text model, as for `napari_sam.text.store.lookup`; downloaded if it is not on this machine.
        where, mode, axis, link
            As for `find`, which comes first if nothing was found on this plane yet.
        """
        with self._context.command() as image:
            if image is not None:
                query = WordsQuery.of(words, negative, model)
                self._context.say(self._controller.rank(image, query, SearchScope(where, mode, axis, link)))

    def find_like(
        self,
        where: SearchPlace = "plane",
        mode: SearchMode = "auto",
        axis: int | None = None,
        link: LinkChoice = "auto",
    ) -> None:
        """Rank the objects that were found by examples, and show those that are like them.

        Examples are the objects that were kept by hand, and counter-examples those that were dropped; where none was
        kept, the labels of the target on this plane are the examples.

        Parameters
        ----------
        where, mode, axis, link
            As for `find`, which comes first if nothing was found on this plane yet.
        """
        with self._context.command() as image:
            if image is not None:
                self._context.say(self._controller.rank(image, None, SearchScope(where, mode, axis, link)))

    def choose(self, chosen: ProposalFilter) -> None:
        """Show those of the objects that a filter leaves; the model is not asked again."""
        with self._context.command():
            self._controller.chooser.choose(chosen)

    def toggle(self, place: int) -> None:
        """Drop an object that is shown, or keep one that is not, by its place in the table of what was found."""
        with self._context.command():
            self._controller.chooser.toggle(place)

    def keep(self, place: int) -> None:
        """Keep an object whatever the filter says, as an example too, or no longer; by its place in the table."""
        with self._context.command():
            self._controller.chooser.keep(place)

    def pick(self) -> None:
        """Let clicks on the image keep and drop objects."""
        with self._context.command():
            self._controller.chooser.select()

    def accept(self) -> None:
        """Write the objects that are shown into the target, as one step of undo; those of a stack are linked first."""
        with self._context.command() as image:
            if image is not None:
                self.accept_now(image)

    def accept_now(self, image: Image) -> None:
        """Write the objects that are shown, or make those first that are prompted; this is a part of a command."""
        # Who writes them tells of it, unless there is trouble.
        if trouble := self._controller.accept(image):
            self._context.say(trouble)

    def accept_confident(self) -> None:
        """Write the confident ones of the objects that are shown, as one step of undo; the rest stays to be chosen.

        Which are confident is learnt from what was accepted, corrected and dropped before in the data set, the images
        of one folder: so many that nine in ten would be accepted as they are.
        """
        with self._context.command() as image:
            if image is not None:
                # Who writes them tells of it, unless there is trouble.
                if trouble := self._controller.accept_confident(image):
                    self._context.say(trouble)

    def next_to_annotate(self) -> None:
        """Go to the plane of a stack that is best annotated next; `Session.cancel` stops the search for it.

        That is a plane without objects of yours on which many proposals are doubtful, by what was accepted and dropped
        so far, and that looks unlike those that are annotated. Planes are looked at until 20 without objects are known,
        spread over the stack; after `find` in the whole stack all are.
        """
        with self._context.command() as image:
            if image is not None:
                if trouble := self._controller.judge.advisor.start():
                    self._context.say(trouble)

    @property
    def counts(self) -> StageCounts:
        """How many objects of the data set came about at each stage of annotating, as of the last search."""
        return self._controller.judge.counts

    @property
    def data_set(self) -> DataSetQuestion | None:
        """What can be asked of the journal about the data set of the image: how far it is; None without an image.

        ``session.everything.data_set.read()`` gives objects at each stage, how fast they came about, and how many
        planes are annotated.
        """
        return self._controller.judge.data_set

    def discard(self) -> None:
        """Forget what was found."""
        with self._context.command():
            self._context.say(self._controller.discard())
