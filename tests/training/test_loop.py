from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from labelled_squares import squares, squares_source, write_archive
from tiny import SHORT, TINY, log, tiny_model

from napari_sam import load_predictor
from napari_sam.errors import Cancelled, InputError
from napari_sam.prompts import BoxPrompt
from napari_sam.training.bundled import train
from napari_sam.training.bundled.dataset import read_data
from napari_sam.training.bundled.train import CARD, BundledConfig, export, train_bundled
from napari_sam.training.loop import CHECKPOINT, Trainer, TrainingConfig
from napari_sam.training.synthetic.holdout_scenes import draw_unseen


def trainer(folder, config: TrainingConfig = SHORT) -> Trainer:
    return Trainer(tiny_model, config, squares_source(), folder)


def test_it_learns(tmp_path):
    trainer(tmp_path, replace(SHORT, steps=60, learning_rate=4e-3, warmup=5, log_every=10)).run()
    lines = log(tmp_path)
    assert [line["step"] for line in lines] == [10, 20, 30, 40, 50, 60]
    assert lines[-1]["first"] < 0.75 * lines[0]["first"]
    assert lines[-1]["dense"] < 0.9 * lines[0]["dense"]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_that_was_cut_goes_on_as_if_it_had_not_been(tmp_path, threads):
    config = replace(SHORT, threads=threads)
    whole = trainer(tmp_path / "whole", config)
    whole.run()

    def cut(fraction: float) -> None:
        if fraction >= 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        trainer(tmp_path / "cut", config).run(cut)
    second = trainer(tmp_path / "cut", config)
    assert second.step == 2
    second.run()
    assert second.step == whole.step == 4
    assert second.crops == whole.crops == 4 * 2 * threads
    for one, other in ((second.model, whole.model), (second.average, whole.average)):
        for name, tensor in one.state_dict().items():
            torch.testing.assert_close(tensor, other.state_dict()[name], msg=name)


def test_the_average_lags_behind_the_model(tmp_path):
    run = trainer(tmp_path)
    start = run.average.decoder.bias.clone()
    run.run()
    moved = [(weights.decoder.bias - start).abs().max() for weights in (run.average, run.model)]
    assert 0 < moved[0] < moved[1]


def test_the_rate_warms_up_and_falls_to_nearly_nothing(tmp_path):
    run = trainer(tmp_path, replace(SHORT, steps=10, warmup=4, log_every=1))
    run.run()
    rates = [line["rate"] for line in log(tmp_path)]
    assert rates[0] < rates[2]
    assert rates[-1] < 0.1 * max(rates)


def test_time_ends_a_run(tmp_path):
    run = trainer(tmp_path, replace(SHORT, steps=10**6, max_seconds=1e-3))
    run.run()
    assert run.step == 1
    assert (tmp_path / CHECKPOINT).exists()


def test_threads_that_are_started_later_may_use_all_cores_again(tmp_path):
    def seen() -> int:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(torch.get_num_threads).result()

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        trainer(tmp_path, replace(SHORT, steps=1)).run()
        assert seen() == 3
    finally:
        torch.set_num_threads(before)


def test_words_tell_how_it_goes(tmp_path):
    said = []
    trainer(tmp_path).run(tell=said.append)
    assert [words.partition(",")[0] for words in said] == [f"step {n} of 4" for n in (1, 2, 3, 4)]
    assert all(0 < float(words.rpartition("loss ")[2]) < 20 for words in said)


def test_a_run_begins_with_the_weights_that_it_is_given(tmp_path):
    other = trainer(tmp_path / "other")
    other.run()
    weights = other.average.state_dict()
    begun = Trainer(tiny_model, SHORT, squares_source(), tmp_path / "new", start=weights)
    for model in (begun.model, begun.average):
        assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    assert begun.step == 0
    begun.run()
    gone_on = Trainer(tiny_model, SHORT, squares_source(), tmp_path / "new", start=weights)
    assert gone_on.step == 4  # what is there counts more than what to start from
    assert not torch.equal(gone_on.model.decoder.bias, weights["decoder.bias"])


def test_checkpoints_from_before_crops_were_counted_are_gone_on_with(tmp_path):
    trainer(tmp_path).run()
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    for name in ("crops", "origin"):
        del state[name]
    torch.save(state, tmp_path / CHECKPOINT)
    assert trainer(tmp_path).crops == 8


def test_checks_go_to_the_log(tmp_path):
    trainer(tmp_path, replace(SHORT, check_every=0)).run(check=lambda model: {"box": float(not model.training)})
    assert sum(line.get("check box") == 1 for line in log(tmp_path)) == 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of two steps on real images alone, from an archive to weights and card."""
    folder = tmp_path_factory.mktemp("run")
    image = (squares() * 25).astype(np.uint8)
    archive = write_archive(folder / "a.zip", {f"i{n}": image for n in range(12)}, squares())
    others = {f"{kind}/i{n}": image for kind in ("seen", "held out") for n in range(10)}
    kinds = write_archive(folder / "kinds.zip", others, squares())
    config = BundledConfig(model=TINY, training=replace(SHORT, steps=2), scenes=0, checked_objects=1, unseen=1)
    with pytest.MonkeyPatch.context() as patch:
        # A model that knows nothing doubts everything, and looks at each object again and again.
        drawn = [draw_unseen(family, 0) for family in ("trees", "large bodies")]
        patch.setattr(train, "unseen_images", lambda each: drawn)
        train_bundled(config, read_data(archive, [kinds], ["held out"]), folder)
    return folder


class TestBundled:
    def test_the_file_is_the_one_that_the_card_describes(self, folder):
        card = json.loads((folder / CARD).read_text())
        contents = (folder / "bundled.safetensors").read_bytes()
        assert card["sha256"] == hashlib.sha256(contents).hexdigest()
        assert card["bytes"] == len(contents)
        assert card["training"]["steps"] == 2
        assert card["training"]["crops"] == 4
        assert card["training"]["commit"]
        assert card["data"][0]["images"] == 12
        assert card["data"][0]["sha256"] == hashlib.sha256((folder / "a.zip").read_bytes()).hexdigest()
        assert card["data"][1]["images"] == {"held out": 10, "seen": 10}
        assert "11 images of nuclei, 9 of other kinds" in card["limits"][0]
        assert card["validation"]["kinds"]["held_out"] == ["held out"]
        assert {kind: n["objects"] for kind, n in card["validation"]["kinds"]["metrics"].items()} == {
            "all": 11,
            "held out": 10,
            "seen": 1,
        }
        assert 0 <= card["validation"]["metrics"]["all"]["box"] <= 1
        families = card["validation"]["unseen"]["metrics"]
        assert set(families) == {"all", "unseen: trees", "unseen: large bodies"}

    def test_the_file_loads_and_answers(self, folder):
        predictor = load_predictor(folder / "bundled.safetensors", device="cpu")
        embedding = predictor.embed(np.random.default_rng(0).integers(0, 255, (50, 70), dtype=np.uint8))
        assert predictor.predict(embedding, [BoxPrompt((5, 5), (30, 40))]).masks.shape == (1, 50, 70)

    def test_weights_are_the_average_in_half_precision(self, folder):
        state = torch.load(folder / CHECKPOINT, weights_only=True)
        loaded = load_predictor(folder / "bundled.safetensors", device="cpu")._model.state_dict()
        for name, tensor in state["average"].items():
            assert torch.equal(loaded[name], tensor.half().float()), name

    def test_the_canvas_can_be_set_anew(self, folder, tmp_path):
        config = replace(TINY, preferred=100.0)
        export(folder / CHECKPOINT, tmp_path / "w.safetensors", tmp_path / "c.json", {}, config)
        assert load_predictor(tmp_path / "w.safetensors", device="cpu")._model.config == config

    def test_no_checkpoint(self, tmp_path):
        with pytest.raises(InputError, match="checkpoint"):
            export(tmp_path / "none.pt", tmp_path / "w", tmp_path / "c", {})
