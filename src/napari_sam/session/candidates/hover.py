"""The mask under the cursor, before it is clicked: asked of what is encoded already, and never in anybody's way."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari_sam.inference.request import PlaneRequest
from napari_sam.prompts import PointPrompt, PromptSet
from napari_sam.session.candidates.level import first_shown
from napari_sam.session.viewing.connections import Connections
from napari_sam.session.viewing.transform import LayerTransform

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.request import PlaneAnswer
    from napari_sam.inference.worker import Worker
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.candidates.preview import CandidatePreview
    from napari_sam.session.prompts.prompt_layers import PromptLayers
    from napari_sam.session.prompts.tools import PromptTools
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.viewing.active_image import ActiveImage

LANE = "hover"
"""Lane of the worker."""


class HoverPreview:
    """Shows what a click at the cursor would give, while the tool for it is selected and no object is prompted.

    Background points that are drawn belong to it, as they would to the click. At most one request is under way: the
    next one is for where the cursor is when that is answered. It is work ahead in the sense of
    `napari_sam.inference.worker`, so that a click never waits behind it.

    Parameters
    ----------
    viewer : ViewerModel
        Whose cursor it is.
    active, live, tools, layers
        What is looked at, prompted, with which tool, and the prompt layers.
    preview : CandidatePreview
        Where it is shown: as long as there is a candidate, that has it.
    worker, backend
        What answers.
    settings : SessionSettings
        Whether the person wants it.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        active: ActiveImage,
        live: LivePrediction,
        tools: PromptTools,
        layers: PromptLayers,
        preview: CandidatePreview,
        worker: Worker,
        backend: InferenceBackend,
        settings: SessionSettings,
    ) -> None:
        self._viewer = viewer
        self._active = active
        self._live = live
        self._tools = tools
        self._layers = layers
        self._preview = preview
        self._worker = worker
        self._backend = backend
        self._settings = settings
        self._position: tuple[float, ...] | None = None
        self._asked: tuple[float, ...] | None = None
        # One object for good: a bound method is another one each time, and could not be taken out of the list.
        self._callback = self._on_viewer_mouse_move
        self._connections = Connections()
        self._connections.connect("settings", settings.events.hover, self._on_settings_hover)

    @property
    def is_shown(self) -> bool:
        """Whether the mask under the cursor is shown."""
        return self._preview.is_hovered

    def release(self) -> None:
        """Stop following the cursor."""
        self._on_settings_hover(False)
        self._connections.release()

    def hide(self) -> None:
        """Show nothing until the cursor moves on."""
        self._position = None
        if self.is_shown:
            self._preview.clear_mask()

    def follow(self) -> None:
        """Ask for the place under the cursor, unless that is being done; called when other work may have ended."""
        here = self.is_shown and self._position == self._asked
        if self._settings.hover and self._position is not None and not here and self._is_wanted():
            self._ask()

    def _on_settings_hover(self, wanted: bool) -> None:
        callbacks, connect = self._viewer.mouse_move_callbacks, self._connections.connect
        if wanted and self._callback not in callbacks:
            callbacks.append(self._callback)
            connect("viewer", self._viewer.events.mouse_over_canvas, self._on_viewer_mouse_over_canvas)
            connect("viewer", self._active.view_changed, self.hide)
            connect("viewer", self._active.image_changed, self.hide)
            connect("viewer", self._active.pixels_changed, self.hide)
            # Switched on by its key, the cursor is over an object already.
            if self._viewer.mouse_over_canvas:
                self._position = tuple(self._viewer.cursor.position)
                self.follow()
        elif not wanted:
            if self._callback in callbacks:
                callbacks.remove(self._callback)
            self._connections.release("viewer")
            self._worker.cancel(LANE)
            self.hide()

    def _on_viewer_mouse_move(self, _viewer: Any, event: Any) -> None:
        # Between two pictures of the cursor: nothing slow may be done here (`benchmarks/hover.py` measures it).
        if event.is_dragging or not self._is_wanted():
            self.hide()
            return
        self._position = tuple(event.position)
        self._ask()

    def _on_viewer_mouse_over_canvas(self) -> None:
        if not self._viewer.mouse_over_canvas:
            self.hide()

    def _is_wanted(self) -> bool:
        """Tell whether a click would be the first on an object."""
        return (
            self._tools.current_tool == "positive"
            and self._active.view is not None
            and not self._live.reading.prompts.is_placed
            and not self._live.is_waiting
        )

    def _ask(self) -> None:
        """Ask what is under the cursor, unless another answer is on its way."""
        request = None if self._worker.busy(LANE) else self._make_request()
        if request is not None:
            self._asked = self._position
            self._worker.submit(
                LANE, partial(self._backend.peek, request), partial(self._on_answered, request), ahead=True
            )

    def _make_request(self) -> PlaneRequest | None:
        """Make the request for the place under the cursor; None where that lies outside the image."""
        image, source = self._active.image, self._active.plane_source()
        if image is None or source is None or self._position is None:
            return None
        world = self._position[len(self._position) - image.ndim :]
        place = LayerTransform.of(self._viewer, image).to_data(world)[list(source.view.axes)]
        if not all(-0.5 <= at <= size - 0.5 for at, size in zip(place, source.view.shape, strict=True)):
            self.hide()
            return None
        point = PointPrompt((float(place[0]), float(place[1])))
        prompts = PromptSet((*self._live.reading.prompts, point))
        settings = self._settings
        return PlaneRequest(
            settings.model, settings.device, source, prompts, region=settings.region, shaping=settings.shaping
        )

    def _on_answered(self, request: PlaneRequest, answer: PlaneAnswer | None) -> None:
        image, source = self._active.image, self._active.plane_source()
        # The cursor left, something was drawn, or another plane is on screen meanwhile.
        if image is None or source is None or self._position is None or not self._is_wanted():
            return
        if answer is None or source.key != request.source.key:
            self.hide()
            return
        self._show(answer)
        if self._position != self._asked:
            self._ask()

    def _show(self, answer: PlaneAnswer) -> None:
        """Show the candidate that a click would show first."""
        image, view = self._active.image, answer.request.source.view
        candidate = answer.candidates[first_shown(answer, self._settings.level)] if answer.candidates else None
        if image is None or candidate is None or not candidate.area:
            if self.is_shown:
                self._preview.clear_mask()
            return
        self._preview.need_layer(image, view, self._layers.present)
        self._preview.show_hovered(candidate, image)
