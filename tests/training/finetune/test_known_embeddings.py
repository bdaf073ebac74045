"""Planes that a person has looked at are not encoded again, and none is encoded twice in a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from labelled_squares import squares
from safetensors.torch import load_file

from napari_sam.cache.disk import DiskStore
from napari_sam.checkpoints.adapters.file import AdapterOrigin
from napari_sam.checkpoints.checksums import file_digests
from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.model.sam.sam import Sam
from napari_sam.predictor import Predictor
from napari_sam.training.finetune import learning, run
from napari_sam.training.finetune.encoded import TURNS, encode_planes
from napari_sam.training.finetune.known import KnowingPredictor, KnownEmbeddings
from napari_sam.training.finetune.learning import FinetuneConfig
from napari_sam.training.finetune.run import finetune
from napari_sam.training.material import MaterialSplit, TaughtPlane
from napari_sam.training.networks.base import read_base
from sam_reference import tiny_sam


def plane(name, seed):
    labels = squares(120)
    noise = np.random.default_rng(seed).normal(0, 8, labels.shape)
    image = np.repeat((np.minimum(labels, 1) * 150 + 40 + noise).clip(0, 255).astype(np.uint8)[..., None], 3, 2)
    return TaughtPlane(name, name, image, labels, complete=True)


PLANES = [plane("a", 0), plane("b", 1)]


@pytest.fixture
def encoded(monkeypatch):
    """Every picture that a SAM encodes."""
    seen = []
    encode = Sam.encode

    def counted(self, pixels, *more):
        seen.append(pixels)
        return encode(self, pixels, *more)

    monkeypatch.setattr(Sam, "encode", counted)
    return seen


def looked_at(folder, model, weights, planes):
    """The cache of a person who has looked at planes with a model."""
    store, predictor = DiskStore(folder, 1 << 30), Predictor(model, weights)
    for one in planes:
        assert store.put(predictor.embed(one.image).packed())
    return store


def test_a_plane_that_was_looked_at_is_not_encoded_again_and_gives_the_same_numbers(tmp_path, encoded):
    model = tiny_sam()
    store = looked_at(tmp_path / "cache", model, "a", PLANES[:1])
    there = sorted(path.name for path in (tmp_path / "cache").iterdir())
    alone = encode_planes(model, "a", PLANES, tmp_path / "alone", seconds=1e9)
    encoded.clear()
    known = encode_planes(model, "a", PLANES, tmp_path / "known", seconds=1e9, known=KnownEmbeddings("a", store))
    assert len(encoded) == TURNS * len(PLANES) - 1
    for one, other in zip(alone, known, strict=True):
        first, second = load_file(one.file), load_file(other.file)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
    # Turned planes are of no use to a person, who never looks at them.
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == there


def test_what_another_model_made_is_not_taken(tmp_path, encoded):
    model = tiny_sam()
    store = looked_at(tmp_path / "cache", tiny_sam(1), "b", PLANES)
    encoded.clear()
    encode_planes(model, "a", PLANES, tmp_path / "known", seconds=0, known=KnownEmbeddings("a", store))
    assert len(encoded) == len(PLANES)


def test_a_predictor_encodes_each_plane_once_and_answers_alike(encoded):
    known = KnownEmbeddings("a")
    first = KnowingPredictor(tiny_sam(), known).embed(PLANES[0].image)
    again = KnowingPredictor(tiny_sam(), known).embed(PLANES[0].image)
    assert len(encoded) == 1
    assert torch.equal(first.features[0], again.features[0])
    KnowingPredictor(tiny_sam(), known).embed(PLANES[1].image)
    assert len(encoded) == 2


def test_a_run_encodes_each_plane_once(tmp_path, monkeypatch, encoded):
    torch.save(tiny_sam().state_dict(), tmp_path / "vit.pt")
    base = read_base(tmp_path / "vit.pt")
    origin = AdapterOrigin(file_digests(tmp_path / "vit.pt", ["sha256"])["sha256"], "vit", "sam_vit")
    monkeypatch.setattr(learning, "_STEPS", 2)
    monkeypatch.setattr(learning, "_ENCODING", 0)
    sample = plane("s", 5).labelled
    monkeypatch.setattr(run, "sample_images", lambda: [LabelledImage("s", "s", sample.image, sample.labels)])
    # As if it were better, so that it is measured where labels are moved to other places, too.
    judge = run.judge
    monkeypatch.setattr(run, "judge", lambda *found, **more: replace(judge(*found, **more), better=True))
    split = MaterialSplit(tuple(PLANES), (plane("c", 2), plane("d", 3)), "Two and two.", same_image=False)
    config = FinetuneConfig(minutes=60, rank=2, measured_objects=2, searched=1)
    finetune(config, base, origin, split, tmp_path / "run")
    assert len(encoded) == 2 + 2 + 1
    encoded.clear()
    cache = looked_at(tmp_path / "cache", base.network, base.sha256, [*PLANES, *split.held_out])
    encoded.clear()
    finetune(config, base, origin, split, tmp_path / "with-cache", cache=cache)
    assert len(encoded) == 1  # the sample image
