"""A window that is killed in the middle of a series of images: what was accepted is in files or in the journal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import killed_series
import numpy as np
import pytest
import tifffile
from killed_series import CENTRES, discs
from qtpy.QtWidgets import QApplication

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="no signal 9")]


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name, high in (("one.tif", 200), ("three.tif", 210), ("two.tif", 220)):
        tifffile.imwrite(folder / name, discs(high))
    return folder


def kill_while_annotating(images, told, saved):
    """Run the program until it tells, and kill it at once."""
    here = Path(killed_series.__file__).parent
    path = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, killed_series.__file__, str(images), str(told), str(saved)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}) as window:
        while not told.exists() and window.poll() is None:
            time.sleep(0.02)  # between two looks; how many there are does not matter
        window.kill()
        _out, errors = window.communicate()
    assert window.returncode == -signal.SIGKILL, errors


def reopen(open_desk, images):
    desk = open_desk(image=False)
    desk.dock.series.open_folder(images)
    desk.settle()
    desk.session.series.go_to(1)
    desk.settle()
    assert desk.session.image.name == "three.tif"
    return desk


def ids(labels):
    return [int(labels[centre]) for centre in CENTRES]


@pytest.mark.parametrize("saved", [0, killed_series.SAVED])
def test_what_was_accepted_is_on_the_disk_or_comes_back_from_the_journal(open_desk, images, tmp_path, saved):
    kill_while_annotating(images, tmp_path / "told", saved)
    first = tifffile.imread(images / "one_labels.tif")
    assert ids(first) == [1] + [0] * 9
    of_second = images / "three_labels.tif"
    there = list(range(1, saved + 1)) + [0] * (10 - saved)
    assert (ids(tifffile.imread(of_second)) if saved else [0] * 10) == there and of_second.exists() == bool(saved)
    desk = reopen(open_desk, images)
    accepted = list(range(1, saved + 2)) + [0] * (9 - saved)
    assert desk.dock.recovery.isVisible()
    desk.press_button(desk.dock.recovery.restore_button)
    assert ids(desk.session.target.data) == accepted
    # Left as any image: what came back is now in the file.
    desk.session.series.next()
    desk.settle()
    assert ids(tifffile.imread(of_second)) == accepted
    assert np.array_equal(tifffile.imread(images / "one_labels.tif"), first)


def test_what_was_drawn_elsewhere_stays_where_an_object_comes_back(open_desk, images, tmp_path):
    kill_while_annotating(images, tmp_path / "told", 4)
    path = images / "three_labels.tif"
    labels = tifffile.imread(path)
    labels[0:4, 0:4] = 77  # by another tool
    tifffile.imwrite(path, labels)
    desk = reopen(open_desk, images)
    layers = len(desk.viewer.layers)
    desk.press_button(desk.dock.recovery.restore_button)
    assert len(desk.viewer.layers) == layers  # into the labels that are there
    assert ids(desk.session.target.data) == [1, 2, 3, 4, 5] + [0] * 5 and desk.session.target.data[1, 1] == 77
    QApplication.processEvents()
    desk.session.undo()
    desk.settle()
    assert ids(desk.session.target.data) == [1, 2, 3, 4] + [0] * 6 and desk.session.target.data[1, 1] == 77
