"""Makes an object that exists the current one: its mask is what clicks correct, and accept writes it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam.errors import InputError
from napari_sam.inference.request import Candidate
from napari_sam.inference.starting import StartingMask
from napari_sam.masks import BoxedMask
from napari_sam.prompts import PromptSet
from napari_sam.session.labels.pixels import full_resolution, write_problem
from napari_sam.session.objects.editing.search import LabelSearch, find_boxes, read_object
from napari_sam.session.objects.history import HistoryStep
from napari_sam.session.objects.tracked import TrackedObject
from napari_sam.session.viewing.connections import Connections

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.candidates.live import LivePrediction
    from napari_sam.session.candidates.preview import CandidatePreview
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.objects.current import CurrentObject
    from napari_sam.session.objects.log import ObjectLog
    from napari_sam.session.prompts.editor import PromptEditor
    from napari_sam.session.prompts.tools import PromptTools
    from napari_sam.session.viewing.active_image import ActiveImage

_SAME = 0.5
"""IoU with what this session wrote, from which on an object is still that one, and its prompts are its own."""


class ObjectPicker:
    """Picks one object at a time. A pick is a step of undo, and holds until the object is accepted or left.

    Parameters
    ----------
    active, prompts, tools, live, preview
        What is on screen, drawn, answered and shown.
    targets, log, current
        What is written, remembered, and the current object.
    """

    def __init__(
        self,
        active: ActiveImage,
        prompts: PromptEditor,
        tools: PromptTools,
        live: LivePrediction,
        preview: CandidatePreview,
        targets: TargetLayers,
        log: ObjectLog,
        current: CurrentObject,
    ) -> None:
        self._active = active
        self._prompts = prompts
        self._tools = tools
        self._live = live
        self._preview = preview
        self._targets = targets
        self._log = log
        self._current = current
        self._connections = Connections()
        self._connections.connect("active", active.view_changed, self._on_active_view)

    def release(self) -> None:
        """Stop listening."""
        self._connections.release()

    @property
    def picked(self) -> TrackedObject | None:
        """The object that is corrected; None where there is none."""
        start, current = self._live.start, self._current.tracked
        return current if start is not None and current is not None and current.label == start.label else None

    def retarget(self, image: Image, layer: Labels, label: int) -> bool:
        """Let objects go to the layer of an object; tell whether it is another one.

        Raises
        ------
        InputError
            If its pixels are not those of the image, or cannot be written.
        """
        if why := write_problem(layer, label):
            raise InputError(why)
        if self._targets.chosen_layer(image) is layer and self._targets.takes(layer, image):
            return False
        self._targets.choose_layer(layer, image)
        return True

    def pick(self, image: Image, layer: Labels, label: int, mask: BoxedMask, view: PlaneIndex) -> int:
        """Correct an object from now on; return how many of its prompts are back.

        What is drawn on this plane is cleared, as by Clear: it belongs to another object.

        Parameters
        ----------
        image : Image
            The image.
        layer : Labels
            The layer, which is the target.
        label : int
            Its id.
        mask : BoxedMask
            Its pixels on the plane.
        view : PlaneIndex
            The plane on screen.
        """
        log, live, prompts = self._log, self._live, self._prompts
        before, refinement, held = log.drawn, live.refinement, self._current.of(image)
        tracked = self._current.known(layer, label) or TrackedObject(layer, label)
        remembered = _prompts_of(tracked, view, mask)
        prompts.delete_drawn(prompts.read_plane(image, view))
        self._tools.start_object()
        if len(remembered):
            prompts.draw_prompts(image, view, remembered)
        # As they are read again: a click may move by a rounding error on its way through the world.
        drawn = prompts.read_plane(image, view).prompts
        self._start(StartingMask(label, view, mask, drawn), image)
        self._current.set(image, tracked)
        log.remember_drawing()
        step = HistoryStep(
            before,
            log.drawn,
            refinement=refinement,
            current_before=held,
            current_after=tracked,
            refinement_after=live.refinement,
        )
        log.history(image).add(step)
        log.accepted = None
        return len(drawn)

    def leave(self, image: Image) -> None:
        """Correct it no more: it stays as it is, and what was drawn for it is cleared, as one step of undo."""
        self._log.clear(image, self._live.reading)

    def _start(self, start: StartingMask, image: Image) -> None:
        self._live.start_from(start)
        # At once: until the model has seen the plane, seconds may pass.
        if start.mask.area:
            self._preview.need_layer(image, start.view, self._prompts.layers.present)
            self._preview.show_candidate(
                Candidate(1.0, start.mask.area, start.mask.origin, start.mask.mask), image, backdrop=0.0
            )

    def _on_active_view(self) -> None:
        """Go on with the object as it is on the plane that is on screen now."""
        start, view, image, picked = self._live.start, self._active.view, self._active.image, self.picked
        if start is None or view is None or image is None or picked is None or start.view == view:
            return
        search = LabelSearch(full_resolution(picked.layer), view, (picked.label,), whole=False)
        # Nobody waits for a huge plane while scrolling: there the object is shown anew.
        boxes = find_boxes(search) if search.quick and len(view.index) == len(start.view.index) else {}
        mask = read_object(search.data, view, boxes, picked.label)
        known = _prompts_of(picked, view, mask)
        drawn = self._prompts.read_plane(image, view).prompts
        kept = known if set(drawn).issuperset(known) else PromptSet()
        self._live.start_from(StartingMask(picked.label, view, mask, kept))


def _prompts_of(tracked: TrackedObject, view: PlaneIndex, mask: BoxedMask) -> PromptSet:
    """Return the prompts that an object came of on a plane; none where it is another object by now."""
    record = tracked.planes.get(view.index)
    if record is None or not mask.area:
        return PromptSet()
    written = BoxedMask(record.origin, np.asarray(record.mask), view.shape)
    return record.prompts if written.iou(mask) > _SAME else PromptSet()
