"""A session: a person's work on one image at a time, with any viewer, with or without a window.

Events of layers only say that something changed. The session then reads the prompt layers as a whole, stops if they say
what they said before, and otherwise asks the inference thread; what comes back is shown, if it is still wanted.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari.layers import Labels, Points, Shapes
from napari.utils.notifications import show_warning
from psygnal import Signal, SignalGroup

from napari_sam.errors import InputError
from napari_sam.inference.backend import InferenceBackend, load_engine
from napari_sam.inference.request import candidate_of
from napari_sam.inference.worker import Worker
from napari_sam.session import messages
from napari_sam.session.actions import ACTIONS
from napari_sam.session.candidates.prefetch import PlanePrefetch
from napari_sam.session.components import Components
from napari_sam.session.events import Listener
from napari_sam.session.keys import KeyBindings
from napari_sam.session.napari_private import unwrapped
from napari_sam.session.objects.pending_accepts import PendingAccepts
from napari_sam.session.objects.recording import WriteOrder
from napari_sam.session.objects.reveal import reveal
from napari_sam.session.propagation import messages as propagation_messages
from napari_sam.session.propagation.commands import StackCommands
from napari_sam.session.propagation.controller import PropagationController
from napari_sam.session.snapshot import report
from napari_sam.session.state import SessionState, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_sam.inference.request import Candidate, EngineFactory, Region
    from napari_sam.session.actions import Action
    from napari_sam.session.labels.targets import TargetOffer
    from napari_sam.session.objects.tracked import TrackedObject
    from napari_sam.session.state import Tool


class SessionEvents(SignalGroup):
    """Signals of a session."""

    state_changed = Signal(SessionState)
    """There is a new state."""
    layers_changed = Signal()
    """The layers of the viewer, or the choice of image or target, changed."""
    selection_lost = Signal()
    """The layer that was selected was deleted: napari selects another one, which the person did not choose."""
    closed = Signal()
    """The session ended."""


class Session(StackCommands):
    """Promptable segmentation of the images of one viewer.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        The viewer; no window is needed.
    model : str
        Name of a model in the registry, or path of a checkpoint.
    device : str
        "auto" or a torch device.
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

    Attributes
    ----------
    events : SessionEvents
        What to listen to.
    actions : mapping of str to Action
        The commands with their words and keys.
    """

    def __init__(
        self,
        viewer: Any,
        model: str = "bundled",
        device: str = "auto",
        *,
        image: Image | None = None,
        post: Callable[[Callable[[], None]], None] | None = None,
        engine_factory: EngineFactory | None = None,
        held: Callable[[], bool] | None = None,
    ) -> None:
        self.events = SessionEvents(self)
        self.actions: Mapping[str, Action] = ACTIONS
        self._worker = Worker(post)
        backend = InferenceBackend(engine_factory or load_engine)
        self._components = Components.make(
            unwrapped(viewer), self._worker, backend, model, device, self._on_live_changed
        )
        self._active, self._live = self._components.active, self._components.live
        self._live.requests.held = held
        self._prefetch = PlanePrefetch(self._worker, backend, self._active, self._live)
        self._closed = False
        self._notice: Status | None = None
        self._state = SessionState(model=model)
        self._listener = Listener(
            self._components,
            KeyBindings(self),
            self._on_listener_acted,
            self._on_listener_changed,
            self.events.layers_changed.emit,
        )
        self._active.viewer_events.selection_lost.connect(self._on_viewer_selection_lost)
        self._stack = PropagationController(self._components, self._worker, backend, self._listener.deaf)
        self._accepts = PendingAccepts(self._components, self._stack, self._listener.deaf, self._on_accepts_told)
        self._stack.changed.connect(self._publish)
        self._stack.told.connect(self._on_stack_told)
        if image is not None:
            self._active.choose_image(unwrapped(image))
        else:
            self._active.start_following()
        self._publish()

    # -- choices ----------------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """What the panels show; replaced as a whole, never changed."""
        return self._state

    @property
    def image(self) -> Image | None:
        """Layer that is worked on. Setting one stops following the active layer; setting None starts it again."""
        return self._active.image

    @image.setter
    def image(self, image: Image | None) -> None:
        self._active.choose_image(unwrapped(image))
        self._publish()

    @property
    def points(self) -> Points:
        """Layer of the clicks, with a feature "polarity"; made when first asked for.

        Set it to work with a layer of the person's, which stays where it is: its points are converted through the
        world.
        """
        image = self._need_image()
        if self._components.prompt_layers.points is None:
            with self._command():
                self._components.prompt_layers.need_points(image)
        return self._components.prompt_layers.need_points(image)

    @points.setter
    def points(self, layer: Points) -> None:
        self._adopt(layer, Points)

    @property
    def shapes(self) -> Shapes:
        """Layer of the boxes, made when first asked for; rectangles, ellipses and polygons count by their bounding box.

        Set it to work with a layer of the person's.
        """
        image = self._need_image()
        if self._components.prompt_layers.shapes is None:
            with self._command():
                self._components.prompt_layers.need_shapes(image)
        return self._components.prompt_layers.need_shapes(image)

    @shapes.setter
    def shapes(self, layer: Shapes) -> None:
        self._adopt(layer, Shapes)

    @property
    def preview(self) -> Labels:
        """Layer that shows the candidate, one plane thick: 1 inside the mask, 0 outside.

        On planes of more than two million pixels it covers the surroundings of the mask, and of a very large one only
        every n-th pixel; its scale and translate say where.
        """
        image = self._need_image()
        if self._active.view is None:
            raise InputError(self._active.problem)
        return self._components.preview.need_layer(image, self._active.view, self._components.above_preview)

    @property
    def target(self) -> Labels | None:
        """Layer that accepted objects go to; None: a new one, made by the first accept. Set it to choose another."""
        writer = None if self.image is None else self._components.targets.find_writer(self.image)
        return None if writer is None else writer.layer

    @target.setter
    def target(self, layer: Labels | None) -> None:
        self._components.targets.choose_layer(unwrapped(layer), self._need_image())
        self._listener.tie()
        self._publish()

    @property
    def model(self) -> str:
        """Name of the model, or path of its checkpoint; when it changes, prompts in place are answered anew."""
        return self._live.model

    @model.setter
    def model(self, model: str) -> None:
        if model != self._live.model:
            self._stack.stop(propagation_messages.MODEL_CHANGED)
            self._live.model = model
            self._listener.look_again()

    @property
    def device(self) -> str:
        """Device to compute on, "auto" or a torch device."""
        return self._live.device

    @device.setter
    def device(self, device: str) -> None:
        if device != self._live.device:
            self._stack.stop(propagation_messages.MODEL_CHANGED)
            self._live.device = device
            self._listener.look_again()

    @property
    def region(self) -> Region:
        """What the model looks at: "object", a window around the object on large planes; "screen", what is visible."""
        return self._live.region

    @region.setter
    def region(self, region: Region) -> None:
        if region not in ("object", "screen"):
            raise InputError(f'The region is "object" or "screen"; got {region!r}.')
        if region != self._live.region:
            self._live.region = region
            self._listener.look_again()

    @property
    def prefetch(self) -> bool:
        """Whether planes next to the one on screen are encoded while there is nothing else to do."""
        return self._prefetch.enabled

    @prefetch.setter
    def prefetch(self, prefetch: bool) -> None:
        self._prefetch.enabled = prefetch

    @property
    def only_empty(self) -> bool:
        """Whether accept leaves pixels alone that carry a label."""
        return self._components.targets.only_empty

    @only_empty.setter
    def only_empty(self, only_empty: bool) -> None:
        self._components.targets.only_empty = bool(only_empty)
        self._publish()

    def image_choices(self) -> list[Image]:
        """List the images of the viewer, lowest first."""
        return self._active.list_images()

    def target_choices(self) -> list[Labels]:
        """List the labels layers whose pixels are those of the image, lowest first."""
        return (
            []
            if self.image is None
            else self._components.targets.list_choices(self.image, self._components.preview.layer)
        )

    def target_offers(self) -> list[TargetOffer]:
        """List the labels layers that have the shape of the image but another scale or place, lowest first."""
        return (
            []
            if self.image is None
            else self._components.targets.list_offers(self.image, self._components.preview.layer)
        )

    def shown_pixels(self) -> NDArray[np.uint8] | None:
        """Return what the model saw around the candidate that is shown, (H, W, 3); None when there is none.

        That is the whole plane, or a window of a large one.
        """
        shown = self.shown_candidate(self._live.selected)
        return None if shown is None else shown[0]

    def shown_candidate(self, index: int) -> tuple[NDArray[np.uint8], Candidate] | None:
        """Return what the model saw around a candidate, (H, W, 3), and the candidate on these pixels."""
        answer = self._live.answer
        if answer is None or not 0 <= index < len(answer.candidates):
            return None
        found = answer.found[index]
        return answer.pictures[index].plane.rendered, candidate_of(found.mask, found.score)

    # -- commands ---------------------------------------------------------------------------------

    def use_tool(self, tool: Tool) -> None:
        """Select the prompt layer of a tool, in the mode for it; `close` selects again what was selected before.

        Parameters
        ----------
        tool : {"positive", "negative", "box"}
            What a click on the image is to mean.
        """
        with self._command() as image:
            if image is not None:
                self._components.tools.select_tool(tool, image)

    def resume_tool(self) -> None:
        """Take the kind of tool that was used last, as for an image that was just opened.

        A tool of napari's that the person has in hand, such as the brush of a labels layer, is left there.
        """
        with self._command() as image:
            if image is not None:
                self._components.tools.resume_tool(image)

    def toggle_polarity(self) -> None:
        """Turn the next click from object to background, or back. Points that are there keep their polarity."""
        with self._command() as image:
            if image is not None:
                self._components.tools.toggle_polarity(image)

    def select_candidate(self, index: int) -> None:
        """Show candidate `index`; further prompts go on from it."""
        with self._command() as image:
            if image is not None:
                self._live.select_candidate(index)

    def next_candidate(self) -> None:
        """Show the next candidate, after the last one the first; of an answer under way, as soon as it is there."""
        with self._command() as image:
            if image is not None:
                self._live.skip_candidate()

    def accept(self) -> None:
        """Write the candidate into the target as a new object, and start the next one.

        When the answer is still under way, its prompts go at once and the object is written as soon as it is there,
        after those that were accepted before it: the next click is the next object's. Where an object cannot be
        written, the status says why, and its prompts stay or come back.
        """
        with self._command() as image:
            if image is None:
                return
            self._live.read_prompts()
            candidate = self._live.selected_candidate if self._live.is_answered else None
            if candidate is not None and not candidate.area:
                self._say(messages.EMPTY_MASK)  # before a layer is made for it
            elif self._live.requests.waits_for_prompts or (self._live.is_answered and self._accepts.waiting):
                self._accept_later(image, answered=candidate is not None)
            elif self._live.is_answered:
                self._say(self._accept_now(image))
            elif self._live.is_stopped:
                self._live.ask_again()
            elif not self._accepts.waiting:
                self._say(messages.NO_CANDIDATE)

    def clear(self) -> None:
        """Delete what is drawn on this plane, and start over; the status tells what stays on others."""
        with self._command() as image:
            if image is not None:
                self._components.log.clear(image, self._live.reading)
                self._say(self._prompts_left(image))

    def clear_all(self) -> None:
        """Delete what is drawn on all planes of the image, and start over."""
        with self._command() as image:
            if image is not None:
                self._components.log.clear(image, self._components.prompts.read_everything())

    def undo(self) -> None:
        """Take back the last prompt, clear or accept.

        An accepted object leaves the target through the target's own undo, and its prompts come back. If the person has
        undone it there already, only the prompts come back. The viewer goes to what changed, if that is not on screen.
        """
        with self._command(give_back=False) as image:
            if image is None:
                return
            before, history = self._components.log.drawn, self._components.log.history(image)
            count, said = len(history.undone), ""
            if not self._accepts.take_back(image) and not self._stack.undone(image):
                said = self._undo_now(image)
            step = history.undone[-1] if len(history.undone) > count else None
            self._say(" ".join(filter(None, (said, reveal(self._components, image, before, step)))))

    def redo(self) -> None:
        """Do again what was undone last; the viewer goes there, if it is not on screen."""
        with self._command(give_back=False) as image:
            if image is None:
                return
            before, history = self._components.log.drawn, self._components.log.history(image)
            count, said = len(history.done), self._redo_now(image)
            step = history.done[-1] if len(history.done) > count else None
            self._say(" ".join(filter(None, (said, reveal(self._components, image, before, step)))))

    def cancel(self) -> None:
        """Stop the work that is under way; accepts that wait for it are taken back, and their prompts come back."""
        with self._command(give_back=False):
            self._live.stop_work()
            stopped = self._accepts.cancel()
            self._say(" ".join(filter(None, (self._stack.stop() or messages.CANCELLED, stopped))))

    def new_target(self) -> None:
        """Add an empty labels layer that fits the image, and make it the target."""
        with self._command() as image:
            if image is not None:
                self._components.targets.add_layer(image, self._components.above_target)

    def fit_target(self, layer: Labels) -> None:
        """Put a labels layer that has the image's shape where the image is, and make it the target.

        Parameters
        ----------
        layer : Labels
            One of `target_offers`.
        """
        layer = unwrapped(layer)
        with self._command() as image:
            if image is not None:
                self._components.targets.fit_layer(layer, image)
                self._say(messages.fitted(layer.name, image.name))

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
        if self._closed:
            return
        self._closed = True
        self._stack.release()
        self._listener.release()
        self._active.release()
        self._live.forget_answers()
        self._live.requests.drop_requests()
        unwritten = self._accepts.release()
        self._worker.close()
        self._components.log.close()
        self._components.tools.restore_selection()
        self._components.prompt_layers.release_layers()
        self._components.preview.remove_layer()
        if unwritten:
            show_warning(messages.closed_early(unwritten))
        self.events.closed.emit()

    # -- what commands are made of ----------------------------------------------------------------

    @contextmanager
    def _command(self, *, give_back: bool = True) -> Iterator[Image | None]:
        """Run a command: our own changes of layers are not taken for the person's, and what comes of it is told.

        Parameters
        ----------
        give_back : bool
            Whether prompts of what could not be written may come back now.
        """
        if self._closed:
            yield None
            return
        self._on_listener_acted()
        with self._listener.deaf():
            try:
                yield self.image
            except Exception as error:
                self._live.requests.report_failure(error)
        self._listener.tie()
        self._components.log.look()
        self._live.read_prompts()
        if give_back:
            self._give_back()
        self._publish()

    def _give_back(self) -> None:
        with self._listener.deaf():
            self._accepts.give_back()
        self._listener.tie()

    def _accept_later(self, image: Image, *, answered: bool) -> None:
        """Let what is prompted be written when its turn comes; `answered`: whether its mask is known."""
        writer = self._components.targets.find_writer(image)
        again = self._object_again(None if writer is None else writer.layer)
        undecided = again is None and not answered and not self._stack.is_decided
        self._accepts.press(image, writer, only_empty=self.only_empty, again=again, undecided=undecided)
        self._stack.again, self._stack.message = None, ""

    def _object_again(self, target: Labels | None) -> TrackedObject | None:
        """Return the object that accept writes again; None where it writes a new one."""
        hand = self._stack.hand if self._stack.again else None
        return hand if hand is not None and hand.layer is target else None

    def _accept_now(self, image: Image) -> str:
        writer = self._components.targets.find_writer(image) or self._components.targets.add_layer(
            image, self._components.above_target
        )
        before = self._components.log.hand
        order = WriteOrder(writer, self.only_empty, self._object_again(writer.layer))
        trouble = self._components.log.accept(image, order)
        if self._components.log.hand is not before:
            self._stack.again, self._stack.message = None, ""
        return trouble

    def _prompts_left(self, image: Image) -> str:
        """Say that planes which are not on screen hold prompts; "" when none does."""
        view = self._active.view
        return "" if view is None else messages.prompts_left(self._components.prompts.count_planes(image, view))

    def _undo_now(self, image: Image) -> str:
        target = self.target
        if (
            self._components.log.history(image).done
            or target is None
            or not self._components.targets.earlier_steps(image)[0]
        ):
            return self._components.log.undo(image)
        target.undo()
        return messages.undone_earlier(target.name)

    def _redo_now(self, image: Image) -> str:
        target = self.target
        if (
            self._components.log.history(image).undone
            or target is None
            or not self._components.targets.earlier_steps(image)[1]
        ):
            return self._components.log.redo(image)
        target.redo()
        return messages.redone_earlier(target.name)

    def _on_stack_told(self, status: Status) -> None:
        self._notice = status
        self._publish()

    def _on_viewer_selection_lost(self) -> None:
        if not self._closed:
            self.events.selection_lost.emit()

    def _say(self, text: str) -> None:
        self._notice = Status("attention", text) if text else None

    def _need_image(self) -> Image:
        if self._closed:
            raise InputError("This session is closed. Open another one.")
        if self.image is None:
            raise InputError(messages.NO_IMAGE)
        return self.image

    def _adopt(self, layer: Any, kind: type[Layer]) -> None:
        layer = unwrapped(layer)
        if not isinstance(layer, kind):
            raise InputError(f"This takes a {kind.__name__} layer; got {type(layer).__name__}.")
        self._components.prompt_layers.adopt_layer(layer, self._need_image())
        self._listener.tie()
        self._listener.on_prompts_changed()

    def _on_listener_acted(self) -> None:
        self._notice = None

    def _on_listener_changed(self) -> None:
        if self._accepts.unwritten:
            # Later, because napari is in the middle of a change of the layers that are to be drawn in.
            self._worker.submit("unwritten", lambda _progress: None, lambda _nothing: self._on_room_made())
        self._publish()

    def _on_room_made(self) -> None:
        self._give_back()
        self._publish()

    def _on_accepts_told(self, status: Status | None) -> None:
        self._notice = status or self._notice
        self._listener.tie()
        self._on_live_changed()

    def _on_live_changed(self) -> None:
        self._prefetch.start_when_idle()
        self._publish()

    def _publish(self) -> None:
        """Make the state anew, and tell if it is another one."""
        if self._closed:
            return
        state = report(self._components, self._stack, self._accepts, self._notice)
        if state != self._state:
            self._state = state
            self.events.state_changed.emit(state)
