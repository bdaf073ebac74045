"""The loop trains whatever answers as `Trainable` says, here a network of two layers without a dense head."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from labelled_squares import squares_source
from tiny import SHORT, log
from torch import nn

from napari_sam.training.loop import CHECKPOINT, Trainer


class TwoLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.old = nn.Conv2d(3, 6, 2, stride=2)
        self.new = nn.Conv2d(6, 4, 1)


class TrainableTwoLayers:
    description = "two layers"

    def __init__(self):
        self.network = TwoLayers()

    saves_whole = True

    def is_pretrained(self, parameter):
        return parameter.startswith("old.")

    def features(self, images):
        return (self.network.old(images / 255),)

    def respond(self, features, objects, prompts):
        logits = self.network.new(features[0][objects])
        return logits, logits.mean((2, 3)).sigmoid()

    def dense(self, features, windows):
        return None


def test_a_network_without_a_dense_head_is_trained_and_goes_on_where_it_was_cut(tmp_path):
    trainer = Trainer(TrainableTwoLayers, SHORT, squares_source(), tmp_path)
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    average = trainer.run()
    assert isinstance(average, TwoLayers)
    assert all(not torch.equal(tensor, before[name]) for name, tensor in trainer.model.state_dict().items())
    assert all("dense" not in line and line["first"] > 0 for line in log(tmp_path))
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["model_config"] == "two layers"
    again = Trainer(TrainableTwoLayers, SHORT, squares_source(), tmp_path)
    assert again.step == SHORT.steps
    assert torch.equal(again.model.new.weight, trainer.model.new.weight)


def test_what_is_pretrained_changes_slowly(tmp_path):
    trainer = Trainer(TrainableTwoLayers, SHORT, squares_source(), tmp_path)
    shares = {
        parameter.shape: group["share"] for group in trainer.optimizer.param_groups for parameter in group["params"]
    }
    network = trainer.model
    assert shares[network.old.weight.shape] == SHORT.backbone_share < shares[network.new.weight.shape] == 1


@pytest.mark.parametrize(("parts", "threads"), [(1, 2), (2, 1)])
def test_a_single_part_has_all_threads_and_several_have_one_each(tmp_path, parts, threads):
    seen, before = set(), torch.get_num_threads()

    class Looking(TrainableTwoLayers):
        def features(self, images):
            seen.add(torch.get_num_threads())
            return super().features(images)

    torch.set_num_threads(2)
    try:
        Trainer(Looking, replace(SHORT, threads=parts, images=1), squares_source(), tmp_path).run()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == {threads}
