"""A session: a person's work on one image at a time, with any viewer, with or without a window.

Events of layers only say that something changed. The session then reads the prompt layers as a whole, stops if they say
what they said before, and otherwise asks the inference thread; what comes back is shown, if it is still wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels, Points, Shapes
from napari.utils.notifications import show_warning
from psygnal import Signal, SignalGroup

from napari_sam.inference.backend import InferenceBackend, load_engine
from napari_sam.inference.worker import Worker
from napari_sam.session import messages
from napari_sam.session.actions import ACTIONS
from napari_sam.session.commands import (
    CommandContext,
    SessionCommands,
    everything_commands,
    object_commands,
    propagation_commands,
    recovery_commands,
    shaping_commands,
    table_commands,
)
from napari_sam.session.components import Components
from napari_sam.session.events import Listener, Reactions
from napari_sam.session.keys.bindings import KeyBindings
from napari_sam.session.keys.choices import KeyChoices
from napari_sam.session.layers import SessionLayers
from napari_sam.session.napari_private import unwrapped
from napari_sam.session.preferences.remembered import RememberedSettings
from napari_sam.session.series.commands import SeriesCommands
from napari_sam.session.settings import ChosenSettings, SessionSettings
from napari_sam.session.snapshot import StatePublisher
from napari_sam.session.state import SessionState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_sam.inference.request import Candidate, EngineFactory
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.actions import Action
    from napari_sam.session.labels.targets import TargetOffer
    from napari_sam.session.state import Tool


class SessionEvents(SignalGroup):
    """Signals of a session."""

    state_changed = Signal(SessionState)
    """There is a new state."""
    layers_changed = Signal()
    """The layers of the viewer, or the choice of image or target, changed."""
    selection_lost = Signal()
    """The layer that was selected was deleted: napari selects another one, which the person did not choose."""
    teaching_wanted = Signal()
    """The person wants the model to be taught what is labelled: the dock does that."""
    closed = Signal()
    """The session ended."""


class Session(ChosenSettings):
    """Promptable segmentation of the images of one viewer.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        The viewer; no window is needed.
    model : str, optional
        Name of a model in the registry, or path of a checkpoint; by default the bundled one.
    device : str, optional
        "auto", which is the default, a torch device, or the address of a Dask scheduler whose workers encode planes.
    image : Image, optional
        Layer to work on; by default the active one, and the next that becomes active, until one is set.
    post : callable, optional
        ``post(call)`` runs `call` soon on the viewer's thread; called from the inference thread. Without it, answers
        arrive while `wait` waits.
    engine_factory : callable, optional
        Takes model, device and a progress callback, and returns an `napari_sam.inference.engine.Engine` or the like.
    held : callable, optional
        Tells whether the person holds a mouse button down: a plane whose contrast is being dragged is encoded when that
        ends. Called from the inference thread.
    remember : bool
        Whether settings and keys that are not given here are those of the last session, as in the dock, and are kept
        for the next one when they change. A script begins with the defaults, and leaves nothing behind.

    Attributes
    ----------
    events : SessionEvents
        What to listen to.
    actions : mapping of str to Action
        The commands with their words and keys.
    keys : KeyChoices
        Which keys run the actions: ``keys.choose("accept", "A")``, ``keys.reset()``.
    settings : SessionSettings
        What the person chose; each is an attribute of the session, too.
    shaping : ShapingCommands
        What becomes of each mask before it is accepted: ``shaping.choose(grow=2)``, ``shaping.reset()``.
    stack : PropagationCommands
        Objects in stacks: ``stack.propagate()``, ``stack.next_weak_plane()``, ``stack.scores``.
    channels : ChannelMix
        Images that the model sees together, as they are blended on screen: ``channels.choose([membrane, nuclei])``.
    everything : EverythingCommands
        Every object of a plane or a stack at once: ``everything.find()``, ``everything.find("stack")``,
        ``everything.find_words("nucleus")``, ``everything.accept()``.
    series : SeriesCommands
        Images one after the other: ``series.open(folder)``, ``series.next()``, ``series.done()``.
    objects : ObjectCommands
        Objects that exist, of any labels that fit the image: ``objects.pick(5)`` to correct one, ``objects.delete(5)``.
    recovery : RecoveryCommands
        Work that the journal knows: ``recovery.restore()``, ``recovery.prompts_of(target, label, plane)``.
    table : TableCommands
        The objects of the target, and their classes: ``table.open()``, ``table.pick(7)``, ``table.choose_class(2)``.
    """

    def __init__(
        self,
        viewer: Any,
        model: str | None = None,
        device: str | None = None,
        *,
        image: Image | None = None,
        post: Callable[[Callable[[], None]], None] | None = None,
        engine_factory: EngineFactory | None = None,
        held: Callable[[], bool] | None = None,
        remember: bool = False,
    ) -> None:
        self.events = SessionEvents(self)
        self.actions: Mapping[str, Action] = ACTIONS
        given = {name: value for name, value in (("model", model), ("device", device)) if value is not None}
        self.settings = SessionSettings(**given)  # type: ignore[arg-type]  # these two are texts
        self._remembered = remembered = RememberedSettings(self.settings, given) if remember else None
        self.keys = KeyChoices() if remembered is None else KeyChoices(remembered.section("keys"), remembered.note_key)
        load = engine_factory or load_engine
        backend = InferenceBackend(load if remembered is None else remembered.tolerate_lost_device(load))
        self._worker = Worker(post)
        self._components = components = Components.make(unwrapped(viewer), self._worker, backend, self.settings, held)
        self.channels = components.active.mix
        self._publisher = publisher = StatePublisher(components, self.keys.of, self.events.state_changed.emit)
        self.keys.changed.connect(publisher.publish)
        self._listener = Listener(components, KeyBindings(self, self.keys))
        components.propagation.listen_to_removal()
        self._context = context = CommandContext(components, publisher, self._listener.connect_layers)
        self._layers = SessionLayers(components, context, self._listener, publisher)
        self._commands = SessionCommands(context, components)
        self._listener.placed.connect(self._commands.accept_drawn)
        self.stack = propagation_commands(context, components, self._commands.accept_now)
        self.everything = everything_commands(context, components)
        self.series = SeriesCommands(context, components.series, components.image_advisor)
        self.objects = object_commands(context, components)
        self.recovery = recovery_commands(context, components)
        self.table = table_commands(context, components)
        self.shaping = shaping_commands(context, components)
        self._reactions = Reactions(components, self._listener, context, publisher, self._worker)
        self._listener.layers_changed.connect(self.events.layers_changed.emit)
        components.active.viewer_events.selection_lost.connect(self.events.selection_lost.emit)
        if image is None:
            components.active.start_following()  # after all that listens to the first image is there
        else:
            components.active.choose_image(unwrapped(image))
        if remembered is not None:
            components.live.changed.connect(self._on_live_changed)
            publisher.say(remembered.notice)
        publisher.publish()

    @property
    def state(self) -> SessionState:
        """What the panels show; replaced as a whole, never changed."""
        return self._publisher.state

    @property
    def image(self) -> Image | None:
        """Layer that is worked on. Setting one stops following the active layer; setting None starts it again."""
        return self._components.active.image

    @image.setter
    def image(self, image: Image | None) -> None:
        self._components.active.choose_image(unwrapped(image))
        self._publisher.publish()

    @property
    def plane(self) -> PlaneIndex | None:
        """The plane of the image that is on screen; None where there is none that can be segmented."""
        return self._components.active.view

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Names of the image's data axes, as the viewer's sliders are labelled; none without an image."""
        return self._components.active.axis_names

    @property
    def points(self) -> Points:
        """Layer of the clicks, with a feature "polarity"; made when first asked for, or set."""
        return self._layers.points

    @points.setter
    def points(self, layer: Points) -> None:
        self._layers.adopt(unwrapped(layer), Points)

    @property
    def shapes(self) -> Shapes:
        """Layer of the boxes, made when first asked for or set; all shapes count by their bounding box."""
        return self._layers.shapes

    @shapes.setter
    def shapes(self, layer: Shapes) -> None:
        self._layers.adopt(unwrapped(layer), Shapes)

    @property
    def preview(self) -> Labels:
        """Layer that shows the candidate, one plane thick: 1 inside the mask, 0 outside.

        On planes of more than two million pixels it covers the surroundings of the mask, and of a very large one only
        every n-th pixel; its scale and translate say where.
        """
        return self._layers.require_preview()

    @property
    def target(self) -> Labels | None:
        """Layer that accepted objects go to; None: a new one, made by the first accept. Set it to choose another."""
        return self._layers.target

    @target.setter
    def target(self, layer: Labels | None) -> None:
        self._layers.choose_target(unwrapped(layer))

    def image_choices(self) -> list[Image]:
        """List the images of the viewer, lowest first."""
        return self._components.active.list_images()

    def target_choices(self) -> list[Labels]:
        """List the labels layers whose pixels are those of the image, lowest first."""
        return self._layers.target_choices()

    def target_offers(self) -> list[TargetOffer]:
        """List the labels layers that have the shape of the image but another scale or place, lowest first."""
        return self._layers.target_offers()

    def shown_pixels(self) -> NDArray[np.uint8] | None:
        """Return what the model saw around the candidate that is shown, (H, W, 3); None when there is none."""
        shown = self.shown_candidate(self._components.live.selected)
        return None if shown is None else shown[0]

    def shown_candidate(self, index: int) -> tuple[NDArray[np.uint8], Candidate] | None:
        """Return what the model saw around a candidate, (H, W, 3), and the candidate on these pixels."""
        return self._components.live.shown_candidate(index)

    def use_tool(self, tool: Tool) -> None:
        """Select the prompt layer of a tool, a value of `state.tool`; `close` selects what was selected before."""
        self._commands.use_tool(tool)

    def resume_tool(self) -> None:
        """Take the kind of tool that was used last, unless a tool of napari's, such as a brush, is in use."""
        self._commands.resume_tool()

    def toggle_polarity(self) -> None:
        """Turn the next click from object to background, or back. Points that are there keep their polarity."""
        self._commands.toggle_polarity()

    def select_candidate(self, index: int) -> None:
        """Show candidate `index`; further prompts go on from it."""
        self._commands.select_candidate(index)

    def next_candidate(self) -> None:
        """Show the next candidate, after the last one the first; of an answer under way, as soon as it is there."""
        self._commands.next_candidate()

    def accept(self) -> None:
        """Write the candidate into the target as a new object, and start the next one.

        When the answer is still under way, its prompts go at once and the object is written in its turn: the next click
        is the next object's. Where an object cannot be written, the status says why, and its prompts stay or come back.
        """
        self._commands.accept()

    def teach(self) -> None:
        """Ask for the model to be taught what is labelled: `events.teaching_wanted`."""
        self.events.teaching_wanted.emit()

    def clear(self) -> None:
        """Delete what is drawn on this plane, and start over; the status tells what stays on others."""
        self._commands.clear()

    def clear_all(self) -> None:
        """Delete what is drawn on all planes of the image, and start over."""
        self._commands.clear_all()

    def undo(self) -> None:
        """Take back the last prompt, clear or accept.

        An accepted object leaves the target through the target's own undo, and its prompts come back. If the person has
        undone it there already, only the prompts come back. The viewer goes to what changed, if that is not on screen.
        """
        self._commands.undo()

    def redo(self) -> None:
        """Do again what was undone last; the viewer goes there, if it is not on screen."""
        self._commands.redo()

    def cancel(self) -> None:
        """Stop the work that is under way; accepts that wait for it are taken back, and their prompts come back."""
        self._commands.cancel()

    def new_target(self) -> None:
        """Add an empty labels layer that fits the image, and make it the target."""
        self._commands.new_target()

    def fit_target(self, layer: Labels) -> None:
        """Put one of the `target_offers` where the image is, and make it the target."""
        self._commands.fit_target(unwrapped(layer))

    def wait(self, timeout: float = 60) -> None:
        """Wait until all work is done and its answers are shown.

        Raises
        ------
        TimeoutError
            If that takes longer than `timeout` seconds.
        """
        if not self._worker.wait(timeout):
            raise TimeoutError(f"the session was still at work after {timeout} s: {self.state.status.text}")

    def close(self) -> None:
        """End the session: stop all work, and leave the viewer as the person would. Closing twice is fine.

        Prompt layers that the session made go if they are empty, the preview goes in any case; the target stays.
        Prompts of objects that were accepted and are not written yet are drawn again, and a notification says so.
        """
        if self._context.closed:
            return
        self._context.closed = True
        self._publisher.close()  # panels draw nothing of what is taken apart
        self._components.propagation.release()  # first: prompts of a run may still go back into their layers
        self._reactions.release()
        self._listener.release()  # else the layers that go below would count as the person's doing
        if unwritten := self._components.release(self._worker):
            show_warning(messages.closed_early(unwritten))
        if self._remembered is not None:
            self._remembered.close()
        self.events.closed.emit()

    def _on_live_changed(self) -> None:
        if self._remembered is not None and (text := self._remembered.give_up_device()):
            self._context.say(text)
            self._publisher.publish()
