"""A run of teaching: a tiny model learns squares, is kept where it is better, and goes on where it was cut."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from labelled_squares import squares
from tiny import log, write_weights

from napari_sam.checkpoints.adapters.file import AdapterOrigin, read_card
from napari_sam.checkpoints.checksums import file_digests
from napari_sam.checkpoints.importing import import_file
from napari_sam.checkpoints.loading import load_checkpoint
from napari_sam.errors import Cancelled, DeviceError, InputError
from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.training.finetune import learning, measuring, run
from napari_sam.training.finetune.learning import FinetuneConfig
from napari_sam.training.finetune.leavings import ADAPTER_FILE, REPORT, clear_remains, finished_report
from napari_sam.training.finetune.measuring import measure_model
from napari_sam.training.finetune.report import FinetuneReport
from napari_sam.training.finetune.run import finetune
from napari_sam.training.loop import CHECKPOINT, Trainer
from napari_sam.training.material import MaterialSplit, TaughtPlane
from napari_sam.training.networks.base import read_base

STEPS = 60


def plane(name, side=120, shuffled=False):
    labels = squares(side)
    image = np.repeat((np.minimum(labels, 1) * 150 + 40).astype(np.uint8)[..., None], 3, 2)
    if shuffled:
        # Labels that have nothing to do with what is seen.
        labels = np.roll(labels, 23, (0, 1))[::-1].copy()
    return TaughtPlane(name, name, image, labels, complete=True)


@pytest.fixture
def base(tmp_path):
    """A tiny model that has learnt nothing yet."""
    torch.manual_seed(0)
    path = write_weights(tmp_path / "tiny.safetensors")
    import_file(path, "tiny")
    origin = AdapterOrigin(file_digests(path, ["sha256"])["sha256"], "tiny", "compact")
    return read_base(path), origin


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """Steps are counted, not minutes, and what is forgotten is measured on one small image."""
    monkeypatch.setattr(learning, "_STEPS", STEPS)
    monkeypatch.setattr(learning, "_SCENES", 3)
    monkeypatch.setattr(learning, "_SCENE_SIDE", 64)
    sample = plane("sample").labelled
    monkeypatch.setattr(run, "sample_images", lambda: [LabelledImage("s", "s", sample.image, sample.labels)])
    usual = learning.usual
    monkeypatch.setattr(
        learning,
        "usual",
        lambda kind: replace(usual(kind), images=1, threads=1, sides=(64,), extra_rounds=0, objects=3),
    )


SPLIT = MaterialSplit((plane("a"), plane("b")), (plane("c"),), "Two and one.", same_image=False)
CONFIG = FinetuneConfig(minutes=60, rank=4, learning_rate=0.02, objects=3, measured_objects=6, searched=1)


def teach(base, folder, split=SPLIT, config=CONFIG, **more):
    return finetune(config, *base, split, folder, **more)


def test_a_model_that_learns_is_kept_and_works_as_it_was_measured(base, tmp_path):
    said = []
    report = teach(base, tmp_path / "run", tell=said.append)
    assert report.better
    assert report.kept
    assert report.after["1 click"] > report.before["1 click"] + 0.05
    assert (report.planes, report.objects, report.steps) == (2, 18, STEPS)
    assert {"Measuring the model as it is", "Learning", "Measuring what was learnt"} <= set(said)
    assert any(words.startswith(f"step {STEPS}, ") and "of 60.0 minutes, loss " in words for words in said)
    taught = load_checkpoint(tmp_path / "run" / ADAPTER_FILE)
    again = measure_model(taught.model, [SPLIT.held_out[0].labelled], most_objects=6, searched=("c",)).numbers
    # The file is half as precise.
    assert again["1 click"] == pytest.approx(report.after["1 click"], abs=0.02)
    saved = FinetuneReport.from_dict(json.loads((tmp_path / "run" / REPORT).read_text()))
    assert saved == report
    assert read_card(tmp_path / "run" / ADAPTER_FILE) == report.to_dict()
    assert (tmp_path / "run" / "before-after-1.png").exists()
    rows = {name: (before, after) for name, before, after in report.rows()}
    assert rows["1 click"] == (report.before["1 click"], report.after["1 click"])
    assert "sample images, 1 click" in rows


def test_the_base_is_not_changed(base, tmp_path):
    before = {name: tensor.clone() for name, tensor in base[0].network.state_dict().items()}
    teach(base, tmp_path / "run")
    after = base[0].network.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_what_was_measured_on_a_part_of_the_image_says_so(base, tmp_path):
    report = teach(base, tmp_path / "run", replace(SPLIT, same_image=True))
    assert report.better
    assert report.same_image
    assert report.verdict.startswith("Better on a part of the image that it has not learnt from")
    row = import_file(tmp_path / "run" / ADAPTER_FILE, "taught")
    assert "one click on another part of its image: mean IoU" in row.use_for


def test_a_model_that_does_not_look_is_not_kept(base, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "measure_elsewhere", lambda *_arguments, **_more: 0.9)
    report = teach(base, tmp_path / "run")
    assert report.after["1 click"] > report.before["1 click"] + 0.05
    assert not report.kept
    assert "(0.900)" in report.verdict


def bad_split():
    training = tuple(plane(name, shuffled=True) for name in "ab")
    return replace(SPLIT, training=training)


def test_a_fifth_of_the_crops_are_of_scenes_that_the_model_learnt_from(base, tmp_path, monkeypatch):
    drawn = {"ObjectPool": 0, "ScenePool": 0}
    for name in drawn:

        class Counted(getattr(learning, name)):
            def crop(self, rng, side, _name=name):
                drawn[_name] += 1
                return super().crop(rng, side)

        monkeypatch.setattr(learning, name, Counted)
    teach(base, tmp_path / "run")
    assert sum(drawn.values()) >= STEPS
    assert 0.05 < drawn["ScenePool"] / sum(drawn.values()) < 0.4


def test_a_worse_model_is_not_kept_unless_the_person_insists(base, tmp_path, monkeypatch):
    # What it was is as good as it gets: whatever is learnt is not better.
    measured = run.measure_model

    def measure(model, images, **more):
        found = measured(model, images, **more)
        best = dict.fromkeys(("1 click", "3 clicks", "box"), 0.99)
        return replace(found, numbers=found.numbers | best) if model is base[0].network else found

    monkeypatch.setattr(run, "measure_model", measure)
    report = teach(base, tmp_path / "run", bad_split())
    assert not report.better
    assert not report.kept
    assert report.verdict.startswith("Not better")
    assert not (tmp_path / "run" / ADAPTER_FILE).exists()
    insisted = teach(base, tmp_path / "run", bad_split(), replace(CONFIG, keep_worse=True))
    assert insisted.kept
    assert not insisted.better
    assert load_checkpoint(tmp_path / "run" / ADAPTER_FILE)


def test_less_of_it_is_taken_where_much_of_it_forgets(base, tmp_path, monkeypatch):
    falls = iter([0.9, 0.5, 0.89, 0.88])  # before; with much, with some, with little

    def measure(model, images, **more):
        found = measuring.measure_model(model, images, **more)
        if images[0].name != "s":
            return found
        return replace(found, numbers=dict.fromkeys(("1 click", "3 clicks", "box"), next(falls)))

    monkeypatch.setattr(run, "measure_model", measure)
    report = teach(base, tmp_path / "run")
    assert report.strength == 0.45
    assert report.samples_after["box"] == 0.89


def test_a_run_that_was_cut_goes_on_and_ends_as_one_that_was_not(base, tmp_path):
    whole = teach(base, tmp_path / "whole")

    def cut(share):
        if share > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        teach(base, tmp_path / "cut", progress=cut)
    assert (tmp_path / "cut" / CHECKPOINT).exists()
    done = torch.load(tmp_path / "cut" / CHECKPOINT, weights_only=True)["step"]
    assert 0 < done < STEPS
    again = teach(base, tmp_path / "cut")
    assert again.steps == whole.steps == STEPS
    assert again.after == whole.after
    assert [line["step"] for line in log(tmp_path / "cut")] == [line["step"] for line in log(tmp_path / "whole")]


def test_a_kept_run_of_which_nothing_else_is_left_is_not_begun_anew(base, tmp_path):
    folder = tmp_path / "run"
    report = teach(base, folder)
    assert finished_report(folder) is None, "it may be gone on with"
    clear_remains(folder)
    assert finished_report(folder) == report
    said = []
    assert teach(base, folder, tell=said.append) == report
    assert said == ["This run is at its end. To teach for longer, give another folder."]
    assert not (folder / CHECKPOINT).exists()
    # Of another one it is still told.
    with pytest.raises(InputError, match="another model, other labels"):
        teach(base, folder, replace(SPLIT, training=(plane("a"),)))
    (folder / REPORT).write_text(json.dumps(report.to_dict() | {"kept": False}))
    assert finished_report(folder) is None


def test_a_folder_with_another_run_is_refused(base, tmp_path):
    teach(base, tmp_path / "run", config=replace(CONFIG, minutes=0.001))
    with pytest.raises(InputError, match="another model, other labels or another rank"):
        teach(base, tmp_path / "run", replace(SPLIT, training=(plane("a"),)))
    with pytest.raises(InputError, match="another model, other labels or another rank"):
        teach(base, tmp_path / "run", config=replace(CONFIG, rank=2))


def test_without_memory_it_goes_on_with_less_at_a_time(base, tmp_path, monkeypatch):
    said, tried = [], []
    learn = Trainer.run

    def short_of_memory(self, *arguments, **more):
        tried.append((self.config.threads, self.config.images, self.config.objects))
        if len(tried) < 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return learn(self, *arguments, **more)

    monkeypatch.setattr(Trainer, "run", short_of_memory)
    teach(base, tmp_path / "run", tell=said.append)
    assert tried == [(1, 1, 3), (1, 1, 1)]
    assert "Not enough memory: going on with 1 crops and 1 objects at a time" in said


def test_where_no_memory_is_enough_it_says_so(base, tmp_path, monkeypatch):
    def never(self, *_arguments, **_more):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(Trainer, "run", never)
    with pytest.raises(DeviceError, match="not enough to teach this model"):
        teach(base, tmp_path / "run")


def test_other_errors_are_not_taken_for_want_of_memory(base, tmp_path, monkeypatch):
    def broken(self, *_arguments, **_more):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Trainer, "run", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        teach(base, tmp_path / "run")
