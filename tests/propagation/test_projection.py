from __future__ import annotations

from napari_sam.propagation.strategies.projection import projected_points
from stack_scenery import disc


def test_projected_points_lie_in_and_around_the_mask():
    mask = disc(16, 20, 7)
    points = projected_points(mask)
    assert {point.positive for point in points} == {True, False}
    for point in points:
        y, x = (int(v) for v in point.position)
        assert mask[y, x] == point.positive
        assert abs(y - 16) <= 9
        assert abs(x - 20) <= 9
