"""Lets the person choose among the objects that were found: by a filter, and by clicks on the image."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.found import FoundObjects
from napari_sam.session.everything.parts import labels_there
from napari_sam.session.everything.ranking.queries import ExamplesQuery
from napari_sam.session.everything.selection import ProposalSelection
from napari_sam.session.viewing.connections import Connections

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

    from napari_sam.automatic.proposals import ProposalFilter
    from napari_sam.masks import BoxedMask
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.session.everything.proposals_layer import ProposalsLayer
    from napari_sam.session.everything.ranking.match import Match
    from napari_sam.session.everything.ranking.queries import ObjectQuery
    from napari_sam.session.everything.search import Findings, SearchRequest, SearchResult
    from napari_sam.session.labels.targets import TargetLayers
    from napari_sam.session.prompts.tools import PromptTools
    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.viewing.active_image import ActiveImage, PixelChange
    from napari_sam.session.viewing.connections import Mute


class ObjectChooser:
    """Keeps the objects of one search, and shows those that are chosen of the plane on screen.

    Parameters
    ----------
    active : ActiveImage
        What is on screen.
    shown : ProposalsLayer
        Shows them.
    targets : TargetLayers
        Whose labels are in the way.
    tools : PromptTools
        What the person clicked with before.
    settings : SessionSettings
        What the person chose.
    above : callable
        Gives the layers that lie above what was found.
    mute : Mute
        Gives a context in which changes of layers are the session's own.
    """

    changed = Signal()
    """The person chose on the image."""
    lost = Signal()
    """The image, or the layer that shows what was found, was removed: nothing is kept any more."""

    def __init__(
        self,
        active: ActiveImage,
        shown: ProposalsLayer,
        targets: TargetLayers,
        tools: PromptTools,
        settings: SessionSettings,
        above: Callable[[], list[Layer | None]],
        mute: Mute,
    ) -> None:
        self._active = active
        self._shown = shown
        self._targets = targets
        self._tools = tools
        self._settings = settings
        self._above = above
        self.mute = mute
        """Gives a context in which changes of layers are the session's own."""
        self._image: weakref.ref[Image] | None = None
        self.found: FoundObjects | None = None
        """The objects; None while there are none."""
        self.locked = False
        """Whether they are being written, so that clicks choose nothing."""
        self._connections = Connections()
        connect = self._connections.connect
        connect("active", active.view_changed, self._on_active_view)
        connect("active", active.image_changed, self._on_active_view)
        connect("active", active.pixels_changed, self._on_active_pixels)
        connect("active", active.place_changed, self._on_active_place)
        connect("active", active.viewer_events.removed, self._on_viewer_removed)
        connect("shown", shown.clicked, partial(self._on_shown_clicked, ProposalSelection.toggle))
        connect("shown", shown.picked, partial(self._on_shown_clicked, ProposalSelection.keep))
        connect("shown", shown.pointed, self._on_shown_pointed)

    def release(self) -> None:
        """Stop listening, and take the layer away."""
        self._connections.release()
        self._shown.remove_layer()

    @property
    def image(self) -> Image | None:
        """The image that objects were looked for on last; None once it is gone."""
        return None if self._image is None else self._image()

    @property
    def selection(self) -> ProposalSelection | None:
        """The objects of the plane on screen; None where none were looked for."""
        image = self.image
        if self.found is None or image is None or image is not self._active.image:
            return None
        return self.found.at(self._active.view)

    @property
    def layer(self) -> Labels | None:
        """The layer that shows the objects; None where nothing is shown."""
        return self._shown.layer

    @property
    def is_here(self) -> bool:
        """Whether objects were looked for on the plane on screen, and are kept."""
        return self.selection is not None

    @property
    def is_picking(self) -> bool:
        """Whether a click on the image keeps or drops an object."""
        return self.is_here and self._shown.is_selected

    def begin(self, image: Image) -> None:
        """Forget what was found: objects are looked for on an image."""
        self.discard()
        self._image = weakref.ref(image)

    def take(self, findings: Findings, *, select: bool = True) -> None:
        """Take what was found, and let the person choose; `select`: by clicks, from now on."""
        self.found = FoundObjects(findings)
        with self.mute():
            self.refresh()
            if select:
                self.select()

    def rank(self, match: Match) -> None:
        """Choose by how well objects match, too, and let the person go on choosing."""
        if self.found is not None:
            self.found.rank(match)
            with self.mute():
                self.refresh()
                self.select()

    def reshape(self, result: SearchResult) -> None:
        """Show the same objects after another clean-up; what the person chose among them stays."""
        if self.found is not None:
            self.found.reshape(result)
            with self.mute():
                self.refresh()

    def judge(self, confident: Mapping[PlaneIndex, NDArray[np.bool_]]) -> None:
        """Show which objects are confident."""
        if self.found is not None:
            self.found.judge(confident)
            with self.mute():
                self.refresh()

    def choose(self, chosen: ProposalFilter) -> None:
        """Show the objects that another filter leaves; those of other planes are chosen when these are on screen."""
        if self.found is not None and not self.locked:
            self.found.choose(chosen)
            self.refresh()

    def toggle(self, place: int) -> None:
        """Drop an object of the plane that is shown, or keep one that is not, whatever the filter says."""
        if (selection := self.selection) is not None and not self.locked:
            selection.toggle(place)
            self.refresh()

    def keep(self, place: int) -> None:
        """Keep an object of the plane whatever the filter says, as an example too; or no longer."""
        if (selection := self.selection) is not None and not self.locked:
            selection.keep(place)
            self.refresh()

    def examples(self) -> ExamplesQuery | None:
        """Gather what the person picked on any plane, or else wrote on this one; None where there is neither."""
        image, found, here = self.image, self.found, self.selection
        if image is None or found is None or here is None:
            return None
        kept, dropped = found.marked(kept=True), found.marked(kept=False)
        if kept:
            return ExamplesQuery(kept, dropped)
        labels = labels_there(self._targets, image, here.result.request)
        if labels is None or not labels.any():
            return None
        # A copy: the person may go on painting in them meanwhile.
        return ExamplesQuery((), dropped, labels.copy(), here.result.request)

    def marks_for(self, request: SearchRequest) -> tuple[tuple[BoxedMask, bool], ...]:
        """Return what was kept or dropped by hand on the plane on screen, for another search of the same part."""
        return () if (here := self.selection) is None else here.marks_for(request)

    def to_rank(self, query: ObjectQuery | None) -> tuple[ObjectQuery, list[SearchResult], Match | None] | str:
        """Return what is to be ranked by a query, or by examples, and an earlier ranking; words for trouble."""
        if (found := self.found) is None:
            return everything_messages.NOTHING_HERE
        if (asked := query or self.examples()) is None:
            return everything_messages.PICK_FIRST
        # As they were found: objects are not alike because they were grown.
        return asked, [result.as_found for result in found.findings.results], found.match

    def refresh(self) -> None:
        """Choose anew among what was found on the plane on screen, as the labels are now, and show that."""
        selection, image = self.selection, self._active.image
        if self.found is not None:
            self.found.rest(selection)
        if selection is None or image is None:
            return
        request = selection.result.request
        # Who replaces objects asked for these, and never for pixels of others.
        asks = self._settings.only_empty or selection.replaces
        selection.update(labels_there(self._targets, image, request) if asks else None)
        self._shown.show_objects(
            image, request.source.view, request.start, selection.objects, self._above(), selection.confident
        )
        if selection.pointed is not None:
            self._shown.show_pointed(selection.pointed_mask)

    def select(self) -> None:
        """Let clicks keep and drop objects from now on."""
        if self.is_here:
            self._shown.select()

    def discard(self) -> None:
        """Forget what was found."""
        selected, self.found = self._shown.is_selected, None
        self._shown.remove_layer()
        # Who chose among objects goes on with the tool of before.
        if selected and self._active.image is not None:
            self._tools.select_tool(self._tools.last_tool, self._active.image)

    def leave(self) -> None:
        """Forget what was found, outside of a command: all of it is written."""
        self.locked = False
        with self.mute():
            self.discard()

    def unlock(self) -> None:
        """Let the person choose again, among what is left as the labels are now."""
        if self.locked:
            self.locked = False
            with self.mute():
                self.refresh()

    # -- what happens meanwhile -------------------------------------------------------------------

    def _on_active_view(self) -> None:
        """Show the objects of the plane that is on screen now."""
        with self.mute():
            self.refresh()
            if not self.is_here:
                self._shown.remove_layer()
        # Nothing is told here: another image's prompt layers are still to come. Who listens to the viewer tells then.

    def _on_active_pixels(self, change: PixelChange) -> None:
        """Forget what was found on pixels that are gone; another contrast leaves objects where they are."""
        if change == "data" and self.image is self._active.image:
            with self.mute():
                self.discard()
            self.lost.emit()

    def _on_active_place(self) -> None:
        if self._active.image is not None and self.is_here:
            with self.mute():
                self._shown.follow_image(self._active.image)

    def _on_viewer_removed(self, layers: tuple[Layer, ...]) -> None:
        if self._shown.layer is not None and self._shown.layer in layers:
            self._shown.forget_layer()
        elif self.image not in layers:
            return
        else:
            self._shown.remove_layer()
        self.found = None
        self.lost.emit()

    def _on_shown_clicked(self, mark: Callable[[ProposalSelection, int], None], y: int, x: int) -> None:
        selection = self.selection
        if selection is not None and not self.locked and (place := selection.place_at(y, x)) is not None:
            mark(selection, place)
            with self.mute():
                self.refresh()
            self.changed.emit()

    def _on_shown_pointed(self, at: tuple[int, int] | None) -> None:
        if (selection := self.selection) is None:
            return
        place = None if at is None else selection.place_at(*at)
        if place != selection.pointed:
            selection.pointed = place
            with self.mute():
                self._shown.show_pointed(selection.pointed_mask)
            self.changed.emit()
