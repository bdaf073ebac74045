"""What the model offers: a picture and a score for each candidate, and what to do with the chosen one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPalette, QPen
from qtpy.QtWidgets import QAbstractButton, QHBoxLayout, QLabel, QSizePolicy, QStackedLayout, QVBoxLayout, QWidget

from napari_sam.widgets.controls.action_button import ActionButton
from napari_sam.widgets.controls.narrow import ButtonRow, heading
from napari_sam.widgets.controls.thumbnails import draw_thumbnail
from napari_sam.widgets.panels.tempo.level_combo import LevelCombo

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QEnterEvent, QPaintEvent

    from napari_sam.inference.request import Candidate
    from napari_sam.session import Session
    from napari_sam.session.state import SessionState

_SIDE = 72  # of a thumbnail, logical pixels
_SHOWN = 3
_COMMANDS = ("accept", "clear", "clear_all", "undo", "redo")


class CandidateCard(QAbstractButton):
    """One candidate: its picture, its number and its score."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self._image: QImage | None = None
        self.setCheckable(True)
        self.setAccessibleName(f"Candidate {number}")
        self.setToolTip("A mask that the model offers.")
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setRetainSizeWhenHidden(True)  # so that nothing moves when candidates come and go
        self.setSizePolicy(policy)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def show_candidate(self, candidate: Candidate, shown: tuple[NDArray[np.uint8], Candidate] | None) -> None:
        """Show the picture, score and size of a candidate; `shown` is it on the pixels that the model saw."""
        side = round(_SIDE * self.devicePixelRatioF())
        pixels, drawn = shown or (None, candidate)
        picture = np.ascontiguousarray(draw_thumbnail(drawn, pixels, side))
        # The copy owns its bytes: the array may go.
        self._image = QImage(picture.tobytes(), side, side, 3 * side, QImage.Format.Format_RGB888).copy()
        self.setText(f"{candidate.score:.2f}")
        self.setToolTip(
            f"Candidate {self._number}: {candidate.area:,} px.\n"
            f"The model expects to match the object with an IoU of {candidate.score:.2f}."
        )
        self.setAccessibleName(f"Candidate {self._number}, score {candidate.score:.2f}")
        self.update()

    def sizeHint(self) -> QSize:
        """Return room for the picture, its frame and one line of text."""
        return QSize(_SIDE + 8, _SIDE + self.fontMetrics().height() + 12)

    def minimumSizeHint(self) -> QSize:
        """Return the same height, for a picture that may shrink."""
        return QSize(48, self.sizeHint().height())

    def enterEvent(self, event: QEnterEvent | None) -> None:
        """Repaint: a card under the mouse has a lighter frame."""
        self.update()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent | None) -> None:
        """Repaint without the lighter frame."""
        self.update()
        super().leaveEvent(event)

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Paint the frame, the picture and the score."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        palette = self.palette()
        text = palette.color(QPalette.ColorRole.WindowText)
        if self.isChecked():
            painter.setPen(QPen(text, 2))
        elif self.underMouse() or self.hasFocus():
            painter.setPen(QPen(palette.color(QPalette.ColorRole.Highlight), 2))
        else:
            painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(palette.color(QPalette.ColorRole.Window)))
        painter.drawRoundedRect(self.rect().adjusted(1, 1, -1, -1), 3, 3)
        side = min(_SIDE, self.width() - 8)
        if self._image is not None:
            painter.drawImage(QRect((self.width() - side) // 2, 4, side, side), self._image)
        font = self.font()
        font.setBold(self.isChecked())
        painter.setFont(font)
        painter.setPen(text)
        below = self.rect().adjusted(2, 4 + side, -2, -2)
        painter.drawText(below, Qt.AlignmentFlag.AlignCenter, self.text())
        painter.end()


class CandidatesPanel(QWidget):
    """Draws the candidates, and carries Accept, Clear, Clear all, Undo and Redo.

    Parameters
    ----------
    session : Session
        Whose commands the buttons call.
    shown : callable
        Takes the index of a candidate, and returns what the model saw around it, (H, W, 3) uint8, and the candidate on
        these pixels; or None.
    """

    def __init__(self, session: Session, shown: Callable[[int], tuple[NDArray[np.uint8], Candidate] | None]) -> None:
        super().__init__()
        self._session = session
        self._shown_candidate = shown
        self._drawn: tuple[Candidate, ...] = ()
        self.cards = [CandidateCard(i + 1) for i in range(_SHOWN)]
        for i, card in enumerate(self.cards):
            card.clicked.connect(lambda _checked, i=i: self._on_card_clicked(i))
        self.empty = QLabel("None yet: click an object or draw a box.")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setWordWrap(True)
        self.level = LevelCombo(session)
        self.buttons = [ActionButton(session.actions[name], session) for name in _COMMANDS]

        cards = QWidget()
        row = QHBoxLayout(cards)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for card in self.cards:
            row.addWidget(card)
        # Cards and words share one place, so that the buttons below stay under the mouse.
        self._shown = QStackedLayout()
        self._shown.addWidget(self.empty)
        self._shown.addWidget(cards)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(heading("Candidates", self.level))
        layout.addLayout(self._shown)
        layout.addWidget(ButtonRow(self.buttons, columns=3))

    def draw(self, state: SessionState) -> None:
        """Show the candidates of `state`, and which of the commands would do something."""
        if state.candidates != self._drawn:
            self._drawn = state.candidates
            for i, card in enumerate(self.cards):
                card.setVisible(i < len(state.candidates))
                if i < len(state.candidates):
                    card.show_candidate(state.candidates[i], self._shown_candidate(i))
        for i, card in enumerate(self.cards):
            card.setChecked(i == state.selected)
        self._shown.setCurrentIndex(1 if state.candidates else 0)
        self.level.draw(state)
        for button in self.buttons:
            button.draw(state)

    def _on_card_clicked(self, index: int) -> None:
        self._session.select_candidate(index)
        # Qt has toggled the card; the state says which one is chosen, also when the choice did not change.
        self.draw(self._session.state)
