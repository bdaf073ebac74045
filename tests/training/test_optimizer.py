from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from labelled_squares import squares_source
from tiny import SHORT, log, tiny_model
from torch import nn

from napari_sam.errors import Cancelled, InputError
from napari_sam.training.loop import CHECKPOINT, Trainer
from napari_sam.training.optimizer import Optimizers, is_matrix

RATE = 0.01


def parameters(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def changed(parameter, gradient, algorithm="muon", steps=1):
    """By how much some steps along one gradient change a parameter."""
    before = parameter.detach().clone()
    optimizers = Optimizers([{"params": [parameter], "weight_decay": 0.0}], RATE, algorithm)
    for _ in range(steps):
        parameter.grad = gradient.clone()
        optimizers.step()
    return parameter.detach() - before


def test_muon_changes_a_matrix_alike_in_all_directions():
    (matrix,) = parameters((32, 64))
    scales = torch.logspace(0, 1, 32)
    gradient = torch.diag(scales) @ torch.eye(32, 64)
    change = changed(matrix, gradient)
    found = torch.linalg.svdvals(change)
    assert found.max() < 2 * found.min()  # ten times, in the gradient
    # About the root mean square of AdamW's steps, which are of the size of the rate.
    assert 0.1 < change.square().mean().sqrt() / RATE < 0.3
    assert torch.linalg.svdvals(changed(*parameters((32, 64)), gradient, "adamw")).min() < 1e-6 + found.min()


def test_all_that_is_no_matrix_changes_as_by_adamw():
    shapes = (64,), (32, 1, 5, 5), (8, 64), (64, 8)
    gradients = [parameter.detach() for parameter in parameters(*shapes)]
    for one, other, gradient in zip(parameters(*shapes), parameters(*shapes), gradients, strict=True):
        assert not is_matrix(one)
        assert torch.equal(changed(one, gradient, steps=3), changed(other, gradient, "adamw", steps=3))


def test_how_a_convolution_lies_in_memory_makes_no_difference():
    shape = (24, 16, 3, 3)
    plain, last = parameters(shape)[0], parameters(shape)[0]
    last.data = last.data.to(memory_format=torch.channels_last)
    gradient = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    wanted = changed(plain, gradient, steps=3)
    assert wanted.abs().max() > RATE / 10
    # Muon multiplies in bfloat16, in whose sums the order of columns is seen.
    for given in (gradient, gradient.to(memory_format=torch.channels_last)):
        last.data = parameters(shape)[0].data.to(memory_format=torch.channels_last)
        torch.testing.assert_close(changed(last, given, steps=3).contiguous(), wanted, atol=RATE / 20, rtol=0.05)


def test_each_group_has_its_own_decay_and_what_else_is_in_it():
    (matrix, vector), (other,) = parameters((16, 16), (16,)), parameters((16, 16))
    groups = [
        {"params": [matrix, vector], "weight_decay": 0.5, "share": 1.0},
        {"params": [other], "weight_decay": 0.0, "share": 0.1},
    ]
    optimizers = Optimizers(groups, RATE, "muon")
    before = [matrix.detach().clone(), other.detach().clone()]
    for group in optimizers.param_groups:
        assert {0.5: 1.0, 0.0: 0.1}[group["weight_decay"]] == group["share"]
    for parameter in (matrix, vector, other):
        parameter.grad = torch.zeros_like(parameter)
    optimizers.step()
    torch.testing.assert_close(matrix.detach(), before[0] * (1 - 0.5 * RATE))
    torch.testing.assert_close(other.detach(), before[1])


def test_without_muon_it_is_said_what_to_do(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(InputError, match="--optimizer adamw"):
        Optimizers([{"params": parameters((16, 16))}], RATE, "muon")
    Optimizers([{"params": parameters((16,))}], RATE, "muon")


class TestInTheLoop:
    CONFIG = replace(SHORT, optimizer="muon")

    def trainer(self, folder, config=CONFIG):
        return Trainer(tiny_model, config, squares_source(), folder)

    def test_it_learns(self, tmp_path):
        self.trainer(tmp_path, replace(self.CONFIG, steps=60, learning_rate=4e-3, warmup=5, log_every=10)).run()
        lines = log(tmp_path)
        assert lines[-1]["first"] < 0.75 * lines[0]["first"]

    def test_the_network_s_own_weights_are_what_changes(self, tmp_path):
        trainer = self.trainer(tmp_path)
        before = {name: values.clone() for name, values in trainer.model.state_dict().items()}
        trainer.run()
        names = {name for name, values in trainer.model.named_parameters() if is_matrix(values)}
        assert names
        after = trainer.model.state_dict()
        assert not [name for name in names if torch.equal(before[name], after[name])]

    def test_a_run_that_was_cut_goes_on_as_if_it_had_not_been(self, tmp_path):
        whole = self.trainer(tmp_path / "whole")
        whole.run()

        def cut(fraction):
            if fraction >= 0.5:
                raise Cancelled

        with pytest.raises(Cancelled):
            self.trainer(tmp_path / "cut").run(cut)
        second = self.trainer(tmp_path / "cut")
        second.run()
        for name, tensor in second.model.state_dict().items():
            torch.testing.assert_close(tensor, whole.model.state_dict()[name], msg=name)

    def test_a_run_of_an_earlier_release_goes_on(self, tmp_path):
        self.trainer(tmp_path, SHORT).run()
        state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
        (state["optimizer"],) = state["optimizer"]["optimizers"]
        del state["config"]["optimizer"]
        torch.save(state, tmp_path / CHECKPOINT)
        trainer = self.trainer(tmp_path, replace(SHORT, steps=6))
        assert trainer.step == 4
        moments = trainer.optimizer.state_dict()["optimizers"][0]["state"]
        assert all(float(own["step"]) == 4 for own in moments.values())
        trainer.run()
        assert trainer.step == 6
