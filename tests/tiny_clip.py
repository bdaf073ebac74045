"""A CLIP model of open_clip that is small enough to be trained in seconds: it knows three colours, grey and white.

Import its fixtures into a conftest.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

if TYPE_CHECKING:
    from pathlib import Path

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 200, 30),
    "blue": (30, 30, 220),
    "background": (110, 110, 110),
    "blur": (220, 220, 220),
}
SIDE = 32
CONFIG = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {"image_size": SIDE, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}


def coloured_pictures(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Make squares with a disc of one of the colours on grey ground, bright or dark, and which colour it is."""
    kinds = rng.integers(len(COLOURS), size=count)
    colours = np.array(list(COLOURS.values()), dtype=float)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    pictures = np.empty((count, SIDE, SIDE, 3), np.float32)
    for picture, kind in zip(pictures, kinds, strict=True):
        disc = np.hypot(y, x) < rng.uniform(7, 14)
        picture[:] = rng.uniform(30, 120)
        picture[disc] = colours[kind]
        picture += rng.normal(0, 8, picture.shape)
    return pictures.clip(0, 255).astype(np.uint8), kinds


def write_clip_folder(folder: Path, model: torch.nn.Module, config: dict = CONFIG) -> Path:
    """Write what `napari-sam models download` would."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: value.contiguous() for key, value in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the trained model; nobody changes it."""
    import open_clip

    from napari_sam.text.query import TEMPLATES

    with torch.random.fork_rng():
        torch.manual_seed(0)
        rng = np.random.default_rng(0)
        model = open_clip.CLIP(**json.loads(json.dumps(CONFIG["model_cfg"])))
        tokens = open_clip.get_tokenizer("ViT-B-32")(
            [template.format(name) for template in TEMPLATES for name in COLOURS], context_length=16
        )
        # The many words that are never used would cost most of the time.
        torch.nn.init.normal_(model.token_embedding.weight.requires_grad_(False), std=0.5)
        optimizer = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad], 1e-3)
        for _step in range(90):
            pictures, kinds = coloured_pictures(rng, 32)
            seen = model.encode_image(torch.from_numpy(pictures).movedim(-1, 1) / 127.5 - 1, normalize=True)
            read = model.encode_text(tokens, normalize=True).reshape(len(TEMPLATES), len(COLOURS), -1)
            logits = 20 * torch.einsum("nd,tkd->tnk", seen, read).flatten(0, 1)
            loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(kinds).repeat(len(TEMPLATES)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            model.logit_scale.fill_(float(np.log(20)))
    return write_clip_folder(tmp_path_factory.mktemp("clip") / "tiny", model)
