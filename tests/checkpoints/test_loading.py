"""From a file to a model: formats, what is refused, and what a person is told."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from napari_sam.checkpoints.loading import load_checkpoint
from napari_sam.errors import WeightsError
from napari_sam.model.compact.model import CompactConfig, CompactSam
from napari_sam.model.protocol import DenseModel, PromptableModel, PromptTensors
from napari_sam.model.sam.instance_decoder import InstanceDecoder
from napari_sam.model.sam.medsam import LiteMedSam, MedSam
from napari_sam.model.sam.sam import LITE_MEDSAM, VIT_B, Sam
from sam_reference import randomise, tiny_sam

PIXELS = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(3))


def answer(model: PromptableModel) -> Tensor:
    """Some logits."""
    prompts = PromptTensors(torch.tensor([[[40.0, 50.0]]]), torch.tensor([[1]]))
    return model.decode(model.encode(PIXELS), prompts, model.frame((128, 128)), multimask=True).logits


def half_on_disk(state: dict[str, Tensor], path: Path) -> None:
    save_file({key: value.half() for key, value in state.items()}, path)


SAVE = {
    "zip": torch.save,
    "before PyTorch 1.6": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "safetensors": save_file,
    "micro-sam": lambda state, path: torch.save(
        {"model_state": {"sam." + k: v for k, v in state.items()}, "decoder_state": {"w": torch.zeros(2)}}, path
    ),
}


def test_a_safetensors_file_of_any_length_of_header_loads(tmp_path):
    """One in 32 has a length that begins with the byte that pickles begin with."""
    state, path = tiny_sam().state_dict(), tmp_path / "w.safetensors"
    for padding in range(256):
        save_file(state, path, {"padding": "x" * padding})
        if path.read_bytes()[0] == 0x80:
            break
    else:
        pytest.fail("no file of that kind was made")
    assert load_checkpoint(path).architecture == "sam_vit"


def joint(path: Path, change=lambda state: None, *, transposed: bool = False) -> dict[str, Tensor]:
    """Save a checkpoint as micro-sam's joint training does, its decoder changed; give the decoder's state."""
    names = [f"decoder.samplers.{index}" for index in range(3)] if transposed else []
    decoder = InstanceDecoder(32, names).state_dict()
    change(decoder)
    weights = {f"sam.{key}": value for key, value in tiny_sam().state_dict().items()}
    # Trainers may keep the encoder here, too.
    extra = {"encoder.pos_embed": torch.zeros(3)}
    torch.save({"model_state": weights, "decoder_state": decoder | extra}, path)
    return decoder


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
def test_every_format_gives_the_model_that_was_saved(save, tmp_path: Path) -> None:
    original, path = tiny_sam(), tmp_path / "model.bin"  # the contents count, not the name
    save(original.state_dict(), path)
    loaded = load_checkpoint(path)
    assert torch.equal(answer(loaded.model), answer(original))
    assert loaded.architecture == "sam_vit"
    assert loaded.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert isinstance(loaded.model, Sam)
    assert not loaded.model.training
    assert not any(weight.requires_grad for weight in loaded.model.parameters())
    assert all(weight.dtype == torch.float32 for weight in loaded.model.parameters())


def test_half_precision_on_disk_is_single_in_memory(tmp_path: Path) -> None:
    original, path = tiny_sam(), tmp_path / "half.safetensors"
    half_on_disk(original.state_dict(), path)
    loaded = load_checkpoint(path).model
    assert answer(loaded).dtype == torch.float32
    torch.testing.assert_close(answer(loaded), answer(original), rtol=0, atol=0.2)


def test_the_file_is_free_once_the_model_is_loaded(tmp_path: Path) -> None:
    original, path = tiny_sam(), tmp_path / "sam.pth"
    torch.save(original.state_dict(), path)
    loaded = load_checkpoint(path)
    with path.open("r+b") as file:  # would show in weights that still were a view of the file
        file.write(bytes(path.stat().st_size))
    assert torch.equal(answer(loaded.model), answer(original))


@pytest.mark.parametrize("high_quality", [False, True])
def test_mobile_sam_is_loaded_with_its_normalisation_fused(high_quality: bool, tmp_path: Path) -> None:
    original, path = tiny_sam(mobile=True, high_quality=high_quality), tmp_path / "mobile_sam.pt"
    extra = {"image_encoder.norm_head.weight": torch.ones(320), "image_encoder.head.weight": torch.ones(1000, 320)}
    torch.save({**original.state_dict(), **extra}, path)
    with pytest.raises(WeightsError, match="another shape"):
        load_checkpoint(path)  # tiny in its embeddings, which the published ones are not
    original = Sam(type(original.config)(original.config.encoder, high_quality=high_quality)).eval()
    torch.save({**original.state_dict(), **extra}, path)
    loaded = load_checkpoint(path)
    assert loaded.architecture == ("sam_hq_vit_tiny" if high_quality else "mobile_sam")
    assert not [part for part in loaded.model.modules() if isinstance(part, nn.BatchNorm2d)]


@pytest.fixture(scope="module")
def vit_b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT-B of zeros, which take no place on most disks."""
    path = tmp_path_factory.mktemp("weights") / "sam_vit_b.pth"
    with torch.device("meta"):
        shapes = {key: list(value.shape) for key, value in Sam(VIT_B).state_dict().items()}
    ends = list(itertools.accumulate((2 * math.prod(shape) for shape in shapes.values()), initial=0))
    header = json.dumps(
        {
            key: {"dtype": "F16", "shape": shape, "data_offsets": span}
            for (key, shape), span in zip(shapes.items(), itertools.pairwise(ends), strict=True)
        }
    ).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + ends[-1])
    return path


def test_medsam_is_asked_for_or_told_by_the_file_name(vit_b: Path, tmp_path: Path) -> None:
    assert type(load_checkpoint(vit_b).model) is Sam
    asked = load_checkpoint(vit_b, architecture="medsam_vit_b")
    named = tmp_path / "MedSAM_vit_b.pth"
    named.symlink_to(vit_b)
    told = load_checkpoint(named)
    assert [type(x.model) for x in (asked, told)] == [MedSam, MedSam]
    assert asked.architecture == told.architecture == "medsam_vit_b"
    assert not asked.notes
    assert "file name" in told.notes[0]
    assert type(load_checkpoint(named, architecture="sam_vit_b").model) is Sam


def test_another_model_than_the_one_asked_for_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save(tiny_sam().state_dict(), path)
    for wanted in ("sam_vit_b", "medsam_vit_b", "compact"):
        with pytest.raises(WeightsError, match=f"architecture sam_vit, not {wanted}"):
            load_checkpoint(path, architecture=wanted)
    named = tmp_path / "lite_medsam.pth"
    path.rename(named)
    with pytest.raises(WeightsError, match="not medsam_vit_b"):
        load_checkpoint(named)


def test_the_bundled_architecture_comes_with_its_configuration(tmp_path: Path) -> None:
    config = CompactConfig(widths=(16, 16, 16), attention_heads=2, decoder_widths=(16, 16, 16), decoder_heads=2)
    original, path = CompactSam(config).eval(), tmp_path / "compact.safetensors"
    state = {key: value.half().contiguous() for key, value in original.state_dict().items()}
    save_file(state, path, metadata={"architecture": "compact", "config": config.to_json()})
    loaded = load_checkpoint(path, architecture="compact")
    assert loaded.architecture == load_checkpoint(path).architecture == "compact"
    assert isinstance(loaded.model, CompactSam)
    assert loaded.model.config == config
    for key, value in loaded.model.state_dict().items():
        assert torch.equal(value, state[key].float())
        assert not value.requires_grad
    with pytest.raises(WeightsError, match="compact, not mobile_sam"):
        load_checkpoint(path, architecture="mobile_sam")
    state.popitem()
    save_file(state, path, metadata={"architecture": "compact", "config": config.to_json()})
    with pytest.raises(WeightsError, match="1 missing"):
        load_checkpoint(path)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_decoder_of_instances_in_the_file_makes_a_dense_model(transposed: bool, tmp_path: Path) -> None:
    path = tmp_path / "joint.pt"
    decoder = joint(path, transposed=transposed)
    loaded = load_checkpoint(path)
    assert isinstance(loaded.model, DenseModel)
    assert loaded.architecture == "sam_vit"
    assert not loaded.notes
    assert torch.equal(answer(loaded.model), answer(tiny_sam()))
    found = loaded.model.instance_decoder.state_dict()
    assert found.keys() == decoder.keys()
    assert all(torch.equal(found[key], value) for key, value in decoder.items())


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda state: state.pop("out_conv.bias"), r"1 missing \(instance_decoder.out_conv.bias\)"),
        (lambda state: state.update({"out_conv.bias": torch.zeros(2)}), "1 of another shape"),
        (lambda state: state.update({"out_conv.bias": torch.zeros(3, dtype=torch.long)}), "1 of another type"),
        (lambda state: (state.clear(), state.update(w=torch.zeros(2))), "missing"),
    ],
)
def test_a_decoder_of_another_layout_is_left_out_with_words(damage, words: str, tmp_path: Path) -> None:
    path = tmp_path / "joint.pt"
    joint(path, damage)
    loaded = load_checkpoint(path)
    assert not isinstance(loaded.model, DenseModel)
    assert torch.equal(answer(loaded.model), answer(tiny_sam()))
    [note] = loaded.notes
    assert re.search(f"decoder for automatic segmentation is in the file but not used: .*{words}", note)


def test_weights_that_are_no_numbers_or_no_weights_are_damage_in_the_decoder_too(tmp_path: Path) -> None:
    path = tmp_path / "joint.pt"
    joint(path, lambda state: state["out_conv.bias"].fill_(math.nan))
    with pytest.raises(WeightsError, match=r"instance_decoder\.out_conv\.bias are not all finite"):
        load_checkpoint(path)
    joint(path, lambda state: state.update(huge=torch.zeros(1).expand(10**9)))
    with pytest.raises(WeightsError, match="describes more weights than it holds"):
        load_checkpoint(path)


def test_medsam_has_no_decoder_of_instances(vit_b: Path, tmp_path: Path) -> None:
    contents = {"model_state": load_file(vit_b), "decoder_state": InstanceDecoder(256).state_dict()}
    torch.save(contents, tmp_path / "medsam_joint.pt")
    loaded = load_checkpoint(tmp_path / "medsam_joint.pt")
    assert type(loaded.model) is MedSam
    assert "MedSAM's preprocessing" in loaded.notes[-1]


def test_lite_medsam_is_told_by_its_weights_whatever_the_file_is_called(tmp_path: Path) -> None:
    state = randomise(LiteMedSam(LITE_MEDSAM)).state_dict()
    for name in ("lite_medsam.pth", "other.pth"):
        torch.save({"model": state}, tmp_path / name)
        loaded = load_checkpoint(tmp_path / name)
        assert type(loaded.model) is LiteMedSam
        assert (loaded.architecture, loaded.notes) == ("lite_medsam", ())
    with pytest.raises(WeightsError, match="lite_medsam, not mobile_sam"):
        load_checkpoint(tmp_path / "other.pth", architecture="mobile_sam")
    state["image_encoder.patch_embed.seq.0.c.weight"] = torch.zeros(2)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="of another shape"):
        load_checkpoint(tmp_path / "other.pth")


class Trap:
    """Unpickling this would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("new_format", [True, False])
def test_code_in_a_file_is_refused_and_not_run(new_format: bool, tmp_path: Path) -> None:
    path, victim = tmp_path / "trap.pth", tmp_path / "victim"
    torch.save({**tiny_sam().state_dict(), "x": Trap(victim)}, path, _use_new_zipfile_serialization=new_format)
    with pytest.raises(WeightsError, match=r"holds Python objects .*refused.*state_dict"):
        load_checkpoint(path)
    assert not victim.exists()


def test_a_pickled_module_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "slim_sam_global.pth"
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(WeightsError, match=r"Python objects \(torch.nn.modules.linear.Linear\)"):
        load_checkpoint(path)


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
@pytest.mark.parametrize("share", [0.0, 0.0005, 0.5, 0.999])
def test_a_cut_off_file_is_called_damaged(save, share: float, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    save(tiny_sam().state_dict(), path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(WeightsError, match=r"model.bin is damaged, incomplete.*Download it again"):
        load_checkpoint(path)


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>404</html>", b"\n<html>log in</html>"])
def test_a_web_page_is_called_one(page: bytes, tmp_path: Path) -> None:
    path = tmp_path / "sam.pth"
    path.write_bytes(page)
    with pytest.raises(WeightsError, match="is a web page"):
        load_checkpoint(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no file .*nowhere\.pth"):
        load_checkpoint(tmp_path / "nowhere.pth")


def test_loading_does_not_import_a_compiler(tmp_path: Path) -> None:
    """It takes a second, which everybody would wait for who opens the window."""
    torch.save(tiny_sam().state_dict(), tmp_path / "sam.pth")
    code = (
        "import sys; from pathlib import Path; from napari_sam.checkpoints.loading import load_checkpoint\n"
        "from napari_sam.checkpoints.weights import resolve\n"
        "for model in (resolve('bundled')[0], Path(sys.argv[1])):\n"
        "    load_checkpoint(model)\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "sam.pth")], timeout=120).returncode == 0
