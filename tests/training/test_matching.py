from __future__ import annotations

from dataclasses import replace

import torch
from labelled_squares import squares_source
from tiny import TINY

from napari_sam.model.compact.model import CompactSam
from napari_sam.model.encoders.efficientnet import EfficientNetLite
from napari_sam.training.bundled import matching
from napari_sam.training.bundled.matching import matched_start


def test_a_new_encoder_comes_near_the_old_ones_features(monkeypatch):
    monkeypatch.setattr(matching, "_SIDE", 64)
    torch.manual_seed(0)
    teacher = CompactSam(TINY).eval().requires_grad_(requires_grad=False)
    trunk = EfficientNetLite("efficientnet_lite0").state_dict()
    student = CompactSam(replace(TINY, backbone="efficientnet_lite0"))
    words = []
    state = matched_start(student, teacher, trunk, squares_source(), steps=30, tell=words.append)
    losses = [float(line.rpartition(" ")[2]) for line in words]
    assert len(losses) == 30
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    for name, value in teacher.state_dict().items():
        if name.startswith("decoder."):
            assert torch.equal(state[name], value), name
    for name, value in trunk.items():
        assert torch.equal(state[f"encoder.trunk.{name}"], value), name  # it keeps what it learnt from ImageNet
