from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny import TINY

from napari_sam.errors import InputError
from napari_sam.model.compact.model import CompactSam
from napari_sam.progress import no_progress
from napari_sam.training.bundled.growing import grown

SMALL = replace(TINY, backbone="efficientnet_lite0", refining_blocks=1)


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    return CompactSam(SMALL)


def built(config, state):
    model = CompactSam(config)
    model.load_state_dict(state)
    return model.eval()


def test_it_answers_the_same_until_it_learns(trained):
    config, state = grown(SMALL, trained.state_dict(), 3)
    assert config == replace(SMALL, refining_blocks=3)
    larger = built(config, state)
    pixels = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for one, other in zip(trained.encode(pixels), larger.encode(pixels), strict=True):
            assert torch.equal(one, other)


def test_what_is_new_learns(trained):
    config, state = grown(SMALL, trained.state_dict(), 2)
    larger = built(config, state)
    fine, middle, _coarse = larger.encoder(torch.randn(1, 3, 64, 64), no_progress)
    (fine.square().sum() + middle.square().sum()).backward()
    for stage in (larger.encoder.refine4, larger.encoder.refine8):
        assert len(stage) == 2
        assert stage[1].conv2.weight.grad.abs().max() > 0


def test_there_is_something_to_grow_on(trained):
    with pytest.raises(InputError, match="trunk"):
        grown(TINY, CompactSam(TINY).state_dict(), 2)
    with pytest.raises(InputError, match="1 refining"):
        grown(SMALL, trained.state_dict(), 0)
