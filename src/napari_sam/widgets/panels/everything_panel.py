"""Every object at once: where and how to find them, which of them are wanted, and writing those."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_sam.session.everything.parts import SearchScope
from napari_sam.widgets.controls.collapsible import CollapsibleSection
from napari_sam.widgets.controls.filter_slider import FilterSlider
from napari_sam.widgets.controls.narrow import ButtonGrid, ComboRow, NarrowCombo
from napari_sam.widgets.controls.section_button import section_button
from napari_sam.widgets.controls.wrapped_label import WrappedLabel
from napari_sam.widgets.panels.many.source_combo import SourceCombo

if TYPE_CHECKING:
    from napari_sam.session import Session
    from napari_sam.session.everything.parts import SearchPlace
    from napari_sam.session.state import EverythingState, SessionState

_Place = tuple["SearchPlace", int | None]
_PLANE: _Place = ("plane", None)
_PLACES = (
    ComboRow("Whole plane", _PLANE, "All of the plane that is on screen."),
    ComboRow("What is on screen", ("screen", None), "The part of the plane that you see; zoom in to choose it."),
    ComboRow("Inside the box", ("box", None), "The box that is drawn on this plane."),
)
_LINKS = (
    ComboRow("In depth", "depth", "Objects that lie on each other on planes that follow become one, in 3D."),
    ComboRow("In time", "time", "Each object keeps its id from frame to frame; objects may move and divide."),
    ComboRow("Not at all", "off", "Each plane by itself: an object has another id on each."),
)
_MODES = (
    ComboRow("Automatic", "auto", "The model's maps of objects, if it has any; else a grid of points."),
    ComboRow("Maps of objects", "dense", "The model says for the whole plane where objects are. Quick."),
    ComboRow("Grid of points", "grid", "The model is asked at many points, one after the other. Any model can; slow."),
)


def _share(low: float, _high: float) -> str:
    return f"≥ {low:.2f}"


def _at_most(low: float, _high: float) -> str:
    return f"≤ {low:.2f}"


def _pixels(low: float, high: float) -> str:
    return f"{_short(low)}–{_short(high)}"  # noqa: RUF001  # an en dash, as between numbers


def _values(low: float, high: float) -> str:
    return f"{low:.3g}–{high:.3g}"  # noqa: RUF001  # an en dash, as between numbers


def _short(number: float) -> str:
    return f"{number:.0f}" if number < 10_000 else f"{number / 1000:.0f}k"


class EverythingPanel(CollapsibleSection):
    """Draws the Everything section, folded away until somebody asks.

    Parameters
    ----------
    session : Session
        What it acts on.
    """

    def __init__(self, session: Session) -> None:
        super().__init__("Everything")
        self._session = session
        self.grows = False
        """Whether what was found has just come: the section is to be brought into view, until the person chooses."""
        self.source = SourceCombo(session)
        self.place, self.mode, self.link = NarrowCombo(), NarrowCombo(), NarrowCombo()
        self.place.show_rows(_PLACES, _PLANE)
        self.mode.show_rows(_MODES, "auto")
        self.link.show_rows(_LINKS, "depth")
        self.place.set_help("Where to look for objects.")
        self.mode.set_help("How objects are looked for.")
        self.link.set_help("What the objects of the planes become when they are accepted.")
        for combo, name in ((self.place, "Where"), (self.mode, "How"), (self.link, "Link")):
            combo.setAccessibleName(name)
        self.find_objects = section_button("Find objects", "Find every object, without a click.", self._on_find_clicked)
        self.cancel = section_button("Cancel", "Stop looking for objects.", self._on_cancel_clicked)
        self.score = FilterSlider(
            "Score", "How sure the model is of an outline, 0 to 1. Less sure ones are left out.", _share
        )
        self.stability = FilterSlider(
            "Stability", "How little an outline moves if the model were stricter or laxer. 1: not at all.", _share
        )
        self.area = FilterSlider("Size, px", "The smallest and the largest.", _pixels, both=True, logarithmic=True)
        self.roundness = FilterSlider("Roundness", "1 is a disc; longer or ragged objects have less.", _share)
        self.intensity = FilterSlider("Intensity", "Mean of the image inside an object.", _values, both=True)
        self.agreement = FilterSlider("Agreement", "How much of an outline lies on the rough one, 0 to 1.", _share)
        self.overlap = FilterSlider("Overlap", "How much of the smaller of two objects may lie on the other.", _at_most)
        self.pick = section_button(
            "Keep or drop",
            "Click an object on the image to drop it, or one that is not shown to keep it.",
            self._on_pick_clicked,
        )
        self.pick.setCheckable(True)
        self.reset = section_button("Reset sliders", "Set the sliders as they were at first.", self._on_reset_clicked)
        self.accept = section_button("Accept", "Write what is shown into the labels layer.", self._on_accept_clicked)
        self.discard = section_button("Discard", "Forget what was found.", self._on_discard_clicked)
        self.words = WrappedLabel(lines=3, narrow_lines=5)
        self._link_label = QLabel("Link")
        self._place_label, self._mode_label = QLabel("Where"), QLabel("How")
        self._linked: int | None = None
        self._times: tuple[int, ...] = ()
        self._found = QWidget()
        self._build()

    def read_layers(self) -> None:
        """Offer the layers that objects can be made of now."""
        self.source.read_layers()
        self._on_place_changed()

    def scope(self) -> SearchScope:
        """Return where and how the person wants objects to be found."""
        where, axis = self._place
        mode = _MODES[self.mode.currentIndex()].data
        link = _LINKS[self.link.currentIndex()].data
        return SearchScope(where, mode, axis, link)  # type: ignore[arg-type]  # rows of the tables above

    @property
    def _place(self) -> _Place:
        """The row of *Where* that is chosen."""
        return self.place.row(self.place.currentIndex()).data  # type: ignore[return-value]  # rows of `_draw_places`

    def draw(self, state: SessionState) -> None:
        """Show what was found, and which of it is shown."""
        section = state.everything
        self._draw_places(section)
        self.find_objects.setEnabled(section.can_find)
        self.cancel.setEnabled(section.running)
        if section.found is None or self._found.isHidden():
            self.grows = section.found is not None
        self._found.setVisible(section.found is not None)
        self.accept.setEnabled(section.can_accept)
        count = "stack" if section.stack else f"{section.shown}"
        self.accept.setText(f"Accept {count}" if section.can_accept else "Accept")
        self.pick.setChecked(section.picking)
        self.pick.setEnabled(section.here)
        self.words.show_text(section.text)
        if section.found is not None:
            self._draw_sliders(section)

    def _draw_places(self, section: EverythingState) -> None:
        """Offer the stacks that there are on screen, and what their objects become."""
        stacks = [
            ComboRow(f"Stack along {axis.name}", ("stack", axis.axis), f"All {axis.size} planes, one after the other.")
            for axis in section.axes
        ]
        rows, current = (*_PLACES, *stacks), self._place
        self.place.show_rows(rows, current if any(row.data == current for row in rows) else _PLANE)
        self._times = section.time_axes
        self._on_place_changed()

    def _on_place_changed(self) -> None:
        where, axis = self._place
        looks = self.source.is_image
        for widget in (self.place, self._place_label, self.mode, self._mode_label):
            widget.setVisible(looks)
        for widget in (self.link, self._link_label):
            widget.setVisible(looks and where == "stack")
        self.find_objects.setText(self.source.verb)
        if axis != self._linked:
            # What fits the axis; the person may choose otherwise, until another axis is chosen.
            self._linked = axis
            self.link.show_rows(_LINKS, "time" if axis in self._times else "depth")

    def _draw_sliders(self, section: EverythingState) -> None:
        chosen, unit = section.chosen, (0.0, 1.0)
        for slider in self._sliders():
            slider.setEnabled(section.here)
        self.score.show_bounds(chosen.score, 1.0, unit)
        self.stability.show_bounds(chosen.stability, 1.0, unit)
        self.roundness.show_bounds(chosen.roundness, 1.0, unit)
        self.agreement.setVisible(section.refines)
        self.agreement.show_bounds(chosen.agreement, 1.0, unit)
        self.overlap.show_bounds(chosen.overlap, 1.0, unit)
        self.area.show_bounds(*chosen.area, (1.0, float(max(2, section.largest))))
        self.intensity.show_bounds(*chosen.intensity, section.intensities)

    def _sliders(self) -> tuple[FilterSlider, ...]:
        return self.score, self.stability, self.area, self.roundness, self.intensity, self.agreement, self.overlap

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        rows = (
            (QLabel("From"), self.source),
            (self._place_label, self.place),
            (self._link_label, self.link),
            (self._mode_label, self.mode),
        )
        for row, (label, what) in enumerate(rows):
            grid.addWidget(label, row, 0)
            grid.addWidget(what, row, 1)
        found = QVBoxLayout(self._found)
        found.setContentsMargins(0, 0, 0, 0)
        found.setSpacing(4)
        found.addWidget(self.words)
        for slider in self._sliders():
            found.addWidget(slider)
        found.addWidget(ButtonGrid([self.pick, self.reset]))
        found.addWidget(ButtonGrid([self.accept, self.discard]))
        section = QWidget()
        column = QVBoxLayout(section)
        column.setContentsMargins(4, 0, 0, 4)
        column.setSpacing(6)
        column.addLayout(grid)
        column.addWidget(ButtonGrid([self.find_objects, self.cancel]))
        column.addWidget(self._found)
        self.addWidget(section)
        self.source.activated.connect(self._on_place_changed)
        self.place.activated.connect(self._on_place_changed)
        self.score.chosen.connect(partial(self._on_least_chosen, "score"))
        self.stability.chosen.connect(partial(self._on_least_chosen, "stability"))
        self.roundness.chosen.connect(partial(self._on_least_chosen, "roundness"))
        self.agreement.chosen.connect(partial(self._on_least_chosen, "agreement"))
        self.overlap.chosen.connect(partial(self._on_least_chosen, "overlap"))
        self.area.chosen.connect(self._on_area_chosen)
        self.intensity.chosen.connect(self._on_intensity_chosen)

    def _choose(self, **bounds: Any) -> None:
        self.grows = False  # from now on the person says where the dock is scrolled to
        self._session.everything.choose(replace(self._session.state.everything.chosen, **bounds))

    def _on_least_chosen(self, name: str, low: float, _high: float) -> None:
        self._choose(**{name: low})

    def _on_area_chosen(self, low: float, high: float) -> None:
        # A handle at the end leaves nothing out, whatever was rounded on the way.
        largest = max(2, self._session.state.everything.largest)
        self._choose(area=(low, inf if high >= largest * 0.999 else high))

    def _on_intensity_chosen(self, low: float, high: float) -> None:
        least, most = self._session.state.everything.intensities
        self._choose(intensity=(-inf if low <= least else low, inf if high >= most else high))

    def _on_find_clicked(self) -> None:
        if not self.source.is_image:
            self._session.everything.make(self.source.layer)
            return
        scope = self.scope()
        self._session.everything.find(scope.where, scope.mode, scope.axis, scope.link)

    def _on_cancel_clicked(self) -> None:
        self._session.cancel()

    def _on_pick_clicked(self) -> None:
        self._session.everything.pick()
        # Qt has toggled the button, and a state that did not change is not told.
        self.draw(self._session.state)

    def _on_discard_clicked(self) -> None:
        self._session.everything.discard()

    def _on_reset_clicked(self) -> None:
        self._session.everything.choose(self._session.state.everything.suggested)

    def _on_accept_clicked(self) -> None:
        self._session.everything.accept()
