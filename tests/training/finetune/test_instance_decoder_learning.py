"""micro-sam's decoder of instances learns with the model: what it sees, learns from, and leaves in the file."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from labelled_squares import squares
from tiny import log

from napari_sam.checkpoints.adapters.file import Adapter, AdapterOrigin, write_adapter
from napari_sam.checkpoints.checksums import file_digests
from napari_sam.checkpoints.importing import import_file
from napari_sam.checkpoints.loading import load_checkpoint
from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.model.sam.instance_decoder import PART, DenseSam, InstanceDecoder
from napari_sam.training.config import TrainingConfig
from napari_sam.training.data.batches import dense_targets
from napari_sam.training.finetune import learning, run
from napari_sam.training.finetune.encoded import EncodedSource, encode_planes, turned
from napari_sam.training.finetune.learning import FinetuneConfig
from napari_sam.training.finetune.leavings import ADAPTER_FILE
from napari_sam.training.finetune.run import finetune
from napari_sam.training.finetune.trainable import TrainableAdapter
from napari_sam.training.loop import Trainer
from napari_sam.training.material import MaterialSplit, TaughtPlane
from napari_sam.training.networks import sam
from napari_sam.training.networks.base import read_base
from napari_sam.training.networks.sam import TrainableSam
from sam_reference import randomise, tiny_sam

SIDE = 128


def plane(name="a", *, complete=True):
    labels = squares(SIDE)
    noise = np.random.default_rng(0).normal(0, 8, labels.shape)
    image = np.repeat((np.minimum(labels, 1) * 150 + 40 + noise).clip(0, 255).astype(np.uint8)[..., None], 3, 2)
    return TaughtPlane(name, name, image, labels, complete=complete)


@pytest.fixture
def checkpoint(tmp_path):
    """A tiny SAM and its decoder in one file, as micro-sam's joint training writes them."""
    path = tmp_path / "joint.pt"
    torch.save(
        {"model_state": tiny_sam().state_dict(), "decoder_state": randomise(InstanceDecoder(32)).state_dict()}, path
    )
    import_file(path, "joint")
    return path


@pytest.fixture
def base(checkpoint):
    base = read_base(checkpoint)
    assert isinstance(base.network, DenseSam)
    return base


def learn(base, planes, folder, steps=30):
    encoded = encode_planes(base.network, base.sha256, planes, folder / "encoded", seconds=0)
    config = TrainingConfig(
        steps=steps, images=1, objects=1, sides=(SIDE,), warmup=1, extra_rounds=0, learning_rate=0.01,
        weight_decay=0.0, ema=0.5, dense_weight=3.0, save_every=1e9, log_every=5,
    )  # fmt: skip
    source = EncodedSource(base.network, planes, encoded, TrainableSam(base.network).window)
    trainer = Trainer(lambda: TrainableAdapter(base, 4), config, source, folder / "run")
    return trainer, TrainableAdapter(base, 4).learnt(trainer.run())


def test_its_loss_falls_and_the_file_brings_back_what_was_learnt_bit_by_bit(base, checkpoint, tmp_path):
    statistics = {name: value.clone() for name, value in base.network.named_buffers()}
    trainer, tensors = learn(base, [plane()], tmp_path)
    losses = [line["dense"] for line in log(tmp_path / "run")]
    assert losses[-1] < 0.7 * losses[0]
    assert any(name.startswith(PART) for name in tensors)
    # What a layer knows of other images is a matter of these, which do not learn.
    assert all(torch.equal(trainer.model.get_buffer(name), value) for name, value in statistics.items())

    origin = AdapterOrigin(file_digests(checkpoint, ["sha256"])["sha256"], "joint", "sam_vit")
    written = tmp_path / "adapter.safetensors"
    write_adapter(written, Adapter(tensors, origin, {}))
    one, two = load_checkpoint(written).model, load_checkpoint(written).model
    frame = one.frame((SIDE, SIDE))
    seen = one.encode(one.preprocess(plane().image, frame))
    again = copy.deepcopy(base.network)
    run.apply_adapter(written, again, {n: (t.half().float() if t.ndim > 1 else t) for n, t in tensors.items()})
    for name, value in again.state_dict().items():
        assert torch.equal(one.state_dict()[name], value), name
    assert torch.equal(one.dense_maps(seen, frame), two.dense_maps(seen, frame))
    assert torch.equal(one.dense_maps(seen, frame), again.dense_maps(seen, frame))
    assert not torch.allclose(one.dense_maps(seen, frame), base.network.dense_maps(seen, frame), atol=0.05)


def test_planes_on_which_not_all_is_labelled_teach_it_nothing(base, tmp_path):
    _trainer, tensors = learn(base, [plane(complete=False)], tmp_path, steps=5)
    assert all("dense" not in line for line in log(tmp_path / "run"))
    # Of two factors one is random from the start, and their product is nothing as long as the other is.
    assert not any(tensor.any() for name, tensor in tensors.items() if name.startswith(PART) and ":down" not in name)
    assert any(tensor.any() for name, tensor in tensors.items() if not name.startswith(PART) and ":down" not in name)


def test_a_window_is_a_part_of_what_is_decoded_of_a_plane(base, monkeypatch):
    model = TrainableSam(base.network.requires_grad_())
    embedding = torch.randn(2, 32, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = F.avg_pool2d(torch.cat([base.network.instance_decoder(one[None]) for one in embedding]), 4)
        torch.testing.assert_close(model.dense((embedding,), None), whole)
        windows = [(slice(0, 16), slice(8, 24)), (slice(16, 32), slice(4, 20))]
        # As far as it sees around a window, it is the whole plane that it sees.
        monkeypatch.setattr(sam, "_AROUND", 8)
        found = model.dense((embedding,), windows)
    for one, own, (rows, columns) in zip(found, whole, windows, strict=True):
        torch.testing.assert_close(one, own[:, rows, columns])


def test_windows_lie_on_objects_and_their_targets_are_the_planes_own(base, tmp_path):
    lonely = np.zeros((SIDE, SIDE), np.int32)
    lonely[90:110, 20:40] = 1
    planes = [replace(plane(), labels=lonely)]
    encoded = encode_planes(base.network, "a", planes, tmp_path, seconds=1e9)
    known = [dense_targets(turned(lonely, turn)) for turn in range(8)]
    source = EncodedSource(base.network, planes, encoded, 8)
    places = set()
    for seed in range(20):
        batch = source.draw(np.random.default_rng(seed), 1, 2, SIDE)
        [(rows, columns)] = batch.windows
        assert rows.start % 4 == columns.start % 4 == 0
        assert batch.dense.shape == (1, 3, 8, 8)
        assert batch.dense[0, 0].any()
        assert any(torch.equal(batch.dense[0], whole[:, rows, columns]) for whole in known)
        places.add((rows.start, columns.start))
    assert len(places) > 5
    # Without a decoder nothing is cut.
    assert TrainableSam(tiny_sam()).window is None
    assert EncodedSource(base.network, planes, encoded).draw(np.random.default_rng(0), 1, 2, SIDE).windows is None


def test_a_run_measures_everything_before_and_after(base, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "_STEPS", 4)
    one = plane("s").labelled
    monkeypatch.setattr(run, "sample_images", lambda: [LabelledImage("s", "s", one.image, one.labels)])
    origin = AdapterOrigin(file_digests(checkpoint, ["sha256"])["sha256"], "joint", "sam_vit")
    split = MaterialSplit((plane("a"),), (plane("b"),), "One and one.", same_image=False)
    config = FinetuneConfig(minutes=60, rank=2, measured_objects=2, searched=1, keep_worse=True)
    report = finetune(config, base, origin, split, tmp_path / "taught")
    assert {"AP@50", "AP"} <= report.before.keys() & report.after.keys()
    taught = load_checkpoint(tmp_path / "taught" / ADAPTER_FILE)
    assert isinstance(taught.model, DenseSam)


def test_without_the_decoder_prompts_are_answered_as_they_were_taught(tmp_path):
    path, beside = tmp_path / "vit.pt", tmp_path / "vit_decoder.pt"
    torch.save(tiny_sam().state_dict(), path)
    torch.save(randomise(InstanceDecoder(32)).state_dict(), beside)
    import_file(path, "two-files")
    base = read_base(path)
    name = "prompt_encoder.no_mask_embed.weight"
    tensors = {
        name: torch.ones_like(base.network.get_parameter(name)),
        PART + "out_conv.bias": torch.ones(3),
    }
    origin = AdapterOrigin(file_digests(path, ["sha256"])["sha256"], "two-files", "sam_vit")
    adapter = tmp_path / "adapter.safetensors"
    write_adapter(adapter, Adapter(tensors, origin, {}))
    loaded = load_checkpoint(adapter)
    assert "taught to find objects by micro-sam's decoder" in " ".join(loaded.notes)
    torch.testing.assert_close(loaded.model.get_parameter(name), base.network.get_parameter(name) + 1)


def test_a_window_is_cut_where_it_is():
    embedding = torch.arange(3 * 8 * 8.0).view(1, 3, 8, 8)
    rows, columns = slice(16, 24), slice(12, 20)
    found = sam._decoded(lambda part: F.interpolate(part, scale_factor=16), embedding, rows, columns)
    assert torch.equal(found, F.interpolate(embedding, scale_factor=4)[..., rows, columns])
