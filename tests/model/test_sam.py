"""What is ours in the SAM family: memory, speed rules, progress, fused normalisation, MedSAM's own processing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from napari_sam.errors import Cancelled
from napari_sam.model.encoders import products, relative_attention
from napari_sam.model.encoders.tiny_vit import TinyViT, fuse_batch_norms
from napari_sam.model.encoders.vit import Block, ViTConfig
from napari_sam.model.protocol import PromptTensors
from napari_sam.model.sam.medsam import LiteMedSam, MedSam
from napari_sam.model.sam.sam import LITE_MEDSAM, MOBILE, SamConfig
from sam_reference import picture, randomise, tiny_sam


class Watch(TorchDispatchMode):
    """Record the names of operations and the largest tensor that any of them made."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.names.append(func.overloadpacket.__name__)
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self.largest = max([self.largest, *sizes])
        return result


@pytest.mark.parametrize("by_convolution", [False, True])
def test_a_global_block_never_holds_all_scores(by_convolution: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "faster_by_convolution", lambda: by_convolution)
    heads, side = 4, 64
    config = ViTConfig(width=32, heads=heads, mlp_width=128)
    block = randomise(Block(config, window=side)).requires_grad_(requires_grad=False)
    tokens = torch.randn(1, side, side, config.width)
    with torch.no_grad(), Watch() as watch:
        block(tokens)
    sign = "_softmax" if by_convolution else "scaled_dot_product"
    assert sign in " ".join(watch.names), "the watch saw no attention"
    assert watch.largest <= 2**22 < side**4 / 2


@pytest.mark.parametrize(("side", "window"), [(9, 9), (9, 4), (8, 4)], ids=["global", "padded windows", "windows"])
def test_the_rules_of_attention_agree(side: int, window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    heads, channels = 3, 8
    qkv = torch.randn(2, side, side, 3, heads, channels, dtype=torch.float64)
    pad = torch.randn(3, heads, channels, dtype=torch.float64)
    tables = [torch.randn(window, window, channels, dtype=torch.float64) for _ in range(2)]
    folded = relative_attention._attend_folded(qkv, pad, *tables)
    assert folded.std() > 0.1
    windows = 2 * (-(-side // window)) ** 2
    # All heads; two heads and a third; some rows and a rest; one row at a time.
    for at_once in (2**22, 2 * windows * window**4, windows * window**3 * 2, 1):
        monkeypatch.setattr(relative_attention, "_SCORES_AT_ONCE", at_once)
        in_parts = relative_attention._attend_in_parts(qkv, pad, *tables)
        torch.testing.assert_close(in_parts, folded, rtol=0, atol=1e-12)
    for at_once in (2**22, 2 * window**3, 1):
        monkeypatch.setattr(relative_attention, "_WRITTEN_AT_ONCE", at_once)
        by_products = relative_attention._attend_by_products(qkv, pad, *tables)
        torch.testing.assert_close(by_products, folded, rtol=0, atol=1e-12)


@pytest.mark.parametrize("mobile", [False, True], ids=["vit", "mobile"])
def test_progress_rises_to_one_and_an_exception_from_it_stops_the_encoder(mobile: bool) -> None:
    model, seen = tiny_sam(mobile=mobile), []
    pixels = torch.randn(1, 3, 128, 128)
    model.encode(pixels, seen.append)
    blocks = sum(MOBILE.encoder.depths) if mobile else 2
    assert seen == pytest.approx([(i + 1) / blocks for i in range(blocks)])

    def cancel(fraction: float) -> None:
        if fraction > 0.4:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        model.encode(pixels, cancel)


def test_decoding_never_makes_a_gpu_wait() -> None:
    model = tiny_sam(high_quality=True)
    features, frame = model.encode(torch.randn(1, 3, 128, 128)), model.frame((128, 128))
    prompts = PromptTensors(torch.rand(2, 2, 2) * 128, torch.tensor([[1, 0], [1, -1]]), masks=torch.randn(2, 1, 32, 32))
    boxes = PromptTensors(torch.zeros(2, 0, 2), torch.zeros(2, 0, dtype=torch.long), torch.rand(2, 4) * 128)
    with Watch() as watch:
        model.upscale(model.decode(features, prompts, frame, multimask=True).logits, frame)
        model.decode(features, boxes, frame, multimask=False)
    assert "scaled_dot_product" in " ".join(watch.names)
    waits = {"_local_scalar_dense", "nonzero", "masked_select", "index", "index_put_", "equal"}
    assert waits.isdisjoint(watch.names)


def test_fused_normalisation_gives_the_same() -> None:
    encoder = randomise(TinyViT(MOBILE.encoder, channels=32)).requires_grad_(requires_grad=False)
    pixels = torch.randn(1, 3, 128, 128)
    expected, _ = encoder(pixels)
    fuse_batch_norms(encoder)
    assert not [part for part in encoder.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert expected.std() > 0.5
    assert (encoder(pixels)[0] - expected).abs().max() <= 1e-5


def test_gradients_reach_every_weight() -> None:
    model = tiny_sam().requires_grad_()
    features, frame = model.encode(torch.randn(1, 3, 128, 128)), model.frame((128, 128))
    for multimask in (True, False):
        prompts = PromptTensors(
            torch.rand(2, 2, 2) * 128, torch.tensor([[1, 0], [1, 0]]), masks=torch.randn(2, 1, 32, 32)
        )
        decoded = model.decode(features, prompts, frame, multimask=multimask)
        (decoded.logits.sum() + decoded.scores.sum()).backward(retain_graph=True)
    idle = {name for name, weight in model.named_parameters() if weight.grad is None}
    # No box, and a mask for every object: nothing asks for these.
    assert idle == {"prompt_encoder.no_mask_embed.weight"}


def test_an_anisotropic_plane_is_shown_with_square_pixels() -> None:
    model = tiny_sam()
    frame = model.frame((64, 32), spacing=(1.0, 4.0))
    assert frame.content == (64, 128)
    pixels = model.preprocess(picture(64, 32), frame)
    assert pixels.shape == (1, 3, 128, 128)
    assert (pixels[..., 64:, :] == 0).all()
    assert (pixels[..., 63, :] != 0).any()


@pytest.fixture(scope="module")
def medsam() -> MedSam:
    model = MedSam(SamConfig(tiny_sam().config.encoder, side=128, channels=32))
    return randomise(model).requires_grad_(requires_grad=False)


def test_medsam_sees_what_its_authors_show_it(medsam: MedSam) -> None:
    from skimage import transform

    image = picture(150, 90) // 2 + 20
    frame = medsam.frame((150, 90), spacing=(1.0, 3.0))
    assert frame.content == frame.canvas == (128, 128)
    shrunk = transform.resize(image, (128, 128), order=3, preserve_range=True, anti_aliasing=True).astype(np.uint8)
    expected = (shrunk - shrunk.min()) / np.clip(shrunk.max() - shrunk.min(), a_min=1e-8, a_max=None)
    np.testing.assert_allclose(medsam.preprocess(image, frame)[0].permute(1, 2, 0), expected, atol=1e-6)


def test_medsam_takes_a_constant_image(medsam: MedSam) -> None:
    frame = medsam.frame((40, 40))
    assert (medsam.preprocess(np.full((40, 40, 3), 7, np.uint8), frame) == 0).all()


def test_medsam_cuts_masks_where_its_authors_do(medsam: MedSam) -> None:
    logits = torch.randn(1, 1, 32, 32) * 6
    found = medsam.upscale(logits, medsam.frame((150, 90))) > 0
    expected = torch.nn.functional.interpolate(logits.sigmoid(), (150, 90), mode="bilinear", align_corners=False) > 0.5
    assert torch.equal(found, expected)
    assert 0.2 < found.float().mean() < 0.8


@pytest.fixture(scope="module")
def lite_medsam() -> LiteMedSam:
    return randomise(LiteMedSam(LITE_MEDSAM)).requires_grad_(requires_grad=False)


def test_lite_medsam_sees_what_its_authors_show_it(lite_medsam: LiteMedSam) -> None:
    blocks = np.random.default_rng(0).integers(30, 200, (150, 256, 3), np.uint8)
    # Four pixels of each block differ from it, and their average is it.
    signs = np.random.default_rng(1).choice((-20, 20), (150, 256))
    chequers = np.kron(signs, [[1, -1], [-1, 1]])[..., None]
    image = (blocks.repeat(2, 0).repeat(2, 1) + chequers).astype(np.uint8)
    frame = lite_medsam.frame((300, 512))
    assert (frame.content, frame.canvas) == ((150, 256), (256, 256))
    pixels = lite_medsam.preprocess(image, frame)[0].permute(1, 2, 0).numpy()
    expected = (blocks - blocks.min()) / float(blocks.max() - blocks.min())
    np.testing.assert_allclose(pixels[:150], expected, atol=1e-6)
    assert (pixels[150:] == 0).all()


def test_lite_medsam_enlarges_smoothly_and_takes_a_constant_image(lite_medsam: LiteMedSam) -> None:
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 64, 0).repeat(3, 2)
    pixels = lite_medsam.preprocess(ramp, lite_medsam.frame((64, 64)))
    assert (pixels[0, 0].diff(dim=1) <= 2 / 64).all()
    frame = lite_medsam.frame((40, 40))
    assert (lite_medsam.preprocess(np.full((40, 40, 3), 7, np.uint8), frame) == 0).all()


def test_lite_medsam_draws_a_mask_on_the_plane_from_a_box(lite_medsam: LiteMedSam) -> None:
    image, frame = picture(120, 200), lite_medsam.frame((120, 200))
    features = lite_medsam.encode(lite_medsam.preprocess(image, frame))
    assert features[0].shape == (1, 256, 64, 64)
    assert lite_medsam.logits_shape(frame) == (256, 256)
    box = torch.tensor([[20.0, 30.0, 90.0, 110.0]])
    prompts = PromptTensors(torch.zeros(1, 0, 2), torch.zeros(1, 0, dtype=torch.int64), boxes=box)
    logits = lite_medsam.decode(features, prompts, frame, multimask=False).logits
    # The authors cut the padding off, and interpolate the rest.
    rows, columns = frame.content
    expected = torch.nn.functional.interpolate(
        logits[..., :rows, :columns], (120, 200), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(lite_medsam.upscale(logits, frame), expected, atol=1e-4, rtol=1e-4)


def test_medsam_takes_boxes_only(medsam: MedSam, lite_medsam: LiteMedSam) -> None:
    assert lite_medsam.prompt_kinds == {"box"}
    assert medsam.prompt_kinds == {"box"}
    assert tiny_sam().prompt_kinds == {"point", "box", "mask"}
