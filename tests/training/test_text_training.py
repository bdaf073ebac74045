"""A model learns words: two discs, red and blue, whose colour is all that tells which is meant."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from colour_clip import COLOURS, ColourClip, two_discs
from safetensors.torch import load_file, save_file
from tiny import SHORT, TINY, log, write_weights

from napari_sam import PointPrompt, load_predictor
from napari_sam.checkpoints.loading import load_checkpoint
from napari_sam.errors import Cancelled, InputError
from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.masks import iou
from napari_sam.model.compact.model import CompactSam
from napari_sam.model.sam.sam import MOBILE, Sam
from napari_sam.model.text_projection import METADATA, ClipSpace
from napari_sam.text.encoder import load_encoder
from napari_sam.text.prompting import text_prompt
from napari_sam.training.loop import CHECKPOINT
from napari_sam.training.networks.base import read_base
from napari_sam.training.text.embeddings import ClipModelToUse
from napari_sam.training.text.export import CARD, WEIGHTS, export_words
from napari_sam.training.text.images import TextData
from napari_sam.training.text.train import TextConfig, resumed, train_text
from napari_sam.training.text.trainable import TrainableText
from sam_reference import tiny_sam
from tiny_clip import clip_folder  # noqa: F401  # fixture

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam.text.encoder import TextImageEncoder

SIDE = 64
IMAGES = tuple(two_discs(seed, SIDE) for seed in range(24))
HELD_OUT = tuple(two_discs(seed, SIDE) for seed in range(100, 106))
DATA = TextData(IMAGES, HELD_OUT, {}, [])
FEW = TextData(IMAGES[:3], HELD_OUT[:1], {}, [])
COMPACT = {"architecture": "compact", "config": TINY.to_json()}
SCHEDULE = replace(
    SHORT,
    images=8,
    objects=2,
    sides=(SIDE,),
    backbone_share=1.0,
    extra_rounds=0,
    warmup=5,
    ema=0.95,
    weight_decay=0.0,
    clip=2.0,
)
SHORTEST = TextConfig("projection", replace(SHORT, steps=4, images=1, sides=(SIDE,), log_every=100))


def train(folder: Path, base: Path, config: TextConfig, data: TextData = DATA, clip=None, **more) -> Path:
    """Train in a folder, with a stand-in for CLIP."""
    clip = clip or ColourClip()
    return train_text(config, read_base(base), data, ClipModelToUse(clip.clip, "", lambda: clip), folder, **more)


def chosen(weights: Path, clip) -> np.ndarray:
    """IoU with the disc that was named, and with the other one, (objects, 2)."""
    predictor = load_predictor(weights, "cpu")
    found = []
    for image in HELD_OUT:
        embedding = predictor.embed(image.image)
        for label, name in enumerate(COLOURS, 1):
            [mask] = predictor.predict(embedding, [text_prompt(clip, name)]).masks
            found.append((iou(mask, image.labels == label), iou(mask, image.labels == 3 - label)))
    return np.array(found)


def without_words(weights: Path, path: Path) -> Path:
    """Take the projection off a model."""
    state = {key: value for key, value in load_file(weights).items() if "text_projection" not in key}
    save_file(state, path, COMPACT)
    return path


@pytest.fixture(scope="module")
def random_base(tmp_path_factory) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return write_weights(tmp_path_factory.mktemp("base") / "base.safetensors")


@pytest.fixture(scope="module")
def tiny(clip_folder) -> TextImageEncoder:  # noqa: F811
    """A model of open_clip, whose pictures and words do not lie in one place."""
    return load_encoder(str(clip_folder), "cpu", offline=True)


@pytest.fixture(scope="module")
def together(tmp_path_factory, random_base, tiny) -> Path:
    """A run that trained everything, from random weights."""
    folder = tmp_path_factory.mktemp("together")
    # After 80 steps, how good it is hangs on how the machine rounds; after these, it does not.
    config = TextConfig("all", replace(SCHEDULE, steps=140, learning_rate=8e-3, warmup=10, log_every=10))
    train(folder, random_base, config, clip=tiny)
    return folder


@pytest.fixture(scope="module")
def projection(tmp_path_factory, together) -> tuple[Path, Path]:
    """A run that trained a new projection for that model, and the model without words."""
    folder = tmp_path_factory.mktemp("projection")
    base = without_words(together / WEIGHTS, folder / "base.safetensors")
    config = TextConfig("projection", replace(SCHEDULE, steps=24, learning_rate=2e-2, log_every=1))
    train(folder / "run", base, config)
    return folder / "run", base


@pytest.fixture(params=["together", "projection"])
def run(request, together, projection, tiny) -> tuple[Path, object]:
    """A run, and the CLIP model that it learnt from."""
    return (together, tiny) if request.param == "together" else (projection[0], ColourClip())


class TestLearning:
    def test_the_loss_falls(self, run):
        lines = log(run[0])
        end = {name: np.mean([line[name] for line in lines[-4:]]) for name in ("first", "words")}
        assert end["first"] < 0.8 * lines[0]["first"], lines
        assert end["words"] > lines[0]["words"] + 0.1, lines

    def test_words_choose_the_right_one_of_two(self, run):
        folder, clip = run
        named, other = chosen(folder / WEIGHTS, clip).T
        assert (named > other).mean() > 0.9
        assert named.mean() > 0.7

    def test_the_card_says_how_good_it_is_and_where_it_is_from(self, run):
        folder, clip = run
        card = json.loads((folder / CARD).read_text())
        metrics = card["validation"]["metrics"]
        assert metrics["objects"] == 12
        assert metrics["words"] == pytest.approx(chosen(folder / WEIGHTS, clip)[:, 0].mean(), abs=0.05)
        assert metrics["words and a click"] > 0.6
        assert (card["clip"]["model"], card["clip"]["source"]) == (clip.clip, "")
        assert card["training"]["steps"] in (24, 140)
        assert card["training"]["objects_seen_by_clip"] == 48

    def test_with_the_rest_frozen_nothing_else_changes(self, projection):
        run, base = projection
        before, after = load_file(base), load_file(run / WEIGHTS)
        assert {key for key in after if "text_projection" not in key} == set(before)
        assert all(torch.equal(after[key], weights) for key, weights in before.items())

    def test_together_everything_changes(self, together, random_base):
        before, after = load_file(random_base), load_file(together / WEIGHTS)
        moved = {key.partition(".")[0] for key in before if not torch.equal(before[key], after[key])}
        assert {"encoder", "decoder"} <= moved
        assert all(weights.dtype == torch.float16 for key, weights in after.items() if "text_projection" not in key)

    def test_clicks_are_not_forgotten_by_a_model_that_learns_together(self, together):
        predictor = load_predictor(together / WEIGHTS, "cpu")
        found = []
        for image in HELD_OUT:
            embedding = predictor.embed(image.image)
            for label in (1, 2):
                y, x = np.argwhere(image.labels == label).mean(0)
                [mask] = predictor.predict(embedding, [PointPrompt((y, x))], multimask=False).masks
                found.append(iou(mask, image.labels == label))
        assert np.mean(found) > 0.7


class TestRuns:
    def test_a_run_that_was_cut_goes_on_as_if_it_had_not_been(self, tmp_path, random_base):
        said = []

        def cut(_fraction: float) -> None:
            if said[-1].startswith("step 2 "):
                raise Cancelled

        whole = train(tmp_path / "whole", random_base, SHORTEST, FEW)
        with pytest.raises(Cancelled):
            train(tmp_path / "cut", random_base, SHORTEST, FEW, progress=cut, tell=said.append)
        assert resumed(tmp_path / "cut") == SHORTEST.training
        clip = ColourClip()
        again = train(tmp_path / "cut", random_base, SHORTEST, FEW, clip)
        assert clip.shown == 0  # what was seen before the cut is not shown again
        one, other = load_file(whole), load_file(again)
        assert all(torch.equal(weights, other[key]) for key, weights in one.items())
        assert resumed(tmp_path / "none") is None

    @pytest.mark.parametrize("change", ["trained", "clip", "base"])
    def test_another_run_in_the_same_folder_is_refused(self, tmp_path, random_base, change):
        train(tmp_path / "run", random_base, SHORTEST, FEW)
        clip, config, base = ColourClip(), SHORTEST, random_base
        if change == "trained":
            config = replace(SHORTEST, trained="decoder")
        elif change == "clip":
            clip.clip = "other"
        else:
            base = write_weights(tmp_path / "other.safetensors")
        with pytest.raises(InputError, match="holds a run with another model, CLIP model or --train"):
            train(tmp_path / "run", base, config, FEW, clip)

    def test_the_best_of_the_checks_is_exported(self, tmp_path, random_base):
        config = replace(SHORTEST, training=replace(SHORTEST.training, steps=1, check_every=0))
        train(tmp_path, random_base, config, FEW)
        first = load_file(tmp_path / WEIGHTS)
        best = torch.load(tmp_path / "best.pt", weights_only=True)
        best["average"] = {key: torch.zeros_like(value) for key, value in best["average"].items()}
        torch.save(best | {"score": 2.0}, tmp_path / "best.pt")
        again = load_file(train(tmp_path, random_base, config, FEW))
        assert not again["decoder.text_projection.project.weight"].any()
        assert first["decoder.text_projection.project.weight"].any()

    def test_a_damaged_checkpoint_is_told(self, tmp_path):
        (tmp_path / CHECKPOINT).write_bytes(b"nothing")
        with pytest.raises(InputError, match="not a checkpoint of a run, or damaged"):
            resumed(tmp_path)

    def test_without_images_to_hold_out_there_are_no_measures(self, tmp_path, random_base):
        weights = train(tmp_path, random_base, SHORTEST, TextData(IMAGES[:2], (), {}, []))
        assert json.loads((tmp_path / CARD).read_text())["validation"]["metrics"] == {}
        assert load_predictor(weights, "cpu").has_text_prompt


class TestMistakes:
    def test_objects_that_are_too_small(self, tmp_path, random_base):
        config = replace(SHORTEST, crops=replace(SHORTEST.crops, least_area=4000))
        with pytest.raises(InputError, match="No object covers 4000 pixels or more"):
            train(tmp_path, random_base, config, FEW)

    def test_large_objects_among_the_held_out_alone(self, tmp_path, random_base):
        small = LabelledImage("a", "discs", IMAGES[0].image, np.eye(SIDE, dtype=np.uint16))
        with pytest.raises(InputError, match="No object of the images to train on"):
            train(tmp_path, random_base, SHORTEST, TextData((small,), HELD_OUT[:1], {}, []))

    def test_a_model_that_takes_words_of_another_clip_model(self, tmp_path, projection):
        clip = ColourClip()
        clip.clip = "other"
        with pytest.raises(InputError, match="takes words of colours already"):
            train(tmp_path, projection[0] / WEIGHTS, SHORTEST, FEW, clip)

    def test_a_model_that_takes_words_can_learn_more(self, tmp_path, projection):
        before = load_file(projection[0] / WEIGHTS)
        slow = replace(SHORTEST, training=replace(SHORTEST.training, learning_rate=1e-6, weight_decay=0.0))
        after = load_file(train(tmp_path, projection[0] / WEIGHTS, slow, FEW))
        assert before.keys() == after.keys()
        for key, weights in before.items():
            torch.testing.assert_close(after[key], weights, atol=1e-4, rtol=0)

    def test_boxes_alone_cannot_be_corrected(self, tmp_path, monkeypatch, random_base):
        monkeypatch.setattr(CompactSam, "prompt_kinds", frozenset({"box"}))
        with pytest.raises(InputError, match=r"base\.safetensors takes boxes only"):
            read_base(random_base)


class TestSam:
    @pytest.fixture
    def base(self, tmp_path) -> Path:
        torch.save(tiny_sam().state_dict(), tmp_path / "sam.pth")
        return tmp_path / "sam.pth"

    @pytest.mark.parametrize("trained", ["projection", "decoder", "all"])
    def test_what_learns_is_what_was_asked_for(self, tmp_path, base, trained):
        config = TextConfig(trained, replace(SHORT, steps=3, images=2, sides=(128,), learning_rate=1e-2))
        weights = train(tmp_path / trained, base, config, FEW)
        before, after = tiny_sam().state_dict(), load_file(weights)
        moved = {key.partition(".")[0] for key, value in before.items() if not torch.equal(value, after[key])}
        parts = {"projection": set(), "decoder": {"prompt_encoder", "mask_decoder"}}
        assert moved == parts.get(trained, {"prompt_encoder", "mask_decoder", "image_encoder"})
        assert {key for key in after if key not in before} == {
            f"prompt_encoder.text_projection.{key}" for key in ("project.weight", "project.bias", "kind.weight")
        }
        predictor = load_predictor(weights, "cpu")
        answer = predictor.predict(predictor.embed(IMAGES[0].image), [text_prompt(ColourClip(), "red")])
        assert answer.masks.shape == (1, SIDE, SIDE)
        assert METADATA not in before

    def test_mobile_sam_keeps_its_names_and_its_encoder(self, tmp_path):
        state = Sam(MOBILE).state_dict()
        torch.save(state, tmp_path / "mobile.pth")
        with pytest.raises(InputError, match="encoder of MobileSAM cannot be trained"):
            train(tmp_path / "all", tmp_path / "mobile.pth", replace(SHORTEST, trained="all"), FEW)
        base, space = read_base(tmp_path / "mobile.pth"), ClipSpace("colours", "", 8)
        learnt = TrainableText(base, space, "decoder").network.state_dict()
        loaded = load_checkpoint(export_words(base, learnt, space, "decoder", tmp_path, {}))
        assert (loaded.architecture, loaded.model.text_space) == ("mobile_sam", space)
        assert load_file(tmp_path / WEIGHTS).keys() > state.keys() - {"image_encoder.norm_head.weight"}
