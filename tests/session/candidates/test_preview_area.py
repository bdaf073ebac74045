"""The part of a huge plane that the preview covers."""

from __future__ import annotations

import numpy as np
from session_scenery import DISCS, SHAPE

from napari_sam.inference.request import Candidate
from napari_sam.session.candidates import preview_area
from napari_sam.session.candidates.preview_area import PreviewArea


def candidate(box, plane=(50_000, 50_000)):
    (y0, x0), (y1, x1) = box
    mask = np.zeros((y1 - y0, x1 - x0), bool)
    mask[1:-1, 1:-1] = True
    mask[0, 0] = mask[-1, -1] = True
    return Candidate(0.9, int(mask.sum()), (y0, x0), mask)


def test_an_area_holds_the_mask_and_stays_where_it_is_while_it_can():
    plane = (50_000, 50_000)
    first = PreviewArea.for_plane(plane).for_mask(candidate(((30_000, 40_000), (30_100, 40_200))), plane)
    assert first.step == 1 and max(first.shape) <= 768
    inside, mask = first.place_mask(candidate(((30_000, 40_000), (30_100, 40_200))))
    assert mask.shape == (100, 200) and inside[0].start == 30_000 - first.start[0]
    assert first.for_mask(candidate(((30_010, 40_010), (30_090, 40_190))), plane) is first
    other = first.for_mask(candidate(((10, 49_900), (80, 50_000))), plane)
    assert other.start[0] == 0 and other.start[1] + other.shape[1] == 50_000


def test_a_mask_that_is_too_large_to_draw_is_drawn_smaller():
    plane = (50_000, 50_000)
    big = Candidate(0.9, 1, (5000, 6000), np.broadcast_to(np.True_, (30_000, 20_000)))
    drawn = PreviewArea.for_plane(plane).for_mask(big, plane)
    assert drawn.step == 15 and max(drawn.shape) <= 2048
    (rows, columns), mask = drawn.place_mask(big)
    assert (
        mask.all()
        and abs(mask.shape[0] - 30_000 / 15) <= 1
        and mask.shape == (rows.stop - rows.start, columns.stop - columns.start)
    )
    assert drawn.start[0] + rows.start * 15 + 7 >= 5000 > drawn.start[0] + rows.start * 15 + 7 - 15


def test_the_preview_of_a_huge_plane_covers_the_surroundings_of_the_mask(image, open_session, disc, monkeypatch):
    for name, value in (("_WHOLE", 0), ("_GRID", 8), ("_MARGIN", 2)):
        monkeypatch.setattr(preview_area, name, value)
    session = open_session()
    for centre, mask in zip(DISCS, disc, strict=True):
        session.points.add(centre)
        session.wait(60)
        preview = session.preview
        assert max(preview.data.shape) <= 24 and not preview.editable
        shift = np.rint(preview.translate).astype(int)
        laid = np.zeros(SHAPE, bool)
        height, width = preview.data.shape
        laid[shift[0] : shift[0] + height, shift[1] : shift[1] + width] = preview.data
        assert np.array_equal(laid, mask)
        session.clear()
        assert not session.preview.data.any()
