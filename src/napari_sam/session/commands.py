"""The commands of a session: what a person does with prompts, candidates, objects and targets."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_sam.session import messages
from napari_sam.session.candidates.shaping import ShapingCommands
from napari_sam.session.everything.commands import EverythingCommands
from napari_sam.session.objects.editing.commands import ObjectCommands
from napari_sam.session.objects.recording import WriteOrder
from napari_sam.session.objects.reveal import reveal
from napari_sam.session.propagation.commands import PropagationCommands
from napari_sam.session.recovery.commands import RecoveryCommands
from napari_sam.session.table.commands import TableCommands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Image, Labels

    from napari_sam.session.components import Components
    from napari_sam.session.objects.history import HistoryStep
    from napari_sam.session.prompts.drawing import PromptContents
    from napari_sam.session.snapshot import StatePublisher
    from napari_sam.session.state import Tool


class CommandContext:
    """What each command is made of.

    Parameters
    ----------
    components : Components
        The components of the session.
    publisher : StatePublisher
        Tells what came of it.
    connect_layers : callable
        Listens to the layers that a command left in use.
    """

    def __init__(self, components: Components, publisher: StatePublisher, connect_layers: Callable[[], None]) -> None:
        self._components = components
        self._connect_layers = connect_layers
        self._publisher = publisher
        self.closed = False
        """Whether the session ended: commands do nothing then."""

    @contextmanager
    def command(self, *, give_back: bool = True) -> Iterator[Image | None]:
        """Run a command on the image: changes of layers are the session's own, and what comes of it is told.

        Parameters
        ----------
        give_back : bool
            Whether prompts of what could not be written may come back now.
        """
        if self.closed:
            # A context must yield something: without an image, commands do nothing.
            yield None
            return
        components = self._components
        # What the command before had to say is old news.
        self._publisher.notice = None
        # Every layer that a command changes tells, and what comes of it all is made and drawn once.
        with self._publisher.held():
            with self._components.mute():
                try:
                    yield components.active.image
                # Whatever napari or the disk raise: the status tells of it, and the session goes on.
                except Exception as error:
                    components.live.fail(error)
            self._connect_layers()
            # What a command drew belongs to its own step, and is no drawing of the person's.
            components.log.remember_drawing()
            components.live.read_prompts()
            if give_back:
                self.give_back()
        self._publisher.publish()

    def say(self, text: str) -> None:
        """Let the status line say something; "" for nothing."""
        self._publisher.say(text)

    def give_back(self) -> None:
        """Draw the prompts of what could not be written, where there is room for them now."""
        with self._components.mute():
            self._components.accepts.give_back()
        self._connect_layers()


class SessionCommands:
    """What a person does on the plane on screen; the facade says what each is for.

    Parameters
    ----------
    context : CommandContext
        What each command is made of.
    components : Components
        The components of the session.
    """

    def __init__(self, context: CommandContext, components: Components) -> None:
        self._context = context
        self._components = components
        self._accepts = components.accepts
        self._propagation = components.propagation

    # -- prompts and candidates -------------------------------------------------------------------

    def use_tool(self, tool: Tool) -> None:
        """Select the prompt layer of a tool, in the mode for it."""
        with self._context.command() as image:
            if image is not None:
                if tool in ("brush", "eraser") and self._components.settings.tempo == "batch":
                    self._context.say(messages.NO_BRUSH_IN_BATCH)
                    return
                self._components.tools.select_tool(tool, image)
                self._components.editing.drop_tool()

    def resume_tool(self) -> None:
        """Take the kind of tool that was used last."""
        with self._context.command() as image:
            if image is not None:
                self._components.tools.resume_tool(image)

    def toggle_polarity(self) -> None:
        """Turn the next click from object to background, or back."""
        with self._context.command() as image:
            if image is not None:
                self._components.tools.toggle_polarity(image)

    def select_candidate(self, index: int) -> None:
        """Show candidate `index`."""
        with self._context.command() as image:
            if image is not None:
                self._components.live.pick_candidate(index)

    def next_candidate(self) -> None:
        """Show the next candidate."""
        with self._context.command() as image:
            if image is not None:
                self._components.live.skip_candidate()

    def clear(self) -> None:
        """Delete what is drawn on this plane."""
        with self._context.command() as image:
            if image is not None:
                self._components.log.clear(image, self._components.live.reading)
                view = self._components.active.view
                planes = 0 if view is None else self._components.prompts.count_planes(image, view)
                self._context.say(messages.prompts_left(planes))

    def clear_all(self) -> None:
        """Delete what is drawn on all planes of the image."""
        with self._context.command() as image:
            if image is not None:
                self._components.log.clear(image, self._components.prompts.read_everything())

    # -- accepting --------------------------------------------------------------------------------

    def accept(self) -> None:
        """Write the candidate, or let it be written when its turn comes."""
        with self._context.command() as image:
            if image is None:
                return
            if self._components.everything.is_picking:
                everything_commands(self._context, self._components).accept_now(image)
                return
            # A tool that collects clicks is done with them, rather than with what else is prompted.
            if (editing := self._components.editing).tool in ("split", "merge"):
                self._context.say(editing.apply(image))
                return
            live, accepts = self._components.live, self._accepts
            live.read_prompts()
            if self._components.settings.tempo == "batch" and not (live.is_answered or live.is_waiting):
                everything_commands(self._context, self._components).accept_now(image)
                return
            candidate = live.selected_candidate if live.is_answered else None
            if candidate is not None and not candidate.area:
                erased = live.reading.prompts.paint is not None
                # Before a layer is made for it.
                self._context.say(messages.ALL_ERASED if erased else messages.EMPTY_MASK)
            elif live.is_waiting or (live.is_answered and accepts.waiting):
                # Also an answered one, while others wait: objects are written in the order of the presses.
                self._accept_later(image, answered=candidate is not None)
            elif live.is_answered:
                self._context.say(self.accept_now(image))
            elif live.is_stopped:
                live.ask_again()  # the end of the command reads the prompts, and asks
            elif not accepts.waiting:
                self._context.say(messages.NO_CANDIDATE)

    def accept_now(self, image: Image) -> str:
        """Write the candidate; return what the person should know. This is a part of a command."""
        components = self._components
        # First: only the current object of this very layer can be written again.
        writer = components.targets.need_writer(image)
        before = components.current.of(image)
        replaced = components.same_object.to_replace(writer.layer)
        label, live = None, components.live
        if replaced is None and live.answer is not None and live.selected_candidate is not None:
            view = live.answer.request.source.view
            writer, label = components.targets.place_whole(image, view, live.selected_candidate)
        order = WriteOrder(writer, components.settings.only_empty, replaced, label)
        trouble = components.log.accept(image, order)
        # Where nothing was written, what the person chose holds for the next try.
        if components.current.of(image) is not before:
            self._propagation.next_object()
        return trouble

    def accept_drawn(self) -> None:
        """In turbo, accept the object that the person has just shown; one undo takes back the object and its prompts.

        Background points that were there belong to it. Called while napari still tells of the drawing: nothing is drawn
        in its layers here, and prompts of what could not be written come back later.
        """
        components = self._components
        if components.settings.tempo != "turbo" or components.everything.is_picking or not components.live.is_waiting:
            return
        with self._context.command(give_back=False) as image:
            if image is not None:
                self._accept_later(image, answered=False, with_drawing=True)

    def _accept_later(self, image: Image, *, answered: bool, with_drawing: bool = False) -> None:
        """Let what is prompted be written when its turn comes; `answered`: whether its mask is known."""
        components = self._components
        writer = components.targets.find_writer(image)
        replaced = components.same_object.to_replace(None if writer is None else writer.layer)
        # No mask tells yet whether this is the current object; what the person chose needs none.
        undecided = replaced is None and not answered and components.same_object.chosen is None
        self._accepts.add(
            image,
            writer,
            only_empty=components.settings.only_empty,
            replaces=replaced,
            undecided=undecided,
            with_drawing=with_drawing,
        )
        self._propagation.next_object()

    # -- undo, redo and cancel --------------------------------------------------------------------

    def undo(self) -> None:
        """Take back the last step, and go to what changed."""
        with self._context.command(give_back=False) as image:
            if image is None:
                return
            if self._components.editing.take_back():
                return
            drawn, history = self._components.log.drawn, self._components.log.history(image)
            count, text = len(history.undone), ""
            # An accept that waits and a run that wrote nothing are taken back whole: they leave nothing to redo.
            if not self._accepts.take_back(image) and not self._propagation.undone(image):
                text = self._undo_step(image)
            self._components.everything.refresh()
            self._reveal(image, drawn, history.undone[-1] if len(history.undone) > count else None, text)

    def redo(self) -> None:
        """Do the step again that was undone last, and go to what changed."""
        with self._context.command(give_back=False) as image:
            if image is None:
                return
            drawn, history = self._components.log.drawn, self._components.log.history(image)
            count, text = len(history.done), self._redo_step(image)
            self._components.everything.refresh()
            self._reveal(image, drawn, history.done[-1] if len(history.done) > count else None, text)

    def _reveal(self, image: Image, before: PromptContents, step: HistoryStep | None, text: str) -> None:
        """Bring on screen what changed, and say where it is, after some other text."""
        place = reveal(self._components.active, self._components.prompts, image, before, step)
        self._context.say(" ".join(filter(None, (text, place))))

    def _undo_step(self, image: Image) -> str:
        """Undo the newest step, or what was done in the target before this session; return words for that."""
        log, targets = self._components.log, self._components.targets
        writer = targets.find_writer(image)
        # What was done before this session is older than any of its steps.
        if log.history(image).done or writer is None or not targets.earlier_steps(image)[0]:
            return log.undo(image)
        writer.layer.undo()
        return messages.undone_earlier(writer.layer.name)

    def _redo_step(self, image: Image) -> str:
        """Redo the step undone last, or what was done in the target before this session; return words for that."""
        log, targets = self._components.log, self._components.targets
        writer = targets.find_writer(image)
        if log.history(image).undone or writer is None or not targets.earlier_steps(image)[1]:
            return log.redo(image)
        writer.layer.redo()
        return messages.redone_earlier(writer.layer.name)

    def cancel(self) -> None:
        """Stop the work that is under way; accepts that wait for it are taken back."""
        with self._context.command(give_back=False):
            image, live = self._components.active.image, self._components.live
            everything, propagation = self._components.everything, self._propagation
            # Work goes first; with none, Escape leaves the object that is corrected, or the tool.
            idle = live.is_idle and not self._accepts.waiting and everything.status is propagation.status is None
            editing = self._components.editing
            if image is not None and (idle or editing.status is not None) and (text := editing.leave(image)):
                self._context.say(text)
                return
            if image is not None and idle and self._components.tools.leave_brush(image):
                return
            live.stop_work()
            taken_back = self._accepts.cancel()
            self._components.series.cancel()
            self._components.image_advisor.stop()
            everything.judge.advisor.stop()
            recovery = self._components.recovery
            stopped = everything.cancel() or recovery.cancel() or self._propagation.stop() or messages.CANCELLED
            self._context.say(" ".join(filter(None, (stopped, taken_back))))

    # -- layers ----------------------------------------------------------------------------------

    def new_target(self) -> None:
        """Add an empty labels layer that fits the image, and make it the target."""
        with self._context.command() as image:
            if image is not None:
                self._components.targets.add_layer(image)

    def fit_target(self, layer: Labels) -> None:
        """Put a labels layer that has the image's shape where the image is, and make it the target."""
        with self._context.command() as image:
            if image is not None:
                self._components.targets.fit_layer(layer, image)
                self._context.say(messages.fitted(layer.name, image.name))


def shaping_commands(context: CommandContext, components: Components) -> ShapingCommands:
    """Make the commands for what becomes of masks out of the components of a session."""
    return ShapingCommands(context, components.live, components.settings, components.targets.takes)


def everything_commands(context: CommandContext, components: Components) -> EverythingCommands:
    """Make the commands for every object at once out of the components of a session."""
    return EverythingCommands(context, components.everything)


def object_commands(context: CommandContext, components: Components) -> ObjectCommands:
    """Make the commands for objects that exist out of the components of a session."""
    return ObjectCommands(context, components.editing, components.operations, components.targets)


def recovery_commands(context: CommandContext, components: Components) -> RecoveryCommands:
    """Make the commands for work that the journal knows out of the components of a session."""
    return RecoveryCommands(context, components.recovery)


def table_commands(context: CommandContext, components: Components) -> TableCommands:
    """Make the commands for classes and the table of objects out of the components of a session."""
    return TableCommands(
        context, components.table, components.log, components.recorder, components.live, components.settings
    )


def propagation_commands(
    context: CommandContext, components: Components, accept_now: Callable[[Image], str]
) -> PropagationCommands:
    """Make the commands for stacks out of the components of a session."""
    return PropagationCommands(
        context,
        components.propagation,
        components.active,
        components.prompts,
        components.live,
        components.log,
        components.current,
        components.same_object,
        components.accepts,
        accept_now,
    )
