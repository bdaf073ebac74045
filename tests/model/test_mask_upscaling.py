from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam.geometry import longest_side_frame
from napari_sam.model.sam import mask_upscaling
from napari_sam.model.sam.mask_upscaling import masks_of, upscaled

SIDE, GRID = 128, 32  # model pixels, cells of the logits
PLANES = [(128, 128), (100, 80), (37, 300), (300, 37), (512, 400), (1, 60), (20, 20)]


def blobs(frame, centres: list[tuple[float, float]], radius: float) -> torch.Tensor:
    """Logits of round objects, centres as shares of the plane: (1, objects, h, w), below -1 in the padding, too."""
    y, x = np.mgrid[:GRID, :GRID] + 0.5
    per_cell = SIDE / GRID
    found = []
    for down, across in centres:
        centre = down * frame.content[0] / per_cell, across * frame.content[1] / per_cell
        found.append(radius - np.hypot(y - centre[0], x - centre[1]))
    return torch.tensor(np.stack(found)[None], dtype=torch.float32)


def differences(logits: torch.Tensor, frame, threshold: float) -> torch.Tensor:
    """Where masks are others than all of the logits say, but for those within rounding of the threshold."""
    full = upscaled(logits, frame)
    return (masks_of(logits, frame, threshold) != (full > threshold)) & ((full - threshold).abs() > 1e-4)


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 1.5])
@pytest.mark.parametrize("plane", PLANES, ids=str)
def test_masks_are_those_of_the_whole_plane(plane, threshold):
    frame = longest_side_frame(plane, SIDE)
    for logits in (blobs(frame, [(0.3, 0.6), (0.0, 0.0), (1.0, 0.95)], 2.5), torch.randn(2, 3, GRID, GRID)):
        masks = masks_of(logits, frame, threshold)
        assert masks.shape == (*logits.shape[:2], *plane) and masks.dtype == torch.bool
        assert masks.any() == (upscaled(logits, frame) > threshold).any()
        assert not differences(logits, frame, threshold).any()


def test_a_small_object_does_not_pay_for_the_plane(monkeypatch):
    frame = longest_side_frame((3000, 2000), SIDE)
    logits = blobs(frame, [(0.5, 0.5), (0.2, 0.9)], 2.5)
    wanted = upscaled(logits, frame) > 0
    monkeypatch.setattr(mask_upscaling, "upscaled", None)
    assert (masks_of(logits, frame, 0.0) != wanted).float().mean() < 1e-6
    assert wanted[0].flatten(1).any(1).all()


def test_a_large_object_is_interpolated_as_a_whole(monkeypatch):
    frame, calls = longest_side_frame((1500, 1000), SIDE), []
    monkeypatch.setattr(mask_upscaling, "upscaled", lambda *given: calls.append(given) or upscaled(*given))
    logits = blobs(frame, [(0.5, 0.5), (0.5, 0.5)], 12.0)
    logits[0, 1] = -1
    masks = masks_of(logits, frame, 0.0)
    assert len(calls) == 1
    assert masks[0, 0].any() and not masks[0, 1].any()


def test_what_is_in_the_padding_alone_is_nowhere():
    frame = longest_side_frame((40, 120), SIDE)
    logits = torch.full((1, 1, GRID, GRID), -5.0)
    logits[..., -4:, :] = 5.0
    assert not masks_of(logits, frame, 0.0).any()
