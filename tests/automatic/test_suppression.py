import numpy as np
import pytest
import torch
from torchvision.ops import nms

from napari_sam.automatic.suppression import suppress


@pytest.mark.parametrize("most", [0.0, 0.3, 0.5, 0.7, 0.8, 1.0])
def test_the_boxes_that_torchvision_keeps_in_its_order(most):
    rng = np.random.default_rng(1)
    # Few sizes and few scores: many quotients lie at the bound itself, and many scores are equal.
    corners = rng.integers(0, 9, (400, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
    scores = rng.integers(0, 6, 400) / 5
    expected = nms(torch.from_numpy(boxes).float(), torch.from_numpy(scores).float(), most)
    assert suppress(boxes, scores, most).tolist() == expected.tolist()
    assert 0 < len(expected) < 400 or most == 1


def test_no_boxes():
    assert suppress(np.zeros((0, 4), int), np.zeros(0), 0.5).tolist() == []
