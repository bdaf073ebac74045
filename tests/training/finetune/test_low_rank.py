"""Low-rank adapters: what they are in the beginning, what learns, and that a file brings back what was learnt."""

from __future__ import annotations

import copy

import pytest
import torch
from tiny import TINY
from torch import nn

from napari_sam.checkpoints.adapters.base_model import apply_adapter
from napari_sam.model.compact.model import CompactSam
from napari_sam.training.finetune.adapters import adapt, adapter_tensors


def network():
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(3, 20, 3, padding=1), nn.GELU(), nn.ConvTranspose2d(20, 20, 2, 2), nn.Conv2d(20, 2, 1)
    )


def everything(_name):
    return True


def test_in_the_beginning_it_is_what_it_was():
    before, image = network(), torch.randn(1, 3, 8, 8)
    after = copy.deepcopy(before)
    adapt(after, everything, 2)
    torch.testing.assert_close(after(image), before(image))


def test_only_the_part_that_learns_changes():
    taught = network()
    was = {name: tensor.clone() for name, tensor in taught.state_dict().items()}
    adapted = adapt(taught, lambda name: name.startswith("0."), 2)
    assert adapted.low_rank == ("0",)
    assert adapted.whole == ("0.bias",)
    optimiser = torch.optim.SGD([p for p in taught.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):  # the tall matrix is 0 at first: the flat one learns from the second step on
        taught(torch.randn(1, 3, 8, 8)).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()
    now = taught.state_dict()
    assert torch.equal(now["0.parametrizations.weight.original"], was["0.weight"])
    assert not torch.equal(now["0.bias"], was["0.bias"])
    assert all(torch.equal(now[name], was[name]) for name in was if not name.startswith("0."))


def test_a_weight_with_fewer_numbers_than_its_adapter_learns_as_it_is():
    adapted = adapt(network(), everything, 2)
    assert adapted.low_rank == ("0", "2")
    assert "3.weight" in adapted.whole


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_what_was_learnt_comes_back_from_its_tensors(strength):
    base, image = network(), torch.randn(1, 3, 8, 8)
    taught = copy.deepcopy(base)
    adapted = adapt(taught, everything, 2)
    with torch.no_grad():
        for parameter in taught.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape))
    tensors = adapter_tensors(taught, adapted, base)
    again = copy.deepcopy(base)
    apply_adapter(None, again, tensors, strength)
    difference = taught(image) - base(image)
    assert difference.abs().max() > 0.01
    if strength == 1:
        torch.testing.assert_close(again(image), taught(image), rtol=1e-4, atol=1e-5)
    else:
        halves = {
            name: (tensor + now) / 2
            for (name, tensor), now in zip(base.state_dict().items(), _merged(taught, base).values(), strict=True)
        }
        for name, tensor in again.state_dict().items():
            torch.testing.assert_close(tensor, halves[name], rtol=1e-4, atol=1e-5)


def _merged(taught, base):
    """The weights of a network with adapters, under the names that they have without."""
    modules = dict(taught.named_modules())
    return {
        name: getattr(modules[name.rpartition(".")[0]], name.rpartition(".")[2]).detach() for name in base.state_dict()
    }


def test_an_adapter_of_the_bundled_architecture_is_small():
    model = CompactSam(TINY)
    adapted = adapt(model, lambda name: name.startswith("decoder."), 2)
    learning = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert 0 < learning < sum(parameter.numel() for parameter in CompactSam(TINY).decoder.parameters())
    assert adapted.low_rank
