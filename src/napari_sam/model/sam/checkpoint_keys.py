"""Recognise a SAM checkpoint by its keys, whoever saved it, and bring it to the layout of the published ones.

Nothing here opens files. A new layout is a prefix, a wrapper or a table of names below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

import torch
from torch import Tensor

from napari_sam.errors import WeightsError
from napari_sam.files import printable
from napari_sam.model.encoders.vit import ViTConfig
from napari_sam.model.sam.sam import LITE_MEDSAM, MOBILE, VIT_B, VIT_H, VIT_L, SamConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

LITE = "lite_medsam"
"""Name of LiteMedSAM's architecture."""

LOADABLE = (
    "Segment Anything (ViT-B, L, H), MobileSAM, TinySAM, SAM-HQ, MedSAM, LiteMedSAM, micro-sam and SlimSAM "
    "checkpoints, in their own layout or that of Hugging Face, as .pth, .pt or .safetensors"
)
"""What loads, in words, for messages."""

_WRAPPERS = ("model_state", "model", "state_dict")
"""Entries under which trainers keep the weights: micro-sam's joint checkpoints, MedSAM's training, Lightning."""

_DEEPEST = 8  # wrappers around wrappers; a forged file may wrap itself

_UNUSED = re.compile(
    r"^image_encoder\.(norm_head|head)\."  # TinyViT's classifier
    r"|\.attention_bias_idxs$|\.attn\.ab$"  # tables that follow from the others
    r"|^pixel_(mean|std)$|^shared_image_embedding\."
)

_HUGGING_FACE = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^vision_encoder\.patch_embed\.projection\.", "image_encoder.patch_embed.proj."),
        (r"^vision_encoder\.neck\.conv1\.", "image_encoder.neck.0."),
        (r"^vision_encoder\.neck\.layer_norm1\.", "image_encoder.neck.1."),
        (r"^vision_encoder\.neck\.conv2\.", "image_encoder.neck.2."),
        (r"^vision_encoder\.neck\.layer_norm2\.", "image_encoder.neck.3."),
        (r"^vision_encoder\.layers\.", "image_encoder.blocks."),
        (r"^vision_encoder\.", "image_encoder."),
        (r"^prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
        (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "prompt_encoder.mask_downscaling.1."),
        (r"^prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
        (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "prompt_encoder.mask_downscaling.4."),
        (r"^prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
        (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
        # One tensor under two names; a file may hold either or both.
        (
            r"^(prompt_encoder\.shared_embedding|shared_image_embedding)\.positional_embedding$",
            "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
        ),
        (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
        (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
        (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
        (r"\.layer_norm(\d|_final_attn)\.", r".norm\1."),
        (r"(_mlps\.\d|_head)\.layers\.0\.", r"\1.layers.1."),
        (r"\.proj_in\.", ".layers.0."),
        (r"\.proj_out\.", ".layers.2."),
    )
)

# Sizes of a SAM with a ViT, at most; the largest published has half of them.
_MOST_OF_VIT = {"width": 2048, "depth": 64, "heads": 64, "mlp_width": 8192, "window": 128, "patch": 64}
_MOST_OF_SAM = {"side": 2048, "channels": 1024}

_NAMES = {VIT_B.encoder: "vit_b", VIT_L.encoder: "vit_l", VIT_H.encoder: "vit_h"}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A recognised checkpoint.

    Attributes
    ----------
    config : SamConfig
        Shape of the model that it fits.
    architecture : str
        Name of that shape: "sam_vit_b", "mobile_sam", "sam_hq_vit_l", ...; "sam_vit" for a ViT of other size.
    state : dict of str to Tensor
        Weights under the published names.
    notes : tuple of str
        What a person should know about it, in sentences.
    decoder : dict of str to Tensor
        What may be micro-sam's decoder of instances, under its own names; empty where there is none.
    """

    config: SamConfig
    architecture: str
    state: dict[str, Tensor]
    notes: tuple[str, ...]
    decoder: dict[str, Tensor]


def recognise(contents: object) -> Checkpoint:
    """Find out what a checkpoint is.

    Parameters
    ----------
    contents : object
        What was in the file: tensors by name, perhaps wrapped, perhaps with a prefix.

    Returns
    -------
    Checkpoint

    Raises
    ------
    WeightsError
        If it is none of `LOADABLE`, or if parts are missing.
    """
    weights, decoder = _unwrap(contents)
    notes: tuple[str, ...] = ()
    state = _without_prefix(weights)
    if any(key.startswith("vision_encoder.") for key in state):
        state = {_published_name(key): value for key, value in state.items()}
    state = {key: value for key, value in state.items() if not _UNUSED.search(key)}
    high_quality = "mask_decoder.hf_token.weight" in state
    if high_quality:
        notes += ("SAM-HQ: with several candidates, only the best one is refined.",)
    if _first_kernel(state) == 1:
        return Checkpoint(LITE_MEDSAM, LITE, state, notes, decoder)
    if "image_encoder.layers.0.blocks.0.conv1.c.weight" in state:
        config = SamConfig(MOBILE.encoder, high_quality=high_quality)
        return Checkpoint(config, "sam_hq_vit_tiny" if high_quality else "mobile_sam", state, notes, decoder)
    if "image_encoder.blocks.0.attn.qkv.weight" in state:
        config = _vit_config(state, high_quality=high_quality)
        family = "sam_hq" if high_quality else "sam"
        return Checkpoint(config, f"{family}_{_NAMES.get(config.encoder, 'vit')}", state, notes, decoder)
    raise _unknown(state)


def _first_kernel(state: Mapping[str, Tensor]) -> int:
    """Return the side of a TinyViT's first kernel, by which LiteMedSAM is told from MobileSAM; 0 without one."""
    first = state.get("image_encoder.patch_embed.seq.0.c.weight")
    return first.shape[-1] if first is not None and first.ndim == 4 else 0


def decoder_weights(contents: object) -> dict[str, Tensor]:
    """Take the tensors out of a file that holds micro-sam's decoder of instances alone; empty where there are none."""
    if not isinstance(contents, Mapping):
        return {}
    beside = contents.get("decoder_state")
    return _plain(beside if isinstance(beside, Mapping) else contents)


def require_match(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Check that a state has the names, shapes and kinds of numbers that a model expects.

    Parameters
    ----------
    state : mapping of str to Tensor
        From the checkpoint.
    expected : mapping of str to Tensor
        From the model.

    Raises
    ------
    WeightsError
        Naming a few of the weights that are missing, unknown or of another shape.
    """
    if found := mismatch(state, expected):
        raise WeightsError(
            f"The checkpoint looks like a SAM but does not fit one: weights {found}. What loads: {LOADABLE}."
        )


def mismatch(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """Say how names, shapes and kinds of numbers of a state differ from what a model expects; "" if they do not.

    Parameters
    ----------
    state, expected
        As `require_match` takes them.
    """
    both = [key for key in state if key in expected]
    faults = {
        "missing": [key for key in expected if key not in state],
        "unknown": [key for key in state if key not in expected],
        "of another shape": [key for key in both if state[key].shape != expected[key].shape],
        "of another type": [key for key in both if state[key].is_floating_point() != expected[key].is_floating_point()],
    }
    return ", ".join(f"{len(keys)} {what} ({_some(keys)})" for what, keys in faults.items() if keys)


def _unwrap(contents: object) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Take the tensors out of a checkpoint, and those of micro-sam's decoder that may lie beside them."""
    decoder: dict[str, Tensor] = {}
    for _ in range(_DEEPEST):
        if not isinstance(contents, Mapping):
            raise WeightsError(
                f"The file holds a {type(contents).__name__}, not weights by name. What loads: {LOADABLE}."
            )
        if isinstance(beside := contents.get("decoder_state"), Mapping):
            decoder = _plain(beside)
        inner = next((contents[name] for name in _WRAPPERS if isinstance(contents.get(name), Mapping)), None)
        if inner is None:
            return _plain(contents), decoder
        contents = inner
    raise _unknown(())


def _plain(contents: Mapping[object, object]) -> dict[str, Tensor]:
    """Leave out what is no tensor by name."""
    return {key: value for key, value in contents.items() if isinstance(key, str) and _is_plain(value)}


def _is_plain(value: object) -> TypeGuard[Tensor]:
    """Whether a value is a tensor whose numbers lie in memory as they are: not sparse, nested or quantised."""
    return (
        isinstance(value, Tensor) and not value.is_nested and value.layout is torch.strided and not value.is_quantized
    )


def _without_prefix(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Strip what wrappers put before the encoder's names ("sam.", "module.", "model.") and drop other modules."""
    for key in weights:
        if match := re.match(r"(.*?)\b(image_encoder|vision_encoder)\.", key):
            prefix = match[1]
            return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
    raise _unknown(weights)


def _published_name(key: str) -> str:
    """Translate a name of Hugging Face's SamModel."""
    for pattern, name in _HUGGING_FACE:
        key = pattern.sub(name, key)
    return key


def _vit_config(state: Mapping[str, Tensor], *, high_quality: bool) -> SamConfig:
    """Read the shape of a ViT, pruned ones included, off the shapes of its weights."""
    names = (re.match(r"image_encoder\.blocks\.(\d{1,4})\.", key) for key in state)
    blocks = 1 + max(int(match[1]) for match in names if match)
    try:
        width, _, patch, _ = state["image_encoder.patch_embed.proj.weight"].shape
        grid = state["image_encoder.pos_embed"].shape[1]
        tables = [state[f"image_encoder.blocks.{index}.attn.rel_pos_h"].shape for index in range(blocks)]
        mlp_width = len(state["image_encoder.blocks.0.mlp.lin1.weight"])
        channels = len(state["image_encoder.neck.0.weight"])
        lengths = [length for length, _ in tables]
        heads, rest = divmod(width, tables[0][1])
    except KeyError as error:
        raise WeightsError(
            f"The checkpoint is incomplete: {error} is missing. Download it again, or export it with all its weights."
        ) from error
    except (ValueError, TypeError, IndexError, ZeroDivisionError) as error:  # other numbers of axes, or empty ones
        raise _no_sam("shapes") from error
    windows = {(length + 1) // 2 for length in lengths} - {grid}
    global_blocks = tuple(index for index, length in enumerate(lengths) if length == 2 * grid - 1)
    if not global_blocks or len(windows) > 1:
        raise _no_sam(f"attention windows ({sorted(windows)[:5]} on a grid of {grid})")
    encoder = ViTConfig(
        width=width,
        depth=blocks,
        heads=heads,
        global_blocks=global_blocks,
        mlp_width=mlp_width,
        window=windows.pop() if windows else grid,
        patch=patch,
    )
    config = SamConfig(encoder, side=grid * patch, channels=channels, high_quality=high_quality)
    _require_sizes(config, encoder, rest)
    return config


def _require_sizes(config: SamConfig, encoder: ViTConfig, rest: int) -> None:
    """Refuse sizes that no SAM has, before a model of that size is made; `rest` is what heads leave of the width."""
    for part, limits in ((encoder, _MOST_OF_VIT), (config, _MOST_OF_SAM)):
        for name, most in limits.items():
            if not 1 <= (size := getattr(part, name)) <= most:
                raise _no_sam(f"sizes ({name} {size})")
    if rest or config.channels % 16:  # the decoder has 8 heads, on half the channels
        raise _no_sam("widths")


def _no_sam(what: str) -> WeightsError:
    return WeightsError(f"The {what} of this checkpoint are not those of a SAM. What loads: {LOADABLE}.")


def _unknown(keys: Iterable[str]) -> WeightsError:
    found = list(keys)
    what = f"Its {len(found)} weights are named like {_some(found)}" if found else "It holds no weights by name"
    return WeightsError(f"This is no checkpoint of a known layout. {what}. What loads: {LOADABLE}.")


def _some(keys: list[str]) -> str:
    return ", ".join(map(printable, keys[:3])) + (", ..." if len(keys) > 3 else "")
