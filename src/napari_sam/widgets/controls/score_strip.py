"""The planes of a stack side by side: which carry the object, how far each can be trusted, and which is on screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QHelpEvent, QPainter, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_sam.session.state import StackState
from napari_sam.widgets.controls.icons import GREEN, ORANGE, VERMILLION, YELLOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QPaintEvent

    from napari_sam.session.state import StripPlane

_MARKS, _BARS, _CURSOR = 11, 30, 8
"""Heights of the lane of marks above, of the bars, and of the pointer below, logical pixels."""
_LEAST = 3.0  # of a bar, so that a score of 0 can be seen and hit
_PAGE = 10  # planes
_STEPS = {
    Qt.Key.Key_Left: -1,
    Qt.Key.Key_Right: 1,
    Qt.Key.Key_PageUp: -_PAGE,
    Qt.Key.Key_PageDown: _PAGE,
}


class ScoreStrip(QWidget):
    """Draws one bar for each plane that carries the current object.

    A bar is as high as its score. A weak one is vermillion with a triangle above it, one that a person annotated is
    yellow with a diamond, a stop mark is an orange cross; a line marks the plane on screen. A click goes to a plane, as
    the arrow keys do.

    Parameters
    ----------
    go_to : callable
        Takes the index of a plane to go to.
    """

    def __init__(self, go_to: Callable[[int], object]) -> None:
        super().__init__()
        self._go_to = go_to
        self._state = StackState()
        self._planes: dict[int, StripPlane] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMouseTracking(True)
        self.setToolTip("How far the object can be trusted on each plane. Click a plane to go there.")
        self._describe()

    def draw(self, state: StackState) -> None:
        """Show a stack as it is now."""
        if state == self._state:
            return
        self._state = state
        self._planes = {plane.place: plane for plane in state.planes}
        self.setCursor(Qt.CursorShape.PointingHandCursor if state.axis is not None else Qt.CursorShape.ArrowCursor)
        self._describe()
        self.update()

    # -- planes and places ------------------------------------------------------------------------

    def place_at(self, x: float) -> int:
        """Return the plane that is drawn at a horizontal position, logical pixels."""
        size = self._size
        return min(max(int((x - 1) / max(1, self.width() - 2) * size), 0), size - 1)

    def middle_of(self, place: int) -> float:
        """Return where the middle of a plane's bar is drawn, logical pixels."""
        return 1 + (place + 0.5) * (self.width() - 2) / self._size

    def words(self, place: int) -> str:
        """Describe a plane, such as "z = 14: score 0.43, weak"."""
        name = "" if self._state.axis is None else self._state.axis.name
        plane = self._planes.get(place)
        if place in self._state.marks:
            return f"{name} = {place}: stop mark"
        if plane is None:
            return f"{name} = {place}: not part of the object"
        if plane.annotated:
            return f"{name} = {place}: shown by you"
        return f"{name} = {place}: score {plane.score:.2f}{', weak' if plane.weak else ''}"

    @property
    def _size(self) -> int:
        return 1 if self._state.axis is None else self._state.axis.size

    def _describe(self) -> None:
        state = self._state
        if state.axis is None:
            self.setAccessibleName("Scores along the stack")
            self.setAccessibleDescription("No stack.")
            return
        weak = sum(plane.weak for plane in state.planes)
        self.setAccessibleName(f"Scores along {state.axis.name}")
        self.setAccessibleDescription(
            f"On screen {self.words(state.place)}. {len(state.planes)} of {state.axis.size} planes carry the object, "
            f"{weak} are weak."
        )

    # -- Qt ---------------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:
        """Return the height of the lanes; any width will do."""
        return QSize(160, _MARKS + _BARS + _CURSOR)

    def minimumSizeHint(self) -> QSize:
        """Return the same height, and little width."""
        return QSize(80, self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Paint the bars and the marks."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().color(QPalette.ColorRole.WindowText)
        if not self.isEnabled():
            painter.setOpacity(0.4)
        self._paint_ground(painter, ink)
        # Where planes are narrower than a pixel, what needs to be seen is drawn last.
        for plane in sorted(self._state.planes, key=lambda one: (one.annotated, one.weak)):
            self._paint_plane(painter, plane)
        for place in self._state.marks:
            self._paint_stop(painter, place)
        if self._state.axis is not None:
            self._paint_cursor(painter, ink)
        if self.hasFocus():
            painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Highlight), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(QRectF(0.5, 0.5, self.width() - 1, self.height() - 1))
        painter.end()

    def _paint_ground(self, painter: QPainter, ink: QColor) -> None:
        """Paint the range as a light ground, and the base line of the whole stack."""
        state = self._state
        painter.setPen(Qt.PenStyle.NoPen)
        ground = QColor(ink)
        ground.setAlphaF(0.10)
        if state.axis is not None:
            wide = (self.width() - 2) / self._size
            painter.fillRect(QRectF(1 + state.start * wide, _MARKS, (state.stop - state.start) * wide, _BARS), ground)
        ground.setAlphaF(0.45)
        painter.setPen(QPen(ground, 1))
        painter.drawLine(QPointF(1, _MARKS + _BARS + 0.5), QPointF(self.width() - 1, _MARKS + _BARS + 0.5))

    def _paint_plane(self, painter: QPainter, plane: StripPlane) -> None:
        colour = YELLOW if plane.annotated else VERMILLION if plane.weak else GREEN
        step = (self.width() - 2) / self._size
        gap = 1.0 if step >= 4 else 0.0
        height = _LEAST + (_BARS - _LEAST) * min(max(plane.score, 0.0), 1.0)
        # At least a pixel, or planes of a long stack would be seen by chance.
        middle, width = self.middle_of(plane.place), max(step - gap, 1.0)
        painter.fillRect(QRectF(middle - width / 2, _MARKS + _BARS - height, width, height), QColor(colour))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colour))
        if plane.annotated:
            corners = [(0, -4.5), (4, 0), (0, 4.5), (-4, 0)]
        elif plane.weak:
            corners = [(0, 4), (-4, -3.5), (4, -3.5)]
        else:
            return
        shape = QPolygonF([QPointF(middle + x, _MARKS / 2 + y) for x, y in corners])
        painter.setPen(QPen(QColor(0, 0, 0, 150), 0.8))  # keeps yellow legible on a light theme
        painter.drawPolygon(shape)

    def _paint_stop(self, painter: QPainter, place: int) -> None:
        middle, y, arm = self.middle_of(place), _MARKS / 2, 3.5
        painter.setPen(QPen(QColor(ORANGE), 2.2))
        painter.drawLine(QPointF(middle - arm, y - arm), QPointF(middle + arm, y + arm))
        painter.drawLine(QPointF(middle - arm, y + arm), QPointF(middle + arm, y - arm))

    def _paint_cursor(self, painter: QPainter, ink: QColor) -> None:
        middle, base = self.middle_of(self._state.place), _MARKS + _BARS
        painter.setPen(QPen(ink, 1.5))
        painter.drawLine(QPointF(middle, _MARKS - 1), QPointF(middle, base))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ink)
        painter.drawPolygon(
            QPolygonF([QPointF(middle, base + 1), QPointF(middle - 5, base + 8), QPointF(middle + 5, base + 8)])
        )

    def event(self, event: QEvent | None) -> bool:
        """Say in a tooltip what the plane under the mouse is."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip and self._state.axis is not None:
            QToolTip.showText(event.globalPos(), self.words(self.place_at(event.pos().x())), self)
            return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Go to the plane under the mouse."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._go(self.place_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Go along while the button is down."""
        if event is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self._go(self.place_at(event.position().x()))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Go one plane or ten further, or to an end of the object."""
        if event is None:
            return
        key = Qt.Key(event.key())
        if key in _STEPS:
            self._go(self._state.place + _STEPS[key])
        elif key == Qt.Key.Key_Home:
            self._go(min(self._planes, default=self._state.start))
        elif key == Qt.Key.Key_End:
            self._go(max(self._planes, default=self._state.stop - 1))
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        """Paint the frame of the keyboard's place."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        """Paint without that frame."""
        super().focusOutEvent(event)
        self.update()

    def _go(self, place: int) -> None:
        wanted = min(max(place, 0), self._size - 1)
        if self._state.axis is not None and wanted != self._state.place:
            self._go_to(wanted)
