"""Words are taught with the rest: objects are asked for by what CLIP makes of them, and the file has the projection."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from colour_clip import ColourClip, two_discs
from tiny import write_weights

from napari_sam.checkpoints.adapters.base_model import apply_adapter
from napari_sam.checkpoints.adapters.file import AdapterOrigin, read_card
from napari_sam.checkpoints.checksums import file_digests
from napari_sam.checkpoints.importing import import_file
from napari_sam.checkpoints.loading import load_checkpoint
from napari_sam.errors import InputError
from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.model.text_projection import PART, ClipSpace
from napari_sam.predictor import Predictor
from napari_sam.text.encoder import load_encoder
from napari_sam.training.data.object_texts import ObjectTexts
from napari_sam.training.finetune import learning, run
from napari_sam.training.finetune.encoded import EncodedSource, encode_planes
from napari_sam.training.finetune.learning import FinetuneConfig, show_objects
from napari_sam.training.finetune.leavings import ADAPTER_FILE
from napari_sam.training.finetune.run import finetune, weakened
from napari_sam.training.finetune.trainable import TrainableAdapter
from napari_sam.training.finetune.verdict import judge
from napari_sam.training.material import MaterialSplit, TaughtPlane
from napari_sam.training.networks.base import BaseModel, read_base
from napari_sam.training.text.embeddings import ClipModelToUse
from napari_sam.training.text.measuring import measure_words
from sam_reference import tiny_sam
from tiny_clip import clip_folder  # noqa: F401  # fixture


def plane(seed):
    image = two_discs(seed)
    return TaughtPlane(image.name, image.name, image.image, image.labels, complete=True)


SPLIT = MaterialSplit((plane(0), plane(1)), (plane(2),), "Two and one.", same_image=False)
SPACE = ClipSpace("colours", "", 8)


def saved_sam(folder):
    """A tiny SAM in a file of the list."""
    path = folder / "vit.pt"
    torch.save(tiny_sam().state_dict(), path)
    import_file(path, "vit")
    return read_base(path), AdapterOrigin(file_digests(path, ["sha256"])["sha256"], "vit", "sam_vit")


def saved_compact(folder):
    torch.manual_seed(0)
    path = write_weights(folder / "tiny.safetensors")
    import_file(path, "tiny")
    return read_base(path), AdapterOrigin(file_digests(path, ["sha256"])["sha256"], "tiny", "compact")


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(learning, "_STEPS", 8)
    monkeypatch.setattr(learning, "_ENCODING", 0)
    one = plane(9).labelled
    monkeypatch.setattr(run, "sample_images", lambda: [LabelledImage("s", "s", one.image, one.labels)])
    usual = learning.usual
    monkeypatch.setattr(learning, "usual", lambda kind: replace(usual(kind), images=1, threads=1, sides=(64,)))


CONFIG = FinetuneConfig(minutes=60, rank=2, measured_objects=2, searched=1, keep_worse=True)


@pytest.mark.parametrize(("saved", "steps"), [(saved_sam, 8), (saved_compact, 40)])
def test_a_run_teaches_words_and_its_file_takes_them(saved, steps, tmp_path, monkeypatch, clip_folder):  # noqa: F811
    monkeypatch.setattr(learning, "_STEPS", steps)
    monkeypatch.setattr(learning, "_RATE", 0.02)
    base, origin = saved(tmp_path)
    loads = []

    def load():
        loads.append(1)
        return load_encoder(str(clip_folder), "cpu")

    clip = ClipModelToUse("tiny", "", load)
    report = finetune(CONFIG, base, origin, SPLIT, tmp_path / "run", clip=clip)
    assert report.before["words"] == 0
    assert report.after["words"] > 0
    assert "words" in {name for name, _before, _after in report.rows()}
    assert base.network.text_space is None
    taught = load_checkpoint(tmp_path / "run" / ADAPTER_FILE).model
    assert taught.text_space == ClipSpace("tiny", "", 16)
    assert "text" in taught.prompt_kinds
    assert not any(parameter.requires_grad for parameter in taught.parameters())
    assert read_card(tmp_path / "run" / ADAPTER_FILE)["after"]["words"] == report.after["words"]
    # What CLIP has seen once it is not shown again.
    images = [one.labelled for one in (*SPLIT.training, *SPLIT.held_out)]
    seen = show_objects(base.network, images, clip, tmp_path / "run" / "clip")
    assert loads == [1]
    again = measure_words(taught, seen.space, images[2:], seen.vectors[2:], 2)
    assert again["words"] == pytest.approx(report.after["words"], abs=0.03)


def test_words_are_asked_for_in_half_of_the_first_rounds(tmp_path):
    model, planes = tiny_sam(), [plane(0), plane(1)]
    clip = ColourClip()
    seen = show_objects(model, [one.labelled for one in planes], ClipModelToUse("colours", "", lambda: clip), tmp_path)
    encoded = encode_planes(model, "a", planes, tmp_path / "encoded", seconds=0)
    source = EncodedSource(model, planes, encoded, texts=ObjectTexts(seen.vectors, 8, 0.5))
    asked = []
    for seed in range(20):
        batch = source.draw(np.random.default_rng(seed), 1, 2, 128)
        for mask, text in zip(batch.masks[:, 0], batch.texts, strict=True):
            if asked.append(bool(text.isfinite().all())) or not asked[-1]:
                continue
            # The embedding is that of the object: which of the two, its mask tells.
            areas = [np.count_nonzero(one.labels == label) for one in planes for label in (1, 2)]
            place = int(np.argmin([abs(mask.sum().item() * (96 / 128) ** 2 - area) for area in areas]))
            own = seen.vectors[place // 2][place % 2 + 1]
            assert (torch.from_numpy(own) - text).abs().max(1).values.min() == 0
    assert 0.3 < np.mean(asked) < 0.7


def test_a_projection_that_is_there_is_changed_and_a_new_one_is_given_whole(tmp_path):
    old = tiny_sam()
    old.take_words(SPACE)
    for network, new in ((tiny_sam(), True), (old, False)):
        base = BaseModel(network, {}, {}, "0" * 64, "sam_vit")
        trainable = TrainableAdapter(base, 2, space=SPACE)
        with torch.no_grad():
            for parameter in trainable.network.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1)
        tensors = {name: tensor for name, tensor in trainable.learnt().items() if PART in name}
        weight = f"prompt_encoder.{PART}project.weight"
        assert (weight in tensors) == new
        assert (f"{weight}:up" in tensors) != new
        again = tiny_sam()
        if not new:
            again.load_state_dict(network.state_dict(), strict=False)
            again.take_words(SPACE)
            again.load_state_dict(network.state_dict())
        # Less of the rest is taken where all of it forgets; half a projection would be another one.
        apply_adapter(tmp_path, again, tensors, 0.5, SPACE)
        told = torch.randn(3, 8)
        found = again.prompt_encoder.text_projection(told)
        whole = trainable.network.prompt_encoder.text_projection(told)
        assert torch.allclose(found, whole, atol=1e-5) == new
    kept = weakened({"a": torch.ones(1), "b": torch.ones(1)}, 0.5, {"b"})
    assert (kept["a"].item(), kept["b"].item()) == (0.5, 1)


def test_without_words_how_they_are_taken_stays_as_it_is():
    network = tiny_sam()
    network.take_words(SPACE)
    learnt = TrainableAdapter(BaseModel(network, {}, {}, "0" * 64, "sam_vit"), 2).learnt()
    assert not any(PART in name for name in learnt)


def test_what_cannot_be_learnt_is_refused_in_words(tmp_path):
    clip = ClipModelToUse("other", "", ColourClip)
    network = tiny_sam()
    network.take_words(SPACE)
    with pytest.raises(InputError, match="takes words of colours already"):
        show_objects(network, [plane(0).labelled], clip, tmp_path)
    labels = np.zeros((96, 96), np.int32)
    labels[:5, :5] = 1
    small = replace(plane(0).labelled, labels=labels)
    with pytest.raises(InputError, match="Leave out --text"):
        show_objects(tiny_sam(), [small], clip, tmp_path)


def test_a_model_that_has_learnt_words_and_is_no_worse_is_better():
    before = {"objects": 9.0, "1 click": 0.6, "words": 0.0}
    assert judge(before, before | {"words": 0.5}).better
    assert "told what it is 0.000 -> 0.500" in judge(before, before | {"words": 0.5}).words
    assert not judge(before, before | {"words": 0.5, "1 click": 0.5}).better
    assert not judge(before, before).better


def test_a_taught_model_takes_a_phrase(tmp_path):
    base, origin = saved_sam(tmp_path)
    clip = ClipModelToUse("colours", "", ColourClip)
    finetune(CONFIG, base, origin, SPLIT, tmp_path / "run", clip=clip)
    loaded = load_checkpoint(tmp_path / "run" / ADAPTER_FILE)
    predictor = Predictor(loaded.model, loaded.digest)
    assert predictor.has_text_prompt
    assert predictor.text_space == SPACE
