"""The authors' implementations with random weights, and ours with the same: what the parity tests compare."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import segment_anything.modeling as sa
import torch
from torch import nn

from napari_sam.model.encoders.vit import ViTConfig
from napari_sam.model.protocol import PromptTensors
from napari_sam.model.sam.checkpoint_keys import recognise, require_match
from napari_sam.model.sam.sam import MOBILE, Sam, SamConfig

if TYPE_CHECKING:
    from napari_sam.geometry import Frame
    from napari_sam.model.protocol import Features

TOLERANCE = 1e-4
"""Largest absolute difference of logits, scores and embeddings, all of which are of the order of one and more."""


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give every weight and statistic a value that matters, whatever it is initialised to."""
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor: torch.Tensor, std: float, mean: float = 0.0) -> None:
        tensor.normal_(mean, std, generator=generator)

    def uniform(tensor: torch.Tensor) -> None:
        tensor.uniform_(0.5, 1.5, generator=generator)

    with torch.no_grad():
        for part in module.modules():
            for name, tensor in [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]:
                if not tensor.is_floating_point() or name in ("pixel_mean", "pixel_std", "ab"):
                    continue
                if name.startswith("rel_pos"):
                    normal(tensor, 0.2)
                elif name == "running_var" or (name == "weight" and tensor.ndim == 1):
                    uniform(tensor)
                elif tensor.ndim == 1:
                    normal(tensor, 0.2)
                elif isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                    fan_in = tensor.shape[0] if isinstance(part, nn.ConvTranspose2d) else tensor[0].numel()
                    normal(tensor, fan_in**-0.5)
                else:
                    normal(tensor, 1.0)
    return module.eval()  # TinyViT spreads its attention biases here


def reference_encoder(config: ViTConfig, side: int = 1024) -> nn.Module:
    """segment-anything's image encoder of this shape."""
    return randomise(
        sa.ImageEncoderViT(
            img_size=side,
            patch_size=config.patch,
            embed_dim=config.width,
            depth=config.depth,
            num_heads=config.heads,
            mlp_ratio=config.mlp_width / config.width,
            norm_layer=functools.partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=config.window,
            global_attn_indexes=config.global_blocks,
            out_chans=256,
        )
    )


def reference_vit(config: ViTConfig, side: int = 1024) -> nn.Module:
    """segment-anything's model with an image encoder of this shape."""
    grid = side // config.patch
    prompt_encoder = sa.PromptEncoder(256, (grid, grid), (side, side), mask_in_chans=16)
    transformer = sa.TwoWayTransformer(depth=2, embedding_dim=256, num_heads=8, mlp_dim=2048)
    decoder = sa.MaskDecoder(transformer_dim=256, transformer=transformer)
    return randomise(sa.Sam(reference_encoder(config, side), prompt_encoder, decoder))


def reference_mobile() -> nn.Module:
    """MobileSAM's model."""
    with warnings.catch_warnings():
        # Written for an older timm: deprecated imports, and model names that timm has since taken itself.
        warnings.simplefilter("ignore")
        import mobile_sam
    return randomise(mobile_sam.sam_model_registry["vit_t"]())


def reference_lite_medsam() -> nn.Module:
    """MobileSAM's model, but for the first two convolutions: LiteMedSAM has those of single pixels, without strides.

    So in the authors' branch LiteMedSAM of github.com/bowang-lab/MedSAM, whose published weights were compared by hand:
    an embedding differs by 4e-6.
    """
    model = reference_mobile()
    for index in (0, 2):
        part = model.image_encoder.patch_embed.seq[index]
        part.c = nn.Conv2d(part.c.in_channels, part.c.out_channels, 1, bias=False)
    return randomise(model)


def ours_like(reference: nn.Module) -> Sam:
    """Our model with the reference's weights."""
    found = recognise(reference.state_dict())
    model = Sam(found.config)
    require_match(found.state, model.state_dict())
    model.load_state_dict(found.state)
    return model.eval().requires_grad_(requires_grad=False)


def shortened(config: ViTConfig) -> ViTConfig:
    """The same widths with two blocks, one in windows and one global."""
    return dataclasses.replace(config, depth=2, global_blocks=(1,))


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """An (H, W, 3) uint8 image with smooth and sharp parts."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 17 + c) * np.cos(y / (11 + 3 * c)) for c in range(3)], -1)
    blocks = rng.integers(-60, 60, (height // 16 + 1, width // 16 + 1, 3)).repeat(16, 0).repeat(16, 1)[:height, :width]
    return (128 + 60 * waves + blocks + rng.normal(0, 5, (height, width, 3))).clip(0, 255).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class Prompted:
    """Prompts of one object in data pixels: (y, x) points, a (y0, x0, y1, x1) box, logits of an earlier answer."""

    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask: np.ndarray | None = None

    def for_reference(self) -> dict[str, Any]:
        """Arguments of ``SamPredictor.predict``, whose points are (x, y)."""
        arguments: dict[str, Any] = {}
        if self.points:
            arguments["point_coords"] = np.array(self.points)[:, ::-1]
            arguments["point_labels"] = np.array(self.labels)
        if self.box is not None:
            arguments["box"] = np.array(self.box)[[1, 0, 3, 2]]
        if self.mask is not None:
            arguments["mask_input"] = self.mask[None]
        return arguments

    def for_ours(self, frame: Frame) -> PromptTensors:
        points = torch.from_numpy(frame.to_model(np.reshape(self.points, (1, -1, 2))))
        boxes = None if self.box is None else torch.from_numpy(frame.to_model(np.reshape(self.box, (2, 2)))).view(1, 4)
        masks = None if self.mask is None else torch.from_numpy(self.mask)[None, None]
        return PromptTensors(points, torch.tensor([self.labels], dtype=torch.long).view(1, -1), boxes, masks)


def predict_ours(
    model: Sam, features: Features, frame: Frame, prompted: Prompted, *, multimask: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What ``SamPredictor.predict(..., return_logits=True)`` gives, from our parts."""
    decoded = model.decode(features, prompted.for_ours(frame), frame, multimask=multimask)
    full = model.upscale(decoded.logits, frame)
    return full[0].numpy(), decoded.scores[0].numpy(), decoded.logits[0].numpy()


def largest_difference(one: torch.Tensor | np.ndarray, two: torch.Tensor | np.ndarray) -> float:
    """Largest absolute difference of two arrays of equal shape, which must not be all but constant."""
    one, two = torch.as_tensor(one), torch.as_tensor(two)
    assert one.shape == two.shape
    assert one.std() > 0.1, "the comparison shows nothing: the reference is almost constant"
    return (one - two).abs().max().item()


TINY = ViTConfig(width=32, depth=2, heads=2, global_blocks=(1,), mlp_width=48, window=3)
"""A ViT of a few kilobytes; on a canvas of 128 pixels its grid of 8 x 8 is no multiple of its windows."""


def tiny_sam(seed: int = 0, *, high_quality: bool = False, mobile: bool = False) -> Sam:
    """A whole SAM of a few hundred kilobytes on a canvas of 128 pixels, with random weights."""
    encoder = MOBILE.encoder if mobile else TINY
    model = Sam(SamConfig(encoder, side=128, channels=32, high_quality=high_quality))
    randomise(model, seed).requires_grad_(requires_grad=False)
    return model
