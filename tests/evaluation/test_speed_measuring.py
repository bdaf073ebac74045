from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from napari_sam.errors import InputError
from napari_sam.evaluation.speed import contenders
from napari_sam.evaluation.speed.measuring import SpeedSettings, measure_speed
from napari_sam.evaluation.speed.process import ContenderError

HALF = "sam_vit_b, half precision"
SLOWER = {"sam_vit_b": 1.0, HALF: 0.5, "segment-anything": 3.0, "transformers": 2.5, "bundled": 0.25}
SECONDS = {"embed": 2.0, "predict": 0.02, "predict_many": 0.5, "everything": 8.0}
VIT_B = ["sam_vit_b", HALF, "segment-anything", "transformers"]


class FakeProcess:
    """Answers at once with given seconds; a `failing` (name, task) is an error, or the end."""

    def __init__(self, name, world):
        self.name, self.world, self.ended = name, world, False

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.world.open[self.name] -= 1

    def ask(self, task, **request):
        world, factor = self.world, SLOWER.get(self.name, 1.0)
        world.asked.append((self.name, task))
        assert not self.ended
        if (self.name, task) in world.failing:
            self.ended = world.failing[self.name, task] == "ended"
            raise ContenderError(f"{self.name} {world.failing[self.name, task]} at {task!r}")
        match task:
            case "write":
                return {"device": "cpu"}
            case "rates":
                return {"flops": 500e9, "bandwidth": 20e9, "threads": 2, "device": "CPU (2 threads)"}
            case "fresh":
                steps = {"import": 1.0, "load": 1.0, "embed": 2 * factor, "predict": 0.02, "first mask": 3 + 2 * factor}
                return steps | {"peak memory": None if self.name == "transformers" else 1_000_000_000}
            case "start" | "prepare":
                return {"import": 1.0, "load": 1.0}
            case "count":
                return {"flops": 900e9}
            case "walk":
                return {"seconds": 0.1 * request["planes"], "peak memory": 800_000_000}
            case "answers":
                masks = np.ones((len(request["points"]), 3, 4, 4), bool)
                np.savez(request["path"], masks=masks, logits=np.ones(masks.shape) * factor)
                return {}
        return {"seconds": SECONDS[task] * factor * (len(request.get("points", "x")) if self.name == "bundled" else 1)}


class World:
    def __init__(self):
        self.asked, self.failing, self.open = [], {}, Counter()

    def start(self, name, folder, threads, device):
        assert folder.is_dir()
        self.open[name] += 1
        return FakeProcess(name, self)

    def asked_for(self, task):
        return [name for name, asked in self.asked if asked == task]


@pytest.fixture
def world(monkeypatch):
    """All packages are installed."""
    monkeypatch.setattr(contenders, "find_spec", lambda module: object())
    return World()


def measured(world, families=("sam_vit_b",), **options):
    return measure_speed(SpeedSettings(families, rounds=2, threads=2, **options), start=world.start)


def test_contenders_take_turns_in_swapped_order_beside_the_machine(world):
    measured(world)
    there = [name for name, task in world.asked if task in ("embed", "rates")][:15]
    players = [*VIT_B, "machine"]
    assert there == players[::-1] + players + players[::-1]
    # A new process for every first mask, with a round that does not count.
    assert world.asked_for("fresh") == VIT_B[::-1] + VIT_B + VIT_B[::-1]
    # It takes long, and everything is warm by then.
    assert world.asked_for("everything") == VIT_B + VIT_B[::-1]
    assert not any(world.open.values())


def test_report_has_medians_ratios_shares_and_agreement(world):
    report = measured(world)
    [family] = report.families
    assert [task.task for task in family.tasks] == [
        "embed 512 x 512",
        "embed 1024 x 1024",
        "embed 2048 x 2048",
        "1 point",
        "64 points together",
        "everything, 16 x 16 points",
    ]
    assert [task.ratio("sam_vit_b") for task in family.tasks] == [2.5] * 6
    assert family.share_of_floor(family.tasks[0]) == pytest.approx(0.9)
    assert family.tasks[0].seconds["segment-anything"].count == 2
    assert {one.contender: (one.iou, one.logits) for one in family.agreements} == {
        HALF: (1.0, 0.5),
        "segment-anything": (1.0, 2.0),
        "transformers": (1.0, 1.5),
    }
    first = {one.contender: one.measures for one in report.fresh}
    assert first["segment-anything"]["first mask"].median == 9.0
    # Where the system does not tell, there is no number.
    assert "peak memory" in first["sam_vit_b"] and "peak memory" not in first["transformers"]
    assert report.machine.threads == 2 and report.notes == ()


def test_growth_is_of_the_last_family(world):
    report = measured(world, ("sam_vit_b", "bundled"))
    exponents = {growth.what: growth.exponent for growth in report.growths}
    assert exponents == {
        "embed a plane, bundled": pytest.approx(0.0, abs=1e-9),
        "answer points together, bundled": pytest.approx(1.0),
        "embed and click on planes, bundled": pytest.approx(1.0),
        "peak memory with planes, bundled": pytest.approx(0.0, abs=1e-9),
    }


def test_quick_leaves_everything_mode_out(world):
    report = measured(world, quick=True)
    assert not world.asked_for("everything")
    assert report.families[0].tasks[-1].task == "64 points together"


def test_a_package_that_is_missing_is_left_out_with_words(world, monkeypatch):
    monkeypatch.setattr(contenders, "find_spec", lambda module: None if module == "transformers" else object())
    report = measured(world)
    assert report.families[0].contenders == ("sam_vit_b", HALF, "segment-anything")
    [note] = report.notes
    assert note.startswith("transformers is left out") and "napari-sam-live[benchmark]" in note


def test_one_that_fails_at_a_task_does_the_others(world):
    world.failing["segment-anything", "everything"] = "failed"
    report = measured(world)
    tasks = {task.task: task for task in report.families[0].tasks}
    assert "segment-anything" not in tasks["everything, 16 x 16 points"].seconds
    assert "segment-anything" in tasks["1 point"].seconds
    assert report.notes == ("segment-anything failed at 'everything'",)
    assert len(report.families[0].agreements) == 3


def test_one_that_dies_is_not_asked_again(world):
    world.failing["segment-anything", "predict_many"] = "ended"
    report = measured(world)
    tasks = {task.task: task for task in report.families[0].tasks}
    assert "segment-anything" in tasks["1 point"].seconds
    assert list(tasks["everything, 16 x 16 points"].seconds) == ["sam_vit_b", HALF, "transformers"]
    assert report.notes == ("segment-anything ended at 'predict_many'",)
    assert not any(world.open.values())


def test_half_precision_is_left_out_with_words_where_it_does_not_pay(world):
    world.failing[HALF, "fresh"] = world.failing[HALF, "start"] = "takes no less time"
    report = measured(world)
    assert all(HALF not in task.seconds for task in report.families[0].tasks)
    assert [note.partition(" at ")[0] for note in report.notes] == [f"{HALF} takes no less time"] * 2


def test_half_precision_is_no_package_that_ours_is_compared_with(world):
    task = measured(world).families[0].tasks[0]
    assert task.seconds[HALF].median < task.seconds["sam_vit_b"].median
    assert task.ratio("sam_vit_b") == 2.5


def test_one_that_cannot_write_its_weights_is_left_out(world):
    world.failing["transformers", "prepare"] = "failed"
    report = measured(world)
    assert report.families[0].contenders == ("sam_vit_b", HALF, "segment-anything")
    assert "transformers" not in world.asked_for("fresh")


def test_progress_rises_to_the_end(world):
    fractions = []
    settings = SpeedSettings(("bundled",), rounds=1)
    measure_speed(settings, lambda fraction: fractions.append(fraction), start=world.start)
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and len(fractions) > 5


def test_families_are_chosen_in_their_own_order():
    assert contenders.choose_families(None) == ("sam_vit_b", "mobile_sam", "bundled")
    assert contenders.choose_families(["bundled", "sam_vit_b", "bundled"]) == ("sam_vit_b", "bundled")
    with pytest.raises(InputError, match=r"'vit_h' cannot be measured\. Choose one of: sam_vit_b"):
        contenders.choose_families(["vit_h"])
