"""The Objects section: classes, and the table of objects, which also opens as a dock of its own."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QDockWidget, QMainWindow, QVBoxLayout, QWidget

from napari_sam.session.table.columns import COLUMNS
from napari_sam.widgets.controls.collapsible import CollapsibleSection
from napari_sam.widgets.controls.section_button import section_button
from napari_sam.widgets.panels.objects.class_list import ClassList
from napari_sam.widgets.panels.objects.table_panel import NARROW, TablePanel

if TYPE_CHECKING:
    from qtpy.QtGui import QCloseEvent

    from napari_sam.session import Session
    from napari_sam.session.state import SessionState

_IN_A_ROW = 5  # buttons below the wide table


class WideTable(QDockWidget):
    """The table with all its columns, as a dock at the bottom of the window; closing it ends it.

    Parameters
    ----------
    session : Session
        Whose objects they are.
    window : QMainWindow
        Where it goes.
    panel : ObjectsPanel
        What is told when it closes.
    """

    def __init__(self, session: Session, window: QMainWindow, panel: ObjectsPanel) -> None:
        super().__init__("Objects", window)
        self.setObjectName("SAM live objects")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._panel = weakref.ref(panel)
        self.table = TablePanel(session, tuple(COLUMNS), in_a_row=_IN_A_ROW)
        self.table.layout().setContentsMargins(6, 4, 6, 6)  # type: ignore[union-attr]  # it has one
        self.setWidget(self.table)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Tell the section."""
        if (panel := self._panel()) is not None:
            panel.wide_closed()
        super().closeEvent(event)


class ObjectsPanel(CollapsibleSection):
    """Draws the Objects section, folded away until somebody asks: only then objects are counted.

    Parameters
    ----------
    session : Session
        Whose objects they are.
    """

    def __init__(self, session: Session) -> None:
        super().__init__("Objects")
        self._session = session
        self.wide: WideTable | None = None
        """The table as a dock of its own; None while there is none."""
        self.classes = ClassList(session)
        self.by_class = QCheckBox("Colour by class")
        self.by_class.setToolTip("Show objects in the colours of their classes; off, in the layer's own colours again.")
        self.by_class.setAccessibleName("Colour by class")
        self.by_class.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.by_class.clicked.connect(session.table.color_by_class)
        self.open_wide = section_button(
            "Open as table", "Show all columns, in a dock at the bottom of the window.", self.show_wide
        )
        self.table = TablePanel(session, NARROW, [self.open_wide])
        section = QWidget()
        column = QVBoxLayout(section)
        column.setContentsMargins(4, 0, 0, 4)
        column.setSpacing(6)
        column.addWidget(self.classes)
        column.addWidget(self.by_class)
        column.addWidget(self.table)
        self.addWidget(section)
        self.toggled.connect(self._on_section_toggled)

    def draw(self, state: SessionState) -> None:
        """Show the classes, and the table where it is looked at."""
        self.classes.draw(state.table)
        self.by_class.setChecked(state.table.by_class)
        self.by_class.setEnabled(state.table.has_target)
        if self.isExpanded():
            self.table.draw(state)
        if self.wide is not None:
            self.wide.table.draw(state)

    def show_wide(self) -> None:
        """Open the table as a dock at the bottom of the window, or bring it to the front."""
        window = self.parentWidget()
        while window is not None and not isinstance(window, QMainWindow):
            window = window.parentWidget()
        if window is None:
            return
        if self.wide is None:
            self.wide = WideTable(self._session, window, self)
            window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self.wide)
            self._count()
        self.wide.show()
        self.wide.raise_()
        self.draw(self._session.state)

    def close_wide(self) -> None:
        """Close that dock, if it is open."""
        if self.wide is not None:
            self.wide.close()

    def wide_closed(self) -> None:
        """Take note that it was closed."""
        self.wide = None
        self._count()

    def _on_section_toggled(self) -> None:
        self._count()
        self.draw(self._session.state)

    def _count(self) -> None:
        """Let objects be counted while anybody looks at the table."""
        if self.isExpanded() or self.wide is not None:
            self._session.table.open()
        else:
            self._session.table.close()
