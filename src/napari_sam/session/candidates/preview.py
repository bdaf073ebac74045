"""The layer that shows the candidate: as a contour that stands out from the image, on the plane it was made for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap

from napari_sam.inference.request import Candidate
from napari_sam.masks import BoxedMask
from napari_sam.session.candidates.preview_area import PreviewArea
from napari_sam.session.viewing.placement import (
    add_below,
    keeping_selection,
    part_placement,
    set_placement,
    with_other_axes,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_sam.planes.source import PlaneIndex
    from napari_sam.prompts import PaintPrompt

_REDRAW_SHARE = 1 / 16
"""Share of the area's pixels above which drawing all of it anew is faster than drawing the pixels that change."""

_NOTHING = np.zeros((0, 0), dtype=bool)

_BLACK, _WHITE = (0.0, 0.0, 0.0, 1.0), (1.0, 1.0, 1.0, 1.0)
_SKY_BLUE = (0x56 / 255, 0xB4 / 255, 0xE9 / 255, 1.0)
"""Of the set of Okabe and Ito, as the colours of prompts are: told apart from them by anybody, and from both above."""


class CandidatePreview:
    """Shows one candidate as a contour on the plane it was made for.

    Only pixels that change are written, so a small object on a large plane costs what the object costs. On a huge
    plane, the layer covers the surroundings of the candidate only, and goes where they are.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layer lives.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._view: PlaneIndex | None = None
        self._area = PreviewArea((0, 0), (0, 0))
        self._ink: tuple[float, ...] | None = None
        self._hovered = False
        self._shown: Candidate | None = None
        self._later: Callable[[], None] | None = None
        self._held = self._drawing = False
        self.layer: Labels | None = None
        self.takes_strokes = False
        """Whether the person paints in the layer; see `open_for_strokes`."""

    @property
    def is_hovered(self) -> bool:
        """Whether what is shown is the mask under the cursor, and no candidate."""
        return self._hovered and self._shown is not None

    @property
    def is_held(self) -> bool:
        """Whether the person is in the middle of a stroke."""
        return self._held

    def need_layer(self, image: Image, view: PlaneIndex, above: list[Layer | None]) -> Labels:
        """Return the layer, made or moved to lie on the plane of an image, beneath the layers `above`."""
        # Its array has the axes and the size of the other plane.
        if self.layer is not None and (
            self._view is None or self._view.axes != view.axes or self._view.shape != view.shape
        ):
            self.remove_layer()
        if self.layer is None:
            self._area = PreviewArea.for_plane(view.shape)
            self.layer = _make_layer(image, view, self._area)
            self._ink = self._shown = None
            add_below(self._viewer, self.layer, above)
        else:
            _place_layer(self.layer, image, view, self._area)
        self._view = view
        return self.layer

    def show_candidate(self, candidate: Candidate, image: Image, backdrop: float) -> None:
        """Show a candidate in place of what is shown: black on a bright backdrop, white on a dark one.

        Parameters
        ----------
        candidate : Candidate
            The mask, on the plane of the last `need_layer`.
        image : Image
            Layer beneath.
        backdrop : float
            Brightness of the picture that the model saw around the mask, from 0 to 1.
        """
        if self._held:
            self._later = partial(self.show_candidate, candidate, image, backdrop)
            return
        self._show(candidate, image, _BLACK if _looks_bright(image, backdrop) else _WHITE)
        self._hovered = False

    def show_hovered(self, candidate: Candidate, image: Image) -> None:
        """Show the mask under the cursor, in a colour of its own; the arguments are those of `show_candidate`."""
        before = self._shown
        # A cursor moves mostly within one object.
        if not (self._hovered and before is not None and _are_equal(before, candidate)):
            self._show(candidate, image, _SKY_BLUE)
        self._hovered = True

    def _show(self, candidate: Candidate, image: Image, ink: tuple[float, ...]) -> None:
        """Show a candidate as a contour in a colour, RGBA."""
        layer, view = self.layer, self._view
        if layer is None or view is None:
            raise RuntimeError("the preview layer is asked for before anything is shown in it")
        if ink != self._ink:
            self._ink, layer.colormap = ink, _contour_colormap(ink)
        # While somebody paints, the area has room for that, too.
        keeps = self.takes_strokes and self._area.covers(candidate)
        area = self._area if keeps else self._area.for_mask(candidate, view.shape)
        if area != self._area:
            self._cover_area(layer, view, area, candidate)
            _place_layer(layer, image, view, area)
            _set_contour(layer, area.contour_width(view.shape))
            return
        # `clear_mask` may have taken it away.
        _set_contour(layer, area.contour_width(view.shape))
        self._draw_mask(layer, view, candidate)

    def _cover_area(self, layer: Labels, view: PlaneIndex, area: PreviewArea, candidate: Candidate | None) -> None:
        """Cover another part of the plane, with a candidate on it, as yet without a contour; None: with nothing."""
        self._area, self._shown = area, candidate
        plane = np.zeros(area.shape, dtype=np.uint8)
        if candidate is not None:
            at, mask = area.place_mask(candidate)
            plane[at] = mask
        # Contours are what napari takes long to draw: once, at the end. It warns of those in 3D, even of none.
        if candidate is not None or layer.ndim > 2:
            _set_contour(layer, 0)
        layer.data = with_other_axes(view, plane)
        layer.editable = self.takes_strokes  # new data unlock a layer

    def clear_mask(self) -> None:
        """Show nothing."""
        if self._held:
            self._later = self.clear_mask
            return
        layer, view, shown = self.layer, self._view, self._shown
        if layer is None or view is None or shown is None:
            return
        corner = PreviewArea.for_plane(view.shape)
        if not self.takes_strokes and self._area.shape != view.shape and shown.area > np.prod(corner.shape):
            # A large area is slow to draw even with nothing in it; where the corner lies does not show.
            self._cover_area(layer, view, corner, None)
            return
        if layer.ndim > 2 and not self.takes_strokes:
            # napari warns whenever it draws a layer with contours in 3D, even an empty one.
            _set_contour(layer, 0)
        self._draw_mask(layer, view, None)

    def _draw_mask(self, layer: Labels, view: PlaneIndex, candidate: Candidate | None) -> None:
        """Draw a candidate in place of the one that is shown; None: nothing."""
        places = [self._area.place_mask(c) for c in (self._shown, candidate) if c is not None and c.area]
        box = _bounding_box([at for at, _ in places])
        if box is not None and _box_area(box) > 2 * sum(_box_area(at) for at, _ in places):
            self._draw_mask(layer, view, None)  # two small rectangles, rather than all that lies between them
            self._draw_mask(layer, view, candidate)
            return
        self._shown = candidate
        if box is None:
            return
        wanted = np.zeros(tuple(at.stop - at.start for at in box), dtype=np.uint8)
        if candidate is not None and candidate.area:
            at, mask = places[-1]
            wanted[tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(at, box, strict=True))] = mask
        self._drawing = True
        try:
            self._write(layer, view, box, wanted)
        finally:
            self._drawing = False

    def _write(self, layer: Labels, view: PlaneIndex, box: tuple[slice, slice], wanted: NDArray[np.uint8]) -> None:
        """Write what is wanted in a box of the area, in pixels that are something else."""
        plane = layer.data.reshape(self._area.shape)[box]  # a view: the other axes have one plane
        changed = np.nonzero(wanted != plane)
        if len(changed[0]) > layer.data.size * _REDRAW_SHARE:
            # Around napari's history, which would list the coordinates of every pixel.
            plane[...] = wanted
            layer.refresh(extent=False, thumbnail=False, highlight=False)
        elif len(changed[0]):
            index = [np.zeros(len(changed[0]), dtype=np.int32) for _ in view.index]
            for axis, found, edge in zip(view.axes, changed, box, strict=True):
                index[axis] = (found + edge.start).astype(np.int32)
            layer.data_setitem(tuple(index), wanted[changed])
            if not self.takes_strokes:  # locking the layer would put the brush down
                _forget_strokes(layer)

    def open_for_strokes(self, image: Image, seen: tuple[NDArray[np.float64], NDArray[np.float64]] | None) -> None:
        """Let the person paint in the layer, on all that is seen of the plane of the last `need_layer`.

        Parameters
        ----------
        image : Image
            Layer beneath.
        seen : (array, array) or None
            Corners of what is on the screen, data pixels, (y, x).
        """
        layer, view = self.layer, self._view
        if layer is None or view is None:
            raise RuntimeError("the preview layer is asked for before anybody paints in it")
        if self._hovered:
            self.clear_mask()
        self.takes_strokes = layer.editable = True
        if self._ink is None:
            # Before there is a mask, nobody has looked at the picture: most are dark.
            self._ink = _BLACK if _looks_bright(image, 0.25) else _WHITE
            layer.colormap = _contour_colormap(self._ink)
        area = self._area if seen is None else self._area.for_strokes(self._shown, seen, view.shape)
        if area != self._area:
            self._cover_area(layer, view, area, self._shown)
            _place_layer(layer, image, view, area)
        _set_contour(layer, self._area.contour_width(view.shape))

    def lock(self) -> None:
        """Let nobody paint in the layer any more."""
        if self.layer is not None and self.takes_strokes:
            self.release_stroke()
            self.takes_strokes = False
            self.layer.editable = False  # forgets napari's own history of the layer, too

    def hold_stroke(self) -> None:
        """Draw nothing more until `release_stroke`: the person is in the middle of a stroke."""
        self._held = self.takes_strokes

    def release_stroke(self) -> None:
        """Draw what was not drawn since `hold_stroke`."""
        self._held = False
        later, self._later = self._later, None
        if later is not None:
            later()

    def take_stroke(self) -> PaintPrompt | None:
        """Return what the person painted and erased since something was shown or this was called; None for nothing."""
        layer, view = self.layer, self._view
        # napari tells of a change before it is made, also of those that are made here.
        if layer is None or view is None or self._drawing:
            return None
        now = np.asarray(layer.data).reshape(self._area.shape) != 0
        before = np.zeros(now.shape, dtype=bool)
        if self._shown is not None and self._shown.area:
            at, mask = self._area.place_mask(self._shown)
            before[at] = mask
        stroke = self._area.paint_of(now & ~before, before & ~now, view.shape)
        if stroke is None:
            return None
        # An older answer, which waited for the end of the stroke, does not know of it: another is asked for.
        self._held, self._later = False, None
        shown = self._shown
        origin, given = ((0, 0), _NOTHING) if shown is None else (shown.origin, shown.mask)
        painted = stroke.over(BoxedMask(origin, given, view.shape))
        score = 1.0 if shown is None else shown.score
        self._shown = Candidate(score, painted.area, painted.origin, painted.mask)
        return stroke

    def follow_image(self, image: Image) -> None:
        """Keep the layer where the image is."""
        if self.layer is not None and self._view is not None:
            _place_layer(self.layer, image, self._view, self._area)

    def forget_layer(self) -> None:
        """Forget the layer: it was removed from the viewer."""
        self.layer = self._view = self._shown = self._later = None
        self._held = self.takes_strokes = False

    def remove_layer(self) -> None:
        """Remove the layer from the viewer."""
        layer = self.layer
        # First: else who hears of the removal takes it for the person's, and asks for the mask again.
        self.forget_layer()
        if layer is not None and layer in self._viewer.layers:
            with keeping_selection(self._viewer):
                self._viewer.layers.remove(layer)


def _make_layer(image: Image, view: PlaneIndex, area: PreviewArea) -> Labels:
    """Make an empty layer for the candidate, one plane thick, that covers a part of a plane."""
    data = with_other_axes(view, np.zeros(area.shape, dtype=np.uint8))
    preview = Labels(data, name="SAM preview", opacity=1.0, **_area_placement(image, view, area))
    # The person's brush is not to paint in it.
    preview.editable = False
    return preview


def _place_layer(preview: Labels, image: Image, view: PlaneIndex, area: PreviewArea) -> None:
    """Move the preview to its part of a plane."""
    set_placement(preview, _area_placement(image, view, area))


def _area_placement(image: Image, view: PlaneIndex, area: PreviewArea) -> dict[str, Any]:
    """Return the arguments that put the preview on its part of a plane."""
    return part_placement(image, view, area.start, area.step)


def _contour_colormap(ink: tuple[float, ...]) -> CyclicLabelColormap:
    """Return the colours of a preview whose contour has one colour, RGBA.

    Cyclic, although one label needs no cycle: napari draws a direct colormap by code that numba compiles on the GUI
    thread first, which froze the window for seconds at the first mask.
    """
    return CyclicLabelColormap(
        colors=np.array([(0.0, 0.0, 0.0, 0.0), ink], dtype=np.float32), seed=0.5, background_value=0
    )


def _are_equal(one: Candidate, other: Candidate) -> bool:
    """Tell whether two candidates have the same mask."""
    return one.origin == other.origin and np.array_equal(one.mask, other.mask)


def _looks_bright(image: Image, backdrop: float) -> bool:
    """Tell whether a grey value, 0 to 1, looks bright in the colours of an image layer."""
    if image.rgb:
        return backdrop > 0.5
    red, green, blue = image.colormap.map(np.array([backdrop], dtype=np.float32))[0, :3]
    # Luma of Rec. ITU-R BT.709.
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5)


def _set_contour(layer: Labels, width: int) -> None:
    """Set the width of the contour, which makes napari draw the whole layer anew, where it is another one."""
    if layer.contour != width:
        layer.contour = width


def _forget_strokes(layer: Labels) -> None:
    """Empty the layer's undo history, which would hold every mask that was ever shown: locking a layer does that."""
    layer.editable = True
    layer.editable = False


def _bounding_box(places: list[tuple[slice, slice]]) -> tuple[slice, slice] | None:
    """Find the smallest rectangle that holds some rectangles."""
    if not places:
        return None
    rows, columns = (
        slice(min(at.start for at in edge), max(at.stop for at in edge)) for edge in zip(*places, strict=True)
    )
    return rows, columns


def _box_area(box: tuple[slice, slice]) -> int:
    rows, columns = box
    return int((rows.stop - rows.start) * (columns.stop - columns.start))
