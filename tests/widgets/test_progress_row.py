from __future__ import annotations

import pytest

from napari_sam.widgets.controls.progress_row import ProgressRow, progress_text


@pytest.mark.parametrize(
    ("fraction", "elapsed", "words"),
    [
        (0.5, 0.2, "50 %"),
        (0.5, 4.0, "50 %, 4 s left"),
        (0.99, 10.0, "99 %, 1 s left"),
        (0.1, 60.0, "10 %, 9 min left"),
        (0.0, 60.0, "0 %"),
        (1.0, 60.0, "100 %"),
    ],
)
def test_the_time_left_is_told_once_it_can_be(fraction, elapsed, words):
    assert progress_text(fraction, elapsed) == words


def test_the_bar_moves_and_cancel_calls(qtbot):
    cancelled = []
    row = ProgressRow(lambda: cancelled.append(True))
    qtbot.addWidget(row)
    row.start()
    assert (row.bar.minimum(), row.bar.maximum()) == (0, 0)  # busy, length unknown
    row.show_progress(0.25)
    assert row.bar.value() / row.bar.maximum() == 0.25
    row.cancel_button.click()
    assert cancelled == [True]
    row.show_progress(0.5, cancellable=False)
    row.cancel_button.click()
    assert cancelled == [True]
