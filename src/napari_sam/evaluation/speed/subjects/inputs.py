"""What all contenders are given: images, and random weights in the layout that the authors publish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from napari_sam.automatic import GridSettings
from napari_sam.evaluation.speed.grid_points import grid_points
from napari_sam.evaluation.speed.subjects.arithmetic import SHAPES
from napari_sam.model.sam.sam import Sam
from napari_sam.predictor import Predictor
from napari_sam.prompts import PointPrompt
from napari_sam.samples import brightfield

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_GAIN = 2000
"""What makes logits of random weights as large as those of real ones."""
_ASKED, _PASSING = 4, 1 / 3  # points a side that are tried; the share of masks that are good
_CLASSES = 1000  # of the head of TinyViT's pretraining: nothing reads it, but the authors' code wants it in the file


def sample(side: int) -> NDArray[np.uint8]:
    """Give a sample image in some size, (side, side, 3) uint8."""
    [(pixels, _options, _kind)] = brightfield()
    scaled = Image.fromarray(np.asarray(pixels)).resize((side, side), Image.Resampling.BICUBIC)
    return np.repeat(np.array(scaled)[..., None], 3, axis=2)


def write_images(folder: Path, sides: Sequence[int]) -> None:
    """Write the sample image in these sizes."""
    for side in sides:
        np.save(folder / f"{side}.npy", sample(side))


def write_weights(folder: Path, family: str) -> None:
    """Write random weights of a family; nothing where its weights are real."""
    if family not in SHAPES:
        return
    torch.manual_seed(0)
    model = Sam(SHAPES[family]).requires_grad_(requires_grad=False)
    for name, weight in model.named_parameters():
        # Zero at first: whoever skipped them would be quicker than with real weights.
        if "rel_pos" in name or "pos_embed" in name or "attention_biases" in name:
            weight.normal_(std=0.2)
    _smooth(model.mask_decoder)
    _calibrate(model.eval())
    weights = model.state_dict()
    if family == "mobile_sam":
        width = weights["image_encoder.neck.0.weight"].shape[1]
        weights["image_encoder.norm_head.weight"] = torch.ones(width)
        weights["image_encoder.norm_head.bias"] = torch.zeros(width)
        weights["image_encoder.head.weight"] = torch.zeros(_CLASSES, width)
        weights["image_encoder.head.bias"] = torch.zeros(_CLASSES)
    torch.save(weights, folder / f"{family}.pth")


def _smooth(decoder: Any) -> None:
    """Bend a decoder until masks are smooth and small: noise would take run lengths longer than masks do."""
    for layer in decoder.transformer.layers:
        attention = layer.cross_attn_image_to_token
        attention.k_proj.weight.copy_(4 * attention.q_proj.weight)
        attention.out_proj.weight.mul_(20)
    for convolution in (decoder.output_upscaling[0], decoder.output_upscaling[3]):
        convolution.weight.copy_(convolution.weight.mean((2, 3), keepdim=True).expand_as(convolution.weight))
    for network in decoder.output_hypernetworks_mlps:
        network.layers[-1].weight.mul_(_GAIN)
        network.layers[-1].bias.mul_(_GAIN)
    decoder.iou_prediction_head.layers[-1].weight.mul_(10)


def _calibrate(model: Sam) -> None:
    """Let a share of the masks pass the threshold that everything mode has by default, as with real weights."""
    image = sample(model.config.side)
    predictor = Predictor(model, "random")
    prompts = [[PointPrompt(point)] for point in grid_points((image.shape[0], image.shape[1]), _ASKED)]
    found = predictor.predict_many(predictor.embed(image), prompts, multimask=True)
    scores = np.concatenate([one.scores for one in found])
    shift = GridSettings().least_score - float(np.quantile(scores, 1 - _PASSING))
    head: Any = model.mask_decoder.iou_prediction_head
    head.layers[-1].bias.add_(shift)
