"""Planes encoded ahead: once, in their turns, and what is drawn of them is what the model sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_sam.errors import Cancelled
from napari_sam.training.config import TrainingConfig
from napari_sam.training.finetune.encoded import TURNS, EncodedSource, encode_planes, turned
from napari_sam.training.finetune.trainable import TrainableAdapter
from napari_sam.training.loop import CHECKPOINT, Trainer
from napari_sam.training.material import TaughtPlane
from napari_sam.training.networks.base import BaseModel
from sam_reference import tiny_sam


def plane(seed, shape=(60, 90)):
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    labels[10:30, 15:40], labels[35:55, 50:80] = 1, 2
    image = np.clip(rng.normal(80, 20, (*shape, 3)) + 90 * (labels > 0)[..., None], 0, 255).astype(np.uint8)
    return TaughtPlane(f"p{seed}", f"g{seed}", image, labels, complete=True)


@pytest.fixture
def model():
    """A SAM that counts how often it encodes."""
    model = tiny_sam().eval().requires_grad_(requires_grad=False)
    model.encoded = 0
    encode = model.encode

    def counted(*arguments, **more):
        model.encoded += 1
        return encode(*arguments, **more)

    model.encode = counted
    return model


PLANES = [plane(0), plane(1)]


def test_eight_turns_differ_and_image_and_labels_turn_alike():
    marked = PLANES[0].image.copy()
    marked[PLANES[0].labels == 1] = 255
    seen = set()
    for turn in range(TURNS):
        image, labels = turned(marked, turn), turned(PLANES[0].labels, turn)
        assert (image[labels == 1] == 255).all()
        seen.add(image.tobytes() + bytes(image.shape))
    assert len(seen) == TURNS


def test_each_plane_is_encoded_once(model, tmp_path):
    first = encode_planes(model, "a", PLANES, tmp_path, seconds=1e9)
    assert len(first) == model.encoded == TURNS * len(PLANES)
    again = encode_planes(model, "a", PLANES, tmp_path, seconds=1e9)
    assert again == first
    assert model.encoded == TURNS * len(PLANES)
    # A label more is no other image; another model, and a plane more, are.
    changed = replace(PLANES[0], labels=np.where(PLANES[0].labels == 1, 0, PLANES[0].labels))
    encode_planes(model, "a", [changed, PLANES[1]], tmp_path, seconds=1e9)
    assert model.encoded == TURNS * len(PLANES)
    encode_planes(model, "a", [*PLANES, plane(2)], tmp_path, seconds=1e9)
    assert model.encoded == TURNS * 3
    encode_planes(model, "b", PLANES, tmp_path, seconds=1e9)
    assert model.encoded == TURNS * 5


def test_without_time_every_plane_is_there_as_it_is(model, tmp_path):
    found = encode_planes(model, "a", PLANES, tmp_path, seconds=0)
    assert [(entry.plane, entry.turn) for entry in found] == [(0, 0), (1, 0)]


def test_what_was_cut_or_damaged_is_encoded_again(model, tmp_path):
    def stop(share):
        if share > 0.2:
            raise Cancelled

    with pytest.raises(Cancelled):
        encode_planes(model, "a", PLANES, tmp_path, seconds=1e9, progress=stop)
    done = model.encoded
    assert 0 < done < TURNS * len(PLANES)
    encode_planes(model, "a", PLANES, tmp_path, seconds=1e9)
    assert model.encoded == TURNS * len(PLANES)
    file = encode_planes(model, "a", PLANES, tmp_path, seconds=1e9)[3].file
    file.write_bytes(file.read_bytes()[:50])
    encode_planes(model, "a", PLANES, tmp_path, seconds=1e9)
    assert model.encoded == TURNS * len(PLANES) + 1


def test_a_batch_has_the_features_and_the_objects_of_its_planes(model, tmp_path):
    encoded = encode_planes(model, "a", PLANES, tmp_path, seconds=1e9)
    side = model.config.side
    source = EncodedSource(model, PLANES, encoded)
    batch = source.draw(np.random.default_rng(0), 3, 2, side)
    assert batch.images.shape == (3, 3, 0, 0)
    assert batch.objects.tolist() == [0, 0, 1, 1, 2, 2]
    assert batch.masks.shape == (6, 1, side, side)
    assert batch.complete.all()
    # Which plane and turn it was is told by the features alone.
    known = {
        (entry.plane, entry.turn): model.encode(
            model.preprocess(image := turned(PLANES[entry.plane].image, entry.turn), model.frame(image.shape[:2]))
        )[0]
        for entry in encoded
    }
    for row in range(3):
        distances = {key: (batch.encoded[0][row] - value[0]).abs().max().item() for key, value in known.items()}
        (which, turn), distance = min(distances.items(), key=lambda item: item[1])
        assert distance < 0.01
        labels = turned(PLANES[which].labels, turn)
        frame = model.frame(labels.shape)
        scale = frame.content[0] / labels.shape[0]
        for mask in batch.masks[2 * row : 2 * row + 2, 0]:
            area = mask.sum().item() / scale**2
            assert any(abs(area - (labels == label).sum()) < 40 for label in (1, 2))
            assert not mask[frame.content[0] :].any()
            assert not mask[:, frame.content[1] :].any()


def test_the_encoder_is_not_asked_again_while_it_learns_and_stays_as_it_was(model, tmp_path):
    encoded = encode_planes(model, "a", PLANES, tmp_path / "encoded", seconds=0)
    base = BaseModel(model, {}, {}, "0" * 64, "sam_vit_b")
    side = model.config.side
    config = TrainingConfig(
        steps=3, images=1, objects=2, sides=(side,), warmup=1, extra_rounds=1, learning_rate=0.01, save_every=1e9
    )
    trainer = Trainer(
        lambda: TrainableAdapter(base, 2), config, EncodedSource(model, PLANES, encoded), tmp_path / "run"
    )
    before, asked = {name: value.clone() for name, value in trainer.model.state_dict().items()}, model.encoded
    average = trainer.run()
    assert model.encoded == asked
    changed = {name for name, value in average.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith(("mask_decoder.", "prompt_encoder.")) for name in changed)
    learnt = TrainableAdapter(base, 2).learnt(average)
    assert learnt
    assert all(name.startswith(("mask_decoder.", "prompt_encoder.")) for name in learnt)


def test_what_never_changes_is_in_memory_and_on_disk_once(model, tmp_path):
    base = BaseModel(model, {}, {}, "0" * 64, "sam_vit_b")
    one, other = TrainableAdapter(base, 2).network, TrainableAdapter(base, 2).network
    for (name, first), second in zip(one.named_parameters(), other.parameters(), strict=True):
        assert (first is second) == name.startswith("image_encoder."), name
    encoded = encode_planes(model, "a", PLANES, tmp_path / "encoded", seconds=0)
    config = TrainingConfig(steps=2, images=1, objects=2, sides=(model.config.side,), warmup=1, save_every=1e9)
    source = EncodedSource(model, PLANES, encoded)
    trainer = Trainer(lambda: TrainableAdapter(base, 2), config, source, tmp_path / "run")
    average = trainer.run()
    saved = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)
    assert saved["model"].keys() == saved["average"].keys()
    assert not any(name.startswith("image_encoder.") for name in saved["model"])
    again = Trainer(lambda: TrainableAdapter(base, 2), config, source, tmp_path / "run")
    assert again.step == 2
    for name, tensor in average.state_dict().items():
        assert torch.equal(again.average.state_dict()[name], tensor), name
