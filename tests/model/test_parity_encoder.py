"""Image encoders of the real widths against the authors', same weights, noise."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from napari_sam.model.encoders import products
from napari_sam.model.sam.sam import LITE_MEDSAM, VIT_B, VIT_H, VIT_L
from sam_reference import TOLERANCE, largest_difference, ours_like, reference_lite_medsam, reference_vit, shortened


@pytest.mark.parametrize("config", [VIT_L.encoder, VIT_H.encoder], ids=["L", "H"])
def test_the_widths_of_vit_l_and_h_at_reduced_depth(config) -> None:
    # A grid of 30 x 30 tokens: global attention and windows with padding, in a hundredth of the work.
    reference = reference_vit(shortened(config), side=480)
    pixels = torch.randn(1, 3, 480, 480)
    with torch.inference_mode():
        assert largest_difference(reference.image_encoder(pixels), ours_like(reference).encode(pixels)[0]) <= TOLERANCE


@pytest.mark.parametrize(
    ("config", "side"),
    [(VIT_B.encoder, 480), (shortened(VIT_B.encoder), 1024)],
    ids=["every block", "the whole canvas"],
)
@pytest.mark.parametrize("by_convolution", [False, True])
def test_vit_b(config, side, by_convolution, monkeypatch) -> None:
    monkeypatch.setattr(products, "faster_by_convolution", lambda: by_convolution)
    # Blocks differ in nothing but whether they look at windows, so few of them are asked on all 64 x 64 tokens.
    reference = reference_vit(config, side)
    ours = ours_like(reference)
    assert ours.config == dataclasses.replace(VIT_B, encoder=config, side=side)
    pixels = torch.randn(1, 3, side, side)
    with torch.inference_mode():
        assert largest_difference(reference.image_encoder(pixels), ours.encode(pixels)[0]) <= TOLERANCE


def test_lite_medsam() -> None:
    reference = reference_lite_medsam()
    ours = ours_like(reference)
    assert ours.config == LITE_MEDSAM
    pixels = torch.rand(1, 3, 256, 256)
    with torch.inference_mode():
        embedding = ours.encode(pixels)[0]
        assert embedding.shape == (1, 256, 64, 64)
        assert largest_difference(reference.image_encoder(pixels), embedding) <= TOLERANCE
