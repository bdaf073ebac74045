"""The last blocks of a SAM's image encoder learn: what is kept of a plane, what changes, what a file holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from labelled_squares import squares

from napari_sam.checkpoints.adapters.file import Adapter, AdapterOrigin, write_adapter
from napari_sam.checkpoints.checksums import file_digests
from napari_sam.checkpoints.importing import import_file
from napari_sam.checkpoints.loading import load_checkpoint
from napari_sam.errors import InputError
from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.model.compact.model import CompactSam
from napari_sam.model.encoders import relative_attention
from napari_sam.model.encoders.relative_attention import attend
from napari_sam.model.sam.sam import MOBILE, Sam
from napari_sam.planes.plane import Plane
from napari_sam.predictor import Predictor
from napari_sam.training.config import TrainingConfig
from napari_sam.training.finetune import learning, run
from napari_sam.training.finetune.encoded import EncodedSource, encode_planes
from napari_sam.training.finetune.learning import FinetuneConfig
from napari_sam.training.finetune.leavings import ADAPTER_FILE
from napari_sam.training.finetune.run import finetune
from napari_sam.training.finetune.trainable import TrainableAdapter
from napari_sam.training.loop import Trainer
from napari_sam.training.material import MaterialSplit, TaughtPlane
from napari_sam.training.networks import sam as networks_sam
from napari_sam.training.networks.adaptable import adaptable
from napari_sam.training.networks.base import BaseModel, read_base
from napari_sam.training.networks.sam import TrainableSam
from sam_reference import randomise, tiny_sam
from training.tiny import TINY

SIDE = 128


def plane(name="a", seed=0):
    labels = squares(SIDE)
    noise = np.random.default_rng(seed).normal(0, 8, labels.shape)
    image = np.repeat((np.minimum(labels, 1) * 150 + 40 + noise).clip(0, 255).astype(np.uint8)[..., None], 3, 2)
    return TaughtPlane(name, name, image, labels, complete=True)


KINDS = {
    "ViT": ({}, 1, ("image_encoder.blocks.1.", "image_encoder.neck.")),
    "ViT, all": ({}, 2, ("image_encoder.blocks.", "image_encoder.neck.")),
    "SAM-HQ": ({"high_quality": True}, 1, ("image_encoder.blocks.1.", "image_encoder.neck.")),
    "TinyViT": ({"mobile": True}, 1, ("image_encoder.layers.3.blocks.1.", "image_encoder.neck.")),
    "TinyViT, three": (
        {"mobile": True},
        3,
        (
            "image_encoder.layers.2.blocks.5.",
            "image_encoder.layers.2.downsample.",
            "image_encoder.layers.3.",
            "image_encoder.neck.",
        ),
    ),
}


@pytest.mark.parametrize(("kind", "blocks", "late"), KINDS.values(), ids=KINDS)
class TestWhatLearns:
    def test_what_is_kept_goes_on_to_the_same_features(self, kind, blocks, late):
        model = tiny_sam(**kind)
        pixels = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
        inner = TrainableSam(model, blocks)
        encoded = inner.begin(pixels)
        assert len(encoded) == (2 if model.config.high_quality else 1)
        for one, other in zip(inner.resume(encoded), model.encode(pixels), strict=True):
            assert torch.equal(one, other)

    def test_the_last_blocks_learn_and_nothing_before_them(self, kind, blocks, late):
        model = tiny_sam(**kind)
        inner = TrainableSam(model, blocks)
        learning = {name for name, _ in model.named_parameters() if inner.is_late(name)}
        expected = {
            name for name, _ in model.named_parameters() if name.startswith((*late, "mask_decoder.", "prompt_encoder."))
        }
        assert learning == expected
        assert {name for name in learning if inner.is_pretrained(name)} == {
            name for name in learning if name.startswith("image_encoder.")
        }


def test_a_step_changes_them_and_asks_the_early_ones_no_more(tmp_path, monkeypatch):
    base = BaseModel(tiny_sam(), {}, {}, "0" * 64, "sam_vit")
    asked = []
    block = base.network.image_encoder.blocks[0]
    block.register_forward_hook(lambda *_: asked.append("early"))
    begin = adaptable(base.network, 1).begin
    encoded = encode_planes(base.network, "a", [plane()], tmp_path / "encoded", seconds=0, begin=begin)
    assert asked == ["early"]
    config = TrainingConfig(
        steps=3, images=1, objects=2, sides=(SIDE,), warmup=1, extra_rounds=1, learning_rate=0.05, save_every=1e9
    )
    source = EncodedSource(base.network, [plane()], encoded)
    trainer = Trainer(lambda: TrainableAdapter(base, 2, 1), config, source, tmp_path / "run")
    average = trainer.run()
    assert asked == ["early"]
    learnt = {n: t for n, t in TrainableAdapter(base, 2, 1).learnt(average).items() if ":down" not in n}
    moved = {name for name, tensor in learnt.items() if tensor.any()}
    for wanted in ("blocks.1.attn.qkv.weight:up", "blocks.1.mlp.lin1.weight:up", "blocks.1.norm1.weight", "neck.2."):
        assert any(wanted in name for name in moved), wanted
    assert not any("blocks.0" in name or "patch_embed" in name for name in learnt)
    # They change slowly.
    shares = {group["share"] for group in trainer.optimizer.param_groups}
    assert shares == {1.0, config.backbone_share}


def test_a_taught_encoder_has_embeddings_of_its_own(tmp_path, monkeypatch):
    path = tmp_path / "vit.pt"
    torch.save(tiny_sam().state_dict(), path)
    import_file(path, "vit")
    base = read_base(path)
    monkeypatch.setattr(learning, "_STEPS", 4)
    monkeypatch.setattr(learning, "_RATE", 0.05)
    one = plane("s", 3).labelled
    monkeypatch.setattr(run, "sample_images", lambda: [LabelledImage("s", "s", one.image, one.labels)])
    origin = AdapterOrigin(file_digests(path, ["sha256"])["sha256"], "vit", "sam_vit")
    split = MaterialSplit((plane("a"),), (plane("b", 1),), "One and one.", same_image=False)
    config = FinetuneConfig(minutes=60, rank=2, encoder_blocks=1, measured_objects=2, keep_worse=True)
    seen = []
    encode = Sam.encode
    monkeypatch.setattr(Sam, "encode", lambda self, pixels, *more: seen.append(self) or encode(self, pixels, *more))
    report = finetune(config, base, origin, split, tmp_path / "run")
    # What was made by the encoder that it had is not taken for what it makes now.
    assert len({id(network) for network in seen}) >= 2
    loaded = load_checkpoint(tmp_path / "run" / ADAPTER_FILE)
    taught, before = Predictor(loaded.model, loaded.digest), Predictor(base.network, base.sha256)
    looked_at = Plane(plane("c", 2).image)
    assert taught.key(looked_at) != before.key(looked_at)
    assert not torch.equal(taught.embed(looked_at).features[0], before.embed(looked_at).features[0])
    for name, tensor in loaded.model.state_dict().items():
        if "image_encoder.blocks.0" in name:
            assert torch.equal(tensor, base.network.state_dict()[name])
    assert report.kept
    with pytest.raises(InputError, match="another part learns"):
        finetune(FinetuneConfig(minutes=60, rank=2), base, origin, split, tmp_path / "run")


def test_a_file_with_them_brings_back_the_same_numbers(tmp_path):
    path = tmp_path / "vit.pt"
    torch.save(randomise(Sam(MOBILE)).state_dict(), path)
    import_file(path, "mobile")
    base = read_base(path)
    trainable = TrainableAdapter(base, 2, 2)
    with torch.no_grad():
        for parameter in trainable.network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape))
    origin = AdapterOrigin(file_digests(path, ["sha256"])["sha256"], "mobile", "mobile_sam")
    write_adapter(tmp_path / "a.safetensors", Adapter(trainable.learnt(), origin, {}))
    loaded = load_checkpoint(tmp_path / "a.safetensors").model
    was = dict(base.network.named_parameters())
    for name, now in loaded.named_parameters():
        expected = trainable.network.get_submodule(name.rpartition(".")[0])
        expected = getattr(expected, name.rpartition(".")[2]) if name.rpartition(".")[0] else expected
        # The file is half as precise.
        torch.testing.assert_close(now, expected.detach(), rtol=0, atol=2e-3)
        assert torch.equal(now, was[name]) != trainable._inner.is_late(name), name


def test_more_blocks_than_there_are_are_refused():
    with pytest.raises(InputError, match="has 2 blocks"):
        adaptable(tiny_sam(), 3)
    with pytest.raises(InputError, match="always learns"):
        adaptable(CompactSam(TINY), 1)


def test_of_the_blocks_that_learn_nothing_is_kept_but_what_goes_in(monkeypatch):
    network = tiny_sam().requires_grad_(requires_grad=True)
    inner = TrainableSam(network, 2)
    with torch.no_grad():
        encoded = inner.begin(torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)))

    def learn():
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t):
            embedding = inner.resume(encoded)[0]
        kept = sum(saved)
        gradients = torch.autograd.grad(embedding.square().sum(), list(network.image_encoder.neck.parameters()))
        return kept, gradients

    kept, gradients = learn()
    assert kept <= sum(part.numel() for part in encoded)
    monkeypatch.setattr(networks_sam, "_checkpointed", lambda work, *given: work(*given))
    plain, expected = learn()
    assert plain > 10 * kept
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("window", [4, 8])
def test_attention_has_the_same_gradient_in_parts_and_keeps_no_scores(window, monkeypatch):
    generator = torch.Generator().manual_seed(0)

    def inputs():
        qkv = torch.randn(1, 8, 8, 3, 2, 4, generator=generator.manual_seed(0)).requires_grad_()
        tables = [torch.randn(2 * window - 1, 4, generator=generator).requires_grad_() for _ in range(2)]
        return qkv, torch.zeros(3, 2, 4), *tables

    given = inputs()
    relative_attention._attend_folded(
        given[0], given[1], *(relative_attention._by_offset(table, window) for table in given[2:])
    ).square().sum().backward()
    # As if the scores of a plane did not fit.
    monkeypatch.setattr(relative_attention, "_SCORES_AT_ONCE", 2 * window**3)
    saved = []
    again = inputs()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t):
        answer = attend(*again, window)
    assert max(saved) <= max(tensor.numel() for tensor in again) + 8 * 8 * 2 * window
    answer.square().sum().backward()
    for one, other in zip(given, again, strict=True):
        if one.requires_grad:
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-4)
