"""Prompt encoder and mask decoder against the authors', several objects at once; and that every weight counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from napari_sam.model.protocol import PromptTensors
from sam_reference import TINY, TOLERANCE, largest_difference, ours_like, reference_vit, tiny_sam

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from napari_sam.model.protocol import Features
    from napari_sam.model.sam.sam import Sam

SIDE, GRID = 128, 8


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tensors are tiny here: sharing out the work takes longer than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def models():
    reference = reference_vit(TINY, SIDE).requires_grad_(requires_grad=False)
    return reference, ours_like(reference)


def prompts(kind: str, side: int = SIDE, logits: int = 4 * GRID) -> PromptTensors:
    """Three objects; where there are points, the objects have three, two and one."""
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(3, 3, 2, generator=generator) * side
    labels = torch.tensor([[1, 0, 1], [0, 1, -1], [1, -1, -1]])
    corners = torch.rand(3, 2, 2, generator=generator) * side / 2
    boxes = torch.cat([corners[:, 0], corners[:, 0] + corners[:, 1]], 1)
    masks = torch.randn(3, 1, logits, logits, generator=generator) * 4
    return PromptTensors(
        points if "points" in kind else points[:, :0],
        labels if "points" in kind else labels[:, :0],
        boxes if "boxes" in kind else None,
        masks if "masks" in kind else None,
    )


KINDS = ["points", "boxes", "points boxes", "masks", "points masks", "points boxes masks"]


def as_reference(prompts: PromptTensors) -> dict[str, object]:
    points = (prompts.points, prompts.labels) if prompts.points.shape[1] else None
    return {"points": points, "boxes": prompts.boxes, "masks": prompts.masks}


@pytest.mark.parametrize("kind", KINDS)
def test_sparse_and_dense_embeddings_of_prompts(models, kind: str) -> None:
    reference, ours = models
    given = prompts(kind)
    expected_sparse, expected_dense = reference.prompt_encoder(**as_reference(given))
    sparse, dense = ours.prompt_encoder(given)
    assert sparse.shape == expected_sparse.shape
    if sparse.shape[1]:
        assert largest_difference(expected_sparse, sparse) <= 1e-5
    assert largest_difference(expected_dense, dense.expand_as(expected_dense)) <= 1e-5


def test_the_position_encoding_of_the_grid(models) -> None:
    reference, ours = models
    assert largest_difference(reference.prompt_encoder.get_dense_pe(), ours.prompt_encoder.dense_positions()) <= 1e-5


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_masks_and_scores_of_several_objects(models, kind: str, multimask: bool) -> None:
    reference, ours = models
    given, embedding = prompts(kind), torch.randn(1, 256, GRID, GRID)
    sparse, dense = reference.prompt_encoder(**as_reference(given))
    expected_masks, expected_scores = reference.mask_decoder(
        image_embeddings=embedding,
        image_pe=reference.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask,
    )
    decoded = ours.decode((embedding,), given, ours.frame((SIDE, SIDE)), multimask=multimask)
    assert largest_difference(expected_masks, decoded.logits) <= TOLERANCE
    torch.testing.assert_close(decoded.scores, expected_scores, rtol=0, atol=TOLERANCE)


def test_many_points_are_answered_as_few_are(models) -> None:
    """With many tokens the decoder projects the image instead of the tokens."""
    reference, ours = models
    few = prompts("points")
    given = PromptTensors(few.points.repeat(1, 7, 1), few.labels.repeat(1, 7))
    assert not ours.mask_decoder.transformer.layers[1].cross_attn_token_to_image.saves(given.points.shape[1])
    embedding = torch.randn(1, 256, GRID, GRID)
    sparse, dense = reference.prompt_encoder(**as_reference(given))
    expected, _scores = reference.mask_decoder(
        image_embeddings=embedding,
        image_pe=reference.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
    )
    decoded = ours.decode((embedding,), given, ours.frame((SIDE, SIDE)), multimask=True)
    assert largest_difference(expected, decoded.logits) <= TOLERANCE


@pytest.mark.parametrize("high_quality", [False, True], ids=["sam", "hq"])
@pytest.mark.parametrize("kind", ["points", "points masks"])
def test_good_masks_alone_are_those_of_all(kind: str, high_quality: bool) -> None:
    model = tiny_sam(high_quality=high_quality)
    features, frame, given = model.encode(torch.randn(1, 3, SIDE, SIDE)), model.frame((SIDE, SIDE)), prompts(kind)
    everything = model.decode(features, given, frame, multimask=True)
    # One object has no good mask, and another has one that is not good.
    least = float(everything.scores.amax(1).min()) + 1e-4
    logits, scores = model.decode_better(features, given, frame, least)
    assert largest_difference(everything.scores, scores) <= TOLERANCE
    good = everything.scores > least
    assert not good.any(1).all()
    assert 0 < good.sum() < 2 * 3
    torch.testing.assert_close(logits, everything.logits[good], rtol=0, atol=1e-5)
    assert model.decode_better(features, given, frame, 1e9)[0].shape == (0, 4 * GRID, 4 * GRID)


def test_padding_points_stand_for_fewer_points() -> None:
    ours = tiny_sam()
    features, frame = ours.encode(torch.randn(1, 3, SIDE, SIDE)), ours.frame((SIDE, SIDE))
    ragged = prompts("points")
    together = ours.decode(features, ragged, frame, multimask=True).logits
    # The reference pads once after the points, so one padding point is what a lone object has too.
    alone = PromptTensors(ragged.points[1:2, :2], ragged.labels[1:2, :2])
    assert largest_difference(ours.decode(features, alone, frame, multimask=True).logits, together[1:2]) > TOLERANCE
    padded = PromptTensors(ragged.points[1:2], ragged.labels[1:2])
    assert largest_difference(ours.decode(features, padded, frame, multimask=True).logits, together[1:2]) <= 1e-5


def decode_all_kinds(model: Sam, features: Features) -> Tensor:
    """Answers that between them use every weight of prompt encoder and decoder: one vector."""
    frame = model.frame((SIDE, SIDE))
    answers = [
        model.decode(features, prompts(kind), frame, multimask=multimask)
        for kind, multimask in (("points", True), ("points boxes", False), ("masks", True))
    ]
    return torch.cat([t.flatten() for answer in answers for t in (answer.logits, answer.scores)])


def unnoticed(module: torch.nn.Module, answer: Callable[[], Tensor]) -> set[str]:
    """Names of the weights whose values can be permuted without a change of the answer."""
    expected, names = answer(), set()
    for name, weight in module.state_dict().items():
        if weight.ndim == 0:
            continue  # a counter of BatchNorm
        original = weight.clone()
        weight.copy_(weight.flatten().roll(1).view_as(weight))
        if (answer() - expected).abs().max() <= 10 * TOLERANCE:
            names.add(name)
        weight.copy_(original)
    assert torch.equal(answer(), expected), "the weights were not put back"
    return names


@pytest.mark.parametrize("mobile", [False, True], ids=["vit", "mobile"])
def test_a_permuted_weight_of_an_encoder_is_noticed_whichever_it_is(mobile: bool) -> None:
    encoder, pixels = tiny_sam(mobile=mobile).image_encoder, torch.randn(1, 3, SIDE, SIDE)
    if mobile:
        pixels = pixels[..., :64, :64]  # every window is padded now, and the test takes a quarter of the time
    assert unnoticed(encoder, lambda: encoder(pixels)[0]) == set()


@pytest.mark.parametrize("high_quality", [False, True], ids=["sam", "hq"])
def test_a_permuted_weight_of_prompt_encoder_and_decoder_is_noticed_whichever_it_is(high_quality: bool) -> None:
    model = tiny_sam(high_quality=high_quality)
    embedding, early = model.image_encoder(torch.randn(1, 3, SIDE, SIDE))
    parts = torch.nn.ModuleList([model.prompt_encoder, model.mask_decoder])
    names = unnoticed(parts, lambda: decode_all_kinds(model, model.mask_decoder.prepare(embedding, early)))
    # The bias of keys adds the same to all scores of a query, so the softmax cancels it.
    assert names == {name for name in parts.state_dict() if name.endswith("k_proj.bias")}
