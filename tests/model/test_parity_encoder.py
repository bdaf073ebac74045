"""Image encoders of the real widths against the authors', same weights, a whole canvas of noise."""

from __future__ import annotations

import pytest
import torch

from napari_sam.model.sam.sam import VIT_B, VIT_H, VIT_L
from sam_reference import TOLERANCE, largest_difference, ours_like, reference_vit, shortened


@pytest.mark.parametrize("config", [VIT_L.encoder, VIT_H.encoder], ids=["L", "H"])
def test_the_widths_of_vit_l_and_h_at_reduced_depth(config) -> None:
    # A grid of 30 x 30 tokens: global attention and windows with padding, in a hundredth of the work.
    reference = reference_vit(shortened(config), side=480)
    pixels = torch.randn(1, 3, 480, 480)
    with torch.inference_mode():
        assert largest_difference(reference.image_encoder(pixels), ours_like(reference).encode(pixels)[0]) <= TOLERANCE


@pytest.mark.slow
def test_the_whole_vit_b() -> None:
    reference = reference_vit(VIT_B.encoder)
    ours = ours_like(reference)
    assert ours.config == VIT_B
    pixels = torch.randn(1, 3, 1024, 1024)
    with torch.inference_mode():
        assert largest_difference(reference.image_encoder(pixels), ours.encode(pixels)[0]) <= TOLERANCE
