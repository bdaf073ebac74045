"""Adapters: written, read, added to the model that they were taught to, and refused where they do not belong."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_sam.checkpoints import weights
from napari_sam.checkpoints.adapters.file import DOWN, UP, Adapter, AdapterOrigin, read_card, write_adapter
from napari_sam.checkpoints.checksums import file_digests
from napari_sam.checkpoints.importing import import_file
from napari_sam.checkpoints.loading import load_checkpoint
from napari_sam.errors import WeightsError
from napari_sam.model.compact.model import CompactConfig, CompactSam

TINY = CompactConfig(
    widths=(8, 12, 16),
    blocks=(1, 1, 1),
    attention_blocks=1,
    attention_heads=2,
    decoder_widths=(8, 8, 16),
    decoder_depth=1,
    decoder_heads=2,
    shortest=64,
)
LINEAR, CONVOLUTION, QUERIES = "decoder.look4.weight", "decoder.enter.weight", "decoder.queries"
CARD = {"base": "tiny", "planes": 3, "objects": 40, "before": {"1 click": 0.6}, "after": {"1 click": 0.75}}


@pytest.fixture
def base(tmp_path):
    """A tiny model that was imported, and its file."""
    torch.manual_seed(1)
    file = tmp_path / "tiny.safetensors"
    tensors = {name: tensor.half().contiguous() for name, tensor in CompactSam(TINY).state_dict().items()}
    save_file(tensors, file, {"architecture": "compact", "config": TINY.to_json()})
    import_file(file, "tiny")
    return file


def factors(shape, rank=2):
    generator = torch.Generator().manual_seed(3)
    inputs = torch.Size(shape[1:]).numel()
    return torch.randn(shape[0], rank, generator=generator), torch.randn(rank, inputs, generator=generator)


def tensors_of(state):
    up, down = factors(state[LINEAR].shape)
    wide, flat = factors(state[CONVOLUTION].shape)
    return {
        LINEAR + UP: up,
        LINEAR + DOWN: down,
        CONVOLUTION + UP: wide,
        CONVOLUTION + DOWN: flat,
        QUERIES: torch.full_like(state[QUERIES].float(), 0.25),
    }


def write(path, base, tensors=None, **origin):
    known = {"sha256": file_digests(base, ["sha256"])["sha256"], "name": "tiny", "architecture": "compact"} | origin
    tensors = tensors_of(load_file(base)) if tensors is None else tensors
    write_adapter(path, Adapter(tensors, AdapterOrigin(**known), CARD))
    return path


def test_what_was_learnt_is_added_to_the_base_and_nothing_else_changes(base, tmp_path):
    before = load_checkpoint(base)
    taught = load_checkpoint(write(tmp_path / "taught.safetensors", base))
    assert taught.architecture == "compact"
    assert taught.digest != before.digest
    assert "taught on images of its user's own" in taught.notes[0]
    state, was = taught.model.state_dict(), before.model.state_dict()
    up, down = factors(was[LINEAR].shape)
    torch.testing.assert_close(state[LINEAR], was[LINEAR] + up.half().float() @ down.half().float())
    wide, flat = (part.half().float() for part in factors(was[CONVOLUTION].shape))
    torch.testing.assert_close(
        state[CONVOLUTION], was[CONVOLUTION] + (wide @ flat).view_as(was[CONVOLUTION]), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(state[QUERIES], was[QUERIES] + 0.25)
    changed = {name for name in state if not torch.equal(state[name], was[name])}
    assert changed == {LINEAR, CONVOLUTION, QUERIES}
    assert not any(parameter.requires_grad for parameter in taught.model.parameters())


def test_the_digest_tells_adapters_and_bases_apart(base, tmp_path):
    one = load_checkpoint(write(tmp_path / "one.safetensors", base))
    stronger = {name: 2 * tensor for name, tensor in tensors_of(load_file(base)).items()}
    other = load_checkpoint(write(tmp_path / "other.safetensors", base, stronger))
    assert one.digest != other.digest


def test_an_adapter_is_imported_and_is_a_row_of_its_own(base, tmp_path):
    import_file(write(tmp_path / "adapter.safetensors", base), "my-cells")
    row = weights.lookup("my-cells")
    assert row.title == "my-cells (taught)"
    assert row.use_for == (
        "Taught to tiny with 40 objects on 3 planes; one click on others: mean IoU 0.60 before, 0.75 now."
    )
    assert load_checkpoint(weights.resolve("my-cells")[0]).architecture == "compact"
    assert weights.verify(row)


def test_a_base_that_was_imported_under_another_name_is_found(base, tmp_path):
    adapter = write(tmp_path / "adapter.safetensors", base, name="what my colleague called it")
    assert load_checkpoint(adapter).architecture == "compact"


def test_without_its_base_it_says_which_model_to_get(base, tmp_path):
    adapter = write(tmp_path / "a.safetensors", base)
    weights.remove(weights.lookup("tiny"))
    with pytest.raises(WeightsError, match=r"taught to tiny .* not on this machine. Import that model first"):
        load_checkpoint(adapter)
    published = write(tmp_path / "b.safetensors", base, name="sam_vit_b")
    with pytest.raises(WeightsError, match="models download sam_vit_b"):
        load_checkpoint(published)
    packaged = write(tmp_path / "c.safetensors", base, name="bundled")
    with pytest.raises(WeightsError, match="bundled model of another release"):
        load_checkpoint(packaged)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t | {"decoder.nothing": torch.ones(3)}, "there is no weight decoder.nothing"),
        (lambda t: t | {QUERIES: torch.ones(2, 2)}, "decoder.queries has another shape"),
        (lambda t: {k: v for k, v in t.items() if k != LINEAR + DOWN}, "the factors of decoder.look4.weight"),
        # Their product would fill the memory of any machine.
        (
            lambda t: t | {LINEAR + UP: torch.ones(300_000, 1), LINEAR + DOWN: torch.ones(1, 300_000)},
            "the factors of decoder.look4.weight",
        ),
        (lambda t: t | {QUERIES: torch.full_like(t[QUERIES], torch.nan)}, "not all finite"),
    ],
)
def test_what_does_not_fit_is_refused(base, tmp_path, change, words):
    tensors = change(tensors_of(load_file(base)))
    with pytest.raises(WeightsError, match=words):
        load_checkpoint(write(tmp_path / "bad.safetensors", base, tensors))


def test_a_file_that_does_not_say_its_base_is_refused(base, tmp_path):
    save_file({QUERIES: torch.ones(5, 16)}, tmp_path / "bad.safetensors", {"architecture": "adapter"})
    with pytest.raises(WeightsError, match="does not say which model it was taught to"):
        load_checkpoint(tmp_path / "bad.safetensors")


def test_another_architecture_is_not_what_was_asked_for(base, tmp_path):
    with pytest.raises(WeightsError, match="not sam_vit_b"):
        load_checkpoint(write(tmp_path / "a.safetensors", base), architecture="sam_vit_b")


def test_the_card_is_read_without_the_weights(base, tmp_path):
    file = write(tmp_path / "a.safetensors", base)
    assert read_card(file) == json.loads(json.dumps(CARD))
    assert read_card(base) is None
    assert read_card(tmp_path / "nothing.safetensors") is None
    file.write_bytes(file.read_bytes()[:100])
    assert read_card(file) is None
