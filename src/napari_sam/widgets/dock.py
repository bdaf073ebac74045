"""The dock: builds the panels, and ties their life to the session's."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtWidgets import QFrame, QMainWindow, QScrollArea, QVBoxLayout, QWidget

from napari_sam.inference.worker import Worker
from napari_sam.session import Session
from napari_sam.teaching import Teaching
from napari_sam.teaching.stages import AnnotationProgress
from napari_sam.widgets.activity import ActivityEntry
from napari_sam.widgets.gui_thread import GuiThread, is_mouse_held
from napari_sam.widgets.keyboard import FocusRing, leaves_dead_control, press_focused
from napari_sam.widgets.panels.candidates_panel import CandidatesPanel
from napari_sam.widgets.panels.everything_panel import EverythingPanel
from napari_sam.widgets.panels.import_panel import dropped_checkpoint
from napari_sam.widgets.panels.keys_panel import KeysPanel
from napari_sam.widgets.panels.objects.correct_panel import CorrectPanel
from napari_sam.widgets.panels.objects.objects_panel import ObjectsPanel
from napari_sam.widgets.panels.prompt_panel import PromptPanel
from napari_sam.widgets.panels.propagation_panel import PropagationPanel
from napari_sam.widgets.panels.recovery.recovery_panel import RecoveryPanel
from napari_sam.widgets.panels.series.series_panel import SeriesPanel
from napari_sam.widgets.panels.settings.settings_panel import SettingsPanel
from napari_sam.widgets.panels.shaping.cleanup_panel import CleanupPanel
from napari_sam.widgets.panels.source_panel import SourcePanel
from napari_sam.widgets.panels.status_panel import StatusPanel
from napari_sam.widgets.panels.target_panel import TargetPanel
from napari_sam.widgets.panels.teaching.teach_panel import TeachPanel
from napari_sam.widgets.panels.words_panel import WordsPanel

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari.viewer
    from napari.layers import Image
    from qtpy.QtGui import QDragEnterEvent, QDropEvent, QKeyEvent, QShowEvent

    from napari_sam.session.state import SessionState
    from napari_sam.widgets.controls.collapsible import CollapsibleSection

_WIDTH = 320  # logical pixels; 300 are enough


def _end(
    gui_thread: GuiThread, worker: Worker, teaching: Teaching, progress: AnnotationProgress, session: Session
) -> None:
    """End all that is not a widget."""
    # First, so that nothing is posted any more to what is taken apart.
    gui_thread.close()
    worker.close()
    teaching.close()
    progress.close()
    session.close()


def _on_section_toggled(dock: weakref.ref[SamDock], section: weakref.ref[CollapsibleSection], expanded: bool) -> None:
    """Bring what a section shows into view."""
    there, unfolded = dock(), section()
    if there is not None and unfolded is not None:
        there.follow_section(unfolded, expanded)


def _on_session_closed(dock: weakref.ref[SamDock], gui_thread: GuiThread) -> None:
    """Shut the dock down a little later, if there still is one: the session also ends because Qt destroyed it."""

    def shut_down() -> None:
        if (widget := dock()) is not None:
            widget.shut_down()

    gui_thread.post(shut_down)


class SamDock(QWidget):
    """Promptable segmentation in napari's window.

    The session begins when the dock is made, and ends when the dock is taken out of the window or the window closes. To
    hide the dock only hides it.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer to work in.
    engine_factory : callable, optional
        Makes the engine, as in `napari_sam.session.Session`; for tests.
    """

    def __init__(self, viewer: napari.viewer.Viewer, *, engine_factory: Callable[..., Any] | None = None) -> None:
        super().__init__()
        self._closed = False
        self._armed_for: weakref.ref[Image] | None = None
        self._docked = False
        self._window: QMainWindow | None = None
        self._window_closes = False
        self._gui_thread = GuiThread()
        # Besides the session's: a download must not keep a click waiting.
        self._worker = Worker(self._gui_thread.post)
        self.session = Session(
            viewer, post=self._gui_thread.post, engine_factory=engine_factory, held=is_mouse_held, remember=True
        )
        self.teaching = Teaching(self.session, self._gui_thread.post)
        self.progress = AnnotationProgress(self.session, self._gui_thread.post)

        self.source = SourcePanel(self.session, self._worker)
        self.status = StatusPanel(self.session.cancel)
        self.recovery = RecoveryPanel(self.session)
        self.prompt = PromptPanel(self.session)
        self.candidates = CandidatesPanel(self.session, self.session.shown_candidate)
        self.target = TargetPanel(self.session)
        self.correct = CorrectPanel(self.session)
        self.cleanup = CleanupPanel(self.session)
        self.stack = PropagationPanel(self.session)
        self.everything = EverythingPanel(self.session)
        self.series = SeriesPanel(self.session)
        self.words = WordsPanel(self.session, self._worker, self.everything.scope)
        self.objects = ObjectsPanel(self.session)
        self.teach = TeachPanel(self.session, self.teaching, self.progress)
        self.settings = SettingsPanel(self.session, self._worker)
        self.keys = KeysPanel(self.session)
        self._activity = ActivityEntry(self.session.cancel)
        self._scroll = QScrollArea()
        self._build()
        self.setAcceptDrops(True)

        self.session.events.state_changed.connect(self._on_session_state_changed)
        self.session.events.layers_changed.connect(self._on_session_layers_changed)
        self.session.events.selection_lost.connect(self._on_session_selection_lost)
        self.session.events.teaching_wanted.connect(self._on_teaching_wanted)
        self.session.events.closed.connect(partial(_on_session_closed, weakref.ref(self), self._gui_thread))
        # Runs once: in `shut_down`, or else when Qt destroys the dock, or when Python collects it. The finalizer, not
        # the dock, must hold what it ends: Python takes the members of a collected dock apart in any order.
        self._end = weakref.finalize(
            self, _end, self._gui_thread, self._worker, self.teaching, self.progress, self.session
        )
        self._end.atexit = False
        self.destroyed.connect(self._end)
        self._on_session_layers_changed()
        self._on_session_state_changed(self.session.state)

    def shut_down(self) -> None:
        """End the session and all work under way; the dock stays, greyed out, until Qt drops it. Twice is fine."""
        if self._closed:
            return
        self._closed = True
        self.session.events.state_changed.disconnect(self._on_session_state_changed)
        self.session.events.layers_changed.disconnect(self._on_session_layers_changed)
        self.session.events.selection_lost.disconnect(self._on_session_selection_lost)
        self.session.events.teaching_wanted.disconnect(self._on_teaching_wanted)
        if self._window is not None:
            self._window.removeEventFilter(self)
        self.objects.close_wide()
        self.teach.close_pictures()
        self._activity.close()
        self.source.model.close_activity()
        self.words.models.close_activity()
        self._end()
        self.setEnabled(False)

    def sizeHint(self) -> QSize:
        """Return the width that the dock likes, and the height of its panels."""
        return QSize(_WIDTH, super().sizeHint().height())

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take a checkpoint; all else is the window's."""
        if event is not None and dropped_checkpoint(event.mimeData()) is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Import the checkpoint that was dropped."""
        if event is not None and (path := dropped_checkpoint(event.mimeData())) is not None:
            event.acceptProposedAction()
            self.source.model.importing.start(path)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Press the focused control, or give the keyboard back; all other keys are napari's."""
        if event is None or not press_focused(self, event):
            super().keyPressEvent(event)

    def focusNextPrevChild(self, next: bool) -> bool:
        """Go to the next control; from one that was greyed out under the person's hands, to the canvas."""
        return leaves_dead_control(self) or super().focusNextPrevChild(next)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Find the window, to hear when it closes: napari has no event for that."""
        super().showEvent(event)
        parent = self.parentWidget()
        while parent is not None and not isinstance(parent, QMainWindow):
            parent = parent.parentWidget()
        if parent is not None and self._window is None and not self._closed:
            self._window = parent
            parent.installEventFilter(self)

    def event(self, event: QEvent | None) -> bool:
        """End the session when napari takes the dock out of the window, which it does by removing its parent."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self.parentWidget() is not None:
                # A dock that is still to be put into the window has no parent, either.
                self._docked = True
            elif self._docked:
                self.shut_down()
        return super().event(event)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """End the session when the window closes: a close that was not refused is followed by a hide."""
        if watched is self._window and event is not None:
            if event.type() == QEvent.Type.Close:
                self._window_closes = True
            elif event.type() == QEvent.Type.Hide and self._window_closes:
                self.shut_down()
            # Who works on has refused the close: a later hide is something else.
            elif event.type() in (QEvent.Type.Show, QEvent.Type.MouseMove, QEvent.Type.KeyPress):
                self._window_closes = False
        return super().eventFilter(watched, event)

    def _build(self) -> None:
        panels = QWidget()
        column = QVBoxLayout(panels)
        column.setContentsMargins(6, 2, 6, 6)
        column.setSpacing(6)
        upper = (self.source, self.status, self.recovery, self.prompt, self.candidates, self.target, self.correct)
        finding = (self.cleanup, self.stack, self.everything, self.words)
        sections = (*finding, self.series, self.objects, self.teach, self.settings, self.keys)
        for panel in (*upper, *sections):
            column.addWidget(panel)
        column.addStretch(1)
        FocusRing(panels)
        scroll = self._scroll
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(panels)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)
        for section in sections:
            # PySide6 would never let go of a dock that a partial holds, nor of its window.
            section.toggled.connect(partial(_on_section_toggled, weakref.ref(self), weakref.ref(section)))
        if (bar := scroll.verticalScrollBar()) is not None:
            bar.rangeChanged.connect(self._on_scroll_range_changed)

    def follow_section(self, section: CollapsibleSection, expanded: bool) -> None:
        """Bring what a section shows into view, once it is unfolded."""
        if expanded:
            self._gui_thread.post(partial(self._bring_into_view, section))  # once Qt has given it its height

    def _on_scroll_range_changed(self) -> None:
        # Texts that wrap get their height level by level, and each time the range changes once more.
        if self.everything.grows:
            by_words = self.words.isExpanded() and bool(self.session.state.everything.ranked_by)
            section = self.words if by_words else self.everything
            self.follow_section(section, section.isExpanded())
        if self.teach.grows:
            # What came of it stands at the end.
            self._gui_thread.post(partial(self._bring_into_view, self.teach, to_end=True))

    def _bring_into_view(self, section: CollapsibleSection, *, to_end: bool = False) -> None:
        """Scroll so far that a section is seen as a whole; of one that is taller than the dock, its head or its end."""
        bar, view = self._scroll.verticalScrollBar(), self._scroll.viewport()
        if bar is not None and view is not None:
            top, bottom = section.y(), section.y() + section.height()
            least = bottom - view.height()
            bar.setValue(max(bar.value(), least) if to_end else min(max(bar.value(), least), top))

    def _on_session_state_changed(self, state: SessionState) -> None:
        self.source.draw(state)
        self.status.draw(state)
        self.recovery.draw(state)
        self.prompt.draw(state)
        self.candidates.draw(state)
        self.target.draw(state)
        self.correct.draw(state)
        self.cleanup.draw(state)
        self.stack.draw(state)
        self.everything.draw(state)
        self.words.draw(state)
        self.objects.draw(state)
        self.series.draw(state)
        self.teach.draw(state)
        self._activity.show(state.status)

    def _on_session_layers_changed(self) -> None:
        self.source.read_layers()
        self.target.read_layers()
        self.everything.read_layers()
        image, before = self.session.image, self._armed_for
        if image is None:
            self._armed_for = None
        # Once for each image: after that, the tool is the person's choice.
        elif before is None or before() is not image:
            self._armed_for = weakref.ref(image)
            self._arm_later()

    def _on_session_selection_lost(self) -> None:
        self._arm_later()

    def _on_teaching_wanted(self) -> None:
        self.teach.begin()
        self.follow_section(self.teach, True)

    def _arm_later(self) -> None:
        """Select a tool, as who opens an image wants to click; napari first selects what it will.

        What is posted must not keep the dock: when the window closes, nobody reads the post any more.
        """
        dock = weakref.ref(self)

        def arm() -> None:
            if (widget := dock()) is not None and widget.session.state.tool is None:
                widget.session.resume_tool()

        self._gui_thread.post(arm)
