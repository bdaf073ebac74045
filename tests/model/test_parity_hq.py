"""SAM-HQ against its authors' implementation, same weights: early features, decoder, choice of the best candidate."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import pytest
import torch
from torch import nn

from napari_sam.model.protocol import PromptTensors
from sam_reference import TINY, TOLERANCE, largest_difference, ours_like, randomise

SIDE, GRID = 128, 8


@pytest.fixture(scope="module")
def hq() -> Any:
    with warnings.catch_warnings():
        # Written for an older timm: deprecated imports, and model names that timm has since taken itself.
        warnings.simplefilter("ignore")
        import segment_anything_hq

        return segment_anything_hq


def reference_parts(hq: Any) -> nn.ModuleDict:
    """The authors' parts on a small canvas, under the names of their checkpoints."""
    modeling = hq.modeling
    encoder = modeling.ImageEncoderViT(
        img_size=SIDE,
        embed_dim=TINY.width,
        depth=TINY.depth,
        num_heads=TINY.heads,
        mlp_ratio=TINY.mlp_width / TINY.width,
        norm_layer=functools.partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=TINY.window,
        global_attn_indexes=TINY.global_blocks,
        out_chans=256,
    )
    transformer = modeling.TwoWayTransformer(depth=2, embedding_dim=256, num_heads=8, mlp_dim=2048)
    parts = {
        "image_encoder": encoder,
        "prompt_encoder": modeling.PromptEncoder(256, (GRID, GRID), (SIDE, SIDE), mask_in_chans=16),
        "mask_decoder": modeling.MaskDecoderHQ(transformer_dim=256, transformer=transformer, vit_dim=TINY.width),
    }
    return randomise(nn.ModuleDict(parts)).requires_grad_(requires_grad=False)


@pytest.mark.parametrize("multimask", [True, False])
def test_masks_and_scores(hq: Any, multimask: bool) -> None:
    reference = reference_parts(hq)
    ours = ours_like(reference)
    pixels, points, labels = torch.randn(1, 3, SIDE, SIDE), torch.rand(4, 2, 2) * SIDE, torch.tensor([[1, 0]] * 4)
    embedding, early = reference.image_encoder(pixels)
    sparse, dense = reference.prompt_encoder(points=(points, labels), boxes=None, masks=None)
    expected, expected_scores = reference.mask_decoder(
        image_embeddings=embedding,
        image_pe=reference.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask,
        hq_token_only=False,
        interm_embeddings=early,
    )
    frame = ours.frame((SIDE, SIDE))
    decoded = ours.decode(ours.encode(pixels), PromptTensors(points, labels), frame, multimask=multimask)
    assert decoded.logits.shape == (4, 3 if multimask else 1, 4 * GRID, 4 * GRID)
    best = decoded.scores.argmax(1)
    chosen = decoded.logits[torch.arange(4), best][:, None]
    assert largest_difference(expected, chosen) <= TOLERANCE
    torch.testing.assert_close(decoded.scores.amax(1, keepdim=True), expected_scores, rtol=0, atol=TOLERANCE)


def test_the_early_features_of_tiny_vit(hq: Any) -> None:
    reference = randomise(hq.sam_model_registry["vit_tiny"]()).requires_grad_(requires_grad=False)
    ours = ours_like(reference)
    pixels = torch.randn(1, 3, 1024, 1024)
    embedding, early = reference.image_encoder(pixels)
    found = ours.image_encoder(pixels)
    assert largest_difference(embedding, found[0]) <= TOLERANCE
    assert largest_difference(early[0].permute(0, 3, 1, 2), found[1]) <= TOLERANCE
