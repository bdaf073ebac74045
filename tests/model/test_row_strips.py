from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_sam.model.encoders import row_strips
from napari_sam.model.encoders.efficientnet import InvertedResidual
from napari_sam.model.encoders.row_strips import in_row_strips
from napari_sam.model.encoders.tiny_vit import ConvBlock, Merge, fuse_batch_norms

WIDTH, HIDDEN = 20, 8


@pytest.fixture(autouse=True)
def _small_strips(monkeypatch):
    """Let a strip hold three rows of the hidden layer, in float64."""
    monkeypatch.setattr(row_strips, "_STRIP_BYTES", 3 * HIDDEN * WIDTH * 8)


class Chain:
    """A convolution that widens, one that looks at neighbours, one that narrows; remembers what it was given."""

    def __init__(self, kernel: int, stride: int) -> None:
        self.seen: list[torch.Tensor] = []
        self.layers = nn.Sequential(
            nn.Conv2d(3, HIDDEN, 1),
            nn.GELU(),
            nn.Conv2d(HIDDEN, HIDDEN, kernel, stride, padding=kernel // 2, groups=HIDDEN),
            nn.Conv2d(HIDDEN, 5, 1),
        ).double()

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        self.seen.append(image)
        return self.layers(image)


def an_image(height: int, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 3, height, WIDTH, dtype=torch.double).to(memory_format=torch.channels_last)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("height", [31, 32, 33, 36])
@torch.no_grad()
def test_strips_give_what_the_whole_gives(height, kernel, stride):
    chain, image = Chain(kernel, stride), an_image(height)
    parts = in_row_strips(chain, image, HIDDEN, kernel, stride)
    torch.testing.assert_close(parts, chain.layers(image))
    assert parts.is_contiguous(memory_format=torch.channels_last)
    assert len(chain.seen) > 8
    # Beside its own rows, only those that the kernel reaches, rounded up to the stride.
    assert max(part.shape[2] for part in chain.seen) <= max(3, stride) + kernel - 1 + stride - 1


@torch.no_grad()
def test_each_image_of_several_is_cut():
    chain, images = Chain(3, 1), an_image(40, batch=2)
    torch.testing.assert_close(in_row_strips(chain, images, HIDDEN, 3), chain.layers(images))
    assert {len(part) for part in chain.seen} == {1}


@torch.no_grad()
def test_a_small_image_stays_whole():
    chain, image = Chain(3, 1), an_image(6)
    in_row_strips(chain, image, HIDDEN, 3)
    assert [part.shape for part in chain.seen] == [image.shape]


def test_with_gradients_an_image_stays_whole():
    chain, image = Chain(3, 1), an_image(40)
    in_row_strips(chain, image, HIDDEN, 3).sum().backward()
    assert len(chain.seen) == 1
    assert chain.layers[0].weight.grad is not None


@pytest.mark.parametrize(
    "make",
    [
        lambda: InvertedResidual(4, 4, 3, 1, 6),
        lambda: InvertedResidual(4, 6, 5, 2, 6),
        lambda: ConvBlock(4, 4),
        lambda: Merge(4, 8, 2),
        lambda: Merge(4, 8, 1),
    ],
)
@torch.no_grad()
def test_blocks_of_the_encoders_go_by_strips(make, monkeypatch):
    modules = nn.ModuleList([make()]).eval()
    fuse_batch_norms(modules)
    [block] = modules.double()
    image = torch.randn(1, 4, 37, WIDTH, dtype=torch.double).to(memory_format=torch.channels_last)
    seen, chain = [], block._chain
    monkeypatch.setattr(block, "_chain", lambda part: seen.append(part) or chain(part))
    cut = block(image)
    assert len(seen) > 5
    monkeypatch.setattr(row_strips, "_STRIP_BYTES", 1 << 30)
    torch.testing.assert_close(cut, block(image))
