from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from labelled_squares import squares_source
from tiny import SHORT, TINY, tiny_model, write_weights

from napari_sam.errors import InputError, NapariSamError
from napari_sam.training.bundled.export import commit
from napari_sam.training.bundled.options import Wishes, plan, read_start
from napari_sam.training.loop import CHECKPOINT, Trainer


@pytest.fixture
def run(tmp_path):
    """A run of four steps, on 30 scenes as far as it knows."""
    origin = {"bundled": {"scenes": 30, "real_share": 0.7, "held_out": ["b"]}}
    trainer = Trainer(tiny_model, SHORT, squares_source(), tmp_path / "run", origin=origin)
    trainer.run()
    return tmp_path / "run"


class TestANewRun:
    def test_is_usual_for_the_device(self, tmp_path):
        gpu, cpu = (plan(Wishes(), tmp_path, device) for device in ("cuda", "cpu"))
        assert (gpu.config.training.images, gpu.config.training.bfloat16) == (96, True)
        assert gpu.config.training.workers >= 1
        assert cpu.config.training.workers == 0
        assert cpu.config.scenes == 6000
        assert cpu.start is None
        assert cpu.done == 0

    def test_does_what_is_asked_for(self, tmp_path):
        wishes = Wishes(steps=7, hours=0.5, scenes=20, workers=3, batch=12, threads=3, bfloat16=True, patience=4)
        config = plan(wishes, tmp_path, "cpu").config
        training = config.training
        assert (config.scenes, config.workers) == (20, 3)
        assert (training.steps, training.max_seconds, training.patience) == (7, 1800, 4)
        assert (training.images, training.threads, training.bfloat16, training.workers) == (4, 3, True, 0)
        assert plan(Wishes(workers=3), tmp_path, "cuda").config.training.workers == 3
        assert plan(Wishes(scenes=0), tmp_path, "cpu").config.scenes == 0

    def test_learns_as_it_is_asked_to(self, tmp_path):
        training = plan(Wishes(optimizer="muon", backbone_share=0.3), tmp_path, "cpu").config.training
        assert (training.optimizer, training.backbone_share) == ("muon", 0.3)
        training = plan(Wishes(), tmp_path, "cpu").config.training
        assert (training.optimizer, training.backbone_share) == ("adamw", 0.1)

    def test_grows_what_it_starts_from(self, tmp_path):
        with pytest.raises(InputError, match="--start-from"):
            plan(Wishes(refining_blocks=2), tmp_path, "cpu")
        weights = write_weights(tmp_path / "tiny.safetensors")
        with pytest.raises(InputError, match="trunk"):
            plan(Wishes(refining_blocks=2, start_from=weights), tmp_path, "cpu")

    def test_threads_share_the_batch(self, tmp_path):
        training = plan(Wishes(threads=2), tmp_path, "cpu").config.training
        assert training.threads * training.images == 8
        with pytest.raises(InputError, match="shared out"):
            plan(Wishes(threads=3), tmp_path, "cpu")

    def test_takes_some_time(self, tmp_path):
        with pytest.raises(InputError, match="no time"):
            plan(Wishes(hours=0.0), tmp_path, "cpu")


class TestGoingOn:
    def test_another_optimizer_is_refused(self, run):
        assert plan(Wishes(optimizer="adamw"), run, "cpu").config.training.optimizer == "adamw"
        with pytest.raises(InputError, match="adamw"):
            plan(Wishes(optimizer="muon"), run, "cpu")

    def test_everything_stays_as_it_was(self, run):
        planned = plan(Wishes(), run, "cpu")
        assert planned.done == 4
        assert planned.config.model == TINY
        assert planned.config.training == SHORT
        assert (planned.config.scenes, planned.config.real_share) == (30, 0.7)
        assert planned.config.held_out == ("b",)

    def test_but_for_what_is_asked_for_anew(self, run, tmp_path):
        weights = write_weights(tmp_path / "w.safetensors")
        planned = plan(Wishes(steps=9, start_from=weights), run, "cpu")
        assert planned.config.training == replace(SHORT, steps=9)
        assert plan(Wishes(held_out=("c",)), run, "cpu").config.held_out == ("c",)
        assert planned.start is None

    def test_a_damaged_checkpoint_is_refused(self, run):
        (run / CHECKPOINT).write_bytes(b"words")
        with pytest.raises(InputError, match="not a checkpoint"):
            plan(Wishes(), run, "cpu")


class TestStart:
    def test_from_weights_and_from_a_checkpoint(self, run, tmp_path):
        path = write_weights(tmp_path / "w.safetensors")
        config, weights = read_start(path)
        assert config == TINY
        average = torch.load(run / CHECKPOINT, weights_only=True)["average"]
        config, of_checkpoint = read_start(run / CHECKPOINT)
        assert config == TINY
        assert set(weights) == set(of_checkpoint) == set(average)
        assert all(torch.equal(of_checkpoint[name], average[name].half().float()) for name in average)

    def test_the_card_knows_of_it(self, tmp_path):
        planned = plan(Wishes(start_from=write_weights(tmp_path / "w.safetensors")), tmp_path / "new", "cpu")
        assert planned.config.model == TINY
        assert len(planned.origin["started_from"]) == len("sha256 ") + 64
        assert planned.start is not None

    def test_other_files_are_refused(self, tmp_path):
        with pytest.raises(InputError, match="no file"):
            read_start(tmp_path / "none")
        (tmp_path / "words").write_bytes(b"words")
        with pytest.raises(NapariSamError):
            read_start(tmp_path / "words")
        torch.save({"w": torch.zeros(1)}, tmp_path / "other.pt")
        with pytest.raises(InputError, match="not a checkpoint"):
            read_start(tmp_path / "other.pt")


def test_the_commit_is_a_word_or_two():
    assert commit()
    assert "\n" not in commit()
