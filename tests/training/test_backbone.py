from __future__ import annotations

import pytest
import timm
import torch

from napari_sam.errors import InputError
from napari_sam.model.compact.model import CompactConfig, CompactSam
from napari_sam.model.encoders.efficientnet import EfficientNetLite
from napari_sam.training.bundled.backbone import read_backbone


def published_names(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Weights of timm's network under the names of the published files: both list the same parts in one order."""
    numbers = {}
    renamed = {}
    for name, value in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        first, *rest = name.split(".")
        if first == "blocks":
            block = numbers.setdefault(".".join(rest[:2]), len(numbers))
            separable = rest[0] == "0"  # the one block that does not widen
            part = {
                "conv_dw": "_depthwise_conv",
                "conv_pw": "_project_conv" if separable else "_expand_conv",
                "conv_pwl": "_project_conv",
                "bn1": "_bn1" if separable else "_bn0",
                "bn2": "_bn2" if separable else "_bn1",
                "bn3": "_bn2",
            }[rest[2]]
            renamed[f"_blocks.{block}.{part}.{rest[3]}"] = value
        else:
            part = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}.get(
                first, "_fc"
            )
            renamed[f"{part}.{rest[0]}"] = value
    return renamed


@pytest.fixture(params=["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"])
def reference(request) -> tuple[str, torch.nn.Module]:
    """A network of timm with random weights, and random statistics of its batch normalisation."""
    torch.manual_seed(0)
    model = timm.create_model(request.param, pretrained=False, bn_eps=1e-3).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.3)
    return request.param, model


def test_the_trunk_is_the_published_network(reference, tmp_path):
    name, model = reference
    torch.save(published_names(model), tmp_path / "w.pth")
    found, state = read_backbone(tmp_path / "w.pth")
    assert found == name
    trunk = EfficientNetLite(name)
    trunk.load_state_dict(state)
    pixels = torch.randn(2, 3, 80, 112)
    x = model.bn1(model.conv_stem(pixels))
    wanted = []
    with torch.no_grad():
        for index, stage in enumerate(model.blocks[:6]):
            x = stage(x)
            if index != 3:
                wanted.append(x)
        for ours, theirs in zip(trunk(pixels), wanted, strict=True):
            assert ours.shape == theirs.shape
            assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max()


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "w.pth"
    for contents in (b"words", b""):
        path.write_bytes(contents)
        with pytest.raises(InputError, match="published weights"):
            read_backbone(path)
    for weights in ({"w": torch.zeros(1)}, [1, 2], {f"_blocks.{n}.x": torch.zeros(1) for n in range(16)}):
        torch.save(weights, path)
        with pytest.raises(InputError, match="published weights"):
            read_backbone(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_backbone(tmp_path / "none.pth")


@pytest.mark.parametrize("side", [64, 80, 48])
def test_an_encoder_on_it_gives_maps_of_all_strides(side):
    torch.manual_seed(0)
    model = CompactSam(CompactConfig(backbone="efficientnet_lite0", attention_blocks=1)).eval()
    with torch.no_grad():
        f4, f8, f16, keys, dense = model.features(torch.randn(1, 3, side, 96))
    assert f4.shape == (1, 32, side // 4, 24)
    assert f8.shape == (1, 64, side // 8, 12)
    assert f16.shape == (1, 128, side // 16, 6)  # also where the trunk rounds an odd number up
    assert keys.shape[-2:] == dense.shape[-2:] == f4.shape[-2:]
