"""Marks that the dock draws itself: sharp at any size, and the same colours in every theme.

The colours are of Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), which people with any kind of colour
vision can tell apart; every mark also has a shape of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPainterPath, QPen, QPixmap, QPolygonF

if TYPE_CHECKING:
    from napari_sam.session.state import StatusKind, Tool

GREEN, ORANGE, YELLOW = "#009e73", "#e69f00", "#f0e442"
BLUE, VERMILLION = "#56b4e9", "#d55e00"
_LIGHT, _DARK = "#ffffff", "#1e1e21"

_UNIT = 16.0
"""Marks are drawn on a square of this many units and scaled to the size asked for."""


def _pen(colour: str, width: float) -> QPen:
    pen = QPen(QColor(colour), width)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    return pen


def _disc(painter: QPainter, colour: str) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    painter.drawEllipse(QRectF(1, 1, 14, 14))


def _draw_positive(painter: QPainter) -> None:
    _disc(painter, GREEN)
    painter.setPen(_pen(_LIGHT, 2))
    painter.drawLine(QPointF(8, 4.5), QPointF(8, 11.5))
    painter.drawLine(QPointF(4.5, 8), QPointF(11.5, 8))


def _draw_negative(painter: QPainter) -> None:
    _disc(painter, ORANGE)
    painter.setPen(_pen(_DARK, 2))
    painter.drawLine(QPointF(4.5, 8), QPointF(11.5, 8))


def _draw_box(painter: QPainter) -> None:
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for colour, width in ((_DARK, 3.4), (YELLOW, 1.8)):  # the dark rim keeps yellow legible on a light theme
        painter.setPen(_pen(colour, width))
        painter.drawRect(QRectF(2.5, 3.5, 11, 9))


def _draw_scribble(painter: QPainter, colour: str) -> None:
    wave = QPainterPath(QPointF(2, 11.5))
    wave.cubicTo(QPointF(5, 0.5), QPointF(7.5, 2.5), QPointF(7.5, 8))
    wave.cubicTo(QPointF(7.5, 14.5), QPointF(11.5, 15), QPointF(14, 4.5))
    _stroke(painter, wave, colour)


def _draw_lasso(painter: QPainter, colour: str) -> None:
    loop = QPainterPath(QPointF(6.5, 10.5))
    loop.cubicTo(QPointF(-1, 9.5), QPointF(1.5, 2.2), QPointF(8, 2.2))
    loop.cubicTo(QPointF(14.5, 2.2), QPointF(17, 9.5), QPointF(9.5, 10.5))
    loop.cubicTo(QPointF(5.5, 11), QPointF(5, 14), QPointF(8.5, 13.8))
    _stroke(painter, loop, colour)


def _draw_brush(painter: QPainter) -> None:
    handle = QPainterPath(QPointF(14, 2))
    handle.lineTo(QPointF(7.5, 8.5))
    _stroke(painter, handle, YELLOW)
    painter.setPen(_pen(_DARK, 0.8))
    painter.setBrush(QColor(GREEN))
    painter.drawEllipse(QRectF(1.5, 8, 7, 6.5))


def _draw_eraser(painter: QPainter) -> None:
    painter.setPen(_pen(_DARK, 0.8))
    for colour, left, width in ((ORANGE, 1.5, 7.0), (_LIGHT, 8.5, 6.0)):
        painter.setBrush(QColor(colour))
        painter.drawRect(QRectF(left, 4.5, width, 7))


def _stroke(painter: QPainter, path: QPainterPath, colour: str) -> None:
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for rim, width in ((_DARK, 3.6), (colour, 2.0)):  # a dark rim, as around the box
        painter.setPen(_pen(rim, width))
        painter.drawPath(path)


def _paint_tool(painter: QPainter, tool: Tool, positive: bool) -> None:
    match tool:
        case "positive":
            _draw_positive(painter)
        case "negative":
            _draw_negative(painter)
        case "box":
            _draw_box(painter)
        case "scribble":
            _draw_scribble(painter, GREEN if positive else ORANGE)
        case "lasso":
            _draw_lasso(painter, GREEN if positive else ORANGE)
        case "brush":
            _draw_brush(painter)
        case "eraser":
            _draw_eraser(painter)


def tool_icon(tool: Tool, size: int, ratio: float, *, positive: bool = True) -> QIcon:
    """Draw the mark of a tool.

    Parameters
    ----------
    tool : {"positive", "negative", "box", "scribble", "lasso", "brush", "eraser"}
        Which tool.
    size : int
        Side, logical pixels.
    ratio : float
        Device pixels per logical pixel of the screen.
    positive : bool
        Whether a scribble or a lasso is one for the object, rather than for the background.
    """
    pixmap = QPixmap(round(size * ratio), round(size * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(size / _UNIT, size / _UNIT)
    _paint_tool(painter, tool, positive)
    painter.end()
    return QIcon(pixmap)


def draw_status(painter: QPainter, kind: StatusKind, size: float, turn: float) -> None:
    """Paint the mark of a status at the origin.

    Parameters
    ----------
    painter : QPainter
        Where to paint; its state is restored.
    kind : {"idle", "working", "attention", "failed"}
        A disc with a tick, a turning arc, a triangle with an exclamation mark, a disc with a cross.
    size : float
        Side, logical pixels.
    turn : float
        Turns that the arc of "working" has made.
    """
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(size / _UNIT, size / _UNIT)
    match kind:
        case "idle":
            _disc(painter, GREEN)
            painter.setPen(_pen(_LIGHT, 1.8))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawPolyline(QPolygonF([QPointF(4.8, 8.3), QPointF(7.1, 10.6), QPointF(11.3, 5.6)]))
        case "working":
            painter.setPen(_pen(BLUE, 2.4))
            # Qt counts angles in sixteenths of a degree, counter-clockwise.
            painter.drawArc(QRectF(2.2, 2.2, 11.6, 11.6), round(-turn * 360 * 16), 270 * 16)
        case "attention":
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(ORANGE))
            painter.drawPolygon(QPolygonF([QPointF(8, 1), QPointF(15.5, 14.5), QPointF(0.5, 14.5)]))
            painter.setPen(_pen(_DARK, 1.8))
            painter.drawLine(QPointF(8, 5.8), QPointF(8, 9.4))
            painter.drawPoint(QPointF(8, 12.2))
        case "failed":
            _disc(painter, VERMILLION)
            painter.setPen(_pen(_LIGHT, 1.8))
            painter.drawLine(QPointF(5.3, 5.3), QPointF(10.7, 10.7))
            painter.drawLine(QPointF(10.7, 5.3), QPointF(5.3, 10.7))
    painter.restore()
