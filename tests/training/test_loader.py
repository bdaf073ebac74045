from __future__ import annotations

import pickle
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from labelled_squares import labelled, squares_source
from tiny import SHORT, log, rendered_bank, tiny_model

from napari_sam.training.config import TrainingConfig, usual
from napari_sam.training.data.batches import Batch, CropSource
from napari_sam.training.data.loader import draw_part, prefetched, share_images
from napari_sam.training.data.pools import ObjectPool, ScenePool, TypicalPool
from napari_sam.training.loop import Trainer

CPU = torch.device("cpu")


def vars_of(batch: Batch) -> list[torch.Tensor]:
    return [part for field in fields(batch) if (part := getattr(batch, field.name)) is not None]


def drawn_alike(one, other) -> bool:
    pairs = zip(*(vars_of(d.batch) for d in (one, other)), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and (one.seed, one.extra_rounds) == (other.seed, other.extra_rounds)


@pytest.fixture
def shared(tmp_path) -> CropSource:
    images = share_images([labelled("a"), labelled("b", "others")], tmp_path / "real.bin")
    bank = rendered_bank(tmp_path / "bank", 3, 64)
    return CropSource([(TypicalPool(images), 0.4), (ObjectPool(images), 0.3), (ScenePool(bank), 0.3)])


class TestSharedImages:
    def test_it_draws_what_the_images_themselves_would_give(self, tmp_path):
        odd = labelled("a")
        odd = replace(odd, image=odd.image[:91, :87], labels=odd.labels[:91, :87])  # offsets that are not round
        images = [odd, labelled("b")]
        pair = (images, share_images(images, tmp_path / "real.bin"))
        one, other = (draw_part(squares_source(*some), SHORT, 5, 0) for some in pair)
        assert drawn_alike(one, other)

    def test_it_travels_as_names_of_files(self, shared):
        packed = pickle.dumps(shared)
        assert len(packed) < 3000
        assert drawn_alike(draw_part(pickle.loads(packed), SHORT, 2, 0), draw_part(shared, SHORT, 2, 0))


class TestDraws:
    def test_parts_and_steps_differ(self):
        source = squares_source()
        drawn = [draw_part(source, SHORT, step, part) for step, part in ((0, 0), (0, 1), (1, 0), (0, 0))]
        assert drawn_alike(drawn[0], drawn[3])
        assert not drawn_alike(drawn[0], drawn[1])
        assert not drawn_alike(drawn[0], drawn[2])

    def test_larger_crops_come_in_smaller_numbers(self):
        config = replace(SHORT, images=16, reference_side=64, sides=(128,))
        assert len(draw_part(squares_source(labelled(side=160)), config, 0, 0).batch.images) == 4
        assert [config.crops(side) for side in (32, 64, 1000)] == [64, 16, 1]
        assert replace(config, reference_side=None).crops(1000) == 16


@pytest.mark.slow
def test_processes_draw_what_the_training_threads_would(shared, tmp_path):
    """One run with two processes, threads and bfloat16, all that a GPU's does but the GPU; one without processes."""
    config = replace(SHORT, steps=3, threads=2, sides=(64, 96), bfloat16=True, extra_rounds=1)
    runs = []
    for workers in (0, 2):
        run = Trainer(tiny_model, replace(config, workers=workers, log_every=1), shared, tmp_path / str(workers))
        run.run()
        runs.append(run)
    for name, tensor in runs[0].model.state_dict().items():
        assert torch.equal(tensor, runs[1].model.state_dict()[name]), name
    assert all("wait" in line for line in log(tmp_path / "2"))
    assert not any("wait" in line for line in log(tmp_path / "0"))


@pytest.mark.slow
def test_the_feed_begins_with_the_step_that_is_asked_for_and_ends_with_the_schedule(shared):
    config = replace(SHORT, workers=1, steps=5)
    steps = list(prefetched(shared, config, 3, CPU))
    assert len(steps) == 2
    assert all(drawn_alike(steps[i][0], draw_part(shared, config, 3 + i, 0)) for i in (0, 1))
    masks = steps[0][0].batch.masks
    assert masks.dtype == torch.float32
    assert set(np.unique(masks)) == {0, 1}


class TestSettings:
    def test_of_a_gpu(self):
        config = usual("cuda")
        assert (config.images, config.objects, config.threads) == (96, 4, 1)
        assert config.bfloat16
        assert config.workers >= 1
        assert len(set(config.sides)) > 1
        assert not usual("mps").bfloat16

    def test_of_a_processor_eight_crops_a_step(self, monkeypatch):
        for cores, threads in ((1, 1), (2, 2), (6, 4), (64, 8)):
            monkeypatch.setattr("napari_sam.training.config.available_cores", lambda cores=cores: cores)
            config = usual("cpu")
            assert (config.threads, config.threads * config.images, config.workers) == (threads, 8, 0)

    def test_are_read_back_from_old_and_new_checkpoints(self):
        saved = {"steps": 7, "sides": [64, 96], "gone": 1}
        assert TrainingConfig.restored(saved) == TrainingConfig(steps=7, sides=(64, 96))
