"""The shipped weights: are they those of the card, and do they answer as on the day they were made?

When new weights are shipped, write their answers anew with ``python tests/model/test_bundled_weights.py``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

import napari_sam
from napari_sam.prompts import BoxPrompt, MaskPrompt, PointPrompt

WEIGHTS = Path(napari_sam.__file__).parent / "weights"
GOLDEN = Path(__file__).with_name("bundled_golden.npz")
DISCS = {"one": (60, 70, 30), "two": (120, 190, 45)}  # y, x, radius


def scene() -> np.ndarray:
    """Two uneven discs on an uneven ground, without chance."""
    y, x = np.mgrid[:192, :256].astype(float)
    image = 40 + 10 * np.sin(x / 9) * np.cos(y / 13)
    for cy, cx, radius in DISCS.values():
        inside = np.hypot(y - cy, x - cx) < radius
        image[inside] = (150 + 15 * np.sin(x / 3) + 0.2 * y)[inside]
    return image.astype(np.uint8)


def disc(name: str) -> np.ndarray:
    cy, cx, radius = DISCS[name]
    y, x = np.mgrid[:192, :256]
    return np.hypot(y - cy, x - cx) < radius


def answers(predictor) -> dict[str, np.ndarray]:
    """Logits, every third, and scores for a click, a box, and a correction of the click's answer."""
    embedding = predictor.embed(scene())
    click = predictor.predict(embedding, [PointPrompt((60, 70))])
    told = [PointPrompt((60, 70)), PointPrompt((100, 100), positive=False), MaskPrompt(click.logits[0])]
    found = {
        "click": click,
        "box": predictor.predict(embedding, [BoxPrompt((75, 145), (165, 235))]),
        "correction": predictor.predict(embedding, told),
    }
    parts = {f"{name} logits": answer.logits[:, ::3, ::3] for name, answer in found.items()}
    return parts | {f"{name} scores": answer.scores for name, answer in found.items()}


def intersection_over_union(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.fixture(scope="module")
def predictor():
    return napari_sam.load_predictor("bundled", device="cpu")


@pytest.fixture(scope="module")
def card() -> dict:
    return json.loads((WEIGHTS / "bundled.json").read_text())


def digest() -> str:
    return hashlib.sha256((WEIGHTS / "bundled.safetensors").read_bytes()).hexdigest()


def test_the_card_describes_the_file(card):
    assert card["sha256"] == digest()
    assert card["bytes"] == (WEIGHTS / "bundled.safetensors").stat().st_size <= 30_000_000
    with safe_open(WEIGHTS / "bundled.safetensors", "np") as file:
        assert file.metadata()["architecture"] == card["architecture"] == "compact"
        assert json.loads(file.metadata()["config"]) == card["config"]
        tensors = [file.get_tensor(name) for name in file.keys()]
    assert sum(tensor.size for tensor in tensors) == card["parameters"]
    assert all(tensor.dtype == np.float16 and np.isfinite(tensor).all() for tensor in tensors)


def test_the_card_says_what_people_ask(card):
    for data in card["data"]:
        # An archive of images of many kinds names the licence of each.
        for one in data.get("sets", [data]):
            assert one["licence"] and one["source"]
            assert one.get("name") or (one["set"] and one["attribution"])
    assert card["limits"]
    assert card["training"]["steps"] > 0
    assert {"1 click", "5 clicks", "box"} <= set(card["validation"]["metrics"]["all"])


def test_answers_are_those_of_the_day_the_weights_were_made(predictor):
    golden = np.load(GOLDEN)
    assert str(golden["sha256"]) == digest(), "new weights: run this file as a script to write their answers"
    for name, found in answers(predictor).items():
        np.testing.assert_allclose(found, golden[name], atol=1e-3, rtol=1e-3, err_msg=name)


@pytest.mark.parametrize("name", DISCS)
@pytest.mark.parametrize("kind", ["click", "box"])
def test_plain_discs_are_found(predictor, name, kind):
    cy, cx, radius = DISCS[name]
    click, box = PointPrompt((cy, cx)), BoxPrompt((cy - radius, cx - radius), (cy + radius, cx + radius))
    prediction = predictor.predict(predictor.embed(scene()), [click if kind == "click" else box])
    assert intersection_over_union(prediction.masks[0], disc(name)) > 0.85


def test_very_dark_planes_are_seen(predictor):
    dark = (scene() // 12).astype(np.uint8)
    embedding = predictor.embed(dark, contrast_limits=(0, 255))
    prediction = predictor.predict(embedding, [BoxPrompt((30, 40), (90, 100))])
    assert intersection_over_union(prediction.masks[0], disc("one")) > 0.8


if __name__ == "__main__":
    np.savez_compressed(GOLDEN, sha256=digest(), **answers(napari_sam.load_predictor("bundled", device="cpu")))
