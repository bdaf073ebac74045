"""micro-sam's decoder of instances: the published names and shapes, and what a plain forward pass gives with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sam.errors import Cancelled
from napari_sam.model.protocol import DenseModel
from napari_sam.model.sam.instance_decoder import DenseSam, InstanceDecoder, transposed_upsamplers
from napari_sam.model.sam.sam import SamConfig
from napari_sam.predictor import Predictor
from sam_reference import TINY, largest_difference, randomise, tiny_sam

WIDTHS = (512, 256, 128, 64)
EVERY_UPSAMPLER = [
    *(f"deconv{index}.block.0" for index in (1, 2, 3, 4)),
    *(f"decoder.samplers.{index}" for index in (0, 1, 2)),
    "deconv_out",
]


def published(channels: int, transposed: bool) -> dict[str, tuple[int, ...]]:
    """Names and shapes of ``decoder_state`` in checkpoints of micro-sam, written down from torch_em's UNETR."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *weight: int) -> None:
        shapes[f"{name}.weight"] = weight
        shapes[f"{name}.bias"] = (weight[0],)

    def upsampler(name: str, inside: int, outside: int) -> None:
        if transposed:
            shapes[f"{name}.block.weight"] = (inside, outside, 2, 2)
            shapes[f"{name}.block.bias"] = (outside,)
        else:
            layer(f"{name}.conv", outside, inside, 1, 1)

    def convolutions(name: str, inside: int, outside: int) -> None:
        layer(f"{name}.block.1", outside, inside, 3, 3)
        layer(f"{name}.block.4", outside, outside, 3, 3)

    for index, (inside, outside) in enumerate(zip((channels, *WIDTHS), WIDTHS, strict=False), 1):
        upsampler(f"deconv{index}.block.0", inside, outside)
        layer(f"deconv{index}.block.1.block", outside, outside, 3, 3)
        layer(f"deconv{index}.block.2", outside)
        shapes |= {f"deconv{index}.block.2.running_{what}": (outside,) for what in ("mean", "var")}
        shapes[f"deconv{index}.block.2.num_batches_tracked"] = ()
    convolutions("base", channels, 512)
    for index, (inside, outside) in enumerate([(512, 256), (256, 128), (128, 64)]):
        upsampler(f"decoder.samplers.{index}", inside, outside)
        convolutions(f"decoder.blocks.{index}", inside, outside)
    upsampler("deconv_out", 64, 64)
    convolutions("decoder_head", 128, 64)
    layer("out_conv", 3, 64, 1, 1)
    return shapes


def reference(state: dict[str, Tensor], embedding: Tensor) -> Tensor:
    """The forward pass as torch_em describes it, layer by layer, with functions in place of modules."""

    def parameters(name: str) -> tuple[Tensor, Tensor]:
        return state[f"{name}.weight"], state[f"{name}.bias"]

    def upsampled(name: str, x: Tensor) -> Tensor:
        if f"{name}.block.weight" in state:
            return F.conv_transpose2d(x, *parameters(f"{name}.block"), stride=2)
        return F.conv2d(F.interpolate(x, scale_factor=2, mode="bilinear"), *parameters(f"{name}.conv"))

    def convolved(name: str, x: Tensor) -> Tensor:
        for index in (1, 4):
            x = F.relu(F.conv2d(F.instance_norm(x), *parameters(f"{name}.block.{index}"), padding=1))
        return x

    def sidewards(index: int, x: Tensor) -> Tensor:
        name = f"deconv{index}.block"
        x = F.conv2d(upsampled(f"{name}.0", x), *parameters(f"{name}.1.block"), padding=1)
        statistics = state[f"{name}.2.running_mean"], state[f"{name}.2.running_var"]
        return F.relu(F.batch_norm(x, *statistics, *parameters(f"{name}.2")))

    z9 = sidewards(1, embedding)
    z6 = sidewards(2, z9)
    z3 = sidewards(3, z6)
    z0 = sidewards(4, z3)
    x = convolved("base", embedding)
    for index, side in enumerate((z9, z6, z3)):
        x = upsampled(f"decoder.samplers.{index}", x)
        surplus = (side.shape[1] - x.shape[1]) // 2  # torch_em crops the channels as it crops the borders
        x = convolved(f"decoder.blocks.{index}", torch.cat([x, side[:, surplus : side.shape[1] - surplus]], 1))
    x = convolved("decoder_head", torch.cat([upsampled("deconv_out", x), z0], 1))
    return F.conv2d(x, *parameters("out_conv"))


@pytest.mark.parametrize("transposed", [False, True], ids=["bilinear", "transposed"])
def test_names_and_shapes_are_those_of_the_checkpoints(transposed: bool) -> None:
    with torch.device("meta"):
        model = InstanceDecoder(256, EVERY_UPSAMPLER if transposed else ())
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == published(256, transposed)


@pytest.mark.parametrize("names", [[], EVERY_UPSAMPLER, ["deconv_out", "decoder.samplers.1"]])
def test_the_kind_of_each_upsampler_is_read_off_its_names(names: list[str]) -> None:
    with torch.device("meta"):
        state = InstanceDecoder(32, names).state_dict()
    assert transposed_upsamplers(state) == set(names)


@pytest.mark.parametrize("names", [[], EVERY_UPSAMPLER], ids=["bilinear", "transposed"])
def test_a_forward_pass_is_that_of_the_publication(names: list[str]) -> None:
    model = randomise(InstanceDecoder(16, names))
    embedding = torch.randn(1, 16, 3, 5, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = model(embedding)
        assert logits.shape == (1, 3, 48, 80)
        assert largest_difference(reference(model.state_dict(), embedding), logits) < 1e-4


def dense_sam() -> DenseSam:
    model = DenseSam(SamConfig(TINY, side=128, channels=32), ())
    model.load_state_dict({**randomise(model).state_dict(), **tiny_sam().state_dict()})
    return model


def test_maps_lie_on_the_plane() -> None:
    model = dense_sam()
    assert isinstance(model, DenseModel)
    assert not isinstance(tiny_sam(), DenseModel)
    frame = model.frame((50, 100))
    with torch.no_grad():
        features = model.encode(torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(3)))
        maps = model.dense_maps(features, frame)
        inside = reference(model.instance_decoder.state_dict(), features[0]).sigmoid()
    expected = F.interpolate(inside[..., :64, :], (50, 100), mode="bilinear")[0]
    assert maps.shape == (3, 50, 100)
    assert (maps >= 0).all() and (maps <= 1).all()
    assert largest_difference(expected, maps) < 1e-4


def test_a_predictor_takes_them_for_foreground_centre_and_border() -> None:
    model = dense_sam()
    with torch.no_grad():
        model.instance_decoder.out_conv.weight.zero_()
        model.instance_decoder.out_conv.bias.copy_(torch.tensor([4.0, -4.0, 1.0]))
    predictor = Predictor(model.requires_grad_(requires_grad=False), "weights")
    assert predictor.has_dense_head
    assert predictor.dense_views == 1
    maps = predictor.dense(predictor.embed(np.arange(300, dtype=np.uint16).reshape(15, 20)))
    for found, logit in zip((maps.foreground, maps.centre, maps.border), (4.0, -4.0, 1.0), strict=True):
        np.testing.assert_allclose(found, np.full((15, 20), 1 / (1 + np.exp(-logit))), rtol=1e-5)


def test_more_views_are_the_same_view() -> None:
    model = dense_sam()
    features = (torch.randn(1, 32, 8, 8, generator=torch.Generator().manual_seed(3)),)
    frame = model.frame((128, 128))
    assert torch.equal(model.dense_maps(features, frame, 4), model.dense_maps(features, frame))


def test_progress_rises_to_one_and_may_stop_it() -> None:
    model, told = InstanceDecoder(8), []
    model.eval()(torch.zeros(1, 8, 2, 2), told.append)
    assert told == sorted(told) and told[-1] == 1 and len(told) > 3

    def stop(_share: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        model(torch.zeros(1, 8, 2, 2), stop)
