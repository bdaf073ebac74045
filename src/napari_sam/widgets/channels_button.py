"""Which images the model sees together: a button with a list to tick."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QMenu, QPushButton, QSizePolicy

from napari_sam.widgets.controls.narrow import line_height
from napari_sam.widgets.keyboard import focus_canvas

if TYPE_CHECKING:
    from napari.layers import Image
    from qtpy.QtGui import QKeyEvent, QMouseEvent, QResizeEvent

    from napari_sam.session import Session
    from napari_sam.session.state import SessionState

_ALONE = "Image alone"
_HELP = (
    "What the model sees: the image alone, or several images together, in their colours, as they are blended on the "
    "screen. Hidden images take no part."
)


class TickMenu(QMenu):
    """A menu that stays open while things are ticked in it."""

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Tick what is clicked, and stay open."""
        if not _tick_active(self):
            super().mouseReleaseEvent(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Tick by Space, too."""
        if event is None or event.key() != Qt.Key.Key_Space or not _tick_active(self):
            super().keyPressEvent(event)


def _tick_active(menu: QMenu) -> bool:
    """Trigger the line of a menu that is under the mouse, if it can be ticked; tell whether it can."""
    action = menu.activeAction()
    if action is None or not action.isCheckable() or not action.isEnabled():
        return False
    action.trigger()
    return True


class ChannelsButton(QPushButton):
    """Says which images the model sees together, and opens the list of them.

    Parameters
    ----------
    session : Session
        Whose images these are.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(_ALONE)
        self._session = session
        self._names = _ALONE
        self._menu = TickMenu(self)
        self._menu.setToolTipsVisible(True)
        self._menu.aboutToShow.connect(self._on_menu_about_to_show)
        self._menu.aboutToHide.connect(partial(focus_canvas, self))
        self.setMenu(self._menu)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Channels")
        self.setStyleSheet("text-align: left; padding-left: 6px;")
        self._show_text()

    @property
    def has_choice(self) -> bool:
        """Whether there is another image that could be seen together with the one that is worked on."""
        image, images = self._session.image, self._session.image_choices()
        return image is not None and any(
            other is not image and not self._session.channels.misfit(image, other) for other in images
        )

    def draw(self, state: SessionState) -> None:
        """Show what the model sees."""
        self._names = " + ".join(state.channels) or _ALONE
        self._show_text()

    def sizeHint(self) -> QSize:
        """Return room for some letters, whatever the images are called."""
        return QSize(160, line_height(self))

    def minimumSizeHint(self) -> QSize:
        """Return room for a few letters."""
        return QSize(80, line_height(self))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Cut names where they are too long."""
        super().resizeEvent(event)
        self._show_text()

    def _show_text(self) -> None:
        room = self.width() - 30  # the arrow, and what the style leaves free
        self.setText(self.fontMetrics().elidedText(self._names, Qt.TextElideMode.ElideMiddle, room))
        self.setToolTip(f"{self._names}\n{_HELP}" if self._names != _ALONE else _HELP)

    def _on_menu_about_to_show(self) -> None:
        self._menu.clear()
        session, image = self._session, self._session.image
        group = session.channels.group
        for layer in reversed(session.image_choices()):  # as napari's list has them, the uppermost first
            action = self._menu.addAction(layer.name.replace("&", "&&"))
            if action is None or image is None:
                continue
            action.setCheckable(True)
            action.setChecked(layer is image or (image in group and layer in group))
            why = "" if layer is image else session.channels.misfit(image, layer)
            # The image itself is always seen.
            action.setEnabled(layer is not image and not why)
            action.setToolTip(why or ("The image that is worked on" if layer is image else ""))
            action.toggled.connect(partial(self._on_action_toggled, layer))

    def _on_action_toggled(self, layer: Image, checked: bool) -> None:
        image = self._session.image
        if image is None:
            return
        group = [one for one in self._session.channels.group if image in self._session.channels.group]
        wanted = [*group, image, layer] if checked else [one for one in group if one is not layer]
        self._session.channels.choose(wanted)
