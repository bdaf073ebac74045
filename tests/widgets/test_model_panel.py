from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from napari.utils import progress as activity_entries
from qtpy.QtWidgets import QApplication

from napari_sam.checkpoints.registry import MODELS, get_model
from napari_sam.checkpoints.weights import target_path
from napari_sam.errors import WeightsError
from napari_sam.inference.worker import Worker
from napari_sam.session.state import SessionState
from napari_sam.widgets import activity
from napari_sam.widgets.gui_thread import GuiThread
from napari_sam.widgets.panels import model_panel
from napari_sam.widgets.panels.model_panel import ModelPanel


class Download:
    """Stands for `weights.ensure`: as slow and as faulty as a test wants it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.failure: Exception | None = None

    def __call__(self, spec, progress):
        self.asked.append(spec.name)
        for done in (0.25, 0.5):
            progress(done)
        while not self.go_on.wait(0.01):
            progress(0.5)
        if self.failure is not None:
            raise self.failure
        path = target_path(spec)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"weights")
        return path


@pytest.fixture
def download(monkeypatch) -> Download:
    fake = Download()
    monkeypatch.setattr(model_panel, "ensure", fake)
    return fake


@pytest.fixture
def session() -> SimpleNamespace:
    return SimpleNamespace(model="bundled", state=SessionState())


@pytest.fixture
def panel(qtbot, session, download):
    letters = GuiThread()
    worker = Worker(letters.post)
    widget = ModelPanel(session, worker)
    qtbot.addWidget(widget)
    widget.resize(250, 200)
    widget.show()
    yield widget
    letters.close()
    widget.close_activity()
    download.go_on.set()
    worker.close()


def choose(panel: ModelPanel, title: str) -> None:
    index = panel.combo.findText(title)
    assert index >= 0
    panel.combo.setCurrentIndex(index)
    panel.combo.activated.emit(index)


def until_at_rest(panel: ModelPanel) -> None:
    """Wait until the worker's thread has ended and what it sent was heard."""
    if (thread := panel._worker._thread) is not None:
        thread.join(60)
        assert not thread.is_alive()
    QApplication.processEvents()


def test_every_model_is_listed_with_what_a_person_needs_to_choose(panel):
    assert [panel.combo.itemText(i) for i in range(panel.combo.count())] == [
        *(spec.title for spec in MODELS),
        "Import a checkpoint…",
    ]
    row = panel.combo.row(panel.combo.findText("MobileSAM"))
    spec = get_model("mobile_sam")
    for words in (spec.use_for, "40.7 MB", "to download", "Apache-2.0", spec.domain):
        assert words in row.detail
    assert panel.combo.currentText() == "Bundled compact"
    assert not panel.offer.isVisible() and not panel.progress.isVisible()


def test_a_model_that_is_not_here_is_offered_and_nothing_is_downloaded_unasked(panel, session, download):
    choose(panel, "MobileSAM")
    assert panel.offer.isVisible() and panel.download_button.isVisible()
    for words in ("MobileSAM", "40.7 MB", "Apache-2.0"):
        assert words in panel.offer.text()
    assert not panel._worker.busy()
    assert download.asked == [] and session.model == "bundled"
    panel.keep_button.click()
    assert panel.combo.currentText() == "Bundled compact" and not panel.offer.isVisible()


def test_a_download_shows_its_progress_and_ends_with_the_model_in_use(panel, session, download, qtbot):
    download.go_on.clear()
    choose(panel, "MobileSAM")
    panel.download_button.click()
    qtbot.waitUntil(lambda: panel.progress.isVisible() and panel.progress.bar.value() == 500, timeout=60_000)
    assert session.model == "bundled"  # until the file is here
    assert not panel.download_button.isVisible()
    download.go_on.set()
    qtbot.waitUntil(lambda: session.model == "mobile_sam", timeout=60_000)
    assert panel.combo.currentText() == "MobileSAM" and not panel.progress.isVisible()
    assert "to download" not in panel.combo.row(panel.combo.currentIndex()).detail


def test_cancel_stops_the_download_and_keeps_the_model(panel, session, download, qtbot):
    download.go_on.clear()
    choose(panel, "MobileSAM")
    panel.download_button.click()
    qtbot.waitUntil(panel.progress.isVisible, timeout=60_000)
    qtbot.waitUntil(lambda: bool(download.asked), timeout=60_000)
    panel.progress.cancel_button.click()
    qtbot.waitUntil(panel.download_button.isVisible, timeout=60_000)
    assert "stopped" in panel.offer.text() and session.model == "bundled"
    download.go_on.set()
    panel.download_button.click()  # and on again
    qtbot.waitUntil(lambda: session.model == "mobile_sam", timeout=60_000)
    assert download.asked == ["mobile_sam", "mobile_sam"]


def test_a_failure_says_what_to_do_and_can_be_tried_again(panel, session, download, qtbot):
    download.failure = WeightsError("MobileSAM could not be downloaded: no network. Connect, or import the file.")
    choose(panel, "MobileSAM")
    panel.download_button.click()
    qtbot.waitUntil(lambda: panel.offer.text().startswith("MobileSAM could not"), timeout=60_000)
    assert "import the file" in panel.offer.text()
    assert panel.download_button.text() == "Try again" and session.model == "bundled"
    download.failure = None
    panel.download_button.click()
    qtbot.waitUntil(lambda: session.model == "mobile_sam", timeout=60_000)


def test_choosing_another_model_meanwhile_gives_the_download_up(panel, session, download, qtbot):
    download.go_on.clear()
    choose(panel, "MobileSAM")
    panel.download_button.click()
    qtbot.waitUntil(panel.progress.isVisible, timeout=60_000)
    choose(panel, "Bundled compact")
    assert not panel.progress.isVisible() and session.model == "bundled"
    download.go_on.set()
    until_at_rest(panel)
    assert session.model == "bundled" and not panel.offer.isVisible()


def test_a_download_that_ends_as_another_model_is_chosen_changes_nothing(panel, session, download, qtbot):
    download.go_on.clear()
    choose(panel, "MobileSAM")
    panel.download_button.click()
    qtbot.waitUntil(lambda: panel.progress.bar.value() == 500, timeout=60_000)
    download.go_on.set()
    thread = panel._worker._thread
    if thread is not None:
        thread.join(60)  # no events: the answer waits
    choose(panel, "Bundled compact")
    until_at_rest(panel)
    assert session.model == "bundled" and panel.combo.currentText() == "Bundled compact"


def test_a_damaged_file_is_offered_anew(panel, session, home):
    path = target_path(get_model("mobile_sam"))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"cut")
    choose(panel, "MobileSAM")
    assert "damaged" in panel.offer.text() and session.model == "bundled"


def test_the_path_of_a_checkpoint_is_shown_by_its_name(panel, session):
    session.model = "/somewhere/else/my_cells.pt"
    panel.draw(SessionState(model=session.model))
    assert panel.combo.currentText() == "my_cells.pt"


def test_a_long_download_is_in_the_activity_area_while_it_lasts(
    make_napari_viewer, panel, download, qtbot, monkeypatch
):
    make_napari_viewer()
    monkeypatch.setattr(activity, "LONG_MS", 20)
    download.go_on.clear()
    choose(panel, "MobileSAM")
    panel.download_button.click()
    qtbot.waitUntil(lambda: len(activity_entries._all_instances) == 1, timeout=60_000)
    [entry] = activity_entries._all_instances
    assert entry.desc.startswith("Downloading MobileSAM")
    entry.cancel()
    qtbot.waitUntil(lambda: not activity_entries._all_instances, timeout=60_000)
    assert "stopped" in panel.offer.text()


def test_the_list_paints_title_place_and_use_in_every_row(panel, qtbot):
    panel.combo.showPopup()
    view = panel.combo.view()
    qtbot.waitUntil(view.isVisible, timeout=60_000)
    picture = view.grab().toImage()
    assert view.width() > panel.combo.width()  # wider than the dock allows, so that nothing is cut
    height = view.sizeHintForRow(0)
    for row in range(3):
        upper = [picture.pixel(x, row * height + height // 4) for x in range(picture.width())]
        lower = [picture.pixel(x, row * height + 3 * height // 4) for x in range(picture.width())]
        assert len(set(upper[: picture.width() // 3])) > 2  # the title
        assert len(set(upper[-picture.width() // 4 :])) > 2  # where the file is
        assert len(set(lower[: picture.width() // 2])) > 2  # what it is for
    panel.combo.hidePopup()
