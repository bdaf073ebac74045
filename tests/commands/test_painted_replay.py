"""Objects that were painted in part, or as a whole, asked again from the journal: the same, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from test_journal_replay import CELLS, points, scene

from napari_sam.session import Session


def stroke(session, z, place, tool, size=7):
    """Paint or erase at a place, (y, x)."""
    session.use_tool(tool)
    session.preview.brush_size = size
    at = session.preview.world_to_data((z, *place))
    session.preview.paint(at, int(tool == "brush"))
    session.wait(300)


def paint():
    """Work as a person does, and return the labels."""
    viewer = ViewerModel()
    viewer.add_image(scene(), name="cells", contrast_limits=(400, 5000), gamma=0.8)
    session = Session(viewer)
    try:
        session.prefetch = False
        viewer.dims.set_current_step(0, 1)
        session.wait(300)
        points(session, 1, (CELLS[0], True))
        session.next_candidate()
        stroke(session, 1, (24, 44), "brush")
        points(session, 1, ((30, 30), True))
        stroke(session, 1, (18, 22), "eraser", 5)
        session.shaping.choose(grow=1, threshold=-0.5)
        session.wait(300)
        points(session, 1, ((40, 50), False))
        stroke(session, 1, (44, 44), "brush", 3)
        session.undo()
        session.wait(300)
        session.accept()
        session.shaping.reset()
        # Nothing but paint, and paint that a click refines.
        stroke(session, 1, (88, 10), "brush", 11)
        session.accept()
        session.wait(300)
        stroke(session, 1, (68, 60), "brush", 15)
        points(session, 1, (CELLS[1], True))
        session.accept()
        session.wait(300)
        return np.array(session.target.data)
    finally:
        session.close()


@pytest.mark.slow
def test_what_is_painted_is_there_again_pixel_by_pixel(run, tmp_path, home):
    path, out = tmp_path / "cells.tif", tmp_path / "labels.tif"
    tifffile.imwrite(path, scene(), photometric="minisblack", metadata={"axes": "ZYX"})
    labels = paint()
    assert np.unique(labels).tolist() == [0, 1, 2, 3]
    assert labels[1, 24, 44] == 1 and labels[1, 18, 22] == 0 and labels[1, 44, 44] == 0 and labels[1, 88, 10] == 2
    result = run("journal", "replay", path, "-o", out)
    assert result.exit_code == 0, result.output
    assert "3 of 3 answers exact" in result.stdout
    np.testing.assert_array_equal(tifffile.imread(out), labels)
