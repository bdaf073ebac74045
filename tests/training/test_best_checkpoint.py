from __future__ import annotations

import json
from dataclasses import replace
from itertools import count

import pytest
import torch
from labelled_squares import labelled, squares_source
from tiny import SHORT, TINY, tiny_model

from napari_sam.checkpoints.loading import load_checkpoint
from napari_sam.model.compact.model import CompactSam
from napari_sam.training.best_checkpoint import BEST, Best
from napari_sam.training.bundled import train
from napari_sam.training.bundled.dataset import BundledData
from napari_sam.training.bundled.train import BundledConfig, load_average, measure, score
from napari_sam.training.loop import CHECKPOINT, Trainer


def trainer(folder, **settings) -> Trainer:
    return Trainer(tiny_model, replace(SHORT, check_every=0, **settings), squares_source(), folder)


def weights(value: float) -> dict:
    return {"average": {"w": torch.full((2,), value)}, "step": int(value)}


class TestBest:
    def test_the_best_is_kept_on_disk(self, tmp_path):
        best = Best(tmp_path)
        assert [best.offer(s, weights(i)) for i, s in enumerate((0.5, 0.7, 0.6, float("nan")))] == [1, 1, 0, 0]
        again = Best(tmp_path)
        assert (again.score, again.checks_since) == (0.7, 2)
        assert torch.load(tmp_path / BEST, weights_only=True)["average"]["w"].tolist() == [1, 1]

    def test_what_is_kept_does_not_change_with_the_model(self, tmp_path):
        best, state = Best(tmp_path), weights(1)
        best.offer(0.5, state)
        state["average"]["w"].fill_(9)
        best.offer(0.1, state)
        assert torch.load(tmp_path / BEST, weights_only=True)["average"]["w"].tolist() == [1, 1]


def data_of(*held_out) -> BundledData:
    """Data of which only what is held out counts: the same of both parts."""
    return BundledData((), held_out, (), held_out, {}, {})


class TestRun:
    def scores(self, *values):
        each = iter(values)
        return lambda model: {"score": next(each)}

    def test_the_best_average_is_that_of_its_step(self, tmp_path):
        run = trainer(tmp_path)
        seen = []

        def check(model):
            seen.append(model.decoder.bias.clone())
            return {"score": (0.2, 0.9, 0.3, 0.4)[len(seen) - 1]}

        run.run(check=check)
        model, state = load_average(tmp_path / BEST)
        assert state["step"] == 2
        assert "optimizer" not in state
        torch.testing.assert_close(model.decoder.bias, seen[1], atol=2e-3, rtol=0)
        assert not torch.equal(seen[1], seen[3])

    def test_patience_ends_a_run_also_one_that_was_cut(self, tmp_path):
        run = trainer(tmp_path, steps=100, patience=3)
        run.run(check=self.scores(0.5, 0.6, 0.1, 0.2, 0.3))
        assert run.step == 5
        again = trainer(tmp_path, steps=100, patience=3)
        again.run()
        assert again.step == 5
        longer = trainer(tmp_path, steps=100, patience=4)
        longer.run(check=self.scores(0.1))
        assert longer.step == 6

    def test_without_patience_the_schedule_is_run_to_its_end(self, tmp_path):
        run = trainer(tmp_path, steps=6)
        falling = count(0, -1)
        run.run(check=lambda model: {"score": next(falling)})
        assert run.step == 6

    def test_the_best_of_another_run_does_not_count(self, tmp_path):
        trainer(tmp_path).run(check=self.scores(0.9, 0.1, 0.1, 0.1))
        (tmp_path / CHECKPOINT).unlink()
        assert trainer(tmp_path).best.score == float("-inf")
        assert not (tmp_path / BEST).exists()


@pytest.mark.parametrize(("of_best", "of_last", "steps"), [(0.8, 0.7, 2), (0.7, 0.8, 4)])
def test_the_better_of_best_and_last_is_exported(tmp_path, monkeypatch, of_best, of_last, steps):
    run = trainer(tmp_path)
    run.run(check=TestRun().scores(0.2, 0.9, 0.3, 0.4))
    values = iter((*[of_last] * 3, *[of_best] * 3))

    def measured(*_, automatic=False):
        value = next(values)
        return {"all": {"1 click": value, "3 clicks": value, "box": value}}

    monkeypatch.setattr(train, "measure", measured)
    config = BundledConfig(model=TINY, unseen=1)
    train._export_better(config, tmp_path, data_of(), run, lambda share: None, lambda words: None)
    card = json.loads((tmp_path / train.CARD).read_text())
    assert card["training"]["steps"] == steps
    assert card["validation"]["metrics"]["all"]["box"] == max(of_best, of_last)


def test_what_was_fitted_to_the_average_is_exported_with_it(tmp_path, monkeypatch):
    run = trainer(tmp_path)
    run.run(check=lambda model: {"score": 0.0})

    def fitted(model, images, **_options):
        assert [image.name for image in images] == ["a"]
        ranked = CompactSam(replace(model.config, ranker=3))
        ranked.load_state_dict(model.state_dict() | {n: t + 1 for n, t in ranked.state_dict().items() if "ranker" in n})
        return ranked.eval()

    measured = {"all": {"1 click": 0.5, "3 clicks": 0.5, "box": 0.5}}
    monkeypatch.setattr(train, "fit_ranker", fitted)
    monkeypatch.setattr(train, "measure", lambda model, *_, automatic=False: measured if model.ranker else {})
    config = BundledConfig(model=TINY, unseen=1)
    data = replace(data_of(labelled("held out")), nuclei=(labelled(),))
    train._export_better(config, tmp_path, data, run, lambda share: None, lambda words: None)
    shipped = load_checkpoint(tmp_path / train.WEIGHTS).model
    assert shipped.config.ranker == 3
    assert shipped.ranker.bias0.tolist() == [1, 1, 1]
    assert json.loads((tmp_path / train.CARD).read_text())["config"]["ranker"] == 3


def test_the_score_is_a_mean_over_prompts_and_sets():
    one = {"1 click": 0.3, "3 clicks": 0.6, "box": 0.9, "2 clicks": 100.0}
    assert score(one) == pytest.approx(0.6)
    assert score(one, {"1 click": 0.0, "3 clicks": 0.0, "box": 0.0}) == pytest.approx(0.3)
    assert score(None, one) == pytest.approx(0.6)


def test_a_check_looks_at_all_sets(tmp_path, monkeypatch):
    # A model that knows nothing doubts everything, and looks at each object again and again.
    drawn = train.unseen_images(1)[:3]
    monkeypatch.setattr(train, "unseen_images", lambda each: drawn)
    model = trainer(tmp_path).average
    numbers = train._check(model, data_of(labelled()), lambda share: None)
    assert numbers["objects"] == numbers["kinds objects"] == 3
    assert 3 <= numbers["unseen objects"] <= 9
    prompts = "1 click", "3 clicks", "box"
    sets = ({name: numbers[prefix + name] for name in prompts} for prefix in ("", "kinds ", "unseen "))
    assert numbers["score"] == pytest.approx(score(*sets))
    assert measure(model, [labelled()], 3)["all"]["1 click"] == numbers["1 click"]
